"""The ledger app: double-entry books, the ground that everything else stands on."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "ledger"
