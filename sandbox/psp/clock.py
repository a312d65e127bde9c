"""The sandbox's own time: real time plus an offset that only grows by request.

Everything that the sandbox promises for later (a QR payment that succeeds, a key that expires, a webhook
that is tried again) is measured on this clock, so a test moves days in one call. Signatures of webhooks
never use it: the receiver compares those with its own, real clock.
"""

import asyncio
import time

MAX_SLEEP_STEP_SECONDS = 0.25


class Clock:
    """Tell the sandbox's time and let waiters notice when it is moved."""

    def __init__(self) -> None:
        self.offset_seconds = 0.0

    def now(self) -> float:
        """Answer the sandbox's time in seconds since the epoch."""
        return time.time() + self.offset_seconds

    def advance(self, seconds: float) -> float:
        """Move the clock forward and answer the new time."""
        if seconds < 0:
            raise ValueError("the sandbox's clock only moves forward; reset it to come back to real time")
        self.offset_seconds += seconds
        return self.now()

    def reset(self) -> float:
        """Come back to real time and answer it."""
        self.offset_seconds = 0.0
        return self.now()

    async def sleep(self, seconds: float) -> None:
        """Wait until the sandbox's clock has passed the given number of seconds (moving the clock ends the
        wait).
        """
        until = self.now() + seconds
        give_up_at = time.monotonic() + seconds
        while (left := min(until - self.now(), give_up_at - time.monotonic())) > 0:
            await asyncio.sleep(min(left, MAX_SLEEP_STEP_SECONDS))
