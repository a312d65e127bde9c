"""Lists: newest first, by key and not by offset, so that page ten costs what page one costs.

The cursor is the public id of the last row of a page, in another alphabet so that nobody builds on it.
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


def _cursor_of(row: Any) -> str:
    return urlsafe_b64encode(row.public_id.bytes).rstrip(b"=").decode()


def _key_of(cursor: str, scope: QuerySet[Any]) -> int:
    try:
        value = UUID(bytes=urlsafe_b64decode(cursor.encode() + b"=="))
    except (binascii.Error, ValueError):
        raise _wrong() from None
    key: int | None = scope.filter(public_id=value).values_list("pk", flat=True).first()
    if key is None:
        raise _wrong()
    return key


def _wrong() -> Invalid:
    return Invalid("invalid_cursor", "the cursor is not one of this list", field="cursor")
