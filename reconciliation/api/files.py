"""Settlement files that a merchant hands in."""

from __future__ import annotations

from typing import ClassVar, Final

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import seam
from ledger.ids import public_id
from payments.api.authentication import caller_of
from payments.api.resource import Resource
from payments.errors import FieldError, Unprocessable
from reconciliation import ingest, representations, sources
from reconciliation.api import documentation, upload
from reconciliation.ingest import Received
from reconciliation.models import Identity, SettlementFile

WRITE: Final = "reconciliation:write"
# As many errors of a bad file as an answer shows; the office shows all of them.
SHOWN_ERRORS: Final = 100


class Files(Resource):
    """`/reconciliation/files`."""

    scopes: ClassVar[dict[str, str]] = {"POST": WRITE}
    authentication_classes = (upload.UploadAuthentication,)

    @extend_schema(**documentation.UPLOAD_FILE)
    def post(self, request: Request) -> Response | HttpResponse:
        """Receive a statement. 202 with the run that will look at it; the same bytes again: 200 with that run."""
        now, caller = seam.now(), caller_of(request)
        given = upload.read(request._request)
        with given.file:
            received = ingest.receive(
                sources.find(caller.book_id, given.source, now=now),
                given.file,
                format=given.format,
                name=given.name,
                received_from=public_id("key", caller.key_public_id),
                now=now,
                limit_bytes=upload.LIMIT_BYTES,
            )
        if received.file.state == SettlementFile.State.QUARANTINED:
            raise _refused(received.file)
        return Response(_shown(received), status=202 if received.fresh else 200)


def _refused(file: SettlementFile) -> Unprocessable:
    name = public_id("stf", file.public_id)
    return Unprocessable(
        "settlement_file_refused",
        f"nothing of the file was kept; it is quarantined as {name} with {len(file.errors)} errors",
        errors=[
            FieldError(_place(error["line"], error["column"]), error["code"], error["detail"])
            for error in file.errors[:SHOWN_ERRORS]
        ],
    )


def _place(line: int | None, column: str) -> str:
    row = "file" if line is None else f"file.rows[{line}]"
    return f"{row}.{column}" if column else row


def _shown(received: Received) -> dict[str, object]:
    run = received.run
    identities = Identity.objects.filter(run=run).order_by("name", "currency") if run is not None else ()
    shown = None if run is None else representations.run(run, identities)
    return {**(shown or {}), "file": representations.settlement_file(received.file)}
