"""Django's PostgreSQL backend whose statements and commits cross the seam.

Without an observer the cost is one attribute test. One thing is added to `django.db.backends.postgresql`: cursors whose
statements the server keeps.
"""

from collections.abc import Callable
from typing import Any

from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper

from config import seam

Execute = Callable[[str, Any, bool, dict[str, Any]], Any]


def _report(execute: Execute, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    with seam.crossing("sql", sql.lstrip()[:80].split("\n", 1)[0]):
        return execute(sql, params, many, context)


class PreparedCursor(base.ServerBindingCursor):
    """A cursor whose parameters are bound by the server, which parses and plans each of its statements once."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """Run a statement as a prepared one."""
        execute: Callable[..., Any] = super().execute  # type: ignore[misc]  # psycopg's own, unknown to the stubs
        return execute(query, params, prepare=True, binary=True, **options)


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL connection that passes through the seam."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(_report)

    def _commit(self) -> None:
        with seam.crossing("commit", self.alias):
            super()._commit()  # type: ignore[misc]  # Django's own, missing from its stubs

    def prepared_cursor(self) -> CursorWrapper:
        """Return a cursor for a statement that is run often: its text is constant, and its parameters say their types.

        Everything else is as with `cursor()`: the seam sees it, and errors are Django's.
        """
        self.ensure_connection()
        with self.wrap_database_errors:
            cursor = PreparedCursor(self.connection)  # type: ignore[call-arg]  # psycopg's own, unknown to the stubs
        wrapped: CursorWrapper = self._prepare_cursor(cursor)  # type: ignore[attr-defined]  # likewise
        return wrapped
