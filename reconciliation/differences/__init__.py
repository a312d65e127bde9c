"""Differences: what is left open after matching, and which class of break it is. One SQL statement per question.

Each statement reads the open sets of the run (`reconciliation_open_line`, `reconciliation_open_item`) and answers rows
of the same shape: code, leg, key, currency, amount (outside minus ours, minor units), reference, detail, line_ids,
item_ids, evidence. Of several answers about one leg, key and currency the first in the order of `QUESTIONS` counts.
"""

from reconciliation.differences.banks import QUESTIONS as BANK
from reconciliation.differences.charges import QUESTIONS as _CHARGES
from reconciliation.differences.disputes import QUESTIONS as _DISPUTES
from reconciliation.differences.payouts import QUESTIONS as _PAYOUTS
from reconciliation.differences.refunds import QUESTIONS as _REFUNDS
from reconciliation.differences.silence import QUESTIONS as _SILENCE

PSP = (*_CHARGES, *_REFUNDS, *_DISPUTES, *_PAYOUTS, *_SILENCE)

__all__ = ["BANK", "PSP"]
