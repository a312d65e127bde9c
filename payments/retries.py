"""When to try again: immediate, fixed, incremental and exponential policies, all bounded. Pure Python.

Exponential with full jitter is the default: the wait is drawn evenly from zero to the ceiling, so that many rows that
failed together do not come back together.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal


@dataclass(frozen=True, slots=True)
class Policy:
    """How long to wait after the n-th try (from 1), and after how many tries a person decides."""

    kind: Literal["immediate", "fixed", "incremental", "exponential"]
    base_seconds: float = 0.0
    ceiling_seconds: float = 3600.0
    max_tries: int = 12

    def wait(self, tries: int, *, draw: Callable[[], float] = random.random) -> timedelta | None:
        """Return the wait before the next try, or `None` when there is no next one. `draw` yields 0 <= x < 1."""
        if tries >= self.max_tries:
            return None
        seconds = {
            "immediate": 0.0,
            "fixed": self.base_seconds,
            "incremental": self.base_seconds * tries,
            "exponential": draw() * min(self.base_seconds * 2.0 ** min(tries, 30), self.ceiling_seconds),
        }[self.kind]
        return timedelta(seconds=min(seconds, self.ceiling_seconds))


# A call that provably did nothing (never connected, 429): soon again, then less and less often, for about a day.
NOT_EXECUTED = Policy("exponential", base_seconds=0.5, ceiling_seconds=600, max_tries=150)
# A call whose answer was lost is asked about at once, then with growing distance; promise 4 gives it 30 minutes.
UNKNOWN = Policy("exponential", base_seconds=1.0, ceiling_seconds=120, max_tries=40)
# A buyer who must act (3-D Secure) is looked after until the checkout expires.
BUYER = Policy("fixed", base_seconds=30, max_tries=5000)
# A refund that the PSP has accepted: seconds for a card, days through banks. Asked within a minute, then less and less
# often, for about a month; the PSP's notification is usually faster.
REFUND = Policy("exponential", base_seconds=30, ceiling_seconds=6 * 3600, max_tries=250)
# A cancellation must not be lost to a long outage.
CANCEL = Policy("exponential", base_seconds=1.0, ceiling_seconds=300, max_tries=300)
# A notification for an object that we do not know (yet).
NOTIFICATION = Policy("exponential", base_seconds=1.0, ceiling_seconds=300, max_tries=15)
# A question about a balance that got no answer: payouts wait, nothing is lost.
FUNDING = Policy("exponential", base_seconds=1.0, ceiling_seconds=120, max_tries=1000)
