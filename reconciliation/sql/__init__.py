"""SQL files of reconciliation; migrations load them with `load`."""

from pathlib import Path


def load(name: str) -> str:
    """Return the text of `<name>.sql`."""
    return (Path(__file__).parent / f"{name}.sql").read_text(encoding="utf-8")
