"""The books against themselves: each class of integrity is found by a run that needs no statement, and goes again.

That each single check finds its corruption is shown in tests/ledger; here it comes to people as a break of its class.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from config import seam
from ledger import invariants as ledger_invariants
from ledger.ids import public_id
from ledger.models import TransactionKind
from payments import invariants, refunds
from payments.models import PaymentOrder
from payments.refunds import Wanted
from reconciliation import integrity, night
from reconciliation.models import Break, ReconciliationRun
from tests.factories import tenant
from tests.reconciliation.closing import account, as_superuser, clearing, post
from tests.reconciliation.conftest import Desk

# A class, and what a superuser (or a bug with his rights) did.
CORRUPTIONS = {
    "D01": "UPDATE ledger_entry SET amount = amount + 1 WHERE account_id = %(clearing)s",
    "D02": "UPDATE payments_paymentorder SET fee_minor = fee_minor + 1 WHERE status = 'SUCCESS'",
    "D03": "DELETE FROM payments_transition WHERE machine = 'payments_charge'",
    "D05": "UPDATE ledger_balance SET credits = credits + 1 WHERE account_id = %(pending)s",
    "D06": "UPDATE payments_refund SET amount_minor = 100000, from_pending_minor = 100000 - fee_minor",
    "D07": "UPDATE payments_charge SET created_at = created_at - interval '10 days' WHERE status = 'AUTHORIZED'",
    "D08": "UPDATE payments_charge SET amount_minor = amount_minor + 1 WHERE status = 'SUCCEEDED'",
}


@pytest.fixture
def traded(desk: Desk) -> Desk:
    """Give a shop with a sale of 20.00, a refund of 1.00 on its way, and an authorization that nobody captured."""
    event = desk.shop.buy(2000)
    desk.shop.buy(700, capture="manual")
    desk.shop.work()
    refunds.request(event.pk, Wanted(desk.shop.orders(event)[0].pk, amount_minor=100), now=seam.now())
    return desk


def look(desk: Desk) -> ReconciliationRun:
    """Do the run of the book."""
    run = night.open_run(desk.source.book_id, None, desk.today, now=seam.now())
    return night.reconcile(run.pk, now=seam.now())


def found(code: str) -> list[Break]:
    """Return the unresolved breaks of a class."""
    return list(Break.objects.filter(code=code).exclude(state="resolved"))


def corrupt(desk: Desk, statement: str) -> None:
    """Change what no one else can."""
    with as_superuser(desk) as superuser:
        ids: dict[str, Any] = {}
        for name, like in (("clearing", "psp:%:clearing:EUR"), ("pending", "seller:%:pending:EUR")):
            query = "SELECT a.id FROM ledger_account a JOIN ledger_entry e ON e.account_id = a.id WHERE code LIKE %s"
            row = superuser.execute(query, [like]).fetchone()
            assert row is not None
            ids[name] = row[0]
        assert superuser.execute(statement, ids).rowcount


def test_sound_books_have_no_breaks(traded: Desk) -> None:
    run = look(traded)
    assert (run.verdict, run.counts["breaks"]) == ("RECONCILED", {})
    assert not Break.objects.exists()


@pytest.mark.parametrize("code", CORRUPTIONS)
def test_what_a_superuser_did_is_a_break_of_its_class(traded: Desk, code: str) -> None:
    corrupt(traded, CORRUPTIONS[code])
    run = look(traded)
    breaks = found(code)
    assert breaks
    assert all(one.source_id is None and one.book_id == traded.source.book_id for one in breaks)
    assert run.counts["breaks"][code] == len(breaks)
    assert run.verdict in {"BREAKS", "INCOMPLETE", "WITH_WARNINGS"}


def test_a_break_goes_when_its_cause_does(traded: Desk) -> None:
    corrupt(traded, CORRUPTIONS["D05"])
    look(traded)
    before = found("D05")
    corrupt(traded, "UPDATE ledger_balance SET credits = credits - 1 WHERE account_id = %(pending)s")
    assert look(traded).verdict == "RECONCILED"
    assert found("D05") == []
    corrupt(traded, CORRUPTIONS["D05"])
    look(traded)
    assert [one.pk for one in found("D05")] == [one.pk for one in before], "it is the same break that comes back"


def test_one_cause_with_two_journals(traded: Desk) -> None:
    order = PaymentOrder.objects.filter(status="SUCCESS").get()
    subject = f"{public_id('ord', order.public_id)}:again"
    cost = account(traded, "write_off:EUR")
    post(traded, TransactionKind.SETTLE_CHARGE, subject, debit=clearing(traded), credit=cost, amount=2000)
    look(traded)
    (one,) = found("D04")
    assert "has 2 journals settle_charge" in one.detail


def test_suspense_ages(desk: Desk) -> None:
    desk.line(flow="charge", gross_minor=500, reference="pi_nobody")
    desk.run()
    held = Break.objects.get()
    suspense = account(desk, "suspense:credit:EUR")
    kind = TransactionKind.SUSPEND
    held.transaction_id = post(desk, kind, "brk:1", debit=clearing(desk), credit=suspense, amount=500)
    held.save(update_fields=["transaction"])
    look(desk)
    assert found("D09") == []
    with as_superuser(desk) as superuser:
        superuser.execute("UPDATE ledger_transaction SET posted_at = posted_at - interval '31 days'")
    look(desk)
    (aged,) = found("D09")
    assert (aged.amount_minor, aged.priority) == (500, 4)


def test_customers_are_owed_no_more_than_there_is(traded: Desk) -> None:
    look(traded)
    assert found("D10") == []
    fees = 2000 - 1800
    lost = account(traded, "write_off:EUR")
    post(traded, TransactionKind.WRITE_OFF, "stolen", debit=lost, credit=clearing(traded), amount=fees + 30)
    look(traded)
    (one,) = found("D10")
    assert (one.amount_minor, one.priority) == (-30, 1)
    assert one.evidence == {"owed": 1800, "cover": 1770}


def test_every_book_has_its_own_breaks(traded: Desk) -> None:
    corrupt(traded, CORRUPTIONS["D08"])
    other = tenant()
    run = night.open_run(other.book.pk, None, traded.today, now=seam.now())
    assert night.reconcile(run.pk, now=seam.now()).counts["breaks"] == {}
    assert not Break.objects.filter(book=other.book).exists()
    look(traded)
    assert found("D08")


def test_every_check_of_the_books_has_its_class() -> None:
    """A new check is of the class of control accounts until somebody says otherwise; an old name has no class."""
    names = {*ledger_invariants.names(), *invariants.names()}
    assert set(integrity.CLASS_OF) <= names
    assert set(integrity.CLASS_OF.values()) | {"D08"} <= set(integrity.OWN)


def test_a_check_inside_a_run_is_one_transaction(traded: Desk) -> None:
    run = night.open_run(traded.source.book_id, None, traded.today, now=seam.now())
    with transaction.atomic():
        integrity.check(run, [], now=seam.now())
    assert not Break.objects.exists()
