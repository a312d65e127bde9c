"""The reconciliation app: what the PSP and the bank say, against what we say."""

from django.apps import AppConfig


class ReconciliationConfig(AppConfig):
    name = "reconciliation"
