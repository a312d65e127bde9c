"""The payments app: merchants, checkouts, orders, PSPs, and the flows between them."""

from datetime import time

from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "payments"

    def ready(self) -> None:
        """Register what is run every day; an app above registers its own kinds in the same way."""
        from payments import bank_files, evidence_purge, invoices, runs, schedules, verification

        runs.register("full_check", verification.full_check, time(2, 30))
        runs.register("evidence_purge", evidence_purge.run, time(3, 30))
        runs.register("invoices", invoices.issue_due, time(4, 0))
        runs.register("payouts", schedules.run_book, time(5, 0), per_book=True)
        runs.register("bank_files", bank_files.run_book, time(6, 0), per_book=True)
