"""What an event loop watches: each client for what it wants, and the clock for those who take too long."""

import time
from collections import deque
from collections.abc import Iterator
from selectors import EVENT_READ, BaseSelector
from socket import socket

from chatlib.servers.core.selector_client import SelectorClient
from chatlib.servers.core.session import SILENT
from chatlib.sockets import Wakeup

LONGEST_SLEEP = 86_400.0
"""Seconds. The clock is looked at then at the latest."""


class Reactor:
    """A selector, and who is in it.

    Args:
        selector: What waits.
        listener: The server's listening socket, which is watched from now on.
        wakeup: The same for what wakes the loop.
    """

    def __init__(self, selector: BaseSelector, listener: socket, wakeup: Wakeup) -> None:
        self._selector, self._listener, self._wakeup = selector, listener, wakeup
        self._changed: deque[SelectorClient] = deque()
        self._next_look = self._accepts_at = 0.0
        self._paused = False
        selector.register(listener, EVENT_READ)
        selector.register(wakeup, EVENT_READ)

    @property
    def all(self) -> list[SelectorClient]:
        """The clients that are watched."""
        return [key.data for key in self._selector.get_map().values() if key.data]

    def update_interest(self, talk: SelectorClient) -> bool:
        """Waits for what a client wants next. Returns False if that is nothing: it is watched no more."""
        interest = talk.interest()
        if interest != talk.watched:
            if not talk.watched:
                self._selector.register(talk.connection, interest, talk)
            elif interest:
                self._selector.modify(talk.connection, interest, talk)
            else:
                self._selector.unregister(talk.connection)
            talk.watched = interest
        if talk.deadline < self._next_look:
            self._next_look = talk.deadline
        return interest != 0

    def changed(self, talk: SelectorClient) -> None:
        """Notes, from any thread, that a client may want something else now."""
        self._changed.append(talk)
        self._wakeup.set()

    def due(self) -> Iterator[SelectorClient]:
        """Yields those who may want something else now; those whose time is over are cut off."""
        for talk in self._late():
            talk.abort(SILENT)
        while self._changed:
            yield self._changed.popleft()

    def pause(self, seconds: float) -> None:
        """Accepts nobody for so long."""
        self._selector.unregister(self._listener)
        self._paused, self._accepts_at = True, time.monotonic() + seconds
        self._next_look = min(self._next_look, self._accepts_at)

    def sleep(self) -> float:
        """Returns for how many seconds the loop may sleep, if nothing happens."""
        return max(0.0, self._next_look - time.monotonic())

    def _late(self) -> list[SelectorClient]:
        """Looks at each client's deadline only when one is over."""
        now = time.monotonic()
        if now < self._next_look:
            return []
        if self._paused and self._accepts_at <= now:
            self._selector.register(self._listener, EVENT_READ)
            self._paused = False
        talks = self.all
        deadlines = [talk.deadline for talk in talks if talk.deadline > now]
        self._next_look = min([*deadlines, self._accepts_at if self._paused else now + LONGEST_SLEEP])
        return [talk for talk in talks if talk.deadline <= now]
