"""`sweep`: the sweeper process, which does what is due every few seconds and needs no broker."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from payments import work_loop


class Command(BaseCommand):
    """Run the work loop until SIGTERM or SIGINT."""

    help = "Work off what is due, every few seconds, without a broker."

    def handle(self, *_args: Any, **_options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        work_loop.run(stop.is_set)
