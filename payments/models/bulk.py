"""Write many changed rows with one statement: UPDATE ... FROM unnest, whatever the size of the batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db import connection, models


class StaleRows(Exception):
    """A batch did not write every row that was locked: a bug, and the transaction must roll back."""


_AS_TEXT = ("varchar", "char", "text", "jsonb")


def update_rows(rows: Sequence[models.Model], columns: Sequence[str]) -> None:
    """Write `columns` of locked rows of one model, by primary key, in one statement.

    The rows were locked and re-read by the caller. Raises `StaleRows` when not every row was written.
    """
    if not rows:
        return
    model = type(rows[0])
    fields = [field for name in columns if isinstance(field := model._meta.get_field(name), models.Field)]
    assert len(fields) == len(columns)
    arrays: list[Any] = [[row.pk for row in rows]]
    sources, assignments = ["%s::bigint[]"], []
    for field in fields:
        kind = field.db_type(connection) or ""
        is_json = isinstance(field, models.JSONField)
        arrays.append([_plain(row.__dict__[field.attname], as_json=is_json) for row in rows])
        sources.append(f"%s::{'text' if kind.startswith(_AS_TEXT) else kind}[]")
        assignments.append(f'"{field.column}" = v."{field.column}"' + ("::jsonb" if is_json else ""))
    names = ", ".join(f'"{name}"' for name in ["id", *(field.column for field in fields)])
    with connection.cursor() as cursor:
        # Every name here is a column or table of our own models; values travel as parameters.
        cursor.execute(
            f'UPDATE "{model._meta.db_table}" AS t SET {", ".join(assignments)} '  # noqa: S608 - see above
            f"FROM unnest({', '.join(sources)}) AS v ({names}) WHERE t.id = v.id",
            arrays,
        )
        if cursor.rowcount != len(rows):
            raise StaleRows(f"{cursor.rowcount} of {len(rows)} rows of {model._meta.db_table} were written")


def _plain(value: Any, *, as_json: bool) -> Any:
    if as_json:
        return None if value is None else json.dumps(value)
    return str(value) if isinstance(value, models.Choices) else value
