"""Reads the body of a request: limits before bytes, then JSON in its strict sense.

What ordinary parsers let pass is refused here once for every endpoint: duplicate keys, NaN and infinities, NUL and
lone surrogates (PostgreSQL could not store them), nesting without end, encodings other than UTF-8. Nothing of a
refused body is kept or logged.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from django.http import HttpRequest
from django.http.request import UnreadablePostError

from payments.api import card_numbers
from payments.errors import Invalid, PaymentsError, TooLarge

LIMIT_BYTES: Final = 256 * 1024
BULK_LIMIT_BYTES: Final = 2 * 1024 * 1024
MAX_DEPTH: Final = 20
# What merchants fill as they like: no name in there makes a value an id.
_FREE_FORM: Final = frozenset({"metadata", "buyer"})


class UnsupportedMediaType(PaymentsError):
    """The body is not declared as JSON."""

    status = 415


class LengthRequired(PaymentsError):
    """The body comes in chunks of unknown length."""

    status = 411


def read(request: HttpRequest, *, limit_bytes: int = LIMIT_BYTES) -> bytes:
    """Return the raw body. Raises `TooLarge` on its declared length, before anything is read."""
    length = declared_length(request, limit_bytes=limit_bytes)
    try:
        body = request.body
    except UnreadablePostError:
        raise Invalid("bad_request", "the body ended before its declared length") from None
    if len(body) != length:
        raise Invalid("bad_request", "the body's length differs from Content-Length")
    return body


def declared_length(request: HttpRequest, *, limit_bytes: int) -> int:
    """Return how long the body says it is, 0 without a word. Raises `TooLarge`, or `Invalid` for what is no length."""
    declared = request.META.get("CONTENT_LENGTH") or ""
    if not declared.isascii() or not (declared == "" or declared.isdigit()):
        raise Invalid("bad_request", "Content-Length is not a number")
    if declared == "" and request.META.get("HTTP_TRANSFER_ENCODING"):
        raise LengthRequired("length_required", "send the body with Content-Length, not in chunks")
    if len(declared) > 12 or int(declared or "0") > limit_bytes:
        raise TooLarge("body_too_large", f"the body is over the limit of {limit_bytes // 1024} KiB")
    return int(declared or "0")


def require_json(request: HttpRequest) -> None:
    """Raise unless the body is declared as JSON in UTF-8."""
    media_type, _, parameters = request.META.get("CONTENT_TYPE", "").partition(";")
    if media_type.strip().lower() != "application/json":
        raise UnsupportedMediaType("unsupported_media_type", "the body must be application/json")
    charset = parameters.strip().lower()
    if charset.startswith("charset=") and charset[8:].strip('"') not in ("utf-8", "utf8"):
        raise UnsupportedMediaType("unsupported_media_type", "the body must be encoded in UTF-8")


def parse(body: bytes) -> dict[str, Any]:
    """Read a JSON object strictly and look for card numbers in it. Raises `Invalid`."""
    value = decode(body)
    inspect(value)
    return value


def decode(body: bytes) -> dict[str, Any]:
    """Read a JSON object strictly; its texts are not looked at (`inspect`). Raises `Invalid`."""
    try:
        value = _decoder.decode(body.decode())
    except UnicodeDecodeError:
        raise _invalid("the body is not UTF-8") from None
    except RecursionError:
        raise _invalid(f"the body is nested deeper than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError as error:
        raise _invalid(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except ValueError:
        raise _invalid("a number has too many digits") from None
    if not isinstance(value, dict):
        raise _invalid("the body must be a JSON object")
    return value


def inspect(value: dict[str, Any] | list[Any]) -> None:
    """Raise `Invalid` for what can be written in JSON and must not be kept: card numbers, NUL, endless nesting."""
    _inspect(value, 1, True)


def _inspect(value: dict[str, Any] | list[Any], depth: int, exempt: bool) -> None:
    """Walk the document once: depth, characters that cannot be stored, card numbers."""
    if depth > MAX_DEPTH:
        raise _invalid(f"the body is nested deeper than {MAX_DEPTH} levels")
    pairs = value.items() if isinstance(value, dict) else [("", item) for item in value]
    for key, item in pairs:
        _check_text(key)
        if len(key) > 12:
            card_numbers.refuse(key)
        if isinstance(item, str):
            _check_text(item)
            if len(item) > 12 and not (exempt and key in card_numbers.EXEMPT):
                card_numbers.refuse(item)
        elif isinstance(item, dict | list):
            _inspect(item, depth + 1, exempt and key not in _FREE_FORM)
        elif isinstance(item, int | float) and abs(item) > 999_999_999_999:
            card_numbers.refuse(f"{abs(item):.0f}" if abs(item) < 1e30 else "")


def _check_text(text: str) -> None:
    if text.isascii():
        if "\0" in text:
            raise _invalid("NUL characters are not accepted")
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _invalid("a text holds half of a surrogate pair") from None
    if "\0" in text:
        raise _invalid("NUL characters are not accepted")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _invalid("a key appears twice in one object")
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise _invalid(f"{name} is not JSON")


def _invalid(message: str) -> Invalid:
    return Invalid("invalid_json", message)


_decoder: Final = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_refuse_constant)
