"""Names in a class's room: none looks like another, speaks for the room, or is taken over from elsewhere."""

from collections.abc import Collection

from chatlib.wire import printable

NAMES_KEPT = 1000
"""Names that stay with an address after their owners have left."""

NAMES_EACH = 8
"""Names that an address may have had, if it may not have many connections: else one could take them all."""


class Owners:
    """The address that each name belongs to: a join that was overheard is of no use at another one.

    Args:
        each: Names that one address may have.
    """

    def __init__(self, each: int = NAMES_EACH) -> None:
        self._each = each
        self._hosts: dict[str, str] = {}

    def problem_with(self, name: str, host: str) -> str:
        """Returns why this address may not use a name; nothing if it may."""
        if owner := self._hosts.get(look_of(name)):
            return "" if owner == host else "this name belongs to another computer: take another"
        if list(self._hosts.values()).count(host) < self._each:
            return ""
        return f"this computer has had {self._each} names: take one of them, or ask the teacher"

    def note(self, name: str, host: str, present: Collection[str]) -> None:
        """From now on a name belongs to an address. Old names may be forgotten, but none that is present."""
        self._hosts[look_of(name)] = host
        here = {look_of(other) for other in (name, *present)}
        gone = [look for look in self._hosts if look not in here]
        for look in gone[: max(0, len(self._hosts) - NAMES_KEPT)]:
            del self._hosts[look]

    def release(self, name: str) -> None:
        """Lets any address use a name."""
        self._hosts.pop(look_of(name), None)

    def __len__(self) -> int:
        return len(self._hosts)


def typed(line: str) -> str:
    """Returns what was typed: backspaces erase (Windows' telnet sends them), others are spelled out."""
    kept: list[str] = []
    for letter in line:
        if letter != "\b":
            kept.append(letter)
        elif kept:
            kept.pop()
    return printable("".join(kept)).strip()


def look_of(name: str) -> str:
    """Returns the same text for names that look alike: `Alice`, `aIice` and `a1ice`."""
    return name.lower().translate(str.maketrans("i10", "llo"))


OFFICES = ("server", "room", "teacher", "admin", "everyone", "system", "host", "chatlib", "you")
RESERVED = frozenset(map(look_of, OFFICES))
"""Names that would speak for the room."""
