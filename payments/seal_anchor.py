"""The seal anchor: seals the books and writes the heads outside the database, to a file and to a bucket.

No transaction and no lock is held while it writes: it reads which heads a place lacks, writes them, then notes it. What
fails is logged, counted by a metric, and tried again with the next round. A head may be written twice, never left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import structlog
from django.conf import settings
from django.db import connection

from config import seam
from ledger.seals import canonical, heads, keys, publishing, sealing
from ledger.seals.blocks import Block
from payments.seal_bucket import Bucket, BucketError

log = structlog.get_logger(__name__)
_BUDGET_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where heads are written: the kind is for people and metrics, the name says exactly where."""

    kind: str
    name: str
    write: Callable[[Sequence[Block], datetime], None]


def seal_and_publish(*, now: datetime) -> int:
    """Seal what can be sealed, then publish what is not; return how many transactions were sealed.

    Without a key nothing is sealed. Must not run inside a transaction. Raises `UnusableKey`.
    """
    signer = keys.signer()
    sealed = sealing.seal(signer, now=now) if signer is not None else 0
    publish(now=now)
    return sealed


def publish(*, now: datetime) -> None:
    """Write the heads that each place lacks, for some seconds at most; a place that fails is left to the next round."""
    assert not connection.in_atomic_block, "no transaction is held over the network"
    for place in places():
        ends = time.monotonic() + _BUDGET_SECONDS
        try:
            while time.monotonic() < ends and (found := publishing.next_heads(place.name)):
                place.write([block for _, block in found], seam.now())
                publishing.note(place.name, found, now=now)
        except (OSError, BucketError) as error:
            log.error("seal_heads_not_published", place=place.name, error=f"{type(error).__name__}: {error}")


def places() -> list[Place]:
    """Return where heads are to be written, as the settings say."""
    found = []
    if (path := head_file()) is not None:
        found.append(Place("file", heads.place_of(path), lambda blocks, _now: heads.append(path, blocks)))
    if settings.SEAL_BUCKET:
        bucket = Bucket(
            settings.SEAL_BUCKET,
            settings.SEAL_BUCKET_REGION,
            settings.SEAL_BUCKET_KEY_ID,
            settings.SEAL_BUCKET_SECRET,
        )
        found.append(Place("bucket", f"bucket:{bucket.address}", lambda blocks, now: _put(bucket, blocks, now)))
    return found


def head_file() -> Path | None:
    """Return the file of heads, or `None` when there is to be none."""
    return None if settings.SEAL_HEADS == "off" else Path(settings.SEAL_HEADS).absolute()


def head_files() -> list[Path]:
    """Return the file of heads for a check: none when there is to be none, or when nothing was ever written to it."""
    path = head_file()
    return [path] if path is not None and (path.exists() or publishing.has_any(heads.place_of(path))) else []


def _put(bucket: Bucket, blocks: Sequence[Block], now: datetime) -> None:
    """Write heads as one object. Its name has their time and their digest: the same heads are the same object."""
    body = "".join(map(heads.line, blocks)).encode()
    sealed_at = str(canonical.show_instant(max(block.sealed_at for block in blocks)))
    bucket.put(f"{sealed_at[:10]}/{sealed_at}-{sha256(body).hexdigest()[:16]}.jsonl", body, now=now)
