"""Differences: what is left open after matching, and which class of break it is. One SQL statement per question.

Each statement reads the open sets of the run (`reconciliation_open_line`, `reconciliation_open_item`) and answers rows
of the same shape: code, leg, key, currency, amount (outside minus ours, minor units), reference, detail, line_ids,
item_ids, evidence. Of several answers about one leg, key and currency the first in the order of `QUESTIONS` counts.
"""

from reconciliation.differences import banks, charges, disputes, payouts, refunds, silence

PSP = (*charges.QUESTIONS, *refunds.QUESTIONS, *disputes.QUESTIONS, *payouts.QUESTIONS, *silence.QUESTIONS)
BANK = banks.QUESTIONS

__all__ = ["BANK", "PSP"]
