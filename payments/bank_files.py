"""Bank files: the pending payouts of one bank account become one file, which is approved, handed out or withdrawn.

A file, what it pays and that no other file pays it are one transaction: there is nothing to repair after a crash.
Handing out is what sends payouts; whoever died with the bytes gets the same bytes again, and it shows. Nothing here
talks to a bank.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

import structlog
from django.db import connection, transaction

from config import seam
from ledger import balances
from ledger.ids import public_id
from payments import calendars, own_bank_accounts, sepa
from payments.appliers import funding
from payments.appliers import payout_batch as batches
from payments.appliers.payout_batch import PayoutBatch
from payments.encryption import seal, unseal
from payments.errors import Conflict, InvalidState, NotFound
from payments.models import BankFile, BankFileHandOut, BankInstruction, MerchantBook, OwnBankAccount, Payout, Run
from payments.payout_stops import payouts_stopped
from payments.payout_ways import FILE
from wallet import chart

MAX_PAYOUTS: Final = 2000  # of one file, which is one transaction; a run makes as many files as it needs
MAX_FILES: Final = 100
log = structlog.get_logger(__name__)
_S = BankFile.Status


@dataclass(frozen=True, slots=True)
class HandedOut:
    """The bytes of a file, and the how manieth handing out it was."""

    name: str
    content: bytes = field(repr=False)
    sha256: str
    number: int


def run_book(run: Run, now: datetime) -> Mapping[str, Any]:
    """Make the files of a book (a kind of run). Raises `Conflict` while the book is stopped."""
    assert run.book_id is not None, "bank files are made per book"
    made = make_all(run.book_id, actor="run", now=now)
    return {
        "files": [public_id("bfl", one.public_id) for one in made],
        "payouts": sum(one.count for one in made),
        "total_minor": sum(one.total_minor for one in made),
    }


def make_all(book_id: int, *, actor: str, now: datetime) -> list[BankFile]:
    """Make a file of each bank account of a book that has payouts waiting; several when there are very many."""
    made: list[BankFile] = []
    # Uses index: own_bank_account_is_one_per_iban.
    accounts = OwnBankAccount.objects.filter(book_id=book_id, currency_id=sepa.CURRENCY).order_by("pk")
    for key in accounts.values_list("pk", flat=True):
        while len(made) < MAX_FILES:
            one = make(key, actor=actor, now=now)
            if one is None:
                break
            made.append(one)
            if one.count < MAX_PAYOUTS:
                break
    return made


def make(bank_account_id: int, *, actor: str, now: datetime) -> BankFile | None:
    """Make a file of the payouts that wait for one, oldest first, within what the account holds; `None` for none.

    One transaction; locks the bank account, so of two workers one makes the file and the other finds nothing left. What
    changed since a payout was asked for is looked at as for a PSP: it waits, ends, or needs approval again. Raises
    `Conflict` while the book is stopped.
    """
    with transaction.atomic():
        account = OwnBankAccount.objects.select_for_update(no_key=True).get(pk=bank_account_id)
        if payouts_stopped(account.book_id):
            raise Conflict("payouts_stopped", "this book pays nothing out until a person has looked at it")
        batch = batches.lock(_waiting(account), now=now)
        chosen = _choose(batch, _available(account), now=now)
        file = _write(account, chosen, actor=actor, now=now) if chosen else None
        batches.write(batch)
    if file is not None:
        log.info("bank_file_made", file=public_id("bfl", file.public_id), payouts=file.count, book=file.book_id)
    return file


# Uses index: payout_of_the_bank.
_WAITING = """
SELECT p.id FROM payments_payout p
 WHERE p.bank_account_id = %s AND p.status = 'pending'
   AND NOT EXISTS (SELECT 1 FROM payments_bankinstruction i WHERE i.payout_id = p.id AND i.withdrawn_at IS NULL)
 ORDER BY p.id LIMIT %s
"""
# What a file may have paid already, or will: it is not there any more.
_PROMISED = """
SELECT coalesce(sum(i.amount_minor), 0) FROM payments_payout p JOIN payments_bankinstruction i ON i.payout_id = p.id
 WHERE p.bank_account_id = %s AND p.status IN ('pending', 'sent') AND i.withdrawn_at IS NULL
