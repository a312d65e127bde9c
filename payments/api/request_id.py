"""The id of the request that is being served: in every answer, every problem document and every log line."""

import re
from contextvars import ContextVar
from typing import Final

from config import seam

_GIVEN: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_current: ContextVar[str] = ContextVar("florin_request_id", default="")


def begin(given: str | None) -> str:
    """Take the client's id when it is a plain word, else a new one; it is current until the next `begin`."""
    request_id = given if given and _GIVEN.fullmatch(given) else f"req_{seam.new_uuid().hex}"
    _current.set(request_id)
    return request_id


def current_request_id() -> str:
    """Return the id of the request being served, empty outside of one."""
    return _current.get()
