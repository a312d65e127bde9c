"""Seal and check the books in a process of its own, as the worker does: a backlog, or beside the postings."""

from __future__ import annotations

import json
import select
import sys
import time

import django

PAUSE_SECONDS = 1.0  # a second's postings in one go; the product waits longer, which is cheaper
PATIENCE_SECONDS = 600


def main(*, beside: bool) -> None:
    """Seal and check until nothing is left, or until standard input is closed; print how many and what it cost us."""
    django.setup()
    from config import seam
    from ledger import checking
    from ledger.seals import keys, sealing

    signer = keys.signer()
    assert signer is not None, "the server of the benchmark has a key"
    sealed = checked = 0
    spent = {"seal": 0.0, "check": 0.0}
    print("ready", flush=True)
    ends = time.monotonic() + PATIENCE_SECONDS
    stopped = not beside
    while time.monotonic() < ends:
        started = time.process_time()
        now_sealed = sealing.seal(signer, now=seam.now())
        between = time.process_time()
        now_checked = 0
        while passed := (done := checking.step(now=seam.now())).passed:
            if done.violations:
                raise SystemExit(f"the check found: {done.findings}")
            now_checked += passed
        spent["seal"] += between - started
        spent["check"] += time.process_time() - between
        sealed, checked = sealed + now_sealed, checked + now_checked
        if stopped and not now_sealed and not now_checked:
            break
        if not stopped:
            stopped = bool(select.select([sys.stdin], [], [], PAUSE_SECONDS)[0])
    print(json.dumps({"sealed": sealed, "checked": checked, "spent": spent}))


if __name__ == "__main__":
    main(beside=sys.argv[1] == "beside")
