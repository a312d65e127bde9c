"""The reconciliation app: what the PSP and the bank say, against what we say."""

from datetime import time

from django.apps import AppConfig


class ReconciliationConfig(AppConfig):
    name = "reconciliation"

    def ready(self) -> None:
        """Register the night of every book, in its own time zone, the runs that a file asks for, and the watch."""
        from payments import runs, upkeep
        from reconciliation import fetching, night, watch

        runs.register(night.NIGHTLY, night.every_night, time(3, 30), zone="", per_book=True)
        runs.register(night.ASKED_FOR, night.when_asked, None, per_book=True)
        upkeep.register("reconciliation", night.take_up)
        upkeep.register("watch", watch.look)
        night.fetchers.append(fetching.fetch_day)
