"""Sources: the accounts outside whose statements we read, and what a mapper may know of one.

A source of a PSP account is made when it is first needed; one of a bank account is opened by a person, who says how its
statements write the account. It must never read a file, and knows no format but by name.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

from django.db import IntegrityError, connection, transaction

from config import seam
from payments.errors import Conflict, FieldError, Invalid, NotFound
from payments.models import MerchantBook, PspAccount
from reconciliation.formats import FORMATS
from reconciliation.formats.base import Side, SourceFacts
from reconciliation.formats.declared import problems_of
from reconciliation.models import Source

BANK_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
# The first half of the key of advisory locks that one source's work is done under.
_LOCK_SPACE: Final = 0x466C5265


def of_psp_account(psp_account: PspAccount, *, now: datetime) -> Source:
    """Return the source of a PSP account; it is made on demand, from the day on which the account was made."""
    found = Source.objects.filter(psp_account=psp_account).first()
    if found is not None:
        return found
    zone = time_zone_of(psp_account.book_id)
    starts_on = min(psp_account.created_at, now).astimezone(zone).date()
    with transaction.atomic():
        Source.objects.bulk_create(
            [
                Source(
                    public_id=seam.new_uuid(),
                    book_id=psp_account.book_id,
                    code=psp_account.code,
                    side=Source.Side.PSP,
                    psp_account=psp_account,
                    starts_on=starts_on,
                )
            ],
            ignore_conflicts=True,
        )
        return Source.objects.get(psp_account=psp_account)


def open_bank(
    book_id: int,
    *,
    name: str,
    account: str,
    format: str = "",
    columns: Mapping[str, Any] | None = None,
    location: str = "",
    starts_on: date | None = None,
    grace_days: int = 3,
    now: datetime,
) -> Source:
    """Open a bank account as a source, `bank:{name}`. Its account in the books is `bank:{name}:{currency}`.

    `account` is what its statements call it (an IBAN, a number). Raises `Invalid`, or `Conflict` for a name that is
    taken.
    """
    plain = "".join(account.split()).upper()
    if not BANK_NAME.fullmatch(name):
        raise Invalid("invalid_request", "a bank's name is 1 to 32 small letters, digits, - and _", field="name")
    if not 1 <= len(plain) <= 64:
        raise Invalid("invalid_request", "an account is 1 to 64 characters", field="account")
    try:
        with transaction.atomic():
            return Source.objects.create(
                public_id=seam.new_uuid(),
                book_id=book_id,
                code=f"bank:{name}",
                side=Source.Side.BANK,
                bank_name=name,
                account=plain,
                format=format,
                columns=dict(columns or {}),
                location=location,
                starts_on=starts_on or now.astimezone(time_zone_of(book_id)).date(),
                grace_days=grace_days,
            )
    except IntegrityError:
        raise Conflict("source_exists", f"this book has a source bank:{name}") from None


def describe(
    source: Source,
    *,
    location: str | None = None,
    format: str | None = None,
    columns: Mapping[str, Any] | None = None,
    account: str | None = None,
) -> Source:
    """Say where a source's files are looked for, in which format, which of their columns is what, and its account.

    `None` leaves a thing as it is. Idempotent. Raises `Invalid` with every setting that makes no sense.
    """
    problems = []
    if format not in (None, "", *FORMATS):
        problems.append(FieldError("format", "invalid_value", f"is one of {', '.join(sorted(FORMATS))}"))
    if columns:
        problems += [FieldError(f"columns.{name}", "invalid_value", detail) for name, detail in problems_of(columns)]
    if location and (format or source.format) == "":
        problems.append(FieldError("format", "required", "a location needs the format of its files"))
    if problems:
        raise Invalid("invalid_request", "the source cannot be described like this", errors=problems)
    given = {"location": location, "format": format, "account": account and "".join(account.split()).upper()}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if columns is not None:
        changes["columns"] = dict(columns)
    for name, value in changes.items():
        setattr(source, name, value)
    source.save(update_fields=list(changes))
    return source


def find(book_id: int, code: str, *, now: datetime) -> Source:
    """Return a source of a book by its code; that of a PSP account is made on demand. Raises `NotFound`."""
    found = Source.objects.filter(book_id=book_id, code=code).first()
    if found is not None:
        return found
    account = PspAccount.objects.filter(book_id=book_id, code=code).first()
    if account is None:
        raise NotFound("not_found", "there is no such source")
    return of_psp_account(account, now=now)


def facts_of(source: Source, *, now: datetime) -> SourceFacts:
    """Return what a mapper may know of a source."""
    zone = time_zone_of(source.book_id)
    return SourceFacts(
        code=source.code,
        side=Side(source.side),
        today=now.astimezone(zone).date(),
        account=source.account,
        columns=source.columns,
        time_zone=zone,
    )


def time_zone_of(book_id: int) -> zoneinfo.ZoneInfo:
    """Return the time zone in which a book's days begin."""
    name = MerchantBook.objects.filter(pk=book_id).values_list("time_zone", flat=True).first()
    return zoneinfo.ZoneInfo(name or "UTC")


def lock(source_id: int, *, wait_seconds: int = 60) -> None:
    """Take the lock of a source until the transaction ends: its files are kept, and its days run, one at a time.

    Raises `OperationalError` (lock not available) after `wait_seconds`.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{wait_seconds}s"])
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK_SPACE, source_id])
