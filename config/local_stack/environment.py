"""Build `.venv` from the pins: run by `./florin` with the bare Python that it found.

Why Python and not the shell: one kernel lock covers two shells that start at once, is inherited by pip, and
vanishes with the last process that holds it, so there is no stale lock to reason about. The stamp is written
last; an environment without one was interrupted and is built again. It must never import what has to be
installed first.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

RUNTIME_PINS = Path("requirements.txt")
RUNTIME_STAMP = ".pins-runtime"
TESTS_STAMP = ".pins-tests"
LINES_KEPT_FOR_AN_ERROR = 40


def main(environment: Path, pins: Path) -> int:
    """Bring `environment` in step with `pins`; a second caller waits for the first. Returns an exit code."""
    signal.signal(signal.SIGTERM, _leave)
    with _only_one(Path(f"{environment}.lock")) as lock:
        if not _in_step(environment, RUNTIME_PINS, RUNTIME_STAMP):
            if environment.exists():
                shutil.rmtree(environment)
            _say(f"making {environment} with Python {sys.version.split()[0]}")
            venv.create(environment, with_pip=False, symlinks=True)
        stamp = RUNTIME_STAMP if pins == RUNTIME_PINS else TESTS_STAMP
        if not _in_step(environment, pins, stamp):
            code = _install(environment, pins, lock)
            if code != 0:
                return code
            for pinned, name in ((RUNTIME_PINS, RUNTIME_STAMP), (pins, stamp)):
                shutil.copyfile(pinned, environment / (name + ".new"))
                os.replace(environment / (name + ".new"), environment / name)
    return 0


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    print(f"florin: {text}", file=sys.stderr, flush=True)


@contextmanager
def _only_one(path: Path) -> Iterator[int]:
    """Hold an exclusive lock on `path`; child processes inherit it, so an orphaned pip still excludes us."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _say("another ./florin is installing, waiting for it")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _in_step(environment: Path, pins: Path, stamp: str) -> bool:
    installed = environment / stamp
    return (
        (environment / "bin" / "python").exists() and installed.exists() and installed.read_bytes() == pins.read_bytes()
    )


def _install(environment: Path, pins: Path, lock: int) -> int:
    """Install exactly the pins, hashes required, and show how far it is."""
    python = str((environment / "bin" / "python").absolute())
    total = sum("==" in line and not line.startswith((" ", "#")) for line in pins.read_text().splitlines())
    if total == 0:
        return 0
    started = time.monotonic()
    exact = ["--require-hashes", "--no-deps", "-r", str(pins)]
    if uv := shutil.which("uv"):
        _say(f"installing {total} packages with uv")
        command = [uv, "pip", "install", "--compile-bytecode", "-p", python, *exact]
        code = subprocess.run(command, pass_fds=(lock,), check=False).returncode
    else:
        if not (environment / "bin" / "pip").exists():
            subprocess.run([python, "-Im", "ensurepip", "--default-pip"], check=True, capture_output=True)
        command = [python, "-m", "pip", "install", "--no-user", "--disable-pip-version-check", *exact]
        command += ["--no-input", "--progress-bar=off"]
        code = _run_counting(command, total, lock)
    if code == 0:
        _say(f"installed {total} packages in {time.monotonic() - started:.0f} s")
    return code


def _run_counting(command: list[str], total: int, lock: int) -> int:
    """Run pip, turn its output into one counting line, show the end of that output if it fails."""
    kept: list[str] = []
    count, shown_at = 0, 0.0
    live = sys.stderr.isatty()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(lock,),
    ) as pip:
        assert pip.stdout is not None
        try:
            for line in pip.stdout:
                kept = [*kept[1 - LINES_KEPT_FOR_AN_ERROR :], line]
                words = line.split()
                if words[:1] == ["Collecting"]:
                    count += 1
                    text = f"fetching {count}/{total} {words[1].split('==')[0]}"
                elif words[:2] == ["Installing", "collected"]:
                    text, shown_at = f"unpacking {total} packages", 0.0
                else:
                    continue
                if live:
                    print(f"\r\033[Kflorin: {text}", end="", file=sys.stderr, flush=True)
                elif time.monotonic() - shown_at >= 5:
                    _say(text)
                    shown_at = time.monotonic()
        except KeyboardInterrupt:
            pip.terminate()
            raise
    if live:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    if pip.returncode != 0:
        print("".join(kept), end="", file=sys.stderr)
        _say("the packages could not be installed; the lines above are pip's. The same command tries again.")
    return pip.returncode


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
    except KeyboardInterrupt:
        _say("interrupted; the next run starts the installation again")
        sys.exit(130)
