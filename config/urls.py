"""Addresses of the web process: the API, the hosted page, PSP notifications, health."""

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
