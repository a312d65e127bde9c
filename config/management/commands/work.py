"""`./florin work`: the worker loop without Celery, for an outage of the broker and for tests."""

import signal
import threading
from types import FrameType

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Claim and execute due rows until a signal comes."""

    help = "Do the workers' work in a plain loop, without Celery and without a broker; Ctrl-C stops it."

    def handle(self, *_args: object, **_options: object) -> None:
        """Run the loop; what it has begun is finished before it ends."""
        from payments import work_loop

        over = threading.Event()

        def leave(_number: int, _frame: FrameType | None) -> None:
            over.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, leave)
        work_loop.run(over.is_set)
