"""Environments beside ours, for programs that tests talk to and that are no dependency of the project."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

INSTALL_SECONDS = 150


def python_of(name: str, pins: Path) -> Path:
    """Return the Python of an environment with these pins; make it first where it is missing or has others."""
    home = Path(os.environ["FLORIN_HOME"]).parents[1] / name  # the test run's own home is emptied
    home.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()
    python, mark = home / "venv" / "bin" / "python", home / "pins"
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if python.exists() and mark.exists() and mark.read_text() == wanted:
            return python
        shutil.rmtree(home / "venv", ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(home / "venv")], check=True, timeout=INSTALL_SECONDS)
        words = [
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--require-hashes",
            "-r",
            str(pins),
        ]
        subprocess.run([str(python), *words], check=True, timeout=INSTALL_SECONDS)
        mark.write_text(wanted)
    return python
