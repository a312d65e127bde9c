"""The body of an answer to a dispute: texts as JSON, or texts and documents as multipart/form-data.

Everything is read from the bytes that were signed. A document is known by its first bytes, whatever its name or
declared type says; its name is not kept. A card number in a text is refused like everywhere; documents are not
searched.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, override

from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadedfile import InMemoryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from pydantic import create_model

from payments.api import bodies, json_body, new_payments
from payments.errors import FieldError, Invalid
from payments.evidence import (
    DOCUMENTS,
    MAX_DOCUMENT_BYTES,
    MAX_DOCUMENTS,
    MAX_DOCUMENTS_BYTES,
    MAX_TEXT_CHARACTERS,
    MAX_TEXTS_CHARACTERS,
    TEXTS,
    Document,
)

LIMIT_BYTES: Final = 5 * 1024 * 1024
_fields: Final[dict[str, Any]] = dict.fromkeys(TEXTS, (str | None, None))
Texts: Final = create_model("Evidence", __base__=bodies.Body, __doc__="What a dispute is answered with.", **_fields)


@dataclass(frozen=True, slots=True)
class Given:
    """A checked answer to a dispute."""

    texts: dict[str, str]
    documents: list[Document]

    def fingerprint(self, method: str, path: str) -> bytes:
        """Return what identifies the request: its content, whatever boundary it was sent with."""
        digests = {document.kind: hashlib.sha256(document.content).hexdigest() for document in self.documents}
        return new_payments.fingerprint(method, path, {"texts": self.texts, "documents": digests})


def read(request: HttpRequest) -> Given:
    """Read and check the body. Raises `Invalid` with every bad field."""
    body = json_body.read(request, limit_bytes=LIMIT_BYTES)
    media_type = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        values, files = _parts(request, body)
    else:
        json_body.require_json(request)
        values, files = json_body.parse(body), {}
    return checked(values, files)


def checked(values: dict[str, Any], files: Mapping[str, bytes]) -> Given:
    """Check texts and documents by their names, wherever they come from. Raises `Invalid` with every bad field."""
    # Strictly: unknown names, other types, NUL and card numbers are refused by the same rules as in every other body.
    json_body.inspect(values)
    texts = {name: text for name, text in bodies.read(Texts, values).model_dump().items() if text is not None}
    documents = [Document(kind, content) for kind, content in sorted(files.items())]
    problems = [*_text_problems(texts), *_document_problems(documents)]
    if not texts and not documents:
        problems.append(FieldError("uncategorized_text", "required", "send at least one text or document"))
    if problems:
        raise bodies.invalid(problems)
    return Given(texts, documents)


def _text_problems(texts: dict[str, str]) -> list[FieldError]:
    found = []
    for name, text in texts.items():
        if not text.strip():
            found.append(FieldError(name, "too_short", "the text is empty"))
        elif len(text) > MAX_TEXT_CHARACTERS:
            found.append(FieldError(name, "too_long", f"at most {MAX_TEXT_CHARACTERS} characters"))
    if sum(map(len, texts.values())) > MAX_TEXTS_CHARACTERS:
        found.append(FieldError("uncategorized_text", "too_long", f"{MAX_TEXTS_CHARACTERS} characters in all texts"))
    return found


def _document_problems(documents: list[Document]) -> list[FieldError]:
    found = []
    for document in documents:
        name = document.kind if document.kind in DOCUMENTS else document.kind[:200]
        if document.kind not in DOCUMENTS:
            found.append(FieldError(name, "unknown_field", "there is no such document"))
        elif len(document.content) > MAX_DOCUMENT_BYTES:
            found.append(FieldError(name, "too_large", f"at most {MAX_DOCUMENT_BYTES} bytes"))
        elif document.media_type is None:
            found.append(FieldError(name, "invalid_file", "send a PDF, PNG or JPEG file"))
    if len(documents) > MAX_DOCUMENTS:
        found.append(FieldError(documents[-1].kind[:200], "too_long", f"at most {MAX_DOCUMENTS} documents"))
    if sum(len(document.content) for document in documents) > MAX_DOCUMENTS_BYTES:
        found.append(FieldError(documents[0].kind[:200], "too_large", f"{MAX_DOCUMENTS_BYTES} bytes in all documents"))
    return found


class _InMemory(FileUploadHandler):
    """Keeps a document in memory: the whole body is there already, and has a limit."""

    @override
    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.content = io.BytesIO()

    @override
    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.content.write(raw_data)

    @override
    def file_complete(self, file_size: int) -> InMemoryUploadedFile:
        self.content.seek(0)
        return InMemoryUploadedFile(
            self.content, self.field_name, self.file_name or "", self.content_type, file_size, self.charset
        )


def _parts(request: HttpRequest, body: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read a multipart body. Raises `Invalid` for what is none, or names a part twice."""
    try:
        parser = MultiPartParser(request.META, io.BytesIO(body), [_InMemory(request)], "utf-8")
        texts, files = parser.parse()
    except (MultiPartParserError, SuspiciousOperation, ValueError) as problem:
        raise Invalid("bad_request", "the body is not multipart/form-data of a reasonable number of parts") from problem
    twice = [name for held in (texts, files) for name in held if len(held.getlist(name)) > 1]
    twice += sorted(set(texts) & set(files))
    if twice:
        raise bodies.invalid([FieldError(name[:200], "duplicate", "give this once") for name in twice])
    # The parser puts U+FFFD where bytes are no UTF-8: what was meant is not known.
    unreadable = [name for name in texts if "\ufffd" in texts[name] or "\ufffd" in name]
    if unreadable:
        raise bodies.invalid([FieldError(name[:200], "invalid_value", "must be text in UTF-8") for name in unreadable])
    return {name: texts[name] for name in texts}, {name: held[0].read() for name, held in files.lists()}
