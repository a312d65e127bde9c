"""The canonical bytes of a transaction, twice: as an SQL expression and in Python, and the document between them.

The form is PostgreSQL's own binary form of a row (`record_send`): every field has its type, its length and its bytes,
and NULL is a length of -1, so that no two transactions share their bytes (docs/reference/seals.md). The database hashes
whole blocks at the cost of a look-up each; the Python half must never ask a database, so that a proof or an export is
checked without one. A test holds both against each other.

Nothing in the form belongs to a cluster: no internal id, no xid. A restored copy has the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ledger.ids import parse_public_id, public_id
from ledger.seals import merkle

VERSION = "florin.transaction.1"
TEXT, BYTES, UUID, INT2, INT4, INT8, INSTANT = 25, 17, 2950, 21, 23, 20, 1184
_INT32, _INT64 = struct.Struct("!i"), struct.Struct("!q")
_INT16 = struct.Struct("!h")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST, _LAST = (
    (at - _EPOCH) // _MICROSECOND for at in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
)

# The legs of transaction `t`. Dates and book stand on the leg again; a leg that differs from its transaction is not one
# of its legs, so that no copy can be changed alone. An account of another book has no place here either. OFFSET 0 keeps
# the planner from starting with the accounts: each leg is found by its id, and its account by its own.
_LEG_ROWS = """
          FROM (SELECT x.* FROM ledger_entry x WHERE x.id BETWEEN t.id * 32768 AND t.id * 32768 + 32767
                 ORDER BY x.id OFFSET 0) e
          JOIN LATERAL (SELECT k.code, k.type, k.book_id FROM ledger_account k WHERE k.id = e.account_id OFFSET 0) a
            ON a.book_id = t.book_id
         WHERE e.transaction_id = t.id AND e.book_id = t.book_id AND e.effective_at = t.effective_at
           AND e.posted_at = t.posted_at"""
# What it reverses, by public id; all zeros when that is not there.
_REVERSES = """
        CASE WHEN t.reverses_id IS NOT NULL THEN coalesce(
            (SELECT o.public_id FROM ledger_transaction o WHERE o.id = t.reverses_id),
            '00000000-0000-0000-0000-000000000000'::uuid) END"""

# The leaf of transaction `t` in book `b`. The session speaks UTF-8: text is sent in its encoding.
LEAF = f"""sha256('\\x00'::bytea || record_send(ROW(
        '{VERSION}'::text, b.code::text, t.public_id, t.kind::text, t.reference::text, t.request_hash, t.leg_count,
        t.effective_at, t.occurred_at, t.posted_at, t.actor::text, t.memo::text, t.metadata::text, {_REVERSES},
        (SELECT coalesce(string_agg(record_send(ROW(
                    e.leg, a.code::text, a.type::text, e.currency::text, e.side::text, e.amount, e.account_version,
                    e.balance_after)), ''::bytea ORDER BY e.id), ''::bytea) {_LEG_ROWS}))))"""

# The fields of transaction `t` in book `b`, for `document`.
FIELDS = f"""b.code, t.public_id, t.kind, t.reference, t.request_hash, t.leg_count, timestamptz_send(t.effective_at),
        timestamptz_send(t.occurred_at), timestamptz_send(t.posted_at), t.actor, t.memo, t.metadata::text, {_REVERSES},
        ARRAY(SELECT ARRAY[e.leg::text, a.code, a.type, e.currency, e.side, e.amount::text, e.account_version::text,
                           e.balance_after::text] {_LEG_ROWS} ORDER BY e.id)"""

Document = dict[str, Any]


def document(fields: Iterable[Any]) -> Document:
    """Return a transaction as exports and proofs show it, from the columns of `FIELDS`."""
    (book, key, kind, reference, request_hash, leg_count, effective, occurred, posted, actor, memo, metadata, reverses,
     legs) = fields  # fmt: skip
    return {
        "book": book,
        "id": public_id("txn", key),
        "kind": kind,
        "reference": reference,
        "request_hash": bytes(request_hash).hex(),
        "leg_count": leg_count,
        "effective_at": show_instant(_INT64.unpack(effective)[0]),
        "occurred_at": None if occurred is None else show_instant(_INT64.unpack(occurred)[0]),
        "posted_at": show_instant(_INT64.unpack(posted)[0]),
        "actor": actor,
        "memo": memo,
        "metadata": metadata,
        "reverses": None if reverses is None else public_id("txn", reverses),
        "legs": [
            {
                "number": int(number),
                "account": account,
                "type": kind_of_account,
                "currency": currency,
                "side": side,
                "amount_minor": amount,
                "account_version": version,
                "balance_after_minor": balance_after,
            }
            for number, account, kind_of_account, currency, side, amount, version, balance_after in legs
        ],
    }


def leaf(shown: Mapping[str, Any]) -> bytes:
    """Return the leaf hash of a document. Raises `Unreadable` when it is none."""
    try:
        return merkle.leaf_hash(content(shown))
    except (KeyError, TypeError, ValueError, AttributeError, struct.error) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


class Unreadable(ValueError):
    """Something that was read is not what an export or a proof holds."""


def content(shown: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of a document."""
    legs = b"".join(
        record(
            (INT2, _INT16.pack(leg["number"])),
            *(text(leg[name]) for name in ("account", "type", "currency", "side")),
            *(_number(leg[name]) for name in ("amount_minor", "account_version", "balance_after_minor")),
        )
        for leg in shown["legs"]
    )
    return record(
        text(VERSION),
        text(shown["book"]),
        _uuid(shown["id"]),
        text(shown["kind"]),
        text(shown["reference"]),
        (BYTES, bytes.fromhex(shown["request_hash"])),
        (INT2, _INT16.pack(shown["leg_count"])),
        *(instant(None if shown[name] is None else read_instant(shown[name]))
          for name in ("effective_at", "occurred_at", "posted_at")),
        *(text(shown[name]) for name in ("actor", "memo", "metadata")),
        _uuid(shown["reverses"]),
        (BYTES, legs),
    )  # fmt: skip


