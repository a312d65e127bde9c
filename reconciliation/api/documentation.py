"""What the OpenAPI document says of the operations of reconciliation."""

from __future__ import annotations

from typing import Final

from payments.api.documentation import operation
from reconciliation.api import answers, queries
from reconciliation.formats import FORMATS

LIST_RUNS: Final = operation("list_reconciliation_runs", "List runs", answers.Runs, query=queries.RunsPage)
GET_RUN: Final = operation("get_reconciliation_run", "Read a run: verdict, four identities, counts", answers.Run)
LIST_BREAKS: Final = operation("list_reconciliation_breaks", "List breaks", answers.Breaks, query=queries.BreaksPage)
GET_BREAK: Final = operation("get_reconciliation_break", "Read a break with its history", answers.Break)
_UPLOAD: Final = operation(
    "upload_settlement_file",
    "Receive a statement: the run that will look at it, and the file",
    answers.ReceivedRun,
    status=202,
    body=answers.File,
)
UPLOAD_FILE: Final = {
    **_UPLOAD,
    "auth": [{"api_key": []}],  # its class reads the body in another way, and the key as all do
    "request": {
        "multipart/form-data": {
            "type": "object",
            "required": ["file", "format", "source"],
            "properties": {
                "file": {"type": "string", "format": "binary"},
                "format": {"type": "string", "enum": sorted(FORMATS)},
                "source": {"type": "string", "maxLength": 64},
            },
        }
    },
    "responses": {200: answers.ReceivedRun, **_UPLOAD["responses"]},
}
