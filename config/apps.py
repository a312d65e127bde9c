"""Makes `config` a Django app, so that it can carry the management commands that start processes."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    name = "config"
