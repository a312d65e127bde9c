"""Addresses of reconciliation, under `/api/v1/reconciliation/`."""

from django.urls import path

from reconciliation.api import breaks, files, runs

urlpatterns = [
    path("files", files.Files.as_view()),
    path("runs", runs.Runs.as_view()),
    path("runs/<str:run_id>", runs.Run.as_view()),
    path("breaks", breaks.Breaks.as_view()),
    path("breaks/<str:break_id>", breaks.Break.as_view()),
]
