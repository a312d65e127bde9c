"""Verbs for tests of the closing identities: a run that closes, and postings as reconciliation makes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import psycopg
from django.db import transaction

from config import seam
from ledger.accounts import AccountSpec
from ledger.models import Side, TransactionKind
from reconciliation import identities
from reconciliation.models import Identity, ReconciliationRun, Source
from tests.reconciliation.conftest import Desk
from wallet import chart, movements
from wallet.movements.heading import Heading, movement


def close(desk: Desk, day: date | None = None, source: Source | None = None) -> dict[str, Identity]:
    """Look at a day as the night does and close it; return its identities in euros, by name."""
    run, _ = desk.run(day, source)
    return close_again(run)


def close_again(run: ReconciliationRun) -> dict[str, Identity]:
    """Close a run that was matched and classified."""
    with transaction.atomic():
        found = identities.close(run, now=seam.now())
        run.save(update_fields=["counts"])
    return {identity.name: identity for identity in found if identity.currency_id == "EUR"}


def residuals(found: dict[str, Identity]) -> dict[str, int]:
    """Return what is left over, by the name of the identity; nothing for those that hold."""
    return {name: identity.residual_minor for name, identity in found.items() if identity.residual_minor}


def term(found: dict[str, Identity], name: str, what: str) -> int:
    """Return the amount of a term of an identity; zero when it is left out."""
    return sum(one["amount"] for one in found[name].terms if one["what"] == what)


def post(
    desk: Desk, kind: TransactionKind, subject: str, *, debit: AccountSpec, credit: AccountSpec, amount: int
) -> int:
    """Post one amount, as a verb of reconciliation would; return the transaction."""
    heading = Heading(desk.source.book_id, subject, debit.currency, seam.now(), "reconciliation")
    with transaction.atomic():
        made = movement(kind, heading, (Side.DEBIT, debit, amount), (Side.CREDIT, credit, amount))
        (posted,) = movements.record([made], now=seam.now())
    return posted.transaction_id


def clearing(desk: Desk) -> AccountSpec:
    """Return the account of our money at the PSP."""
    return chart.psp_clearing(desk.source.book_id, desk.shop.tenant.psp_account.code, "EUR")


def account(desk: Desk, code: str) -> AccountSpec:
    """Return an account of the platform, as a cost."""
    spec = chart.write_off(desk.source.book_id, "EUR")
    return AccountSpec(spec.book_id, code, spec.type, spec.currency, spec.mode)


@contextmanager
def as_superuser(desk: Desk) -> Iterator[psycopg.Connection]:
    """Do what only a superuser can: triggers and rights do not count."""
    with psycopg.connect(desk.shop.superuser_url, autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        yield superuser
