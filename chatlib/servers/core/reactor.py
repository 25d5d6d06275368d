"""What a selector's event loop watches: each client for what comes next, and the clock for late ones."""

import time
from collections import deque
from collections.abc import Iterator
from selectors import EVENT_READ, BaseSelector
from socket import socket

from chatlib.servers.core.selector_client import SelectorClient
from chatlib.servers.core.session import SILENT
from chatlib.sockets import Wakeup

LONGEST_SLEEP = 86_400.0
"""Seconds. The loop looks at the clock then at the latest."""


class Reactor:
    """A selector, and the clients in it. Only the loop's thread calls it, except for `changed`.

    Args:
        selector: What the loop sleeps in.
        listener: The server's listening socket, which is watched from now on.
        wakeup: Wakes the loop; it is watched, too.
    """

    def __init__(self, selector: BaseSelector, listener: socket, wakeup: Wakeup) -> None:
        self._selector, self._listener, self._wakeup = selector, listener, wakeup
        self._changed: deque[SelectorClient] = deque()
        # No deadline is over before this time. A client's own deadline moves with each line that it sends: to
        # keep them sorted would cost more than to look at all of them now and then.
        self._next_look = self._accepts_at = 0.0
        self._is_paused = False
        selector.register(listener, EVENT_READ)
        selector.register(wakeup, EVENT_READ)

    @property
    def clients(self) -> list[SelectorClient]:
        """The clients that are watched."""
        return [key.data for key in self._selector.get_map().values() if key.data]

    def update_interest(self, client: SelectorClient) -> bool:
        """Watches a client for what it must do next. Returns False if that is nothing: all is over."""
        interest = client.interest()
        if interest != client.watched:  # each change is a call of the kernel: most lines need none
            if not client.watched:
                self._selector.register(client.connection, interest, client)
            elif interest:
                self._selector.modify(client.connection, interest, client)
            else:
                self._selector.unregister(client.connection)
            client.watched = interest
        if client.deadline < self._next_look:
            self._next_look = client.deadline
        return interest != 0

    def changed(self, client: SelectorClient) -> None:
        """Notes, from any thread, that a client has stalled or was aborted, and wakes the loop."""
        # Not `update_interest` at once: a selector that is changed by another thread while it waits may miss
        # it, and a deque's `append` is atomic.
        self._changed.append(client)
        self._wakeup.set()

    def due(self) -> Iterator[SelectorClient]:
        """Yields the clients whose interest may have changed; aborts the conversation of late ones."""
        for client in self._late():
            client.abort(SILENT)  # calls `changed`: it is yielded below
        while self._changed:
            yield self._changed.popleft()

    def pause(self, seconds: float) -> None:
        """Accepts no client for some time. The others are served meanwhile."""
        self._selector.unregister(self._listener)
        self._is_paused, self._accepts_at = True, time.monotonic() + seconds
        self._next_look = min(self._next_look, self._accepts_at)

    def timeout(self) -> float:
        """Returns for how many seconds the loop may sleep, if nothing happens."""
        return max(0.0, self._next_look - time.monotonic())

    def _late(self) -> list[SelectorClient]:
        """Returns the clients whose deadline is over. Costs nothing until the earliest one may be."""
        now = time.monotonic()
        if now < self._next_look:
            return []
        if self._is_paused and self._accepts_at <= now:
            self._selector.register(self._listener, EVENT_READ)
            self._is_paused = False
        clients = self.clients
        deadlines = [client.deadline for client in clients if client.deadline > now]
        self._next_look = min([*deadlines, self._accepts_at if self._is_paused else now + LONGEST_SLEEP])
        return [client for client in clients if client.deadline <= now]
