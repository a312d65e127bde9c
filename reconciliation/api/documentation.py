"""What the OpenAPI document says of the operations of reconciliation."""

from __future__ import annotations

from typing import Final

from payments.api.documentation import operation
from reconciliation.api import answers, queries

LIST_RUNS: Final = operation("list_reconciliation_runs", "List runs", answers.Runs, query=queries.RunsPage)
GET_RUN: Final = operation("get_reconciliation_run", "Read a run: verdict, four identities, counts", answers.Run)
LIST_BREAKS: Final = operation("list_reconciliation_breaks", "List breaks", answers.Breaks, query=queries.BreaksPage)
GET_BREAK: Final = operation("get_reconciliation_break", "Read a break with its history", answers.Break)