"""


def _waiting(account: OwnBankAccount) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [account.pk, MAX_PAYOUTS])
        return [row[0] for row in cursor.fetchall()]


def _available(account: OwnBankAccount) -> int:
    """Return what the books prove the account to hold, less what is in files and was not booked yet."""
    code = chart.bank(account.book_id, account.name, account.currency_id).code
    held = balances.of_codes(account.book_id, [code]).get(code)
    with connection.cursor() as cursor:
        cursor.execute(_PROMISED, [account.pk])
        (promised,) = cursor.fetchone()
    return (held.balance if held is not None else 0) - int(promised)


def _choose(batch: PayoutBatch, available_minor: int, *, now: datetime) -> list[Payout]:
    """Decide about locked payouts: what fits goes into the file, the others wait visibly, or end."""
    rest, chosen = available_minor, []
    current = funding.current_destinations(batch.payouts.values())
    for key in sorted(batch.payouts):
        payout = batch.payouts[key]
        if current.get((payout.seller_id, payout.currency_id)) != payout.destination_id:
            funding.destination_changed(batch, payout)
            continue
        payout.waiting_for = funding.why_not(payout, rest, now=now)
        batch.touch(payout)
        if not payout.waiting_for:
            rest -= payout.amount_minor
            chosen.append(payout)
    return chosen


_TELL = """
INSERT INTO payments_bankinstruction (file_id, book_id, payout_id, destination_id, end_to_end_id, amount_minor)
SELECT %s, p.book_id, p.id, p.destination_id, x.end_to_end_id, p.amount_minor
  FROM unnest(%s::bigint[], %s::text[]) WITH ORDINALITY AS x (payout, end_to_end_id, place)
  JOIN payments_payout p ON p.id = x.payout ORDER BY x.place
