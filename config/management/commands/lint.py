"""`./florin lint`: style, types, import contracts and migrations; the tests run the same checks."""

import os
import subprocess
import sys
from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from config.local_stack.home import ROOT

CHECKS: dict[str, list[str]] = {
    "style": ["-m", "ruff", "check", "."],
    "format": ["-m", "ruff", "format", "--check", "."],
    "types": ["-m", "mypy"],
    "imports": ["-c", "from importlinter.cli import lint_imports_command as run; run()"],
    "migrations": ["-W", "ignore", "manage.py", "makemigrations", "--check", "--dry-run"],
}


def run_check(name: str) -> subprocess.CompletedProcess[str]:
    """Run one check; its exit code is 0 when nothing was found."""
    done = _run(CHECKS[name])
    if name == "types" and done.returncode != 0:
        # From its cache, mypy with Django's plugin sometimes finds what is not there; from nothing it does not.
        done = _run([*CHECKS[name], f"--cache-dir={os.devnull}"])
    return done


def _run(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


class Command(BaseCommand):
    """Run the checks and show what each has found."""

    help = "Check style, format, types, import contracts and migrations (or only those that are named)."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the names of the checks."""
        parser.add_argument("names", nargs="*", metavar="CHECK", help=", ".join(CHECKS))

    def handle(self, *_args: object, names: list[str], **_options: object) -> None:
        """Run the checks; exit code 1 if one of them has found something."""
        failed = []
        for name in names or CHECKS:
            done = run_check(name)
            self.stdout.write(f"{name}: {'ok' if done.returncode == 0 else 'FAILED'}")
            if done.returncode != 0:
                failed.append(name)
                self.stdout.write(f"{done.stdout}{done.stderr}")
        if failed:
            raise SystemExit(1)
