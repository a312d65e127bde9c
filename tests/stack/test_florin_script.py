"""The script `./florin`: from nothing to manage.py, on any kind of Python set-up."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from config.local_stack.home import ROOT

SHOW = """\
import os, sys
print([sys.version_info >= (3, 12), os.getcwd(), sys.argv[1:], os.environ.get("PYTHONDONTWRITEBYTECODE")])
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a checkout that needs no package."""
    root = tmp_path / "a checkout"
    (root / "config/local_stack").mkdir(parents=True)
    (root / "tests").mkdir()
    shutil.copy2(ROOT / "florin", root)
    shutil.copy2(ROOT / "config/local_stack/environment.py", root / "config/local_stack")
    (root / "manage.py").write_text(SHOW)
    (root / "requirements.txt").write_text("# nothing\n")
    (root / "tests/requirements.txt").write_text("# nothing\n")
    return root


def run(
    checkout: Path, *words: str, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    base = os.environ | {
        "HOME": str(checkout.parent),
        "PYTHON": sys.executable,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [checkout / "florin", *words],
        cwd=cwd or checkout,
        env=base | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_without_words_it_lists_them_and_builds_nothing(checkout: Path) -> None:
    done = run(checkout)
    assert done.returncode == 0
    assert "demo" in done.stdout
    assert not (checkout / ".venv").exists()


def test_it_builds_the_environment_once_and_again_when_the_pins_change(checkout: Path, tmp_path: Path) -> None:
    first = run(checkout, "replay", "a file", "--limit", "3", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert first.stdout == f"[True, {str(tmp_path)!r}, ['replay', 'a file', '--limit', '3'], None]\n"
    assert "making .venv" in first.stderr

    link = tmp_path / "link"
    link.symlink_to(checkout / "florin")
    again = subprocess.run([link, "status"], cwd="/", capture_output=True, text=True, timeout=60, check=False)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith("[True, '/'")

    (checkout / "requirements.txt").write_text("# other\n")
    changed = run(checkout, "status")
    assert "making .venv" in changed.stderr
    assert run(checkout, "status").stderr == ""

    with_tests = run(checkout, "test")
    assert "making .venv" not in with_tests.stderr
    assert (checkout / ".venv/.pins-tests").exists()


def test_a_half_made_environment_is_made_again(checkout: Path) -> None:
    python = checkout / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    done = run(checkout, "status")
    assert done.returncode == 0, done.stderr
    assert "making .venv" in done.stderr


def test_two_shells_at_once_build_it_once(checkout: Path) -> None:
    environment = os.environ | {"PYTHON": sys.executable}
    both = [
        subprocess.Popen(
            [checkout / "florin", "status"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("making .venv" in errors for _, errors in said) == 1


@pytest.fixture
def bare_machine(tmp_path: Path) -> Path:
    """Make a directory of programs, for PATH, with nothing but what the script itself needs and a broken python3."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "dirname", "readlink", "cmp", "cat"):
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    _program(tools / "python3", "exit 127")
    return tools


def _program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def _only(tools: Path) -> dict[str, str]:
    return {"PATH": str(tools), "HOME": str(tools.parent), "PYENV_ROOT": str(tools / "none"), "PYTHON": ""}


def test_without_a_suitable_python_it_says_what_to_install(checkout: Path, bare_machine: Path) -> None:
    done = run(checkout, "demo", environment=_only(bare_machine))
    assert done.returncode == 69
    assert done.stderr.count("\n") == 1
    assert "Python >= 3.12" in done.stderr


def test_a_python_is_found_under_pyenv(checkout: Path, bare_machine: Path, tmp_path: Path) -> None:
    for version, body in (("3.12.1", f'exec {sys.executable} "$@"'), ("3.11.7", "exit 1"), ("3.13.9", "exit 127")):
        (tmp_path / f"pyenv/versions/{version}/bin").mkdir(parents=True)
        _program(tmp_path / f"pyenv/versions/{version}/bin/python", body)
    done = run(checkout, "status", environment=_only(bare_machine) | {"PYENV_ROOT": str(tmp_path / "pyenv")})
    assert done.returncode == 0, done.stderr


def test_uv_is_asked_for_a_python(checkout: Path, bare_machine: Path) -> None:
    _program(bare_machine / "uv", f'[ "$1 $2" = "python find" ] && echo {sys.executable}')
    done = run(checkout, "status", environment=_only(bare_machine))
    assert done.returncode == 0, done.stderr


def test_the_pins_of_the_tests_contain_the_runtime_pins() -> None:
    def pins(path: str) -> set[str]:
        lines = (ROOT / path).read_text().splitlines()
        return {line.split(";")[0].strip(" \\") for line in lines if "==" in line and not line.startswith((" ", "#"))}

    assert pins("requirements.txt") <= pins("tests/requirements.txt")


@pytest.mark.parametrize(
    "path", ["requirements.txt", "tests/requirements.txt", "tests/localstripe.txt", "tests/moto.txt"]
)
def test_every_pin_has_hashes_and_names_no_index(path: str) -> None:
    text = (ROOT / path).read_text().replace("\\\n", "")
    pins = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert pins
    assert all("==" in line and "--hash=sha256:" in line for line in pins)
    assert not any("://" in line for line in pins)
