"""Addresses of the web process: the API, the hosted page, PSP notifications, health."""

from django.urls import URLPattern, URLResolver, include, path

from payments.api import notifications, operations, reading
from reconciliation.metrics import Reconciliation

operations.register(Reconciliation())

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include("payments.api.urls")),
    path("api/v1/reconciliation/", include("reconciliation.api.urls")),
    path("webhooks/psp/<str:psp>/<str:psp_account>", notifications.receive),
    path("checkout/", include("payments.checkout.urls")),
    path("healthz", operations.healthz),
    path("readyz", operations.readyz),
    path("metrics", operations.metrics),
    path("api/schema/", reading.schema),
    path("api/docs/", reading.documentation),
    path("api/docs/errors/", reading.errors),
    path("static/<path:path>", reading.asset),
]

handler400 = "payments.api.errors.bad_request"
handler403 = "payments.api.errors.permission_denied"
handler404 = "payments.api.errors.page_not_found"
handler500 = "payments.api.errors.server_error"
