"""Reconciliation in the back office: runs with what proves them, files, and breaks with the steps that people take."""

from payments.admin import overview
from reconciliation.admin import breaks, files, runs
from reconciliation.models import Break, ReconciliationRun, SettlementFile, Source

__all__ = ["breaks", "files", "runs"]

overview.add_group(
    "Reconciliation",
    (
        ("Runs", "balance", ReconciliationRun),
        ("Breaks", "report", Break),
        ("Sources", "account_balance", Source),
        ("Files", "draft", SettlementFile),
    ),
)
overview.add_needed("reconciliation.view_break", breaks.at_risk)
overview.add_needed("reconciliation.view_reconciliationrun", runs.incomplete)
