"""What the bank says of transfers in its files: booked, refused or returned. Reconciliation and reports call this.

Each fact is about one payout, named by its EndToEndId, and is applied once. Nothing is guessed: an amount that differs,
a reference that nobody knows and an order of events that cannot be are answered and change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Final

import structlog
from django.db import transaction

from ledger.ids import parse_public_id, public_id
from ledger.models import Book
from payments import sepa
from payments.appliers import payout_batch as batches
from payments.appliers.payout_batch import PayoutBatch
from payments.models import BankFile, BankInstruction, Payout
from payments.models.bulk import read_rows, update_rows
from payments.psp.failures import FailureCode
from wallet import movements
from wallet.movements import Heading

CHUNK: Final = 500
log = structlog.get_logger(__name__)
_S = Payout.Status
_COLUMNS = ("booked_on", "booked_reference", "returned_on", "returned_reference", "refused_on")


class Outcome(StrEnum):
    """What came of a fact."""

    DONE = "done"
    EXISTS = "exists"  # it was applied before; nothing was written
    UNKNOWN_REFERENCE = "unknown_reference"  # no payout of this book is in a file under this EndToEndId
    AMOUNT_DIFFERS = "amount_differs"
    WRONG_STATE = "wrong_state"  # it contradicts what is known: `detail` says how


@dataclass(frozen=True, slots=True)
class BankFact:
    """What the bank says of one transfer. `amount_minor` is above zero, whichever way the money went."""

    end_to_end_id: str
    amount_minor: int
    currency: str
    booked_on: date
    bank_reference: str = ""
    reason: str = ""  # of a refusal or a return: a code of ISO 20022 such as AC04


@dataclass(frozen=True, slots=True)
class Answer:
    """What a fact led to. `payout_id` is `None` for a reference that nobody knows."""

    end_to_end_id: str
    outcome: Outcome
    payout_id: int | None = None
    detail: str = ""


@dataclass(slots=True)
class _Told:
    """The locked rows that facts are about."""

    batch: PayoutBatch
    instructions: dict[int, BankInstruction]  # by payout
    actor: str
    closed_before: datetime | None

    def heading(self, payout: Payout, on: date) -> Heading:
        """Return the heading of a posting that takes effect on the bank's day, or now when that day is closed."""
        now = self.batch.now
        at = max(datetime.combine(on, time.min, UTC), payout.created_at)
        if at > now or (self.closed_before is not None and at < self.closed_before):
            at = now
        return Heading(payout.book_id, public_id("pyo", payout.public_id), payout.currency_id, at, self.actor)


_Decide = Callable[[_Told, Payout, BankInstruction, BankFact], tuple[Outcome, str]]


def booked(book_id: int, facts: Sequence[BankFact], *, actor: str, now: datetime) -> list[Answer]:
    """Book transfers that our bank has executed; one answer for each fact, in order.

    Idempotent. At most 500 facts a transaction; locks files, payouts, then wallets.
    """
    return _apply(book_id, facts, _book, actor=actor, now=now)


def returned(book_id: int, facts: Sequence[BankFact], *, actor: str, now: datetime) -> list[Answer]:
    """Give wallets the money of transfers back that came back to our bank after they were booked. As `booked`."""
    return _apply(book_id, facts, _return, actor=actor, now=now)


def rejected(book_id: int, facts: Sequence[BankFact], *, actor: str, now: datetime) -> list[Answer]:
    """Give wallets the money of transfers back that our bank refused: it never left. As `booked`."""
    return _apply(book_id, facts, _refuse, actor=actor, now=now)


def of_file(book_id: int, message_id: str, *, on: date) -> list[BankFact]:
    """Return what a file told the bank, as facts of a day; nothing when there is no such file. `message_id`: MsgId."""
    own = parse_public_id("bfl", sepa.from_id(message_id))
    if own is None:
        return []
    found = BankInstruction.objects.filter(file__public_id=own, book_id=book_id, withdrawn_at__isnull=True)
    rows = found.select_related("file").order_by("pk")
    return [BankFact(row.end_to_end_id, row.amount_minor, row.file.currency_id, on) for row in rows]


def _apply(book_id: int, facts: Sequence[BankFact], decide: _Decide, *, actor: str, now: datetime) -> list[Answer]:
    answers: list[Answer] = []
    for start in range(0, len(facts), CHUNK):
        with transaction.atomic():
            answers += _chunk(book_id, facts[start : start + CHUNK], decide, actor=actor, now=now)
    odd = [one for one in answers if one.outcome not in (Outcome.DONE, Outcome.EXISTS)]
    for one in odd[:20]:
        log.warning("bank_fact_not_applied", book=book_id, end_to_end_id=one.end_to_end_id, outcome=one.outcome)
    return answers


