"""WSGI entry of the anchors."""

import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.payments.anchors.settings"
application = get_wsgi_application()
