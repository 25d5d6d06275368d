"""The services whose room is shared by several servers: what is said goes to the log, and comes from there.

A client may say, as its first line, from which position it wants to go on:

    AFTER 1764500000000-0-2     what was said after that line, as far as it is kept, and then all that follows
    AFTER start                 all that is kept
    AFTER now                   what is said from now on

The server answers `* after POSITION`; what came before that is to be ignored. From then on each line that the
client gets has its position and a space before it, and its own lines come back, too: then they have been
accepted. What the server itself says begins with a star. Without such a line all is as on a server that
stands alone.
"""

import contextlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, TypeVar

from chatlib.relay.redis_stream import POSITION, START, Entry, Log, Position, Said
from chatlib.relay.relay import Relay
from chatlib.services import TAKEN, Flush, Member, Service
from chatlib.wire import encode

AFTER = re.compile(rf"AFTER (now|start|{POSITION})")
"""The first line of a client that wants to know positions."""

SLICE = 65_536
"""Characters that a client is given at once. It gets more when it has read all but so many bytes."""

PAGE = 200
"""Entries that are read at once for a client that is behind; fewer, if they are long."""

AT_ONCE = 8
"""Clients for which that is done in a row: then those that are not behind have their turn."""

TOGETHER = 500
"""Lines that are one entry at most, if they are short (with its position each is longer); and entries that
are given at once."""

Item = TypeVar("Item")

TOO_LATE = "it read too slowly: what it has not got is not kept any more"


