"""Form-encoded bodies as Stripe's SDKs send them: nested names in brackets, everything a string.

`Params` reads values with Stripe's own refusals, so an endpoint says what it takes and no more. Limits:
1,000 pairs, five levels.
"""

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qsl

from .errors import ParameterError, RefusalError, missing, unknown_parameter

MAX_PAIRS: Final = 1000
MAX_LEVELS: Final = 6
MAX_METADATA_KEYS: Final = 50
MAX_METADATA_KEY_LENGTH: Final = 40
MAX_METADATA_VALUE_LENGTH: Final = 500


def pairs(text: str) -> list[tuple[str, str]]:
    """Split a body or query string into its pairs, in the order sent."""
    if not text:
        return []
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PAIRS, errors="strict")
    except ValueError as problem:
        raise ParameterError(f"The request's parameters could not be read: {problem}") from problem


def nest(flat: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Turn `a[b][0]=c` into {"a": {"b": ["c"]}}."""
    tree: dict[str, Any] = {}
    lists = False
    for name, value in flat:
        if "[" not in name:
            tree[name] = value
            continue
        path = name.replace("]", "").split("[")
        if len(path) > MAX_LEVELS:
            raise ParameterError(f"Invalid parameter: {name[:80]} is nested too deeply")
        node = tree
        for part in path[:-1]:
            below = node.setdefault(part, {})
            if not isinstance(below, dict):
                raise ParameterError(f"Invalid parameter: {name[:80]}", param=path[0])
            node = below
        last = path[-1] or str(len(node))
        lists = lists or last.isdigit() or any(part.isdigit() for part in path)
        node[last] = value
    return {key: _with_lists(value) for key, value in tree.items()} if lists else tree


def _with_lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(key.isdigit() for key in node):
        return [_with_lists(node[key]) for key in sorted(node, key=int)]
    return {key: _with_lists(value) for key, value in node.items()}


class Params:
    """The parameters of one request."""

    __slots__ = ("path", "values")

    def __init__(self, values: dict[str, Any], path: str = "") -> None:
        self.values = values
        self.path = path

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def name(self, name: str) -> str:
        """Answer the full name of a parameter, as Stripe writes it in `param`."""
        return f"{self.path}[{name}]" if self.path else name

    def only(self, allowed: frozenset[str]) -> None:
        """Refuse a parameter that the endpoint does not have."""
        for name in self.values:
            if name not in allowed:
                raise unknown_parameter(self.name(name))

    def text(self, name: str, *, at_most: int = 5000) -> str | None:
        """Answer a text, or None where it is absent or empty."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise ParameterError(f"Invalid string: {name}", param=self.name(name))
        if len(value) > at_most:
            raise ParameterError(
                f"Invalid string: {value[:20]}...; must be at most {at_most} characters",
                param=self.name(name),
            )
        return value

    def required_text(self, name: str) -> str:
        """Answer a text that must be there."""
        value = self.text(name)
        if value is None:
            raise missing(self.name(name))
        return value

    def choice(self, name: str, among: tuple[str, ...], default: str | None = None) -> str | None:
        """Answer one of the given words."""
        value = self.text(name)
        if value is None:
            return default
        if value not in among:
            listed = ", ".join(among[:-1]) + (", or " if len(among) > 1 else "") + among[-1]
            raise ParameterError(f"Invalid {self.name(name)}: must be one of {listed}", param=self.name(name))
        return value

    def integer(self, name: str, *, at_least: int = 0, at_most: int = 99_999_999) -> int | None:
        """Answer a whole number within limits, or None where it is absent."""
        value = self.text(name)
        if value is None:
            return None
        digits = value[1:] if value.startswith("-") else value
        if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
            raise ParameterError(
                f"Invalid integer: {value[:40]}", code="parameter_invalid_integer", param=self.name(name)
            )
        number = int(value)
        if number < at_least:
            raise ParameterError(
                f"This value must be greater than or equal to {at_least}.",
                code="parameter_invalid_integer",
                param=self.name(name),
            )
        if number > at_most:
            code = "amount_too_large" if "amount" in name else "parameter_invalid_integer"
            raise ParameterError(f"This value must be at most {at_most}.", code=code, param=self.name(name))
        return number

    def flag(self, name: str, default: bool = False) -> bool:
        """Answer a boolean."""
        value = self.text(name)
        if value is None:
            return default
        if value.lower() not in ("true", "false"):
            raise ParameterError(f"Invalid boolean: {value[:40]}", param=self.name(name))
        return value.lower() == "true"

    def child(self, name: str) -> "Params":
        """Answer the parameters below a name (none where it is absent)."""
        value = self.values.get(name)
        if value is None or value == "":
            return Params({}, self.name(name))
        if not isinstance(value, dict):
            raise ParameterError("Invalid object", param=self.name(name))
        return Params(value, self.name(name))

    def texts(self, name: str) -> list[str]:
        """Answer a list of texts."""
        value = self.values.get(name)
        if value is None or value == "":
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ParameterError("Invalid array", param=self.name(name))
        return value

    def children(self, name: str) -> "list[Params]":
        """Answer a list of objects."""
        value = self.values.get(name)
        if value is None or value == "":
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise ParameterError("Invalid array", param=self.name(name))
        return [Params(item, f"{self.name(name)}[{index}]") for index, item in enumerate(value)]

    def metadata(self, existing: dict[str, str] | None = None) -> dict[str, str]:
        """Answer the metadata after this request: given keys are set, empty ones removed, others kept."""
        merged = dict(existing or {})
        if self.values.get("metadata") == "":
            return {}
        for key, value in self.child("metadata").values.items():
            if not isinstance(value, str):
                raise ParameterError("Metadata values must be strings", param=f"metadata[{key[:40]}]")
            if len(key) > MAX_METADATA_KEY_LENGTH or len(value) > MAX_METADATA_VALUE_LENGTH:
                raise ParameterError(
                    f"Metadata keys can have up to {MAX_METADATA_KEY_LENGTH} characters and values up to "
                    f"{MAX_METADATA_VALUE_LENGTH} characters",
                    param=f"metadata[{key[:40]}]",
                )
            if value:
                merged[key] = value
            else:
                merged.pop(key, None)
        if len(merged) > MAX_METADATA_KEYS:
            raise ParameterError(f"Metadata can have up to {MAX_METADATA_KEYS} keys", param="metadata")
        return merged


def refuse_card_numbers(values: dict[str, Any]) -> None:
    """Refuse raw card data, as Stripe does without raw card access; never repeat the number."""
    for holder in (values, values.get("payment_method_data"), values.get("source")):
        card = holder.get("card") if isinstance(holder, dict) else None
        if isinstance(card, dict) and ("number" in card or "cvc" in card):
            raise _UnsafeError(
                "Sending credit card numbers directly to the Stripe API is generally unsafe. We suggest you "
                "use test "
                "tokens that map to the test card you are using, see https://docs.stripe.com/testing.",
                status=402,
            )


class _UnsafeError(RefusalError):
    begun = False
