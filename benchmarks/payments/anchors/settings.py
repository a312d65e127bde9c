"""The product's settings, with the anchors' addresses and tables instead of the product's addresses."""

from config.settings import *  # noqa: F403 - the point: everything else is the same
from config.settings import INSTALLED_APPS as _PRODUCT

INSTALLED_APPS = [*_PRODUCT, "benchmarks.payments.anchors"]
ROOT_URLCONF = "benchmarks.payments.anchors.urls"
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
}
