"""The truth about what was planted: which break must be found, by which key, over how much, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Planted:
    """One break that must be found.

    `keys` are ids of which the break names one. `amount` is outside minus ours in minor units, `None` where nothing
    says; one that is known only when it was played is a function. `day` is the first day whose run must show it.
    `ends` is what becomes of it without a person: `resolved`, or `open`. A break that `follows` from another one need
    not be found, and is not wrong either.
    """

    corruption: str
    code: str
    source: str
    keys: set[str]
    currency: str = ""
    amount: int | Callable[[], int] | None = None
    day: int = 0
    automatic: str = ""
    ends: str = ""
    follows: bool = False
    times: int = 1  # how many breaks may follow

    @property
    def exact_amount(self) -> int | None:
        """Return the amount, now that everything was played."""
        return self.amount() if callable(self.amount) else self.amount

    def shown(self) -> dict[str, object]:
        """Return it as the manifest and the list of misses show it."""
        return {
            "corruption": self.corruption,
            "code": self.code,
            "source": self.source,
            "keys": sorted(self.keys),
            "currency": self.currency,
            "amount": self.exact_amount,
            "day": self.day,
            "automatic": self.automatic,
            "ends": self.ends,
        }
