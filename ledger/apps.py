"""The ledger app: double-entry books, the ground that everything else stands on."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "ledger"

    def ready(self) -> None:
        """Teach psycopg the arrays of postings before anybody connects."""
        from ledger import arrays

        arrays.register()
