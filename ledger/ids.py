"""Public ids: a prefix that says what it is, and a UUIDv7 in Crockford base 32 (26 characters, by time)."""

from typing import Final
from uuid import UUID

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}
LENGTH: Final = 26
# Two characters are ten bits: half the steps of going through them one by one.
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS: Final = tuple(range(120, -1, -10))


def public_id(prefix: str, value: UUID) -> str:
    """Write `value` as `prefix_` plus 26 characters, as the API shows it."""
    number = value.int
    pairs = [_PAIRS[number >> shift & 1023] for shift in _SHIFTS]
    return f"{prefix}_{''.join(pairs)}"


def parse_public_id(prefix: str, text: str) -> UUID | None:
    """Read back what `public_id` wrote; `None` when it is not one of that prefix."""
    head, _, tail = text.rpartition("_")
    if head != prefix or len(tail) != LENGTH:
        return None
    number = 0
    for character in tail:
        value = _VALUES.get(character)
        if value is None:
            return None
        number = number * 32 + value
    return UUID(int=number) if number < 1 << 128 else None
