"""The classes of breaks are those that the code can find, and the page about them is made from the code."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from reconciliation import integrity
from reconciliation.codes import CODES

SOURCES = ("differences", "statement_checks.py", "integrity.py")


def found_by() -> str:
    """Return the sources that find breaks."""
    root = Path(settings.BASE_DIR) / "reconciliation"
    files = [
        file for name in SOURCES for file in ([root / name] if name.endswith(".py") else (root / name).glob("*.py"))
    ]
    return "\n".join(file.read_text() for file in files)


@pytest.mark.parametrize("code", CODES)
def test_a_class_is_found_by_something(code: str) -> None:
    text = found_by()
    assert f"'{code}'" in text or f'"{code}"' in text


def test_there_are_classes_of_every_kind() -> None:
    assert {code[0] for code in CODES} == set("ABCD")
    assert [code for code in CODES if code.startswith("D")] == list(integrity.OWN)


def test_the_page_of_breaks_is_up_to_date() -> None:
    call_command("document_breaks", "--check", stdout=StringIO())
