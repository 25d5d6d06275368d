"""The flusher of the servers with blocking threads: a thread of its own sends on to clients that stall."""

import contextlib
import selectors
import socket
import threading
from collections import deque

from chatlib.outbox import Flusher, Outbox, PlainSelector
from chatlib.sockets import Wakeup, hang_up


class ThreadFlusher(Flusher):
    """Sends what was posted: at once where the kernel has room, else later, in a thread started then.

    While every client reads, there is no such thread. It is one for all clients that have stalled: it blocks
    in a selector until one of them has room, so a second slow reader costs a descriptor and not a thread.
    """

    def __init__(self) -> None:
        super().__init__()
        self._adopted: deque[Outbox] = deque()  # given by other threads, not yet in the selector
        self._lock = threading.Lock()  # or two clients that stall at once would start two threads
        self._thread: threading.Thread | None = None
        self._wakeup: Wakeup | None = None
        self._closed = False

    def sender_for(self, sock: socket.socket) -> socket.socket:
        """Returns a second Python object for the same descriptor, which does not block."""
        # Whether a call blocks belongs to the Python object (`settimeout`): the client's thread can block in
        # `recv` on its own object meanwhile. (MSG_DONTWAIT would say the same for a single call, but Windows
        # does not have it, and macOS takes no notice of it in `send`: XNU's `sosend` looks at MSG_NBIO
        # only.)
        sender = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.fileno())
        sender.setblocking(False)
        return sender

    def hang_up(self, outbox: Outbox) -> None:
        """Ends a connection, and wakes the thread that blocks in `recv` on it. Never blocks."""
        hang_up(outbox.connection)

    def adopt(self, outbox: Outbox) -> bool:
        """Gives a stalled outbox to the thread. Returns False if no thread can be had."""
        with self._lock:
            if self._closed or not self._ensure_thread():
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

    def _ensure_thread(self) -> bool:
        """Starts the thread unless it runs. Returns False if none can be had."""
        if self._thread and self._thread.is_alive():
            return True
        try:
            wakeup = Wakeup()
        except OSError:  # no descriptor is left
            return False
        thread = threading.Thread(target=self._run, args=(wakeup,), name="the flusher", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no thread left
            wakeup.close()
            return False
        self._thread, self._wakeup = thread, wakeup
        return True

    def _run(self, wakeup: Wakeup) -> None:
        with contextlib.closing(wakeup), PlainSelector() as selector:
            selector.register(wakeup, selectors.EVENT_READ)
            while not self._closed:
                self._update(selector)
                self._send_on(selector)

    def _update(self, selector: selectors.BaseSelector) -> None:
        """Drops the outboxes that were closed, and adds those that were adopted."""
        for key in list(selector.get_map().values()):
            if key.data and key.data.closed:
                selector.unregister(key.fileobj)
        while self._adopted:
            outbox = self._adopted.popleft()
            # The kernel may have given it the descriptor of a client that was closed after the loop above.
            with contextlib.suppress(KeyError, ValueError):
                selector.unregister(outbox.sender)
            with contextlib.suppress(KeyError, OSError, ValueError):  # closed meanwhile
                selector.register(outbox.sender, selectors.EVENT_WRITE, outbox)

    def _send_on(self, selector: selectors.BaseSelector) -> None:
        with contextlib.suppress(OSError):  # Windows: one was closed just now; `_update` drops it
            # Blocks: a client that reads makes room in the kernel's buffer, which wakes the thread; so does
            # `wake`.
            for key, _ in selector.select():
                if key.data is None:
                    key.fileobj.clear()  # type: ignore[union-attr]
                elif key.data.send_on():
                    selector.unregister(key.fileobj)
