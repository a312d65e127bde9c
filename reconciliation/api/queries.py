"""What the lists of reconciliation are asked for."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import StringConstraints

from payments.api.bodies import Page

SourceCode = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class RunsPage(Page):
    """Query of `GET /reconciliation/runs`."""

    source: SourceCode | None = None
    day: date | None = None
    verdict: Literal["INCOMPLETE", "BREAKS", "WITH_WARNINGS", "WITH_PENDING", "RECONCILED"] | None = None


class BreaksPage(Page):
    """Query of `GET /reconciliation/breaks`. `unresolved` is open or proposed."""

    status: Literal["open", "proposed", "resolved", "unresolved"] | None = None
    code: Annotated[str, StringConstraints(pattern=r"^[A-D][0-9]{2}$")] | None = None
    source: SourceCode | None = None
