"""How a client process of the benchmark runs: it prepares, says so, waits for the word, works until the time is up.

Only the standard library: the anchors run in environments of their own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable


def work(step: Callable[[], int], seconds: float) -> None:
    """Repeat `step`, which returns how many postings it committed (0: nothing is left), and report to our parent.

    The first fifth is not counted: sessions make their plans in it.
    """
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.perf_counter()
    warm, until = started + seconds * 0.2, started + seconds
    postings, counted, taken, counted_from = 0, 0, [], started
    now = started
    while now < until:
        done = step()
        if done == 0:
            break
        postings += done
        before, now = now, time.perf_counter()
        if before >= warm:
            counted += done
            taken.append(round((now - before) * 1e6))
        else:
            counted_from = now
    print(json.dumps({"postings": postings, "counted": counted, "seconds": now - counted_from, "micros": taken}))
