"""Read and write many rows of a model with one statement each, whatever the size of the batch.

The ORM's way costs more CPU than the statement: it composes the SQL anew each time and sets each column of each
instance by itself. What is read here are ordinary instances, whole ones. Written is UPDATE ... FROM one JSON
parameter, because the driver writes arrays value by value in Python.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from django.db import connection, models
from django.db.models.base import ModelState


class StaleRows(Exception):
    """A batch did not write every row that was locked: a bug, and the transaction must roll back."""


_AS_TEXT = ("varchar", "char")


def read_rows[Row: models.Model](
    model: type[Row],
    column: str,
    values: Iterable[int],
    *,
    lock: bool = False,
    share: bool = False,
    where: str = "",
    also: str = "",
) -> list[Row]:
    """Read the rows whose `column` is one of `values`, by id; with `lock`, FOR NO KEY UPDATE in that order.

    With `share` FOR SHARE: others may hold them so too, nobody may change them.

    `where` narrows it further and `also` adds a column ("expression AS name"), which becomes an attribute: both are
    constant SQL on the table as `t`.
    """
    names, columns, documents = _columns(model)
    # Every name here is a column or table of our own models; values travel as a parameter.
    sql = (
        f'SELECT {columns}{", " + also if also else ""} FROM "{model._meta.db_table}" AS t '  # noqa: S608 - see above
        f'WHERE t."{column}" = ANY (%s::bigint[]){" AND " + where if where else ""} '
        f"ORDER BY t.id{' FOR NO KEY UPDATE OF t' if lock else ' FOR SHARE OF t' if share else ''}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [sorted(set(values))])
        found = cursor.fetchall()
    if also:
        names = (*names, also.rpartition(" ")[2])
    return [_instance(model, dict(zip(names, row, strict=True)), documents) for row in found]


def by_id[Row: models.Model](rows: Iterable[Row]) -> Mapping[int, Row]:
    """Return rows by primary key."""
    return {row.pk: row for row in rows}


@cache
def _columns(model: type[models.Model]) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    fields = model._meta.concrete_fields
    documents = tuple(field.attname for field in fields if isinstance(field, models.JSONField))
    return tuple(f.attname for f in fields), ", ".join(f't."{f.column}"' for f in fields), documents


def _instance[Row: models.Model](model: type[Row], values: dict[str, object], documents: Sequence[str]) -> Row:
    for name in documents:
        document = values[name]
        if isinstance(document, str):
            values[name] = json.loads(document)
    row = model.__new__(model)
    row._state = ModelState()
    row._state.adding = False
    row._state.db = connection.alias
    row.__dict__.update(values)
    return row


def update_rows(rows: Sequence[models.Model], columns: Sequence[str]) -> None:
    """Write `columns` of locked rows of one model, by primary key, in one statement.

    The rows were locked and re-read by the caller. Raises `StaleRows` when not every row was written.
    """
    if not rows:
        return
    model = type(rows[0])
    fields = [field for name in columns if isinstance(field := model._meta.get_field(name), models.Field)]
    assert len(fields) == len(columns)
    types = {field.attname: (field.db_type(connection) or "", field.column) for field in fields}
    values = [{"id": row.pk, **{name: row.__dict__[name] for name in types}} for row in rows]
    source = ", ".join(f'"{name}" {"text" if kind.startswith(_AS_TEXT) else kind}' for name, (kind, _) in types.items())
    assignments = ", ".join(f'"{column}" = v."{name}"' for name, (_, column) in types.items())
    with connection.cursor() as cursor:
        # Every name here is a column or table of our own models; values travel as one parameter.
        cursor.execute(
            f'UPDATE "{model._meta.db_table}" AS t SET {assignments} '  # noqa: S608 - see above
            f'FROM jsonb_to_recordset(%s::jsonb) AS v ("id" bigint, {source}) WHERE t.id = v.id',
            [json.dumps(values, default=str)],
        )
        if cursor.rowcount != len(rows):
            raise StaleRows(f"{cursor.rowcount} of {len(rows)} rows of {model._meta.db_table} were written")
