"""What waits to be sent to one client. Posting and flushing never block: a slow reader delays only itself.

A client that is owed more than its outbox may hold is disconnected here: see `Outbox._keep`.

The way of a line: a service calls `post`, which notes it in `_news`. The thread that called the service
calls `Flusher.flush`, which hands the news to the kernel. What the kernel has no room for moves to `_rest`,
and the outbox has *stalled*: from then on a helper thread, or the event loop, calls `send_on` when there is
room again.
"""

import abc
import contextlib
import selectors
import socket
import threading
from collections import deque

OUTBOX_LIMIT = 1_048_576
"""Bytes that may wait for one client before it counts as a slow reader and is disconnected."""

PIECES = 1000
"""Posts that may wait for a flush, if they are short. The next one flushes by itself."""

# Unlike epoll and kqueue these need no descriptor of their own, so they also work when none is left.
PlainSelector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Outbox:
    """The bytes that one client is owed, in order, and the client's name.

    Any thread may call any method. `post` takes no lock, as a broadcast calls it once for each client. The
    others hold the outbox's lock, and only for as long as a `send` that does not block takes.

    Args:
        sock: The connection. Another thread may receive from it meanwhile, with a time limit (`settimeout`).
        name: What the journal calls this client.
        flusher: Is told that there is something to send, and adopts the outbox when it has stalled.
        limit: Bytes that may wait. A client that is owed more is disconnected.
    """

    # There may be thousands: slots save memory. The `__dict__` is for a service's own notes about a member.
    __slots__ = (
        *("name", "address", "ended", "closed", "connection", "sender", "stalled", "_flusher", "_limit"),
        *("_news", "_is_queued", "_rest", "_lock", "__dict__", "__weakref__"),
    )

    def __init__(self, sock: socket.socket, name: str, flusher: "Flusher", limit: int = OUTBOX_LIMIT) -> None:
        self.name = name
        self.address = ""
        """The host that it connects from; the server says so, before it is served."""
        self.ended = ""
        """Why this side ended the conversation; empty while it goes on."""
        self.closed = False
        self.connection = sock
        self.sender = flusher.sender_for(sock)
        """The same connection, in a form whose `send` never blocks."""
        self._flusher = flusher
        self._limit = limit
        self.stalled = False
        """True while the kernel's buffer is full: what has adopted the outbox sends on when there is room."""
        # What no thread has tried to send yet. A list's `append` and `del` are atomic: posting needs no lock.
        self._news: list[bytes] = []
        self._is_queued = False  # it is in `Flusher.posted`
        self._rest: bytearray | None = None  # what the kernel had no room for: it comes before the news
        self._lock = threading.Lock()  # held by the thread that sends, or that ends the conversation

    @property
    def owed(self) -> int:
        """How many bytes wait here."""
        # The news first, as bytes move from there to the rest: another thread may move some between the two
        # looks. In this order they are counted twice; the other way round they would be missed, and the
        # connection closed over them.
        return sum(map(len, self._news)) + len(self._rest or b"")

    def post(self, data: bytes) -> None:
        """Adds bytes to what is owed. Never blocks; does nothing once the conversation has ended.

        Raises:
            TypeError: These are no bytes, but text, for example.
        """
        # Fail in the caller, which made the mistake, not later in whichever thread flushes.
        if not isinstance(data, bytes):
            raise TypeError("a member is sent bytes: write member.post(chatlib.encode([text]))")
        if self.closed or self.ended or not data:
            return
        self._news.append(data)
        # First the news, then the mark; `flush` clears the mark first, then takes the news. So of a post and
        # a flush at the same moment, either the flush sends the post, or the post queues the outbox again.
        if not self._is_queued:
            self._is_queued = True
            self._flusher.posted.append(self)
        # The flush takes long to come, as a service posts very much in one call: memory must stay bounded.
        elif len(self._news) > min(PIECES, self._limit // len(data)):
            self.flush()

    def finish(self, why: str) -> None:
        """Ends the conversation politely: nothing more is read or posted, what is owed is still sent."""
        with self._lock:  # an `abort` at the same moment would overwrite the first reason
            self.ended = self.ended or why
        self._flusher.posted.append(self)  # the flush sends the end (FIN), too

    def abort(self, why: str) -> None:
        """Ends the conversation at once, and wakes the thread that receives. Any thread may call it."""
        with self._lock:
            if not self.closed:
                self._abort(why)

    def flush(self) -> None:
        """Sends what the kernel takes now. Never blocks."""
        with self._lock:
            self._is_queued = False  # before the news are taken: see `post`
            if self.stalled or not self._send():
                self._keep()

    def send_on(self) -> bool:
        """Sends more, once the kernel has room. Never blocks; returns True when nothing waits any more."""
        with self._lock:
            is_done = self._send()
            # Only `_keep` sets the mark, together with `adopt`. If a thread that drains set it here, the
            # outbox would count as stalled without being adopted, and the rest would wait for ever.
            self.stalled = self.stalled and not is_done
            return is_done

    def drain(self, patience: float, leave: int = 0) -> None:
        """Blocks until the client has taken all but `leave` bytes, or for `patience` seconds has taken none.

        This is backpressure: the thread that calls it does not receive meanwhile, so the client's own
        sending comes to a halt until it reads.
        """

        def is_too_much() -> bool:  # an outbox that is not adopted has only this thread to send the rest
            return self.owed > (leave if self.stalled else 0)

        if not is_too_much():
            return
        with PlainSelector() as selector, contextlib.suppress(OSError, ValueError):  # closed meanwhile
            selector.register(self.sender, selectors.EVENT_WRITE)
            # Blocks: room in the kernel's buffer wakes the thread, and so does the end of the connection.
            while is_too_much() and selector.select(patience):
                self.send_on()

    def close(self) -> None:
        """Forgets what is owed. The descriptor stays open: it belongs to the connection."""
        with self._lock:
            self.closed = True
            self._forget()
            if self.sender is not self.connection:
                self.sender.detach()
            if self.stalled:
                self._flusher.wake()  # its selector must let go of the descriptor, which is closed next

    # The methods below are called with the lock held.

    def _send(self) -> bool:
        """Hands to the kernel what it takes now. Returns whether that was all."""
        rest = self._rest
        try:
            if rest:
                self._join()
                del rest[: self.sender.send(rest)]
            elif self._news:
                rest = self._send_news()
            if self.ended and not self.owed and not self.closed:
                # The end (FIN), after all that was owed. The client sees it and closes its side, which wakes
                # the thread that waits in `recv`.
                with contextlib.suppress(OSError):  # macOS: this half is shut already
                    self.sender.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return False
        except OSError as error:  # the client has gone; the thread that receives from it gets an error, too
            if self.ended or self.closed:  # a last post raced with the end: the reason is known
                self._forget()
            else:
                self._abort(error.strerror or "the connection broke")
        return not rest

    def _send_news(self) -> bytearray | None:
        """Sends all news by one call. Returns the rest, if the kernel had no room for it."""
        count = len(self._news)  # other threads may add news during the call; those stay
        data = self._news[0] if count == 1 else b"".join(self._news[:count])
        sent = self.sender.send(data)
        if sent < len(data):
            self._rest = bytearray(data[sent:])
        # Only after `_rest` is set: a thread that saw nothing owed in between would close the connection, and
        # the rest would be lost.
        del self._news[:count]
        return self._rest

    def _keep(self) -> None:
        """Keeps what the kernel did not take, and has the outbox adopted; or disconnects the client."""
        if len(self._join()) > self._limit:
            self._send()  # the client may have read meanwhile, and only the thread that sends on be late
            if self.owed > self._limit:
                self._abort(f"it read too slowly: more than {self._limit} bytes waited for it")
        if self._rest and not self.stalled:
            self.stalled = True  # before `adopt`: an event loop looks at the mark at once, in its own thread
            if not self._flusher.adopt(self):  # no thread or descriptor is left: the next flush tries again
                self.stalled, self._is_queued = False, True
                self._flusher.posted.append(self)

    def _join(self) -> bytearray:
        """Moves the news into the rest: one object. Of a million short lines each would cost 40 bytes."""
        count = len(self._news)
        self._rest = self._rest or bytearray()
        self._rest += b"".join(self._news[:count])
        del self._news[:count]
        return self._rest

    def _abort(self, why: str) -> None:
        self.ended, self.closed = self.ended or why, True
        self._forget()
        self._flusher.hang_up(self)

    def _forget(self) -> None:
        self._news.clear()
        self._rest = None


class Flusher(abc.ABC):
    """The outboxes that wait to be flushed. A subclass says how a stalled one is sent on."""

    def __init__(self) -> None:
        self.posted: deque[Outbox] = deque()
        """Outboxes that wait for the next flush."""

    def flush(self) -> None:
        """Sends what has been posted, as far as the kernel takes it. Never blocks.

        Every thread calls it after it has posted. Several at once share the work: each takes one outbox after
        the other. What is posted after a call has begun is left to the thread that posts it, or a thread
        could be kept here for ever by the others.
        """
        for _ in range(len(self.posted)):
            try:
                outbox = self.posted.popleft()
            except IndexError:  # other threads have taken the rest
                return
            outbox.flush()

    @abc.abstractmethod
    def sender_for(self, sock: socket.socket) -> socket.socket:
        """Returns what an outbox sends with: the connection, in a form whose `send` never blocks."""

    @abc.abstractmethod
    def hang_up(self, outbox: Outbox) -> None:
        """Ends an outbox's connection, and wakes the thread that waits for its client. Never blocks."""

    @abc.abstractmethod
    def adopt(self, outbox: Outbox) -> bool:
        """Takes over a stalled outbox: calls its `send_on` when there is room. Returns False if it cannot."""

    @abc.abstractmethod
    def wake(self) -> None:
        """Has a thread that waits for room look again: one of its outboxes was closed."""

    @abc.abstractmethod
    def close(self) -> None:
        """Ends what the flusher has started."""
