"""What people of a merchant do in the demo at its own desk: approve a journal, make bank files and read reports in.

Everything else in the demo goes over the public API; these are the commands and the flow behind the back office,
because no key may do them. Each does one thing and says what came of it.
"""

import io
import json
from pathlib import Path
from typing import Any

from django.core.management import call_command

from config import seam

CHECKER = "user:demo-approver"


def approve(proposal: str) -> None:
    """Approve a proposal by its public id, as somebody else than its maker."""
    from ledger.ids import parse_public_id  # late: this package is read before Django is set up
    from wallet import proposals
    from wallet.models import Proposal

    own = parse_public_id("prp", proposal)
    assert own is not None, "the API answers with its public id"
    row = Proposal.objects.get(public_id=own)
    proposals.approve(row.pk, checker=CHECKER, note="the opening balance of the bank account", now=seam.now())


def make_files(book_id: int) -> list[dict[str, Any]]:
    """Make the bank files of a book (`./florin bank_file make`)."""
    return [json.loads(line) for line in _said("make", _code(book_id)).splitlines()]


def fetch_file(book_id: int, file: str, folder: Path) -> Path:
    """Fetch a bank file into a folder (`./florin bank_file fetch`): from now on its payouts are sent."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{file}.xml"
    _said("fetch", _code(book_id), file, out=str(path))
    return path


def read_report(book_id: int, path: Path) -> list[str]:
    """Read a report of the bank in (`./florin bank_file report`); return a line for each transfer that it refused."""
    return _said("report", _code(book_id), str(path)).splitlines()


def _said(*words: str, **options: str) -> str:
    said = io.StringIO()
    call_command("bank_file", *words, **options, actor="user:demo", stdout=said, stderr=io.StringIO())
    return said.getvalue()


def _code(book_id: int) -> str:
    from ledger.models import Book

    return Book.objects.get(pk=book_id).code
