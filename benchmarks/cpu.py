"""CPU seconds of process trees, so that a figure can be given per payment."""

from __future__ import annotations

from collections.abc import Iterable

import psutil


def seconds_of(roots: Iterable[int]) -> float:
    """Return user plus system seconds of each process and everything below it; processes that ended count no more."""
    total = 0.0
    for root in roots:
        try:
            tree = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
        for process in tree:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
    return total
