"""Django's PostgreSQL backend whose statements and commits cross the seam.

Nothing else differs from `django.db.backends.postgresql`. Without an observer the cost is one attribute test.
"""

from collections.abc import Callable
from typing import Any

from django.db.backends.postgresql import base

from config import seam

Execute = Callable[[str, Any, bool, dict[str, Any]], Any]


def _report(execute: Execute, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    with seam.crossing("sql", sql.lstrip()[:80].split("\n", 1)[0]):
        return execute(sql, params, many, context)


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL connection that passes through the seam."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(_report)

    def _commit(self) -> None:
        with seam.crossing("commit", self.alias):
            super()._commit()  # type: ignore[misc]  # Django's own, missing from its stubs
