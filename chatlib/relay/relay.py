"""One server's part in a shared room: a thread writes what its clients say, another reads what all say.

No handler thread ever talks to Redis. It leaves its lines in a bounded queue; `_write` takes them to the log.
Also what a server's own clients say comes back by the log only, so all servers show the same order.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from chatlib.journal import Journal
from chatlib.relay.redis_stream import READ, Entry, Log, Position, Said, reason

QUEUE_LIMIT = 8_388_608
"""Characters that may wait for Redis, each line counted with 100 more. What goes beyond is not accepted."""

PATIENCE = 0.1
"""Seconds for which a handler thread waits at most until there is room in the queue: see `wait_for_room`."""

LOOK = 0.05
"""Seconds after which the reading thread looks whether a client wants older lines, or the server stops."""

AGAIN = 0.2
"""Seconds between two attempts, while Redis is away."""

BEAT = 5.0
"""Seconds after which the room is told that time has passed."""

BATCH = 500
"""Entries that are written at once."""

CLOSE_WITHIN = 1.0
"""Seconds that are left, when the server stops, to write what its clients have said."""


class Room(Protocol):
    """What a relay tells."""

    def deliver(self, entries: Sequence[Entry]) -> None:
        """Gives entries of the log to the clients."""

    def missed(self) -> None:
        """Entries between those that were delivered and the next ones are not kept any more."""

    def catch_up(self, log: Log) -> bool:
        """Gives older lines to clients that want some. Returns whether more can be given at once."""

    def beat(self, log: Log) -> None:
        """Some seconds have passed, and Redis answers."""

    def written(self, batch: Sequence[Said], names: dict[str, str]) -> None:
        """What was said is in the log."""


class Relay:
    """Writes to a room's log, and reads it, in two threads.

    Args:
        log: To be written to; its connection serves the writing thread.
        reading: The same log by another connection.
        room: Is told what is read.
        journal: Says when Redis was away, and since when it is back.
        after: Entries after this one are new.
    """

    def __init__(self, log: Log, reading: Log, room: Room, journal: Journal, after: Position) -> None:
        self._log, self._reading, self._room, self._journal = log, reading, room, journal
        self._read_to = after
        self._queue: deque[Said] = deque()
        self._first = 1  # the number of the first in the queue
        self._size = 0
        self._changed = threading.Condition()  # for the four around it
        self._is_stuck = False  # the queue was full for PATIENCE: nobody waits for it again before it moves
        self._refused = 0
        self._closing = threading.Event()
        self._away: dict[str, float] = {}  # which of the threads finds Redis away, and since when
        self._threads = [
            threading.Thread(target=target, name=f"the relay {name}", daemon=True)
            for name, target in (("writes", self._write), ("reads", self._read))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def server(self) -> str:
        """The name by which the log knows this server."""
        return self._log.server

    def wait_for_room(self) -> None:
        """Blocks until the queue has room, and for at most `PATIENCE` seconds: backpressure.

        The client is not read meanwhile. Only the first ones wait: if the queue has not moved in that time,
        Redis is away, and a server of one thread would spend its time here.
        """
        with self._changed:
            if self._size > QUEUE_LIMIT and not self._is_stuck:
                has_room = self._changed.wait_for(lambda: self._size <= QUEUE_LIMIT, PATIENCE)
                self._is_stuck = not has_room

    def offer(self, said: Said, always: bool = False) -> bool:
        """Leaves something to be written. Never blocks; returns False if the queue is full."""
        with self._changed:
            if self._size > QUEUE_LIMIT and not always:
                if not self._refused:
                    self._journal.add(
                        "paused", "the relay", "too much waits for Redis: lines are not accepted"
                    )
                self._refused += len(said.lines)
                return False
            self._queue.append(said)
            self._size += size_of(said)
            self._changed.notify_all()
            return True

    def close(self) -> None:
        """Writes what waits, and ends both threads. Blocks for little more than `CLOSE_WITHIN` seconds."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        deadline = time.monotonic() + CLOSE_WITHIN
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _write(self) -> None:
        next_beat = 0.0
        while not (self._closing.is_set() and "written" in self._away):  # stopped, with Redis away
            with self._changed:
                # Blocks: a client that says something wakes the thread, and so does `close`, and the beat.
                wait = max(0.0, next_beat - time.monotonic())
                self._changed.wait_for(lambda: self._queue or self._closing.is_set(), wait)
                batch = [self._queue[at] for at in range(min(BATCH, len(self._queue)))]
            if self._closing.is_set() and not batch:
                break
            with self._noticing("written", self._log):
                if batch:
                    names = self._log.append(self._first, batch)
                    self._take_out(batch)
                    self._room.written(batch, names)
                if time.monotonic() >= next_beat:
                    self._room.beat(self._log)
                    next_beat = time.monotonic() + BEAT
        with contextlib.suppress(*self._log.errors):
            self._log.forget(self._log.server)
        self._log.disconnect()

    def _take_out(self, batch: Sequence[Said]) -> None:
        with self._changed:
            for _ in batch:
                self._size -= size_of(self._queue.popleft())
            self._first += len(batch)
            refused, self._refused, self._is_stuck = self._refused, 0, False
            self._changed.notify_all()
        if refused:
            self._journal.add("resumed", "the relay", f"{refused} lines were not accepted")

    def _read(self) -> None:
        is_behind = is_late = False
        while not self._closing.is_set():
            with self._noticing("read", self._reading):
                is_late, was_late = True, is_late  # it stays so, if the next call raises
                # Blocks: a new entry wakes the thread.
                entries = self._reading.read(self._read_to, 0.0 if is_behind else LOOK)
                is_late = len(entries) == READ
                # Asked after the reading: what is kept now was kept then.
                if (is_late or was_late) and not self._reading.keeps(self._read_to):
                    self._room.missed()
                if entries:
                    self._room.deliver(entries)
                    self._read_to = entries[-1].end
                is_behind = self._room.catch_up(self._reading)
        self._reading.disconnect()

    @contextlib.contextmanager
    def _noticing(self, what: str, log: Log) -> Any:
        """Notes in the journal that Redis is away, once, and waits a little; then that it is back."""
        try:
            yield
        except self._log.conflict:  # at once again
            return
        except Exception as error:  # no Redis may answer, but something else: then redis-py raises what comes
            log.disconnect()
            if what not in self._away:
                self._away[what] = time.monotonic()
                if not self._closing.is_set():  # or it was `close` that has disconnected
                    self._journal.add("paused", "the relay", f"nothing can be {what}: {reason(error)}")
            self._closing.wait(AGAIN)
        else:
            if since := self._away.pop(what, 0.0):
                waited = time.monotonic() - since
                self._journal.add("resumed", "the relay", f"it is {what} again after {waited:.1f} s")


def size_of(said: Said) -> int:
    """Returns what something counts in the queue."""
    return sum(map(len, said.lines)) + 100 * max(1, len(said.lines))
