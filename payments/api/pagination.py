"""Lists: newest first, by key and not by offset, so that page ten costs what page one costs.

The cursor is the public id of the last row of a page, in another alphabet so that nobody builds on it. Lists in another
order make theirs with `written` and read it with `read_back`.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet

from payments.api.bodies import Page
from payments.errors import Invalid
from payments.representations import Object


def page[M: Model](
    rows: QuerySet[M], query: Page, scope: QuerySet[M], show: Callable[[Sequence[M]], list[Object]]
) -> Object:
    """Return one page of `rows`. `scope` is the caller's whole set, in which the cursor's row must be.

    One statement, one more with a cursor, and what `show` needs.
    """
    if query.cursor is not None:
        rows = rows.filter(pk__lt=_key_of(query.cursor, scope))
    found = list(rows.order_by("-pk")[: query.limit + 1])
    shown, more = found[: query.limit], len(found) > query.limit
    return {"data": show(shown), "next_cursor": _cursor_of(shown[-1]) if more else None}


def written(key: bytes) -> str:
    """Write a cursor."""
    return urlsafe_b64encode(key).rstrip(b"=").decode()


def read_back(cursor: str) -> bytes:
    """Read a cursor. Raises `Invalid` for one that `written` did not write."""
    try:
        return urlsafe_b64decode(cursor.encode() + b"==")
    except (binascii.Error, ValueError):
        raise wrong_cursor() from None


def public_id_in(cursor: str) -> UUID:
    """Read a cursor that is a public id. Raises `Invalid`."""
    try:
        return UUID(bytes=read_back(cursor))
    except ValueError:
        raise wrong_cursor() from None


def _cursor_of(row: Any) -> str:
    return written(row.public_id.bytes)


def _key_of(cursor: str, scope: QuerySet[Any]) -> int:
    key: int | None = scope.filter(public_id=public_id_in(cursor)).values_list("pk", flat=True).first()
    if key is None:
        raise wrong_cursor()
    return key


def wrong_cursor() -> Invalid:
    """Return the refusal of a cursor that is not of this list."""
    return Invalid("invalid_cursor", "the cursor is not one of this list", field="cursor")
