"""The anchors as a Django app of their own."""

from django.apps import AppConfig


class AnchorsConfig(AppConfig):
    name = "benchmarks.payments.anchors"
    label = "anchors"
