"""Steps on pages of payments: as in the books, and what payments refuse is told too."""

from __future__ import annotations

from typing import ClassVar

from ledger.admin.steps import SteppingAdmin
from ledger.errors import LedgerError
from payments.errors import PaymentsError


class PaymentSteps(SteppingAdmin):
    """A model page of payments with steps."""

    refusals: ClassVar[tuple[type[Exception], ...]] = (LedgerError, PaymentsError)
