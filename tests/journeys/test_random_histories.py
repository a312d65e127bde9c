"""Random histories: whatever happens to the money of a marketplace, and in whatever order, the books hold.

Part of the suite is a short run with a fixed seed. A campaign is the same with more:

    export FLORIN_HISTORIES=300 FLORIN_HISTORY_STEPS=40 FLORIN_HISTORY_SEED=7
    ./florin test tests/journeys/test_random_histories.py

A failure is told as a story, with what was wrong in the end. `FLORIN_HISTORY_SHRINK=1` looks for the shortest one.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.database import Clone
from tests.journeys.histories import Histories
from tests.sandbox_process import SandboxPsp

HISTORIES = int(os.environ.get("FLORIN_HISTORIES", "8"))
STEPS = int(os.environ.get("FLORIN_HISTORY_STEPS", "22"))
SEED = int(os.environ.get("FLORIN_HISTORY_SEED", "3"))
# Making a failing history shorter plays hundreds of others, which takes minutes.
SHRINK = bool(os.environ.get("FLORIN_HISTORY_SHRINK"))
# Long enough for all histories and for making a failing one shorter.
TIMEOUT = 150 + HISTORIES * STEPS * (10 if SHRINK else 1)


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT)
def test_the_books_hold_after_every_step_of_any_history(committed_db: Clone, sandbox_psp: SandboxPsp) -> None:
    shortest: list[str] = []
    booked: Counter[str] = Counter()

    def remember(story: list[str], kinds: Counter[str]) -> None:
        booked.update(kinds)
        if story and (not shortest or len(story) <= len(shortest)):
            shortest[:] = story
            print("\n".join(["a history failed:", *story]))

    @seed(SEED)
    class Marketplace(Histories):
        def __init__(self) -> None:
            super().__init__(committed_db, sandbox_psp, remember)

    print(f"{HISTORIES} histories of {STEPS} steps, seed {SEED}")
    try:
        run_state_machine_as_test(
            Marketplace,
            settings=settings(
                max_examples=HISTORIES,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                print_blob=False,
                phases=(Phase.generate, Phase.shrink) if SHRINK else (Phase.generate,),
                suppress_health_check=list(HealthCheck),
            ),
        )
    except BaseException as failure:
        failure.add_note("\n".join([f"seed {SEED}:", *(f"{n}. {line}" for n, line in enumerate(shortest, 1))]))
        raise
    print(f"booked: {dict(booked.most_common())}")
    if not any(name.startswith("FLORIN_HISTOR") for name in os.environ):
        verbs = {"settle_charge", "release", "request_refund", "open_dispute", "reserve_payout", "convert"}
        assert set(booked) >= verbs | {"stored_top_up", "stored_refund"}
