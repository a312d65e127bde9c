"""Public ids: a prefix that says what it is, and a UUIDv7 in Crockford base 32 (26 characters, by time)."""

from typing import Final
from uuid import UUID

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}
LENGTH: Final = 26


def public_id(prefix: str, value: UUID) -> str:
    """Write `value` as `prefix_` plus 26 characters, as the API shows it."""
    number, characters = value.int, []
    for _ in range(LENGTH):
        number, digit = divmod(number, 32)
        characters.append(_ALPHABET[digit])
    return f"{prefix}_{''.join(reversed(characters))}"


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
