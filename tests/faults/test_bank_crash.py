"""The process dies once at boundaries of a bank file, before them and after them; then a new process goes on.

What must hold each time: each payout is in one file that counts, the bank is told once, and the money is booked once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import ProgrammingError

from config import seam
from config.seam import Crash
from ledger import invariants
from ledger.models import Transaction
from payments import bank_files
from payments.models import BankFile, BankFileHandOut, BankInstruction, OutboxMessage, Payout
from tests.bank import MAKER, Bank, again
from tests.faults.crashes import EVERY, Boundaries, bury

MAX_BOUNDARIES = 400
_ENDINGS = ("booked", "returned", "rejected")
STRIDE = 1 if EVERY else 5  # each ending begins at another one


@pytest.mark.slow
@pytest.mark.parametrize("ending", _ENDINGS)
def test_a_crash_at_a_boundary_tells_the_bank_once(bank: Bank, ending: str, record_property: Any) -> None:
    market = bank.market
    market.earn(100_000)
    bank.receive(100_000)
    payout = market.ask(100)
    _live(bank, payout, ending, Boundaries())  # accounts are resolved, connections are warm
    died: Counter[str] = Counter()
    for number in range(_ENDINGS.index(ending), MAX_BOUNDARIES, STRIDE):
        boundaries = Boundaries(crash_at=number)
        payout = market.ask(100)
        _live(bank, payout, ending, boundaries)
        _check(bank, payout, ending)
        if boundaries.died_at is None:
            break
        died[f"{boundaries.died_at.kind}, {boundaries.died_at.side}"] += 1
    else:
        raise AssertionError("it never ended without a crash")
    assert died["sql, before"] > 5
    assert died["sql, after"] > 5
    assert invariants.violations() == []
    market.shop.check()
    record_property("crash_flow", "bank files")
    record_property("crash_scenarios", sum(died.values()))


def _live(bank: Bank, payout: Payout, ending: str, boundaries: Boundaries) -> None:
    """Make, hand out and answer with one death; whoever comes next begins again at the step that was not done."""
    steps: list[Callable[[], object]] = [
        lambda: bank_files.make_all(bank.book_id, actor=MAKER, now=seam.now()),
        lambda: bank_files.hand_out(BankFile.objects.latest("pk").pk, actor=MAKER, now=seam.now()),
        *(lambda what=what: bank.says(what, [payout]) for what in _answers(ending)),
    ]
    for step in steps:
        for _ in range(2):
            try:
                with seam.observed_by(boundaries):
                    step()
            except (Crash, ProgrammingError):
                assert boundaries.died_at is not None
                bury()
                boundaries = Boundaries()  # a new process
                continue
            break


def _answers(ending: str) -> tuple[str, ...]:
    return ("booked", "returned") if ending == "returned" else (ending,)


def _check(bank: Bank, payout: Payout, ending: str) -> None:
    status = {"booked": "paid", "returned": "returned", "rejected": "cancelled"}[ending]
    assert again(payout).status == status
    told = BankInstruction.objects.get(payout=payout)
    assert told.file.count == 1
    assert told.file.status == BankFile.Status.ANSWERED
    assert BankFileHandOut.objects.filter(file=told.file).count() in (1, 2), (
        "the second shows that somebody may have it"
    )
    verbs = {
        "booked": ["reserve_payout", "bank_payout"],
        "returned": ["reserve_payout", "bank_payout", "return_bank_payout"],
        "rejected": ["reserve_payout", "cancel_payout"],
    }[ending]
    assert bank.market.movements(payout) == verbs
    facts = OutboxMessage.objects.filter(subject_kind="payout", subject_id=payout.pk).values_list("type", flat=True)
    assert max(Counter(facts).values()) == 1
    assert Transaction.objects.filter(kind="reserve_payout").count() == Payout.objects.count()
