"""How the demo talks: each step as it happens, a bar while it works, tables at the end.

On a terminal with colour and a progress bar, elsewhere plain lines. With `--json` all of it goes to stderr, so that
stdout carries the summary alone. It only shows what it is given.
"""

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

WIDTH_WITHOUT_TERMINAL = 110


class Teller:
    """Tells what happens. Safe to use from several threads."""

    def __init__(self, *, to_stderr: bool) -> None:
        stream = sys.stderr if to_stderr else sys.stdout
        width = None if stream.isatty() else WIDTH_WITHOUT_TERMINAL
        self._console = Console(file=stream, highlight=False, width=width)
        self._started = monotonic()
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """Return how long this has been going on."""
        return monotonic() - self._started

    def say(self, text: str) -> None:
        """Tell one thing about the surroundings."""
        self._line("[dim]", "florin", text)

    def step(self, scene: str, text: str) -> None:
        """Tell what has just happened in a scene."""
        self._line("[cyan]", scene, text)

    def good(self, scene: str, text: str) -> None:
        """Tell how a scene ended."""
        self._line("[green]", scene, text)

    def bad(self, scene: str, text: str) -> None:
        """Tell what went wrong."""
        self._line("[bold red]", scene, text)

    def panel(self, title: str, text: str, *, good: bool = True) -> None:
        """Show a few lines that belong together."""
        self._print(Panel(text, title=title, title_align="left", border_style="green" if good else "red"))

    def addresses(self, title: str, text: str) -> None:
        """Show lines that are meant to be copied: nothing is drawn around them and none is broken."""
        self._print(f"\n[bold]{escape(title)}[/]\n{text}\n", soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: int = 0) -> None:
        """Show a table; its last `numbers` columns are aligned to the right."""
        shown = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=SIMPLE_HEAD)
        for place, column in enumerate(columns):
            right = place >= len(columns) - numbers
            shown.add_column(column, justify="right" if right else "left", no_wrap=True)
        for row in rows:
            shown.add_row(*(escape(cell) for cell in row))
        self._print(shown)

    @contextmanager
    def progress(self, label: str, total: int) -> Iterator["Bar"]:
        """Show a bar for the duration of the block; without a terminal nothing."""
        bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        with bars:
            yield Bar(bars, label, total)

    def _line(self, style: str, scene: str, text: str) -> None:
        line = f"[dim]{self.seconds:6.1f}[/] {style}{escape(scene):<18}[/] {escape(text)}"
        self._print(line, soft_wrap=True)  # an id or an address stays in one piece, to be copied

    def _print(self, shown: object, *, soft_wrap: bool = False) -> None:
        with self._lock:
            self._console.print(shown, soft_wrap=soft_wrap)


class Bar:
    """A progress bar that several threads may move."""

    def __init__(self, bars: Progress, label: str, total: int) -> None:
        self._bars = bars
        self._task = bars.add_task(label, total=total)

    def advance(self, by: int = 1) -> None:
        """Move it on."""
        self._bars.advance(self._task, by)


def lines(values: Mapping[str, str]) -> str:
    """Write names and values below each other."""
    width = max(len(name) for name in values)
    return "\n".join(f"{escape(name):<{width}}  {escape(value)}" for name, value in values.items())
