"""The wallet app: what each seller has, expressed as accounts of the ledger."""

from django.apps import AppConfig


class WalletConfig(AppConfig):
    name = "wallet"