Field = tuple[int, bytes | None]


def record(*fields: Field) -> bytes:
    """Return a row in PostgreSQL's binary form: how many fields; of each its type, its length (-1: NULL), its bytes."""
    parts = [_INT32.pack(len(fields))]
    for kind, value in fields:
        parts.append(_INT32.pack(kind))
        parts.append(b"\xff\xff\xff\xff" if value is None else _INT32.pack(len(value)) + value)
    return b"".join(parts)


def text(value: str | None) -> Field:
    """Return a field of text."""
    return TEXT, None if value is None else value.encode()


def number(value: int | None) -> Field:
    """Return a field of a 64-bit number."""
    return INT8, None if value is None else _INT64.pack(value)


def instant(value: int | None) -> Field:
    """Return a field of an instant, in microseconds since the year 2000."""
    return INSTANT, None if value is None else _INT64.pack(value)


def show_instant(microseconds: int) -> str | int:
    """Return an instant in RFC 3339 with six digits; what no calendar holds (infinity) as the number that it is."""
    if not _FIRST <= microseconds <= _LAST:
        return microseconds
    return f"{(_EPOCH + microseconds * _MICROSECOND).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def read_instant(shown: str | int) -> int:
    """Return the microseconds since the year 2000 of what `show_instant` wrote. Raises `ValueError` for the rest."""
    if isinstance(shown, int):
        return shown
    found = (datetime.fromisoformat(shown) - _EPOCH) // _MICROSECOND
    if show_instant(found) != shown:
        raise ValueError(f"{shown!r} is not an instant with six digits in UTC")
    return found


def microseconds(at: datetime) -> int:
    """Return an instant in microseconds since the year 2000."""
    return (at - _EPOCH) // _MICROSECOND


def _number(shown: str | None) -> Field:
    """Return a 64-bit number that is shown as text; another spelling of the same number is refused."""
    if shown is not None and str(int(shown)) != shown:
        raise ValueError(f"{shown!r} is not a whole number")
    return number(None if shown is None else int(shown))


def _uuid(shown: str | None) -> Field:
    if shown is None:
        return UUID, None
    found = parse_public_id("txn", shown)
    if found is None:
        raise ValueError(f"{shown!r} is not the id of a transaction")
    return UUID, found.bytes
