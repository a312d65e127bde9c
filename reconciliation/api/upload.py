"""The body of an upload: taken from the wire into a temporary file, so that its size costs no memory.

The limit is compared with the declared length before anything is read. The signature is checked over what was read,
then the parts are taken apart, again into temporary files. Nothing of a refused body is kept.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, cast

from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.http.request import UnreadablePostError
from rest_framework.request import Request

from config import seam
from payments.api import authentication, bodies, card_numbers, headers, json_body, signatures
from payments.callers import Caller
from payments.errors import FieldError, Invalid, TooLarge

LIMIT_BYTES: Final = 256 * 1024 * 1024
# Boundaries, headers and the two texts beside the file.
ROOM_BYTES: Final = 64 * 1024
_CHUNK: Final = 256 * 1024
_SPOOL: Final = "florin.upload"
_TEXTS: Final = ("format", "source")


class UploadAuthentication(authentication.ApiKeyAuthentication):
    """Bearer key and signature of a request whose body goes to a temporary file."""

    def authenticate(self, request: Request) -> tuple[Any, Caller]:
        """Return the caller. Raises `Unauthenticated`, or `TooLarge` before anything is read."""
        plain = request._request
        key = headers.api_key(plain)
        length = json_body.declared_length(plain, limit_bytes=LIMIT_BYTES + ROOM_BYTES)
        card_numbers.refuse_address(plain.path, plain.META.get("QUERY_STRING", ""))
        caller = authentication.identify(key, now=seam.now())
        spool, digest = _spooled(plain, length)
        plain.META[_SPOOL] = spool
        signatures.verify_digest(plain, lambda: digest, caller, now=seam.now())
        return caller, caller


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that somebody hands in, in which format, for which source."""

    file: BinaryIO
    name: str
    format: str
    source: str


def read(request: HttpRequest) -> Upload:
    """Take the body of an authenticated request apart. Raises `Invalid` with every part that is wrong."""
    media_type = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        raise json_body.UnsupportedMediaType("unsupported_media_type", "the body must be multipart/form-data")
    try:
        parser = MultiPartParser(request.META, request.META[_SPOOL], [TemporaryFileUploadHandler(request)], "utf-8")
        texts, files = parser.parse()
    except (MultiPartParserError, SuspiciousOperation, ValueError) as problem:
        raise Invalid("bad_request", "the body is not multipart/form-data of a reasonable number of parts") from problem
    finally:
        request.META.pop(_SPOOL).close()
    unknown = [*(name for name in texts if name not in _TEXTS), *(name for name in files if name != "file")]
    problems = [FieldError(name[:200], "unknown_field", "there is no such part") for name in unknown]
    for held, names in ((texts, _TEXTS), (files, ("file",))):
        for name in names:
            count = len(held.getlist(name))
            if count != 1:
                problems.append(FieldError(name, "duplicate" if count else "required", "give this once"))
    if problems:
        raise bodies.invalid(problems)
    values = {name: str(texts[name]) for name in _TEXTS}
    for name, value in values.items():
        if "\0" in value or len(value) > 64:
            raise bodies.invalid([FieldError(name, "invalid_value", "at most 64 characters")])
    file: Any = files["file"]
    return Upload(file, str(file.name or "")[:255], values["format"], values["source"])


def _spooled(request: HttpRequest, length: int) -> tuple[BinaryIO, str]:
    """Read the body into a temporary file; return it with its digest."""
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - whoever takes the body apart closes it
    digest, size = hashlib.sha256(), 0
    try:
        while chunk := request.read(_CHUNK):
            size += len(chunk)
            if size > length:
                raise TooLarge("body_too_large", "the body is longer than its declared length")
            digest.update(chunk)
            spool.write(chunk)
        if size != length:
            raise Invalid("bad_request", "the body's length differs from Content-Length")
    except UnreadablePostError:
        spool.close()
        raise Invalid("bad_request", "the body ended before its declared length") from None
    except Exception:
        spool.close()
        raise
    spool.seek(0)
    return cast("BinaryIO", spool), digest.hexdigest()
