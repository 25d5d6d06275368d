"""The log of a room: a Redis stream, to which lines are added, and which is read from any position on.

All that Redis is asked stands here. No threads: every call blocks for at most `ANSWER` seconds.
"""

import contextlib
import re
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from chatlib.wire import printable

KEPT = 10_000
"""Entries that a room keeps at least, and a hundred more at most: Redis drops them by the block.
An entry holds what a client said at once: mostly a line, and at most 65,536 letters."""

READ = 1000
"""Entries that are read at once."""

ANSWER = 2.0
"""Seconds within which Redis has to answer. Then it counts as away, and is asked again."""

MARK_KEPT = 86_400
"""Seconds for which Redis remembers how far a server had written."""

NO_ADDRESS = "this is not the address of a Redis, like redis://127.0.0.1:6379"

POSITION = r"\d{1,19}-\d{1,19}-\d{1,9}"
"""How one is written. A number of Redis has 64 bits, and it would answer nothing at all to a greater one."""


class Position(NamedTuple):
    """Where a line stands in a room's log: `1764500000000-0-2` is the third line of an entry."""

    milliseconds: int
    sequence: int
    line: int

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Reads one. Raises ValueError if the text is none."""
        if not re.fullmatch(POSITION, text):
            raise ValueError(f"{text!r} is not a position, like 1764500000000-0-2")
        return cls(*map(int, text.split("-")))

    @property
    def entry(self) -> str:
        """The id of the entry, as Redis writes it."""
        return f"{self.milliseconds}-{self.sequence}"

    def __str__(self) -> str:
        return f"{self.entry}-{self.line}"


START = Position(0, 0, 0)
"""Before the first line that can be."""


class Said(NamedTuple):
    """What is to be added: lines that one client said at once, or that it has come or left."""

    by: str
    lines: list[str]
    enters: str = ""
    """A name that the client wants to have: added only if no other client has it."""
    leaves: str = ""
    """A name that the client gives back: added only if it has it."""
    needs: str = ""
    """A name without which this is not added: it was said before the name was known to be free."""


class Entry(NamedTuple):
    """What was added, as every server of the room reads it."""

    id: str
    by: str
    lines: list[str]
    enters: str
    others: str
    """Who was there when this client came in."""

    @property
    def end(self) -> Position:
        """The position of its last line."""
        return self.position(len(self.lines) - 1)

    def position(self, line: int) -> Position:
        """Returns the position of one of its lines. Redis has made the id of its clock and a number."""
        milliseconds, _, sequence = self.id.partition("-")
        return Position(int(milliseconds), int(sequence), line)


class Log:
    """One room's log, and one server that writes to it.

    Args:
        url: Where Redis is: `redis://HOST:PORT`.
        room: The room's name.

    Raises:
        NotImplementedError: The package redis is not installed.
        ValueError: This is no such address.
    """

    def __init__(self, url: str, room: str) -> None:
        self._redis = connection(url)
        self._address = urlsplit(url).netloc.rpartition("@")[2]  # no password: it goes into messages
        self._port = urlsplit(url).port or 6379
        self.server = uuid.uuid4().hex[:16]
        """Its name here. Each start draws a new one, so no two servers have the same."""
        self._stream = f"chatlib:{room}"  # before the room's name, or a room "x:names" would meet that of "x"
        self._names = f"chatlib-names:{room}"
        self._servers = f"chatlib-servers:{room}"
        self._mark = f"chatlib-written:{self.server}:{room}"
        self._is_certain = True

    def first_look(self) -> Position:
        """Returns the position of the last line.

        Raises:
            ConnectionRefusedError: No Redis answers as it should. The message says how to start one.
        """
        try:
            return self.end()
        except Exception as error:  # it may be no Redis that answers: then redis-py raises what comes
            raise ConnectionRefusedError(
                f"no Redis answers at {self._address} ({reason(error)}); "
                f"to start one here: redis-server --port {self._port} --appendonly yes"
            ) from None

    @property
    def conflict(self) -> type[Exception]:
        """What `append` raises if another server has changed the names meanwhile."""
        from redis import WatchError

        return WatchError

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What a call raises if Redis is away, or cannot do it now."""
        from redis import RedisError

        return RedisError, OSError

    def append(self, first: int, batch: Sequence[Said]) -> dict[str, str]:
        """Adds to the log; returns the names in the room, and who has each, if the batch asks for any.

        After an error, call it again with the same numbers: nothing is added twice. It is not known then
        whether Redis has done it; so the number of the last one is written in the same transaction as the
        lines, and read before it is tried again. The first try may even be under way still: it fails when
        it arrives, as `watch` has Redis refuse what was begun before another change of that number.

        Args:
            first: The number of the first in the batch. Each server counts its own, from 1.
            batch: What to add.

        Raises:
            RedisError: It is not known whether it was done, or another server changed the names meanwhile.
        """
        asks_names = any(said.enters or said.leaves or said.needs for said in batch)
        with self._redis.pipeline() as pipe:
            pipe.watch(self._mark, *([self._names] if asks_names else []))
            done = first - 1 if self._is_certain else int(pipe.get(self._mark) or 0)
            self._is_certain = False
            names: dict[str, str] = pipe.hgetall(self._names) if asks_names else {}
            pipe.multi()
            for said in batch[max(0, done + 1 - first) :]:
                fields = {"by": said.by, "lines": "\n".join(said.lines)}
                if said.enters in names:  # taken: the caller sees it in the names
                    continue
                if (owned := said.leaves or said.needs) and names.get(owned) != said.by:
                    continue
                if said.enters:
                    fields |= {"enters": said.enters, "others": ", ".join(names)}
                    names[said.enters] = said.by
                    pipe.hset(self._names, said.enters, said.by)
                if said.leaves:
                    del names[said.leaves]
                    pipe.hdel(self._names, said.leaves)
                pipe.xadd(self._stream, fields, maxlen=KEPT, approximate=True)
            pipe.set(self._mark, first + len(batch) - 1, ex=MARK_KEPT)
            pipe.execute()
            self._is_certain = True
        return names

    def read(self, after: Position, wait: float = 0.0, count: int = READ) -> list[Entry]:
        """Returns entries after a position; if there are none, waits up to `wait` seconds for one."""
        block = {"block": max(1, int(wait * 1000))} if wait else {}
        found: Any = self._redis.xread({self._stream: after.entry}, count=count, **block)
        return [entry_of(*each) for _, entries in found for each in entries]

    def page(self, start: Position, count: int) -> list[Entry]:
        """Returns the entry at a position, if it is still kept, and those after it."""
        found: Any = self._redis.xrange(self._stream, min=start.entry, count=count)
        return [entry_of(*each) for each in found]

    def keeps(self, position: Position) -> bool:
        """Whether an entry is there still: if so, so is all that follows."""
        found: Any = self._redis.xrange(self._stream, min=position.entry, max=position.entry)
        return bool(found) or position == START

    def end(self) -> Position:
        """Returns the position of the last line."""
        found: Any = self._redis.xrevrange(self._stream, count=1)
        return entry_of(*found[0]).end if found else START

    def beat(self) -> tuple[dict[str, int], dict[str, str]]:
        """Says that this server lives; returns how often each has said so, and who has which name."""
        with self._redis.pipeline() as pipe:
            pipe.hincrby(self._servers, self.server, 1)
            pipe.hgetall(self._servers)
            pipe.hgetall(self._names)
            _, beats, names = pipe.execute()
        return {server: int(count) for server, count in beats.items() if count.isdecimal()}, names

    def forget(self, server: str) -> None:
        """Removes a server that lives no more."""
        self._redis.hdel(self._servers, server)

    def disconnect(self) -> None:
        """Closes the connection. Only the thread that uses it may call this."""
        with contextlib.suppress(*self.errors):
            self._redis.connection_pool.disconnect()


def connection(url: str) -> Any:
    """Returns a client of Redis. It connects when it is first asked."""
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise NotImplementedError("the relay needs the package redis: pip install redis") from None
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError(NO_ADDRESS)  # without the text itself: a password may stand in it
    # Redis speaks within ANSWER, or the call ends with an error. By itself, the client would try ten times
    # again, which takes half a minute, and hides that a line may have been added twice.
    try:
        return Redis.from_url(
            url,
            decode_responses=True,
            encoding_errors="replace",  # another program may have added what is no text
            protocol=2,
            socket_timeout=ANSWER,
            socket_connect_timeout=ANSWER,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:
        raise ValueError(NO_ADDRESS) from None


def entry_of(id: str, fields: dict[str, str]) -> Entry:
    """Returns an entry as Redis gave it. Another program may have added it: what is missing is empty."""
    get = fields.get
    return Entry(id, get("by", ""), get("lines", "").split("\n"), get("enters", ""), get("others", ""))


def reason(error: Exception) -> str:
    """Says in a few words why Redis does not answer."""
    # Of a command in a transaction, redis-py also tells what was said: no business of a journal.
    words = printable(str(error)).rpartition(" caused error: ")[2].split()
    return " ".join(words).rstrip(".") or type(error).__name__
