"""What a value in the file of a film must be.

Each function returns the value that it is given, or raises a ValueError that says what is missing.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from chatlib.sockets import Address

LONGEST_TEXT = 10_000
"""Characters of a name or of a line of a program. Longer ones are cut when a film is saved."""

LATEST, WIDEST = 1e12, 2**63
"""Seconds: what is later cannot be drawn. And what every whole number is smaller than."""

T = TypeVar("T")
Check = Callable[[Any], Any]


def mapping(value: Any) -> dict[str, Any]:
    """An object of JSON."""
    if not isinstance(value, dict):
        raise ValueError("an object is missing")
    return value


def text(value: Any) -> str:
    """A text that is not too long."""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise ValueError(f"a text of at most {LONGEST_TEXT:,} characters is missing")
    return value


def whole(value: Any) -> int:
    """A whole number: neither true nor 1.0."""
    if type(value) is not int or abs(value) >= WIDEST:
        raise ValueError("a whole number is missing")
    return value


def count(value: Any, most: int = WIDEST) -> int:
    """A whole number from 0 to `most`."""
    if not 0 <= whole(value) <= most:
        raise ValueError(f"{value} is below 0" if value < 0 else f"{value:,} is more than {most:,}")
    return int(value)


def moment(value: Any) -> Any:
    """A number of seconds."""
    if type(value) not in (int, float) or not -LATEST <= value <= LATEST:  # nor is nan between them
        raise ValueError("a number of seconds is missing")
    return value


def flag(value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ValueError("true or false is missing")
    return value


def address(value: Any) -> Address:
    """A host and a port."""
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("an address is missing: a host and a port")
    return text(value[0]), whole(value[1])


def rows(value: Any, length: int) -> list[list[Any]]:
    """A list of lists of this length."""
    if not isinstance(value, list) or not all(isinstance(row, list) and len(row) == length for row in value):
        raise ValueError("a list is missing")
    return value


def wholes(value: Any) -> frozenset[int]:
    """A list of whole numbers, as a set."""
    if not isinstance(value, list):
        raise ValueError("a list is missing")
    return frozenset(map(whole, value))


def or_null(check: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """Makes a check that lets null pass."""
    return lambda value: None if value is None else check(value)


def fields(value: Any, checks: Mapping[str, Check]) -> dict[str, Any]:
    """The fields that an object must have; what else it has is left out.

    Raises:
        KeyError: One of them is missing.
    """
    record = mapping(value)
    return {key: check(record[key]) for key, check in checks.items()}