class SharedRoom(Service):
    """Sends each line to every other client, on every server that has the same room.

    To make one blocks for up to `ANSWER` seconds, if Redis does not answer.

    Args:
        url: Where Redis is.
        room: The room's name: servers with another one hear nothing of it.

    Raises:
        ConnectionRefusedError: No Redis answers there. The message says how to start one.
        NotImplementedError: The package redis is not installed.
        ValueError: This is no address of a Redis.
    """

    def __init__(self, url: str = "redis://127.0.0.1:6379", room: str = "main") -> None:
        super().__init__()
        self._place = url, room
        log = Log(url, room)
        self._position = log.first_look()  # of the last line that the clients have been given
        log.disconnect()
        self._relay: Any = None
        self._flushes: list[Flush] = []
        self._count = 0
        self._id_of: dict[Member, str] = {}
        self._member_with: dict[str, Member] = {}
        self._silent: set[Member] = set()  # those that have said nothing yet
        self._numbered: set[Member] = set()  # those that want positions
        # Those that read slowly, or want older lines, and what they have so far. The log keeps the rest for
        # them, so however slow they are, they cost no memory here.
        self._behind: dict[Member, Position] = {}
        self._page = PAGE

    # What the server calls

    def begin(self, flush: Flush) -> None:
        """A server serves: begins to write to the log, and to read it.

        Blocks for up to `ANSWER` seconds, with the lock held, if Redis does not answer.
        """
        with self._lock:
            self._flushes.append(flush)
            if len(self._flushes) > 1:  # another server serves it already
                return
            log, reading = Log(*self._place), Log(*self._place)
            with contextlib.suppress(Exception):  # Redis is away just now, or something else is in its place
                self._position = reading.end()
            self._relay = Relay(log, reading, self, self.journal, self._position)

    def end(self, flush: Flush) -> None:
        """A server has stopped. Blocks for about a second at most, to write what was said last."""
        with self._lock:
            if flush not in self._flushes:  # it was stopped before it served
                return
            self._flushes.remove(flush)
            if self._flushes:
                return
            relay = self._relay  # another server may begin right after this block, with a relay of its own
        relay.close()  # without the lock, which the reading thread may wait for

    def after_fork(self) -> None:
        """In a new process: it has no thread of the relay, and begins anew."""
        super().after_fork()
        self._flushes = []

    def joined(self, member: Member) -> None:
        """A client has come."""
        with self._lock:
            self._count += 1
            self._id_of[member] = id = f"{self._relay.server}:{self._count}"
            self._member_with[id] = member
            self._silent.add(member)
            super().joined(member)

    def heard(self, member: Member, lines: list[str]) -> None:
        """A client has said these lines. Blocks for `PATIENCE` seconds, if too much waits for Redis."""
        self._relay.wait_for_room()  # without the lock, which others want, too
        super().heard(member, lines)

    def left(self, member: Member, why: str = "") -> None:
        """A client has gone."""
        with self._lock:
            super().left(member, why)
            self._silent.discard(member)
            self._numbered.discard(member)
            self._behind.pop(member, None)
            self._member_with.pop(self._id_of.pop(member), None)

    def answer(self, member: Member, lines: list[str]) -> None:
        """Takes lines to the log, from where they come back to all."""
        self.say(member, self.after_wish(member, lines))

    # What the relay calls, in its threads

    def deliver(self, entries: Sequence[Entry]) -> None:
        """Gives entries of the log to the clients of this server, as fast as each of them reads."""
        for some in pieces(entries, length):
            with self._lock:
                for member in self.listeners():
                    if member not in self._behind and not has_room(member):
                        self._behind[member] = self._position
                for entry in some:
                    self._deliver(entry)
                self._position = some[-1].end
            self.flush()

    def missed(self) -> None:
        """The log was trimmed before this server had read it: each client is to be told by `catch_up`."""
        with self._lock:
            self.journal.add("failed", "the relay", "what it had not read yet is not kept any more")
            for member in self.listeners():
                self._behind.setdefault(member, self._position)

    def catch_up(self, log: Log) -> bool:
        """Gives more to clients that are behind. Returns whether there is yet more to be given at once.

        The thread that reads the log does it, between two calls of `deliver`: so no line is left out or given
        twice when a client has caught up.
        """
        with self._lock:
            listeners = self.listeners()
            behind = [each for each in self._behind.items() if each[0] in listeners and has_room(each[0])]
        for member, after in behind[:AT_ONCE]:
            page = log.page(after, self._page)
            is_long = sum(map(length, page)) > 2 * SLICE
            self._page = max(2, self._page // 2) if is_long else min(PAGE, 2 * self._page)
            self._give_page(member, after, page)
        if behind:
            self.flush()
        return any(member in self._behind and has_room(member) for member, _ in behind)

    def written(self, batch: Sequence[Said], names: dict[str, str]) -> None:
        """What was said is in the log, apart from clients whose name is taken: those have to go."""
        for said in batch:
            if said.enters and names.get(said.enters) != said.by:
                with self._lock:
                    if member := self._member_with.get(said.by):
                        member.post(encode([f"* {TAKEN}"]))
                        member.finish(TAKEN)
                self.flush()

    def beat(self, log: Log) -> None:
        """Called every few seconds, as long as Redis answers."""

    # What a subclass may use or override

    def listeners(self) -> Collection[Member]:
        """Returns who hears what is said."""
        return self.members

    def enter(self, member: Member, entry: Entry) -> None:
        """A client of this server has the name that it wanted."""

    def say(self, member: Member, lines: list[str], **wishes: str) -> None:
        """Takes lines to the log, or tells the client that they are not accepted."""
        for some in pieces(lines, len):
            if not self._relay.offer(Said(self._id_of[member], some, **wishes)):
                member.post(encode([f"* not accepted: {line}" for line in some]))

    def after_wish(self, member: Member, lines: list[str]) -> list[str]:
        """Returns what a client has said, without a first line that says from which position it goes on."""
        if member not in self._silent:
            return lines
        self._silent.discard(member)
        if not (wish := AFTER.fullmatch(lines[0])):
            return lines
        known = {"now": self._position, "start": START}
        after = known.get(wish[1]) or Position.parse(wish[1])
        member.post(encode([f"* after {after}"]))
        self._numbered.add(member)
        if wish[1] != "now":
            self._behind[member] = after
        return lines[1:]

    def flush(self) -> None:
        """Sends what was posted by a thread of the relay."""
        for flush in list(self._flushes):
            flush()

    # With the lock held

    def _deliver(self, entry: Entry) -> None:
        author = self._member_with.get(entry.by)
        if entry.enters and author:
            self.enter(author, entry)
        plain, numbered = encode(entry.lines), b""
        for member in self.listeners():
            if member in self._behind:
                continue
            if member in self._numbered:
                numbered = numbered or numbered_lines(entry)
                member.post(numbered)
            elif member is not author:
                member.post(plain)

    def _give_page(self, member: Member, after: Position, page: Sequence[Entry]) -> None:
        with self._lock:
            if member not in self._behind:  # it has left meanwhile
                return
            self._behind[member] = self._behind.pop(member)  # the last one now: all have their turn
            is_numbered, own = member in self._numbered, self._id_of[member]
            if after != START and not (page and page[0].id == after.entry):
                member.post(encode([f"* {after} is not kept any more: lines after it may be missing"]))
                if not is_numbered:  # it would never know what
                    member.finish(TOO_LATE)
            for entry in page:
                if entry.end > self._position:  # it is new: `deliver` will give it
                    break
                if not has_room(member):
                    return
                start = after.line + 1 if entry.id == after.entry else 0
                if is_numbered:
                    member.post(numbered_lines(entry, start))
                elif entry.by != own:
                    member.post(encode(entry.lines[start:]))
                self._behind[member] = entry.end
            if self._behind[member] == after:  # there was nothing older any more
                del self._behind[member]


def pieces(items: Sequence[Item], size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Gives items in pieces: of at most `SLICE` characters and `TOGETHER` items, or of one item."""
    some: list[Item] = []
    total = 0
    for item in items:
        its_size = size(item)
        if some and (len(some) == TOGETHER or total + its_size > SLICE):
            yield some
            some, total = [], 0
        some.append(item)
        total += its_size
    if some:
        yield some


def length(entry: Entry) -> int:
    """Returns how many characters an entry has."""
    return sum(map(len, entry.lines))


def has_room(member: Any) -> bool:
    """Whether a client has read most of what it was given."""
    return bool(member.owed < SLICE)


def numbered_lines(entry: Entry, start: int = 0) -> bytes:
    """Returns the lines of an entry, from one of them on, with their positions."""
    lines = enumerate(entry.lines[start:], start)
    return encode([f"{entry.position(number)} {line}" for number, line in lines])
