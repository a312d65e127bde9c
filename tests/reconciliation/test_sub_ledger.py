"""What accounts hold is recomputed from the objects that they follow; two errors never cancel out.

That it holds whatever happens is shown by random histories (`tests/journeys`).
"""

from __future__ import annotations

import pytest
from django.db import transaction

from config import seam
from ledger.ids import public_id
from ledger.models import TransactionKind
from payments import refunds
from payments.refunds import Wanted
from reconciliation import identities, sub_ledger
from reconciliation.models import Break, Identity, ReconciliationRun
from reconciliation.sub_ledger import Proof
from tests.reconciliation.closing import account, as_superuser, clearing, post
from tests.reconciliation.conftest import Desk

BALANCE = "UPDATE ledger_balance b SET credits = credits + {more} FROM ledger_account a WHERE a.id = b.account_id AND "
# Statements that only a superuser can make, by how much of the proof they break.
CORRUPTIONS = {
    "a seller has more": (BALANCE.format(more=5) + "a.code = %(ann)s", 5),
    "two sellers differ in opposite directions": (
        BALANCE.format(more="CASE a.code WHEN %(ann)s THEN 5 ELSE -5 END") + "a.code IN (%(ann)s, %(bob)s)",
        10,
    ),
    "an order forgets what is pending": ("UPDATE payments_paymentorder SET pending_minor = 0", 2 * 2_150),
    "an order was captured for less": (
        "UPDATE payments_paymentorder SET captured_minor = captured_minor - 1 WHERE position = 0",
        1,
    ),
    "a refund is forgotten": ("DELETE FROM payments_refund", 100 + 100),
    "what is owed to buyers changes": ("UPDATE ledger_entry SET amount = amount + 3 WHERE account_id = %(payable)s", 3),
}


@pytest.fixture
def traded(desk: Desk) -> Desk:
    """Give a shop that sold 20.00 and 5.00 (fee 10 percent) to two sellers and refunds 1.00 of the first."""
    event = desk.shop.buy(2000, 500)
    desk.shop.work()
    order = desk.shop.orders(event)[0]
    refunds.request(event.pk, Wanted(order.pk, amount_minor=100), now=seam.now())
    return desk


def proof(desk: Desk) -> Proof:
    """Prove the book in euros."""
    with transaction.atomic():
        return sub_ledger.of_book(desk.source.book_id)["EUR"]


def names(desk: Desk) -> dict[str, object]:
    """Return the codes that the corruptions need."""
    ann, bob = (public_id("sel", seller.public_id) for seller in desk.shop.sellers)
    with as_superuser(desk) as superuser:
        row = superuser.execute("SELECT id FROM ledger_account WHERE code = 'refund:payable:EUR'").fetchone()
    assert row is not None
    return {"ann": f"seller:{ann}:pending:EUR", "bob": f"seller:{bob}:pending:EUR", "payable": row[0]}


def test_what_sellers_have_is_what_their_orders_earned(traded: Desk) -> None:
    found = proof(traded)
    assert found.in_books == found.by_objects
    assert {term["what"]: (term["count"], term["amount"]) for term in found.terms} == {
        "sellers, in_transit": (2, 0),
        "sellers, pending": (2, 2_150),
        "sellers, reserved": (2, 0),
        "sellers, rest": (2, 0),
        "refunds that are owed": (1, 100),
    }


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_what_only_a_superuser_can_do_is_found_to_the_cent(traded: Desk, name: str) -> None:
    statement, residual = CORRUPTIONS[name]
    known = names(traded)
    with as_superuser(traded) as superuser:
        assert superuser.execute(statement, known).rowcount
    found = proof(traded)
    assert found.in_books - found.by_objects == residual
    assert any(term.get("differs") and term["examples"] for term in found.terms)


def test_the_run_of_the_book_has_the_proof_as_its_identity(traded: Desk) -> None:
    run = ReconciliationRun.objects.create(
        public_id=seam.new_uuid(), book_id=traded.source.book_id, day=traded.today, created_at=seam.now()
    )
    with transaction.atomic():
        identities.close(run, now=seam.now())
    identity = Identity.objects.get(run=run)
    assert (identity.name, identity.currency_id, identity.residual_minor) == ("sub_ledger", "EUR", 0)
    assert identity.left_minor == 2_250


def test_suspense_is_what_its_breaks_say(desk: Desk) -> None:
    desk.line(flow="charge", gross_minor=500, reference="pi_nobody")
    desk.run()
    found = Break.objects.get()
    suspense = account(desk, "suspense:credit:EUR")
    kind = TransactionKind.SUSPEND
    found.transaction_id = post(desk, kind, "brk:1", debit=clearing(desk), credit=suspense, amount=500)
    assert proof(desk).in_books - proof(desk).by_objects == 500, "no break says so"
    found.save(update_fields=["transaction"])
    assert proof(desk).in_books == proof(desk).by_objects == 500
    post(desk, kind, "brk:2", debit=clearing(desk), credit=suspense, amount=1)
    assert proof(desk).in_books - proof(desk).by_objects == 1
