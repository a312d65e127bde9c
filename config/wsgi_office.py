"""WSGI entry of the office process: the admin and everything slow."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ["FLORIN_PROCESS"] = "office"
application = get_wsgi_application()
