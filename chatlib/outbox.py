"""What waits to be sent to one client. Posting and flushing never wait; a slow reader delays only itself."""

import contextlib
import selectors
import socket
import threading
from collections import deque

from chatlib.sockets import Wakeup, hang_up

OUTBOX_LIMIT = 1_048_576
"""Bytes that may wait for one client before it counts as a slow reader and is cut off."""

PIECES = 1000
"""Posts that may wait for a flush, if they are short. The next one flushes by itself."""

# Unlike epoll and kqueue these need no descriptor of their own, so they also work when none is left.
PlainSelector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Outbox:
    """The bytes that one client is owed, in order, and the name that it goes by.

    `post` adds to them and `Flusher.flush` sends what the kernel takes at once. The rest waits here, and
    whoever has adopted it, the flusher's thread or the event loop, sends it as the client reads on. When more
    than `limit` bytes wait, the client is cut off.

    Args:
        sock: The connection. Another thread may go on receiving from it, with a time limit (`settimeout`).
        name: What the journal calls this client.
        flusher: Who is told that there is something to send, and goes on when the client has stalled.
        limit: How much may wait, in bytes.
    """

    __slots__ = (  # there are thousands; and a `__dict__`, for whoever wants to note something about a member
        *("name", "ended", "closed", "connection", "sender", "stalled", "_flusher", "_limit"),
        *("_news", "_is_posted", "_rest", "_lock", "__dict__", "__weakref__"),
    )

    def __init__(self, sock: socket.socket, name: str, flusher: "Flusher", limit: int = OUTBOX_LIMIT) -> None:
        self.name = name
        self.ended = ""
        """Why this side ended the conversation; empty while it goes on."""
        self.closed = False
        self.connection = sock
        self.sender = flusher.sender_for(sock)
        """The same connection, in a form that never waits."""
        self._flusher = flusher
        self._limit = limit
        self.stalled = False
        """True while the kernel takes no more: whoever adopted this outbox sends on when it does."""
        # What nobody has tried to send yet. A list's `append` and `del` are atomic: adding needs no lock.
        self._news: list[bytes] = []
        self._is_posted = False  # it is among those that are to be flushed
        self._rest: bytearray | None = None  # what the kernel had no room for: it comes first
        self._lock = threading.Lock()  # held by whoever sends, or ends the conversation

    @property
    def owed(self) -> int:
        """How many bytes wait here."""
        # News first. They only move into the rest: what moves meanwhile is counted twice, never overlooked.
        return sum(map(len, self._news)) + len(self._rest or b"")

    def post(self, data: bytes) -> None:
        """Adds bytes to what is owed. Never waits; does nothing once the conversation has ended.

        Raises:
            TypeError: They are none: text, for example.
        """
        if not isinstance(data, bytes):  # nobody may find that out later, when somebody else flushes
            raise TypeError("a member is sent bytes: write member.post(chatlib.encode([text]))")
        if self.closed or self.ended or not data:
            return
        self._news.append(data)
        # In this order, while `flush` clears the mark first and looks then: no post is overlooked.
        if not self._is_posted:
            self._is_posted = True
            self._flusher.posted.append(self)
        elif len(self._news) > min(PIECES, self._limit // len(data)):  # whoever should flush takes too long
            self.flush()

    def finish(self, why: str) -> None:
        """Ends the conversation politely: nothing more is read or posted, what is owed is still sent."""
        with self._lock:  # or a cut at the same moment would lose its reason
            self.ended = self.ended or why
        self._flusher.posted.append(self)  # the end has to be sent, too

    def abort(self, why: str) -> None:
        """Ends the conversation at once, from any thread, and wakes the thread that reads from it."""
        with self._lock:
            if not self.closed:
                self._abort(why)

    def flush(self) -> None:
        """Sends what the kernel takes now. Never waits."""
        with self._lock:
            self._is_posted = False
            if self.stalled or not self._send():
                self._keep()

    def resume(self) -> bool:
        """Sends on, once the kernel has room. Never waits; returns True when it has taken all."""
        with self._lock:
            is_done = self._send()
            # Only ever cleared here: if it were set by a thread that drains, nobody would have adopted us.
            self.stalled = self.stalled and not is_done
            return is_done

    def drain(self, patience: float, leave: int = 0) -> None:
        """Blocks until the client has taken all but `leave` bytes, or none for `patience` seconds."""

        def is_too_much() -> bool:  # if nobody has adopted us, nobody else sends the rest
            return self.owed > (leave if self.stalled else 0)

        if not is_too_much():
            return
        with PlainSelector() as selector, contextlib.suppress(OSError, ValueError):  # closed meanwhile
            selector.register(self.sender, selectors.EVENT_WRITE)
            while is_too_much() and selector.select(patience):
                self.resume()

    def close(self) -> None:
        """Forgets what is owed. The descriptor stays open: it belongs to the connection."""
        with self._lock:
            self.closed = True
            self._forget()
            if self.sender is not self.connection:
                self.sender.detach()
            if self.stalled:
                self._flusher.wake()  # so that its thread lets go of the descriptor

    def _send(self) -> bool:
        """Returns whether the kernel has taken it all."""
        rest = self._rest
        try:
            if rest:
                self._join()
                del rest[: self.sender.send(rest)]
            elif self._news:
                rest = self._send_news()
            if self.ended and not self.owed and not self.closed:
                self._half_close()
        except BlockingIOError:
            return False
        except OSError as error:  # the client has gone; the thread that reads from it will hear so, too
            if self.ended or self.closed:  # it was posted at the very moment when all was over
                self._forget()
            else:
                self._abort(error.strerror or "the connection broke")
        return not rest

    def _send_news(self) -> bytearray | None:
        """Sends them all with one call. Returns the rest, if the kernel had no room for it."""
        count = len(self._news)  # others may post meanwhile
        data = self._news[0] if count == 1 else b"".join(self._news[:count])
        sent = self.sender.send(data)
        if sent < len(data):
            self._rest = bytearray(data[sent:])
        # Only now: a thread that sees nothing owed closes the connection, and the rest would be lost.
        del self._news[:count]
        return self._rest

    def _half_close(self) -> None:
        """The client sees the end and leaves, which wakes the thread that waits in `recv`."""
        with contextlib.suppress(OSError):  # macOS: this half is shut already
            self.sender.shutdown(socket.SHUT_WR)

    def _keep(self) -> None:
        """Keeps what the kernel did not take, or cuts the client off."""
        if len(self._join()) > self._limit:
            self._send()  # perhaps it is not the client that is slow, but whoever should have resumed
            if self.owed > self._limit:
                self._abort(f"it read too slowly: more than {self._limit} bytes waited for it")
        if self._rest and not self.stalled:
            self.stalled = True  # before the event loop looks at it
            if not self._flusher.adopt(self):
                self.stalled, self._is_posted = False, True
                self._flusher.posted.append(self)

    def _join(self) -> bytearray:
        # For somebody who reads slowly: an object for each short line would take much more memory.
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


class Flusher:
    """Sends what was posted: at once where the kernel has room, else later, in a thread started then."""

    def __init__(self) -> None:
        self.posted: deque[Outbox] = deque()
        """Outboxes that wait for the next flush."""
        self._adopted: deque[Outbox] = deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wakeup: Wakeup | None = None
        self._closed = False

    def flush(self) -> None:
        """Sends what has been posted, as far as the kernel takes it. Never waits for a client.

        Every thread calls it after it has posted. Several at once share the work: each takes one outbox after
        the other. What is posted after a call has begun is left to the thread that posts it.
        """
        for _ in range(len(self.posted)):
            try:
                outbox = self.posted.popleft()
            except IndexError:  # others have helped
                return
            outbox.flush()

    def sender_for(self, sock: socket.socket) -> socket.socket:
        """Returns what an outbox sends with."""
        # A second Python object for the same descriptor: this one never waits, while the reader's own waits
        # in `recv`. (MSG_DONTWAIT would say the same for a single call, but Windows does not have it, and
        # macOS takes no notice of it in `send`: XNU's `sosend` looks at MSG_NBIO only.)
        sender = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.fileno())
        sender.setblocking(False)
        return sender

    def hang_up(self, outbox: Outbox) -> None:
        """Ends its connection, and wakes the thread that waits for the client."""
        hang_up(outbox.connection)

    def adopt(self, outbox: Outbox) -> bool:
        """Takes over a stalled outbox. Returns False if no thread can be had: the next flush tries again."""
        with self._lock:
            if self._closed or not self._started():
                return False
            self._adopted.append(outbox)
        self.wake()
        return True

    def wake(self) -> None:
        """Makes the thread look again at what it has to wait for."""
        if self._wakeup:
            self._wakeup.set()

    def close(self) -> None:
        """Ends the thread. Blocks for at most a second."""
        with self._lock:
            self._closed = True
        self.wake()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(1.0)

    def _started(self) -> bool:
        if self._thread and self._thread.is_alive():
            return True
        try:
            wakeup = Wakeup()
        except OSError:  # out of descriptors
            return False
        thread = threading.Thread(target=self._run, args=(wakeup,), name="the flusher", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # out of threads
            wakeup.close()
            return False
        self._thread, self._wakeup = thread, wakeup
        return True

    def _run(self, wakeup: Wakeup) -> None:
        with contextlib.closing(wakeup), PlainSelector() as selector:
            selector.register(wakeup, selectors.EVENT_READ)
            while not self._closed:
                self._update(selector)
                with contextlib.suppress(OSError):  # Windows: one was closed just now; _update drops it
                    self._resume_ready(selector)

    def _update(self, selector: selectors.BaseSelector) -> None:
        for key in list(selector.get_map().values()):
            if key.data and key.data.closed:
                selector.unregister(key.fileobj)
        while self._adopted:
            outbox = self._adopted.popleft()
            with contextlib.suppress(KeyError, ValueError):  # a closed one may have had its descriptor
                selector.unregister(outbox.sender)
            with contextlib.suppress(KeyError, OSError, ValueError):  # closed meanwhile
                selector.register(outbox.sender, selectors.EVENT_WRITE, outbox)

    def _resume_ready(self, selector: selectors.BaseSelector) -> None:
        for key, _ in selector.select():
            if key.data is None:
                key.fileobj.clear()  # type: ignore[union-attr]
            elif key.data.resume():
                selector.unregister(key.fileobj)
