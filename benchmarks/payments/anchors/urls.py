"""Addresses of the anchors."""

from django.urls import path

from benchmarks.payments.anchors import views

urlpatterns = [
    path("nothing", views.nothing),
    path("healthz", views.nothing),
    path("payments", views.Checkouts.as_view({"post": "create"})),
]
