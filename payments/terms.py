"""Terms: what a merchant's book says about releases, refunds and stored value, as a plain value.

They are read with the rows of a checkout (`appliers/batch.py`), so asking costs no statement. A change counts for what
happens after it: when a share becomes due is decided at capture and at delivery, a refund keeps its policy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from payments import calendars
from payments.models import MerchantBook

# On a row `t` that has a book.
COLUMN = (
    "(SELECT jsonb_build_array(m.release_days_after_delivery, m.release_days_after_capture,"
    " m.capture_days_are_business_days, m.business_calendar, m.time_zone, m.refund_fee_policy, m.stored_value)::text"
    " FROM payments_merchantbook m WHERE m.book_id = t.book_id) AS terms"
)


@dataclass(frozen=True, slots=True)
class Terms:
    """When a seller's share becomes available, what happens to the fee of a refund, and whether stored value pays."""

    release_days_after_delivery: int | None = 0
    release_days_after_capture: int | None = None
    capture_days_are_business_days: bool = False
    business_calendar: str = calendars.TARGET2
    time_zone: str = "UTC"
    refund_fee_policy: str = MerchantBook.RefundFeePolicy.KEEP
    stored_value: bool = False

    def release_after_delivery(self, at: datetime) -> datetime | None:
        """Return when an order delivered at `at` is released, or `None` when delivery does not matter."""
        return self._after(at, self.release_days_after_delivery, business=True)

    def release_after_capture(self, at: datetime) -> datetime | None:
        """Return when an order captured at `at` is released without a delivery, or `None` for never."""
        return self._after(at, self.release_days_after_capture, business=self.capture_days_are_business_days)

    def _after(self, at: datetime, days: int | None, *, business: bool) -> datetime | None:
        if days is None:
            return None
        return calendars.after(at, days, business=business, calendar=self.business_calendar, time_zone=self.time_zone)


@lru_cache(maxsize=1000)
def read(text: str | None) -> Terms:
    """Return terms from what `COLUMN` gave; the defaults for a book without settings."""
    return Terms(*json.loads(text)) if text else Terms()
