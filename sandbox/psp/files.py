"""Files: uploads for evidence, by multipart. Their contents are not kept, only what they were."""

import hashlib
from email.parser import BytesParser
from email.policy import HTTP
from typing import Final

from .call import Call
from .errors import Json, ParameterError, missing
from .identifiers import new_id

PURPOSES: Final = ("dispute_evidence",)
MAX_BYTES: Final = 5_000_000
_TYPES: Final = {b"%PDF-": "pdf", b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpg"}
KEPT_SECONDS: Final = 365 * 24 * 3600


def multipart(content_type: str, body: bytes) -> tuple[list[tuple[str, str]], tuple[str, bytes] | None]:
    """Read a multipart body: its fields, in which a file stands as its digest, and the file."""
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    if not message.is_multipart():
        raise ParameterError("The request's parameters could not be read")
    flat: list[tuple[str, str]] = []
    upload: tuple[str, bytes] | None = None
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(content, bytes):
            raise ParameterError("The request's parameters could not be read")
        if (filename := part.get_filename()) is not None:
            upload = (filename, content)
            flat.append((name, hashlib.sha256(content).hexdigest()))
        else:
            flat.append((name, content.decode("utf-8", "replace")))
    return flat, upload


def create(call: Call) -> Json:
    """`POST /v1/files`."""
    params = call.params
    params.only(frozenset(("file", "purpose", "expand")))
    purpose = params.choice("purpose", PURPOSES)
    if purpose is None:
        raise missing("purpose")
    if call.upload is None:
        raise missing("file")
    filename, content = call.upload
    kind = next((kind for start, kind in _TYPES.items() if content.startswith(start)), None)
    if kind is None:
        raise ParameterError("The file must be a PDF, PNG or JPEG.", param="file")
    if len(content) > MAX_BYTES:
        raise ParameterError("The file is too large.", param="file")
    file: Json = {
        "id": new_id("file"),
        "object": "file",
        "created": call.now,
        "expires_at": call.now + KEPT_SECONDS,
        "filename": filename,
        "links": {"object": "list", "data": [], "has_more": False, "url": "/v1/file_links"},
        "purpose": purpose,
        "size": len(content),
        "title": None,
        "type": kind,
        "url": None,
        "_": {"sha256": hashlib.sha256(content).hexdigest()},
    }
    return call.store.add(call.scope, file)


def retrieve(call: Call) -> Json:
    """`GET /v1/files/{id}`."""
    call.params.only(frozenset(("expand",)))
    return call.addressed("file", "file upload")
