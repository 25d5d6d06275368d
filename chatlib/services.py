"""What is said: a service decides which client hears what. It knows nothing of waiting: no I/O here."""

import threading
from collections.abc import Callable
from typing import Protocol

from chatlib.journal import Journal
from chatlib.wire import encode

Flush = Callable[[], None]
"""Sends what has been posted. Never blocks."""


class Member(Protocol):
    """One client, as a service sees it."""

    name: str
    address: str
    """The host that it connects from."""

    def post(self, data: bytes) -> None:
        """Puts bytes into the client's outbox. Never blocks.

        They are sent at the latest when the service's method that posts them has returned. Code that
        posts from elsewhere, from a thread of its own say, then calls what `Service.begin` was given.
        """

    def finish(self, why: str) -> None:
        """Ends the conversation: nothing more is heard, what is owed is sent, and the client sees the end.

        It has left when it has closed its side, too, or speaks again.
        """

    def abort(self, why: str) -> None:
        """Ends the conversation at once: what it is owed may be lost. Never blocks."""


TAKEN = "this name is taken"


def problem_with_name(name: str, longest: int) -> str:
    """Says why this cannot be a name in a chat; empty if it can."""
    is_name = name.isascii() and name.isalnum() and len(name) <= longest
    return "" if is_name else f"a name has 1 to {longest} letters and digits"


class Service:
    """The base of all services: the members that are here, and a journal of what happened.

    A server calls `joined`, `heard` and `left`, from whichever thread serves the client. Each holds the
    service's lock from beginning to end. So no member joins or leaves while a broadcast walks the list
    (walking a dict that grows raises RuntimeError), and all members hear the same things in the same order.

    The price of one lock: while one thread is in `answer`, all others wait for it. That takes microseconds,
    as posting never blocks; a service that sleeps in `answer` holds up every client.

    Subclasses override `welcome`, `answer` and `farewell`, which are called with the lock held.
    """

    def __init__(self) -> None:
        self.journal = Journal()
        self.members: dict[Member, None] = {}  # a set that keeps the order in which they came
        # Reentrant, as a method of a service may call another one, which takes the lock again.
        self._lock = threading.RLock()

    def begin(self, flush: Flush) -> None:
        """A server begins to serve. May be overridden: by a service with a thread of its own, say."""

    def end(self, flush: Flush) -> None:
        """That server has stopped. May be overridden."""

    def joined(self, member: Member) -> None:
        """A client has come."""
        with self._lock:
            self.journal.add("came", member.name)
            self.members[member] = None
            self.welcome(member)

    def heard(self, member: Member, lines: list[str]) -> None:
        """A client has said these lines: all that one `recv` brought, so that they travel on together."""
        if not lines:  # half a line has come
            return
        with self._lock:
            self.journal.add_all("said", member.name, lines)
            self.answer(member, lines)

    def left(self, member: Member, why: str = "") -> None:
        """A client has gone, for whatever reason. Called once for each."""
        with self._lock:
            self.members.pop(member, None)
            self.journal.add("left", member.name, why)
            self.farewell(member)

    def after_fork(self) -> None:
        """In a new process: makes the lock again. Another thread of the old one may have held it."""
        self._lock = threading.RLock()
        self.journal.after_fork()

    def welcome(self, member: Member) -> None:
        """What a client gets when it comes. May be overridden."""

    def answer(self, member: Member, lines: list[str]) -> None:
        """What a client's lines set off. May be overridden."""

    def farewell(self, member: Member) -> None:
        """What the others get when a client has gone. May be overridden."""


class Shout(Service):
    """Answers each line in upper case."""

    def answer(self, member: Member, lines: list[str]) -> None:
        member.post(encode([line.upper() for line in lines]))


class Broadcast(Service):
    """Sends each line to every *other* client, as it came."""

    def answer(self, member: Member, lines: list[str]) -> None:
        data = encode(lines)
        for other in self.members:
            if other is not member:
                other.post(data)


THE_ROOM_CONTAINS = "* The room contains: "
"""How a chat says that a name was taken in; the names of the others follow."""


class Chat(Service):
    """The public Budget Chat protocol: a name first, presence lines, `[name] text`.

    Source: Protohackers, problem 3. A name has 1 to 32 ASCII letters and digits, and no two members share
    one.
    """

    NAME_LIMIT = 32
    """Letters and digits that a name may have."""

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[Member, str] = {}  # only members that have said their name are in the room

    def welcome(self, member: Member) -> None:
        member.post(encode(["Welcome! What is your name?"]))

    def answer(self, member: Member, lines: list[str]) -> None:
        if member not in self._names:
            name, *lines = lines
            if not self._admit(member, name):
                return
        if lines:
            self._tell_others(member, [f"[{self._names[member]}] {line}" for line in lines])

    def farewell(self, member: Member) -> None:
        if name := self._names.pop(member, None):
            self._tell_others(member, [f"* {name} has left the room"])

    def _admit(self, member: Member, name: str) -> bool:
        if problem := self._problem_with(name):
            member.post(encode([f"* {problem}"]))
            member.finish(problem)
            return False
        member.post(encode([THE_ROOM_CONTAINS + ", ".join(self._names.values())]))
        self._tell_others(member, [f"* {name} has entered the room"])
        self._names[member] = name
        self.journal.add("named", member.name, name)
        return True

    def _problem_with(self, name: str) -> str:
        return problem_with_name(name, self.NAME_LIMIT) or (TAKEN if name in self._names.values() else "")

    def _tell_others(self, member: Member, lines: list[str]) -> None:
        data = encode(lines)
        for other in self._names:
            if other is not member:
                other.post(data)
