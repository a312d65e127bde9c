"""Reconciliation in the back office: runs with what proves them, and breaks with the steps that people take."""

from payments.admin import overview
from reconciliation.admin import breaks, runs
from reconciliation.models import Break, ReconciliationRun

__all__ = ["breaks", "runs"]

overview.add_group("Reconciliation", (("Runs", "balance", ReconciliationRun), ("Breaks", "report", Break)))
overview.add_needed("reconciliation.view_break", breaks.at_risk)
overview.add_needed("reconciliation.view_reconciliationrun", runs.incomplete)
