"""What waits to be sent to one client. Posting and flushing never wait; a slow reader delays only itself."""

import contextlib
import os
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from chatlib.wakeup import Wakeup

OUTBOX_LIMIT = 1_048_576
"""Bytes that may wait for one client before it counts as a slow reader and is cut off."""

PIECES = 1000
"""How many posts may wait side by side for a stalled client, before they are joined."""

ROUNDS = 3
"""How often one thread sends what others have posted meanwhile, before somebody else has to."""

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
        flusher: Who sends.
        limit: How much may wait, in bytes.
    """

    __slots__ = (  # there are thousands; and a `__dict__`, for whoever wants to note something about a member
        *("name", "ended", "closed", "connection", "sender", "_flusher", "_limit", "_owed", "_size"),
        *("_stalled", "_lock", "__dict__", "__weakref__"),
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
        # A list: one object, posted to a thousand clients, is not copied a thousand times.
        self._owed: list[bytes] = []
        self._size = 0  # of all these, in bytes
        self._stalled = False  # the kernel's buffer is full: until nothing is owed, who has adopted us sends
        self._lock = threading.Lock()

    @property
    def owed(self) -> int:
        """How many bytes wait here."""
        return self._size

    @property
    def stalled(self) -> bool:
        """True while the kernel takes no more: whoever adopted this outbox sends on when it does."""
        return self._stalled

    def post(self, data: bytes) -> None:
        """Adds bytes to what is owed. Never waits; does nothing once the conversation has ended.

        Raises:
            TypeError: It is text.
        """
        if isinstance(data, str):
            raise TypeError("a member is sent bytes: write member.post(chatlib.encode([text]))")
        with self._lock:
            if self.closed or self.ended or not data:
                return
            if not self._owed:
                self._flusher.posted.append(self)
            self._owed.append(data)
            self._size += len(data)
            if self._stalled and len(self._owed) > PIECES:
                self._owed = [b"".join(self._owed)]  # an object takes more memory than a short line
            if self._size > self._limit:
                self._send()  # perhaps it is not the client that is slow, but whoever should have flushed
                if self._size > self._limit:
                    self._cut(f"it read too slowly: more than {self._limit} bytes waited for it")

    def finish(self, why: str) -> None:
        """Ends the conversation politely: nothing more is read or posted, what is owed is still sent."""
        with self._lock:  # or a cut at the same moment would lose its reason
            self.ended = self.ended or why
            if not self._owed:
                self._flusher.posted.append(self)  # the end has to be sent, too

    def cut(self, why: str) -> None:
        """Ends the conversation at once, from any thread, and wakes the thread that reads from it."""
        with self._lock:
            if not self.closed:
                self._cut(why)

    def flush(self) -> None:
        """Sends what the kernel takes now. Never waits."""
        with self._lock:
            if self._stalled:
                return
            self._send()
            if self._owed:
                self._stalled = self._flusher.adopt(self)

    def resume(self) -> bool:
        """Sends on, once the kernel has room. Never waits; returns True when nothing is owed any more."""
        with self._lock:
            self._send()
            # Only ever cleared here: if it were set by a thread that drains, nobody would have adopted us.
            self._stalled = self._stalled and bool(self._owed)
            return not self._owed

    def drain(self, patience: float, leave: int = 0) -> None:
        """Waits until the client has taken all but `leave` bytes, or has taken none for `patience` seconds.

        Blocks for as long as that takes.
        """

        def is_too_much() -> bool:  # if nobody has adopted us, nobody else sends the rest
            return self._size > (leave if self._stalled else 0)

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
            if self._stalled:
                self._flusher.wake()  # so that its thread lets go of the descriptor

    def _send(self) -> None:
        try:
            if self._owed:
                if len(self._owed) > 1:
                    self._owed = [b"".join(self._owed)]  # lines that travel together cost one call
                sent = self.sender.send(self._owed[0])
                self._size -= sent
                if self._size:
                    self._owed[0] = self._owed[0][sent:]
                else:
                    self._owed.clear()
            if self.ended and not self._owed and not self.closed:
                # Half-close: the client sees the end and leaves, which wakes the thread that waits in `recv`.
                with contextlib.suppress(OSError):  # macOS: this half is shut already
                    self.sender.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError as error:  # the client has gone; the thread that reads from it will hear so, too
            self._cut(error.strerror or "the connection broke")

    def _cut(self, why: str) -> None:
        self.ended, self.closed = self.ended or why, True
        self._forget()
        self._flusher.hang_up(self)

    def _forget(self) -> None:
        self._owed.clear()
        self._size = 0


def shut(connection: socket.socket) -> None:
    """Ends both directions of a connection, and keeps its descriptor. Never waits."""
    # Each half by itself: on macOS SHUT_RDWR raises if one half is shut already (websockets issue 1596).
    for half in (socket.SHUT_RD, socket.SHUT_WR):
        with contextlib.suppress(OSError):
            connection.shutdown(half)


def hang_up(connection: socket.socket) -> None:
    """Ends a connection that another thread may be waiting on, and wakes that thread. Never waits."""
    shut(connection)
    # On Windows shutdown does not wake a thread that waits in recv; close does (CPython issue 91913). Nowhere
    # else may we close here: on macOS a close can undo the wake-up (issue 154224), and on every POSIX system
    # the descriptor's number could be given to a new connection while the other thread still uses it.
    if os.name == "nt":
        connection.close()


class Flusher:
    """Sends what was posted: at once where the kernel has room; where it has not, later, in one thread.

    One thread sends at a time. What others post meanwhile it sends, too, joined: to send to a thousand
    clients for each of ten speakers costs ten times as many calls as to send to them once. If that does not
    end, the flusher's own thread takes over. It is started when it is first needed: when a client stalls, or
    when many speak at once.
    """

    def __init__(self) -> None:
        self.posted: deque[Outbox] = deque()
        """Outboxes with something new in them, each once."""
        self._adopted: deque[Outbox] = deque()
        self._orphans: list[Outbox] = []  # stalled, and no thread could be had: only touched in one's turn
        self._turn = threading.Lock()  # of the one that sends
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wakeup: Wakeup | None = None
        self._closed = False

    def flush(self) -> None:
        """Sees to it that what has been posted is sent. Never waits; any thread that has posted may call it.

        If another thread is sending just now, it sends this, too: it looks again when its turn has ended, and
        whoever posts after that finds the turn free.
        """
        rounds = 0
        while (self.posted or (self._orphans and not rounds)) and self._turn.acquire(blocking=False):
            try:
                self.posted.extend(self._orphans)
                self._orphans.clear()
                for _ in range(len(self.posted)):
                    self.posted.popleft().flush()
            finally:
                self._turn.release()
            rounds += 1
            if rounds % ROUNDS == 0 and self.posted and self._hand_over():
                return

    def sender_for(self, sock: socket.socket) -> socket.socket:
        """Returns what an outbox sends with."""
        # A second Python object for the same descriptor: this one never waits, while the reader's own waits
        # in `recv`. (MSG_DONTWAIT would say the same for a single call, but Windows does not have it.)
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
                self._orphans.append(outbox)
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

    def _hand_over(self) -> bool:
        """Lets the flusher's thread go on: the caller has a client of its own to look after."""
        with self._lock:
            started = not self._closed and self._started()
        self.wake()
        return started

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
                self.flush()

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


class LoopFlusher(Flusher):
    """The flusher of an event loop, whose one thread waits for all clients: it sends to slow readers, too.

    Args:
        changed: Called when an outbox has stalled, or was cut. By any thread, and it must not wait.
    """

    def __init__(self, changed: Callable[[Any], object]) -> None:
        super().__init__()
        self._changed = changed

    def sender_for(self, sock: socket.socket) -> socket.socket:
        """Returns the connection itself: it never waits."""
        return sock

    def hang_up(self, outbox: Outbox) -> None:
        """Ends its connection, and says so."""
        shut(outbox.connection)
        self._changed(outbox)

    def adopt(self, outbox: Outbox) -> bool:
        """Leaves a stalled outbox to the loop."""
        self._changed(outbox)
        return True

    def flush(self) -> None:
        """Sends what has been posted. Waits for another thread that is sending, which never waits itself.

        So what was posted before has been sent then, as far as there was room: coroutines wait for that.
        """
        with self._turn:
            while self.posted:
                self.posted.popleft().flush()
