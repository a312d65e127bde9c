"""One day of one source in a process of its own: `python -m benchmarks.reconciliation.one_day FILE`.

Prints a line of JSON: the seconds of each step, and how much memory Python took at most.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path


def main(file: Path) -> dict[str, float]:
    """Receive a report, gather, pair, book, classify; return the seconds of each."""
    import django

    django.setup()
    from django.db import transaction

    from benchmarks.reconciliation.crowd import DAY
    from config import seam
    from payments.models import PspAccount
    from reconciliation import classification, ingest, items, matching, night, postings, sources

    account = PspAccount.objects.get(code="crowd")
    now = seam.now()
    source = sources.of_psp_account(account, now=now)
    source.starts_on = DAY.date()
    source.save()
    seconds: dict[str, float] = {"python_mib_before": _mib()}
    began = time.perf_counter()
    with file.open("rb") as stream:
        received = ingest.receive(
            source, stream, format="stripe_balance_change", name=file.name, received_from="benchmark", now=now
        )
    if received.file.errors:
        raise SystemExit(f"the report was refused: {received.file.errors[:3]}")
    seconds["ingest"] = time.perf_counter() - began
    run = night.open_run(account.book_id, source, DAY.date(), now=now)
    with transaction.atomic():
        began = time.perf_counter()
        items.gather(source, since=0, now=now)
        seconds["gather"] = time.perf_counter() - began
        began = time.perf_counter()
        matching.pair(run, now=now)
        seconds["match"] = time.perf_counter() - began
        began = time.perf_counter()
        postings.book(run, now=now)
        seconds["book"] = time.perf_counter() - began
        began = time.perf_counter()
        found = classification.classify(run, now=now)
        seconds["classify"] = time.perf_counter() - began
    return seconds | {"python_mib": _mib(), "lines": received.file.line_count, "breaks": found.new}


def _mib() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    print(json.dumps(main(Path(sys.argv[1]))), flush=True)
