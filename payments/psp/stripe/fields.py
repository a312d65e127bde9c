"""Reading Stripe's JSON without trusting its form.

Everything that leaves `translation` has passed one of these readers, so an answer of another shape (a newer
API version, another server, a broken proxy) becomes one exception and then an unknown outcome, never a wrong
amount.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

type Json = Mapping[str, object]


class UnexpectedFormError(ValueError):
    """The answer is JSON, but not the object that was asked for."""


def mapping(value: object, what: str) -> Json:
    """Return a value that has to be an object."""
    if not isinstance(value, Mapping):
        raise UnexpectedFormError(f"{what} is not an object")
    return value


def text(json: Json, name: str) -> str:
    """Return a text that has to be there and not be empty."""
    value = json.get(name)
    if not isinstance(value, str) or not value:
        raise UnexpectedFormError(f"{name} is not a text")
    return value


def text_or_empty(json: Json, name: str) -> str:
    """Return a text; empty if it is absent, null or something else."""
    value = json.get(name)
    return value if isinstance(value, str) else ""


def integer(json: Json, name: str) -> int:
    """Return an integer that has to be there."""
    value = json.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UnexpectedFormError(f"{name} is not an integer")
    return value


def integer_or(json: Json, name: str, default: int) -> int:
    """Return an integer, or the default where it is absent or null."""
    return default if json.get(name) is None else integer(json, name)


def child(json: Json, name: str) -> Json | None:
    """Return a nested object; `None` if it is absent, null or only an id."""
    value = json.get(name)
    return value if isinstance(value, Mapping) else None


def reference(json: Json, name: str) -> str:
    """Return the id of a referred object, whether expanded or not; empty if there is none."""
    value = json.get(name)
    if isinstance(value, Mapping):
        return text(value, "id")
    return value if isinstance(value, str) else ""


def objects(json: Json, name: str) -> list[Json]:
    """Return a list of objects that has to be there."""
    found = json.get(name)
    if not isinstance(found, list):
        raise UnexpectedFormError(f"{name} is not a list")
    return [mapping(item, f"an item of {name}") for item in found]


def moment(json: Json, name: str) -> datetime:
    """Return a time that has to be there, given in Unix seconds."""
    try:
        return datetime.fromtimestamp(integer(json, name), UTC)
    except (OverflowError, OSError, ValueError) as problem:
        raise UnexpectedFormError(f"{name} is not a time") from problem


def moment_or_none(json: Json, name: str) -> datetime | None:
    """Return a time, or `None` where it is absent or null."""
    return None if json.get(name) is None else moment(json, name)


def texts(json: Json, name: str) -> dict[str, str]:
    """Return an object of texts (metadata); what is not a text is left out."""
    found = child(json, name) or {}
    return {key: value for key, value in found.items() if isinstance(value, str)}
