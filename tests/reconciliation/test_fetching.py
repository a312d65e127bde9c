"""Statements that nobody hands in: from the PSP's API page by page, and from a folder."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection

from config import seam
from payments import psp_budget
from payments.models import PspAccount
from payments.psp.stripe import balance_lines
from reconciliation import fetching, sources
from reconciliation.fetching import FetchFailed
from reconciliation.models import SettlementFile, Source, StatementLine
from tests.reconciliation.papers import CHARGE, REFUND, report
from tests.shop import Shop

DAY = timedelta(days=1)


def midnight() -> datetime:
    """Return the beginning of today in UTC."""
    return seam.now().replace(hour=0, minute=0, second=0, microsecond=0)


def soon() -> datetime:
    """Return a moment after everything that has happened: what happens now is told later."""
    return seam.now() + timedelta(seconds=5)


def source_of(shop: Shop) -> Source:
    """Return the source of the shop's PSP account."""
    return sources.of_psp_account(shop.tenant.psp_account, now=seam.now())


def test_the_lines_of_a_day_are_the_psps_own_books(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Charges by their payment intent, refunds by themselves; sums as the PSP has them; page by page."""
    monkeypatch.setattr(balance_lines, "PAGE_SIZE", 2)
    paid = [shop.buy(1000 + number) for number in range(3)]
    shop.work()
    source = source_of(shop)
    received = fetching.fetch_psp(source, since=midnight(), until=midnight() + DAY, now=soon())
    file = received.file
    assert (file.state, file.errors, file.line_count) == ("ingested", [], 3)
    assert file.format == "stripe_api"
    assert file.last_day == seam.now().date()
    kept = {one.reference: one for one in StatementLine.objects.filter(source=source)}
    charges = [event.charges.get() for event in paid]
    assert set(kept) == {charge.psp_id for charge in charges}
    for charge in charges:
        line = kept[charge.psp_id or ""]
        assert (line.flow, line.currency, line.gross_minor) == ("charge", "EUR", charge.amount_minor)
        assert line.charge_reference.startswith("ch_")
    balance = shop.psp.books(shop.psp_key)["balance"]["eur"]
    net = sum(one.gross_minor - one.fee_minor for one in kept.values())
    assert net == balance["available"] + balance["pending"]
    assert received.run is not None


def test_the_same_time_fetched_again_is_the_first_result_or_a_revision(shop: Shop) -> None:
    """With what happened meanwhile."""
    source, since, until = source_of(shop), midnight(), seam.now() + timedelta(seconds=30)
    shop.buy(1000)
    shop.work()
    at = seam.now() + timedelta(minutes=1)
    first = fetching.fetch_psp(source, since=since, until=until, now=at)
    again = fetching.fetch_psp(source, since=since, until=until, now=at)
    assert (again.fresh, again.file.pk) == (False, first.file.pk)
    shop.buy(2000)
    shop.work()
    revised = fetching.fetch_psp(source, since=since, until=until, now=at).file
    assert (revised.revises_id, revised.known_count, revised.new_count) == (first.file.pk, 1, 1)


def test_a_day_without_movements_is_a_statement_too(shop: Shop) -> None:
    """So that the night knows that the day was told."""
    received = fetching.fetch_psp(source_of(shop), since=midnight() - DAY, until=midnight(), now=seam.now())
    assert (received.file.state, received.file.line_count) == ("ingested", 0)
    assert received.file.last_day == (midnight() - DAY).date()


def test_a_psp_that_breaks_off_leaves_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A no ends the fetch; silence is borne a few times."""
    monkeypatch.setattr(fetching, "sleep", lambda _seconds: None)
    shop.buy(1000)
    shop.work()
    source = source_of(shop)
    silent = {"operation": "balance_transactions.list", "kind": "html_502"}
    shop.psp.faults({**silent, "times": 2}, key=shop.psp_key)
    fetched = fetching.fetch_psp(source, since=midnight(), until=midnight() + DAY, now=soon())
    assert fetched.file.line_count == 1
    shop.psp.faults({**silent, "times": 100}, key=shop.psp_key)
    before = SettlementFile.objects.count()
    with pytest.raises(FetchFailed):
        fetching.fetch_psp(source, since=midnight() - DAY, until=midnight(), now=seam.now())
    assert SettlementFile.objects.count() == before


def test_pages_are_read_within_the_budget_of_polls(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a poll left nothing is asked."""
    account = shop.tenant.psp_account
    monkeypatch.setattr(fetching, "MAX_WAIT_SECONDS", 0)
    PspAccount.objects.filter(pk=account.pk).update(poll_tokens=1, polls_per_minute=0.001)
    assert psp_budget.take_poll(account.pk) is True
    assert psp_budget.take_poll(account.pk) is False
    with pytest.raises(FetchFailed):
        fetching.fetch_psp(source_of(shop), since=midnight(), until=midnight() + DAY, now=seam.now())


@pytest.fixture
def folder(tmp_path: Path, committed_db: object) -> tuple[Source, Path]:
    """Give a source that watches a folder."""
    from tests.reconciliation.papers import psp_source

    source = psp_source()
    source.location, source.format = str(tmp_path), "stripe_payout_itemized"
    source.save()
    return source, tmp_path


def put(path: Path, content: bytes, *, at: datetime) -> None:
    """Write a file that was changed at a time."""
    path.write_bytes(content)
    os.utime(path, (at.timestamp(), at.timestamp()))


NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_a_folder_is_read_once(folder: tuple[Source, Path]) -> None:
    """What is new, and what has changed; nothing that somebody may still be writing."""
    source, path = folder
    put(path / "a.csv", report(CHARGE), at=NOON - DAY)
    put(path / "b.csv", report(REFUND), at=NOON - timedelta(seconds=5))
    put(path / ".c.csv", report(REFUND), at=NOON - DAY)
    put(path / "d.csv.part", report(REFUND), at=NOON - DAY)
    (path / "archive").mkdir()
    first = fetching.fetch_location(source, now=NOON)
    assert [(one.file.name, one.file.new_count) for one in first] == [("a.csv", 1)]
    second = fetching.fetch_location(source, now=NOON + timedelta(minutes=1))
    assert [(one.file.name, one.file.new_count) for one in second] == [("b.csv", 1)]
    assert fetching.fetch_location(source, now=NOON + timedelta(minutes=2)) == []
    put(path / "a.csv", report(CHARGE, REFUND), at=NOON + timedelta(minutes=3))
    third = fetching.fetch_location(source, now=NOON + timedelta(minutes=5))
    assert [(one.file.name, one.file.known_count) for one in third] == [("a.csv", 2)]


def test_a_bad_file_does_not_hide_the_others(folder: tuple[Source, Path]) -> None:
    """It is quarantined, and not tried again every night."""
    source, path = folder
    put(path / "a.csv", b"nonsense", at=NOON - DAY)
    put(path / "b.csv", report(REFUND), at=NOON - DAY)
    states = [one.file.state for one in fetching.fetch_location(source, now=NOON)]
    assert states == ["quarantined", "ingested"]
    assert fetching.fetch_location(source, now=NOON + DAY) == []


@pytest.mark.parametrize("location", ["http://127.0.0.1/files", "sftp://user:secret@bank/out", "/no/such/folder"])
def test_a_place_that_cannot_be_read_is_one_refusal(folder: tuple[Source, Path], location: str) -> None:
    """Neither other protocols nor passwords in an address."""
    source, _ = folder
    source.location = location
    with pytest.raises(FetchFailed) as refused:
        fetching.fetch_location(source, now=NOON)
    assert "secret" not in str(refused.value)
    assert connection.in_atomic_block is False
