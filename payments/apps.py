"""The payments app: merchants, checkouts, orders, PSPs, and the flows between them."""

from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "payments"
