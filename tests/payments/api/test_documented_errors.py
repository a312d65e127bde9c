"""The catalogue of codes is complete and true, and docs/errors.md is made from it."""

import ast
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from payments import errors

ROOT = Path(settings.BASE_DIR)
CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.PaymentsError)
}


def calls() -> Iterator[tuple[Path, str, ast.Call]]:
    """Yield every call by a plain name in the sources of payments."""
    for path in sorted((ROOT / "payments").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield path.relative_to(ROOT), node.func.id, node


def test_every_code_that_is_raised_is_listed_with_its_status() -> None:
    seen = set()
    for path, name, call in calls():
        if name in CLASSES and call.args and isinstance(call.args[0], ast.Constant):
            code = call.args[0].value
            assert code in errors.CATALOGUE, f"{path}:{call.lineno}: {code}"
            assert errors.CATALOGUE[code].status == CLASSES[name].status, f"{path}:{call.lineno}: {code}"
            seen.add(code)
    assert len(seen) > 20


def test_every_code_of_a_field_is_listed() -> None:
    known = set(errors.FIELD_CODES) | set(errors.CATALOGUE)
    for path, name, call in calls():
        place = {"FieldError": 1, "wrong": 1, "PydanticCustomError": 0}.get(name)
        if place is not None and len(call.args) > place and isinstance(call.args[place], ast.Constant):
            code = call.args[place].value
            assert code in known, f"{path}:{call.lineno}: {code}"


def test_every_listed_code_is_used() -> None:
    sources = "\n".join(
        path.read_text()
        for app in ("ledger", "wallet", "payments", "reconciliation")
        for path in (ROOT / app).rglob("*.py")
        if path != ROOT / "payments" / "errors.py"
    )
    reserved = {"rate_limited", "invalid_state"}
    unused = {code for code in errors.CATALOGUE if f'"{code}"' not in sources} - reserved
    assert unused == set()


def test_the_page_is_up_to_date() -> None:
    call_command("document_errors", "--check", stdout=StringIO())


def test_a_page_that_is_out_of_date_is_noticed(tmp_path: Path, settings: Any) -> None:
    settings.BASE_DIR = tmp_path
    (tmp_path / "docs").mkdir()
    with pytest.raises(CommandError):
        call_command("document_errors", "--check")
    call_command("document_errors", stdout=StringIO())
    call_command("document_errors", "--check", stdout=StringIO())


@pytest.mark.parametrize("code", errors.CATALOGUE)
def test_a_title_is_a_sentence_without_a_full_stop(code: str) -> None:
    listed = errors.CATALOGUE[code]
    assert listed.title[0].isupper()
    assert not listed.title.endswith(".")
    assert listed.advice.endswith(".")
