"""Addresses of the hosted page."""

from django.urls import path

from payments.checkout import views

urlpatterns = [
    path("<str:payment_id>", views.page),
    path("<str:payment_id>/pay", views.pay),
    path("<str:payment_id>/return", views.returned),
]
