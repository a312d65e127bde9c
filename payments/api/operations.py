"""For those who run it: is the process alive, can it serve, how far behind is the work."""

from __future__ import annotations

import time
from collections.abc import Iterator

import redis
from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from config import seam
from ledger import checking, folding
from ledger.seals import publishing, sealing
from payments import missed_runs, payout_stops, queues, runs, seal_anchor

_BROKER_TIMEOUT_SECONDS = 0.5


def healthz(_request: HttpRequest) -> HttpResponse:
    """Say that the process answers; nothing else is asked."""
    return JsonResponse({"status": "ok"})


def readyz(_request: HttpRequest) -> HttpResponse:
    """Say whether requests can be served: without the database 503; without the broker *degraded*, and 200."""
    try:
        lags = queues.lags()
    except Error:
        return JsonResponse({"status": "down", "database": "down", "broker": _broker(), "queues": {}}, status=503)
    broker = _broker()
    return JsonResponse(
        {
            "status": "degraded" if broker == "down" else "ready",
            "database": "up",
            "broker": broker,
            "queues": {lag.queue: {"due": lag.due, "oldest_seconds": round(lag.oldest_seconds, 3)} for lag in lags},
        }
    )


def metrics(_request: HttpRequest) -> HttpResponse:
    """Show the figures of this process and of the queues in Prometheus' text format."""
    return HttpResponse(generate_latest(_registry), content_type=CONTENT_TYPE_LATEST)


class _Seals:
    """What is not sealed, and what is not published."""

    def __init__(self) -> None:
        self._unsealed = GaugeMetricFamily(
            "florin_ledger_unsealed_transactions", "Transactions that no seal covers yet"
        )
        self._oldest = GaugeMetricFamily("florin_ledger_unsealed_seconds", "For how long the oldest of them is posted")
        self._missing = GaugeMetricFamily(
            "florin_seal_heads_unpublished", "Heads of blocks that a place does not have", labels=["place"]
        )
        self.families = (self._unsealed, self._oldest, self._missing)

    def measure(self) -> None:
        tail = sealing.unsealed()
        self._unsealed.add_metric([], tail.transactions)
        self._oldest.add_metric([], (seam.now() - tail.oldest).total_seconds() if tail.oldest else 0)
        for place in seal_anchor.places():
            self._missing.add_metric([place.kind], publishing.missing(place.name))


class _Runs:
    """Which daily runs are late, and when each kind finished last."""

    def __init__(self) -> None:
        self._late = GaugeMetricFamily(
            "florin_runs_late", "Daily runs that are not over an hour after their time", labels=["kind"]
        )
        self._finished = GaugeMetricFamily(
            "florin_run_finished_timestamp_seconds", "When a run of a kind last finished", labels=["kind"]
        )
        self.families = (self._late, self._finished)

    def measure(self) -> None:
        for standing in missed_runs.standings(now=seam.now()):
            self._late.add_metric([standing.kind], standing.late)
            if standing.finished_at is not None:
                self._finished.add_metric([standing.kind], standing.finished_at.timestamp())


class _Queues(Collector):
    """The queues as they are at the moment of the scrape; without a database only the fact that there is none."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("florin_database_up", "Whether the database answered")
        due = GaugeMetricFamily("florin_queue_due", "Rows that are due", labels=["queue"])
        oldest = GaugeMetricFamily(
            "florin_queue_oldest_seconds", "For how long the oldest row has been due", labels=["queue"]
        )
        started = time.perf_counter()
        tail = GaugeMetricFamily("florin_ledger_tail_transactions", "Transactions that are not folded yet")
        unverified = GaugeMetricFamily("florin_ledger_unverified_transactions", "Transactions not verified yet")
        verified = GaugeMetricFamily(
            "florin_ledger_verified_timestamp_seconds", "When the books were last verified as they grow"
        )
        through = GaugeMetricFamily("florin_ledger_verified_entry", "The entry through which the books are verified")
        stopped = GaugeMetricFamily("florin_books_out_of_balance", "Books whose payouts are stopped")
        seals = _Seals()
        dead = GaugeMetricFamily("florin_runs_dead", "Daily runs that were given up")
        runs_ = _Runs()
        try:
            lags = queues.lags()
            tail.add_metric([], folding.tail().transactions)
            mark = checking.watermark()
            unverified.add_metric([], mark.unverified)
            through.add_metric([], mark.entry_id)
            if mark.checked_at:
                verified.add_metric([], mark.checked_at.timestamp())
            stopped.add_metric([], payout_stops.open_stops())
            dead.add_metric([], runs.dead_runs())
            runs_.measure()
            seals.measure()
        except Error:
            lags = []
        up.add_metric([], 1 if lags else 0)
        for lag in lags:
            due.add_metric([lag.queue], lag.due)
            oldest.add_metric([lag.queue], lag.oldest_seconds)
        took = GaugeMetricFamily("florin_queue_scrape_seconds", "How long looking at the queues took")
        took.add_metric([], time.perf_counter() - started)
        yield from (
            up,
            due,
            oldest,
            tail,
            unverified,
            verified,
            through,
            stopped,
            dead,
            *runs_.families,
            *seals.families,
            took,
        )


_registry = CollectorRegistry(auto_describe=False)
for _collector in (_Queues(), ProcessCollector(registry=None), PlatformCollector(registry=None)):
    _registry.register(_collector)

# An app above adds its own figures.
register = _registry.register


def _broker() -> str:
    """Ask the broker for a sign of life."""
    if not settings.DOORBELLS or not settings.REDIS_URL:
        return "off"
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=_BROKER_TIMEOUT_SECONDS,
            socket_connect_timeout=_BROKER_TIMEOUT_SECONDS,
        ) as client:
            client.ping()
    except (redis.RedisError, OSError):
        return "down"
    return "up"