def _chunk(book_id: int, facts: Sequence[BankFact], decide: _Decide, *, actor: str, now: datetime) -> list[Answer]:
    names = [parse_public_id("pyo", sepa.from_id(fact.end_to_end_id)) for fact in facts]
    found = BankInstruction.objects.filter(
        book_id=book_id, payout__public_id__in=[one for one in names if one is not None], withdrawn_at__isnull=True
    ).values_list("payout_id", "file_id")
    pairs = list(found)
    files = read_rows(BankFile, "id", (file for _, file in pairs), lock=True)
    batch = batches.lock((payout for payout, _ in pairs), now=now)
    rows = read_rows(BankInstruction, "payout_id", batch.payouts, lock=True, where="t.withdrawn_at IS NULL")
    closed = Book.objects.values_list("closed_before", "soft_closed_before").get(pk=book_id)
    told = _Told(batch, {row.payout_id: row for row in rows}, actor, max((one for one in closed if one), default=None))
    payouts = {payout.public_id: payout for payout in batch.payouts.values()}
    answers, changed = [], set()
    for fact, name in zip(facts, names, strict=True):
        payout = payouts.get(name) if name is not None else None
        instruction = told.instructions.get(payout.pk) if payout is not None else None
        if payout is None or instruction is None:
            answers.append(Answer(fact.end_to_end_id, Outcome.UNKNOWN_REFERENCE))
        elif (fact.amount_minor, fact.currency) != (payout.amount_minor, payout.currency_id):
            ours, theirs = (payout.amount_minor, payout.currency_id), (fact.amount_minor, fact.currency)
            detail = f"ours is {ours[0]} {ours[1]}, the bank's {theirs[0]} {theirs[1]}"
            answers.append(Answer(fact.end_to_end_id, Outcome.AMOUNT_DIFFERS, payout.pk, detail))
        else:
            outcome, detail = decide(told, payout, instruction, fact)
            answers.append(Answer(fact.end_to_end_id, outcome, payout.pk, detail))
            if outcome == Outcome.DONE:
                changed.add(payout.pk)
                batch.publish(payout)
    update_rows([told.instructions[key] for key in sorted(changed)], _COLUMNS)
    _answer_files(files, batch)
    batches.write(batch)
    return answers


def _answer_files(files: Sequence[BankFile], batch: PayoutBatch) -> None:
    """End the files of which the bank has said everything. They are locked; the payouts are written after this."""
    here = [key for key, payout in batch.payouts.items() if payout.status != _S.SENT]
    for file in files:
        if file.status != BankFile.Status.HANDED_OUT:
            continue
        others = BankInstruction.objects.filter(file=file, payout__status=_S.SENT).exclude(payout_id__in=here)
        if not others.exists():
            file.answer()
            file.save(update_fields=["status"])


def _book(told: _Told, payout: Payout, instruction: BankInstruction, fact: BankFact) -> tuple[Outcome, str]:
    if instruction.booked_on is not None:
        return _again(instruction.booked_reference, fact, "booked")
    if payout.status != _S.SENT:
        return Outcome.WRONG_STATE, f"the payout is {payout.status}"
    payout.pay()
    payout.paid_at = told.batch.now
    instruction.booked_on, instruction.booked_reference = fact.booked_on, fact.bank_reference[:100]
    told.batch.movements.append(
        movements.bank_payout(
            told.heading(payout, fact.booked_on),
            bank=_bank(payout),
            seller=payout.seller.public_id,
            amount=payout.amount_minor,
        )
    )
    return Outcome.DONE, ""


def _return(told: _Told, payout: Payout, instruction: BankInstruction, fact: BankFact) -> tuple[Outcome, str]:
    if instruction.returned_on is not None:
        return _again(instruction.returned_reference, fact, "returned")
    if payout.status != _S.PAID:
        return Outcome.WRONG_STATE, f"the payout is {payout.status}"
    payout.bounce()
    payout.failure = _failure("The bank of the seller gave the money back", fact.reason)
    instruction.returned_on, instruction.returned_reference = fact.booked_on, fact.bank_reference[:100]
    told.batch.movements.append(
        movements.return_bank_payout(
            told.heading(payout, fact.booked_on),
            bank=_bank(payout),
            seller=payout.seller.public_id,
            amount=payout.amount_minor,
        )
    )
    return Outcome.DONE, ""


def _refuse(told: _Told, payout: Payout, instruction: BankInstruction, fact: BankFact) -> tuple[Outcome, str]:
    if instruction.refused_on is not None:
        return Outcome.EXISTS, ""
    if payout.status != _S.SENT:
        return Outcome.WRONG_STATE, f"the payout is {payout.status}"
    payout.refuse()
    payout.failure = _failure("Our bank did not make the transfer", fact.reason)
    instruction.refused_on = fact.booked_on
    told.batch.movements.append(
        movements.cancel_payout(
            told.heading(payout, fact.booked_on), seller=payout.seller.public_id, amount=payout.amount_minor
        )
    )
    return Outcome.DONE, ""


def _again(reference: str, fact: BankFact, what: str) -> tuple[Outcome, str]:
    """Tell the same fact from a second one: the bank may have taken, or given back, the money twice."""
    if reference and fact.bank_reference and reference != fact.bank_reference[:100]:
        return Outcome.WRONG_STATE, f"{what} before under another reference of the bank"
    return Outcome.EXISTS, ""


def _failure(says: str, reason: str) -> dict[str, object]:
    message = f"{says} ({reason})." if reason else f"{says}."
    return {"code": str(FailureCode.PAYOUT_FAILED), "message": message, "psp_code": reason}


def _bank(payout: Payout) -> str:
    account = payout.bank_account
    assert account is not None, "it is in a file of a bank account"
    return str(account.name)
