"""Write many changed rows with one statement, whatever the size of the batch: UPDATE ... FROM one JSON parameter.

One parameter and not one array per column: the driver writes arrays value by value in Python.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from django.db import connection, models


class StaleRows(Exception):
    """A batch did not write every row that was locked: a bug, and the transaction must roll back."""


_AS_TEXT = ("varchar", "char")


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
