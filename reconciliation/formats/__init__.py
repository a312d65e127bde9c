"""The formats that statements are read in, by name. A mapper is a module here and a line in `FORMATS`."""

from __future__ import annotations

from typing import Final

from reconciliation.formats.adyen import SETTLEMENT_DETAILS
from reconciliation.formats.bai2 import Bai2
from reconciliation.formats.base import ParsedFormat
from reconciliation.formats.camt import Camt
from reconciliation.formats.columns import ColumnFormat
from reconciliation.formats.declared import DECLARED_CSV
from reconciliation.formats.mt940 import Mt940
from reconciliation.formats.stripe import BALANCE_CHANGE, PAYOUT_ITEMIZED
from reconciliation.formats.stripe_api import FETCHED_LINES

type Format = ParsedFormat | ColumnFormat

_ALL: Final[tuple[Format, ...]] = (
    PAYOUT_ITEMIZED,
    BALANCE_CHANGE,
    FETCHED_LINES,
    SETTLEMENT_DETAILS,
    Camt(),
    Mt940(),
    Bai2(),
    DECLARED_CSV,
)
FORMATS: Final[dict[str, Format]] = {one.name: one for one in _ALL}