"""


def _write(account: OwnBankAccount, chosen: Sequence[Payout], *, actor: str, now: datetime) -> BankFile:
    own_id, total = seam.new_uuid(), sum(payout.amount_minor for payout in chosen)
    settings_ = MerchantBook.objects.get(book_id=account.book_id)
    above = settings_.payout_approval_above.get(account.currency_id)
    execution_on = _business_day(now)
    content = _content(account, chosen, message_id=public_id("bfl", own_id), execution_on=execution_on, now=now)
    file = BankFile(
        public_id=own_id,
        book_id=account.book_id,
        bank_account=account,
        status=_S.REQUIRES_APPROVAL if above is not None and total > int(above) else _S.READY,
        currency_id=account.currency_id,
        count=len(chosen),
        total_minor=total,
        execution_on=execution_on,
        schema=account.schema,
        content=seal(content.decode(), identity=_identity(own_id)),
        sha256=hashlib.sha256(content).digest(),
        made_by=actor,
        made_at=now,
    )
    file.save(force_insert=True)
    ids = [sepa.as_id(public_id("pyo", payout.public_id)) for payout in chosen]
    with connection.cursor() as cursor:
        cursor.execute(_TELL, [file.pk, [payout.pk for payout in chosen], ids])
    return file


def _content(
    account: OwnBankAccount, chosen: Sequence[Payout], *, message_id: str, execution_on: date, now: datetime
) -> bytes:
    from payments import credit_transfers  # here: its libraries are heavy, and few processes make files

    transfers = []
    for payout in chosen:
        row = payout.destination
        details = json.loads(unseal(row.details, identity=f"payout_destination.details:{row.public_id}"))
        own = sepa.as_id(public_id("pyo", payout.public_id))
        transfers.append(
            credit_transfers.CreditTransfer(
                end_to_end_id=own,
                amount_minor=payout.amount_minor,
                name=details["account_holder"] or payout.seller.name,
                iban=details["account_number"],
                text=f"{account.holder} {payout.reference or own}",
            )
        )
    return credit_transfers.build(
        transfers,
        debtor=credit_transfers.Debtor(account.holder, own_bank_accounts.iban_of(account), account.bic),
        message_id=sepa.as_id(message_id),
        schema=account.schema,
        execution_on=execution_on,
        now=now,
    )


def _business_day(now: datetime) -> date:
    """Return today in UTC, or the next day on which euro payments are settled; a bank that is late takes the next."""
    day = now.date()
    while not calendars.is_business_day(day, calendars.TARGET2):
        day += timedelta(days=1)
    return day


def approve(file_id: int, *, actor: str, now: datetime) -> BankFile:
    """Agree to the file of somebody else. Locks it. Raises `NotFound`, `InvalidState`, `Conflict` for its maker."""
    with transaction.atomic():
        file = _locked(file_id)
        if file.status != _S.REQUIRES_APPROVAL:
            raise InvalidState("invalid_state", f"the file is {file.status}")
        if actor == file.made_by:
            raise Conflict("maker_is_not_checker", "somebody else has to approve this file")
        file.approve()
        file.approved_by, file.approved_at = actor, now
        file.save(update_fields=["status", "approved_by", "approved_at"])
    return file


def hand_out(file_id: int, *, actor: str, now: datetime) -> HandedOut:
    """Give a file to whoever takes it to the bank. The first time sends its payouts; each time is written down.

    Locks the file, then its payouts. Raises `NotFound`, `InvalidState` while it waits for approval or after it was
    withdrawn, and the first time `Conflict` when the book is stopped or a seller's bank account has changed since.
    """
    with transaction.atomic():
        file = _locked(file_id)
        if file.status in (_S.REQUIRES_APPROVAL, _S.WITHDRAWN):
            raise InvalidState("invalid_state", f"the file is {file.status}")
        if file.status == _S.READY:
            _send(file, now=now)
        number = BankFileHandOut.objects.filter(file=file).count() + 1
        BankFileHandOut.objects.create(file=file, number=number, actor=actor, at=now)
        name = public_id("bfl", file.public_id)
        content = unseal(file.content, identity=_identity(file.public_id)).encode()
        digest = hashlib.sha256(content)
        assert digest.digest() == bytes(file.sha256), "the bytes are those that were made"
    level = log.warning if number > 1 else log.info
    level("bank_file_handed_out", file=name, number=number, actor=actor)
    return HandedOut(f"{name}.xml", content, digest.hexdigest(), number)


def _send(file: BankFile, *, now: datetime) -> None:
    if payouts_stopped(file.book_id):
        raise Conflict("payouts_stopped", "this book pays nothing out until a person has looked at it")
    keys = BankInstruction.objects.filter(file=file).values_list("payout_id", flat=True)
    batch = batches.lock(list(keys), now=now)
    current = funding.current_destinations(batch.payouts.values())
    for payout in batch.payouts.values():
        seller = payout.seller
        held = funding.why_not(payout, payout.amount_minor, now=now)
        if held or current.get((seller.pk, payout.currency_id)) != payout.destination_id:
            raise Conflict(
                "bank_file_outdated",
                f"{public_id('pyo', payout.public_id)}: its seller or bank account has changed; withdraw the file",
            )
    file.hand_out()
    file.save(update_fields=["status"])
    for payout in batch.payouts.values():
        payout.send()
        payout.waiting_for = ""
        batch.publish(payout)
    batches.write(batch)


def withdraw(file_id: int, *, actor: str, now: datetime) -> BankFile:
    """Take back a file that nobody got: its payouts wait for another. Locks it. Raises `NotFound`, `InvalidState`."""
    with transaction.atomic():
        file = _locked(file_id)
        if file.status not in BankFile.LIVING:
            raise InvalidState("invalid_state", f"the file is {file.status}")
        file.withdraw()
        file.save(update_fields=["status"])
        told = BankInstruction.objects.filter(file=file)
        told.update(withdrawn_at=now)
        Payout.objects.filter(pk__in=told.values("payout_id")).update(waiting_for=FILE, updated_at=now)
        log.info("bank_file_withdrawn", file=public_id("bfl", file.public_id), actor=actor)
    return file


def _locked(file_id: int) -> BankFile:
    found = BankFile.objects.select_for_update(no_key=True).filter(pk=file_id).first()
    if found is None:
        raise NotFound("not_found", "There is no such file.")
    return found


def _identity(own_id: object) -> str:
    return f"bank_file.content:{own_id}"
