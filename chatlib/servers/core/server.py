"""What all servers share: the verbs of `socketserver`, safe to call at any time and from any thread."""

import contextlib
import itertools
import os
import selectors
import threading
import time
import weakref
from collections.abc import Callable
from socket import AF_INET, AF_INET6
from socket import socket as Socket
from typing import Any, Self

from chatlib.outbox import Flusher, Outbox
from chatlib.servers.core.limits import Limits
from chatlib.servers.core.thread_flusher import ThreadFlusher
from chatlib.services import Service, Shout
from chatlib.sockets import LOOPBACK, Address, Wakeup, checked, explaining, set_options
from chatlib.wire import encode

BACKLOG = 4096
"""Connections that the kernel completes and keeps until they are accepted: a crowd gets in without a delay.
(With socketserver's 5, others of the crowd wait a second. Linux takes at most `net.core.somaxconn`, 4096.)"""

PAUSE = 0.1
"""Seconds without accepting, after the system had no descriptor left for a connection."""

STOP_WITHIN = 2.0
"""Seconds for which stopping waits at most: a thread that is busy then is left behind."""


class Server:
    """A listener's life: `serve_forever`, `shutdown`, `server_close`; and the clients connected meanwhile.

    The life of a connection: `accept` takes it from the kernel (`get_request`), notes its client and calls
    `process_request`, which serves it or has it served; `shutdown_request` forgets the client and closes.

    A subclass adds three methods: `listen`, `get_request` and `process_request`; an event loop replaces
    `wait`, too. They are declared and not defined here: a definition would hide the one of `socketserver`,
    which comes second. Its `handle_request`, `verify_request` and `service_actions` are not used.

    Args:
        address: Host and port to listen on. This computer only, and any free port, if not given.
        service: What is said; `Shout()` if not given.
        limits: What clients may do; `Limits()` if not given.

    Raises:
        OSError: The address is not available: in use, not allowed, or no such host. The message says which.
        OverflowError: The port is not a number from 0 to 65535.
        TypeError: One of these is something else, say `Broadcast` for `Broadcast()`.
    """

    socket: Socket
    selector: selectors.BaseSelector
    """What the server's thread sleeps in; there is none before it serves."""
    server_address: Any
    listen: Callable[[Address], None]
    get_request: Callable[[], tuple[Socket, Any]]
    process_request: Callable[[Any, Any], None]
    blocking = True
    """Whether its sockets block: the thread that serves a client then sleeps in `recv`."""
    serves_here = True
    """Whether clients are served in this process, and not in a copy of it."""
    allow_reuse_address = os.name == "posix"  # on Windows a second server could bind, and would hear nothing
    request_queue_size = BACKLOG

    def __init__(
        self, address: Address = LOOPBACK, service: Service | None = None, limits: Limits | None = None
    ) -> None:
        self.service = Shout() if service is None else service
        self.limits = Limits() if limits is None else limits
        if not isinstance(self.service, Service):
            raise TypeError(f"{service!r} is not a service: write one like Shout(), with brackets")
        if not hasattr(self.service, "journal"):
            raise TypeError(f"{type(service).__name__}.__init__ does not call super().__init__()")
        if not isinstance(self.limits, Limits):
            raise TypeError(f"{limits!r} is not what it takes: write Limits(idle=0.5), for example")
        address = checked(address)
        self.flusher = self.make_flusher()
        self.clients: dict[Socket, Outbox] = {}
        self._numbers = itertools.count(1)
        # Weak: a thread leaves the set by itself, and only when it has really ended. A thread that took
        # itself out would still run for a moment, and `shutdown` would not wait for it.
        self._handlers: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        self._lock = threading.Lock()  # for `clients` and `_stopping`: never held while a call blocks
        self._stopping = False
        self._serving: threading.Thread | None = None
        self._served = threading.Event()
        self._wakeup: Wakeup | None = None
        self._short_of_descriptors = False
        self.address_family: int = AF_INET6 if ":" in address[0] else AF_INET
        with explaining(address):
            self.listen(address)

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Accepts clients until `shutdown` is called. Blocks, so it is usually called in a thread of its own.

        Once shut down, a server does not serve again. `poll_interval`, which socketserver has, is not used.

        Raises:
            RuntimeError: Another thread serves already.
        """
        with self._lock:
            if self._stopping:
                return
            if self._serving:  # two loops would share one wake-up, and only one of them would see it and end
                raise RuntimeError("this server is being served already")
            self._wakeup = Wakeup()
            self._serving = threading.current_thread()
            self._served.clear()
        try:
            # A client may connect, wake `select` and be gone before `accept`, which would then block, for the
            # next client, and `shutdown` could not wake it. Non-blocking, it raises BlockingIOError instead.
            self.socket.setblocking(False)
            if self.serves_here:
                self.service.begin(self.flusher.flush)
            with self._wakeup.set_by_signals():
                self.wait(self._wakeup)
        finally:
            self._wakeup.close()
            self._serving = None
            self._served.set()

    def wait(self, wakeup: Wakeup) -> None:
        """The loop of `serve_forever`: sleeps until a client comes or `shutdown` sets `wakeup`."""
        with selectors.DefaultSelector() as self.selector:
            self.selector.register(self.socket, selectors.EVENT_READ, self.accept)
            self.selector.register(wakeup, selectors.EVENT_READ)
            while not self._stopping:
                # Blocks: a client that connects wakes the thread, and so does `shutdown`.
                for key, _ in self.selector.select():
                    if key.fileobj is wakeup:
                        wakeup.clear()  # a signal may have set it, and the server is to sleep again
                    elif not self._stopping:
                        key.data()

    def shutdown(self) -> None:
        """Ends `serve_forever` and every conversation, and joins their threads.

        May be called at any time, also before serving began, and twice; but not from the handler of a signal,
        which may interrupt this very server while it holds its lock: set a flag there. Blocks for at most
        2 s; a thread that is still busy then (in a service that sleeps, say) is left behind. Called from one
        of the server's own threads, it does not block: two threads that joined each other would never end.
        """
        with self._lock:  # `_admit` looks at the mark and adds its client under the lock, too: none is missed
            self._stopping = True
            present = list(self.clients.values())
        if self._wakeup:
            self._wakeup.set()
        for outbox in present:
            # Another thread may be in the middle of a flush and not have come to this client yet: what was
            # posted to it would be lost.
            outbox.flush()
            outbox.abort("the server stopped")
        self.join_threads(time.monotonic() + STOP_WITHIN)

    def server_close(self) -> None:
        """Shuts down, and frees the port. Blocks for at most 3 s, and only if a thread does not end."""
        self.shutdown()
        self.socket.close()
        self.service.end(self.flusher.flush)
        self.flusher.close()

    @property
    def stopped(self) -> bool:
        """True once `shutdown` has been called: the server will not serve any more."""
        return self._stopping

    @property
    def threads(self) -> list[threading.Thread]:
        """The threads at work: the one that accepts, then those that serve clients."""
        with self._lock:
            return [thread for thread in (self._serving, *self._handlers) if thread and thread.is_alive()]

    def shutdown_request(self, request: Any) -> None:
        """Closes one connection and forgets its client."""
        with self._lock:
            outbox = self.clients.pop(request, None)
        if outbox:
            outbox.close()  # first: it sends by the same descriptor, whose number is free after the next line
            self.limits.door.leave(outbox.address)
        request.close()

    def start_handler(self, target: Callable[..., None], *args: Any, name: str) -> None:
        """Starts a thread that `shutdown` will join. Raises RuntimeError when the system has none left."""
        thread = threading.Thread(target=target, args=args, name=name, daemon=True)
        with self._lock:
            self._handlers.add(thread)
        thread.start()

    def after_fork(self, request: Socket) -> None:
        """In a forked child: serves one client only, with locks that no thread of the parent holds.

        A lock that a thread of the parent held at the fork stays locked in the child for ever: the thread
        that would release it was not copied.
        """
        mine = self.clients[request]
        mine.sender.detach()
        self._lock, self._wakeup, self.flusher = threading.Lock(), None, self.make_flusher()
        # Kept: their descriptors are closed, and the numbers may be in use again. When Python frees a socket
        # it closes its number, whatever that is by then.
        self._inherited = self.clients
        self.clients = {request: self.make_client(request, mine.name)}
        self.service.after_fork()
        self.service.begin(self.flusher.flush)

    def pause(self) -> None:
        """Sleeps a little: while no descriptor is free, to accept again at once only burns the processor.

        The client is still in the backlog, so `select` would return at once, 300,000 times a second.
        """
        time.sleep(PAUSE)

    def make_client(self, connection: Socket, name: str) -> Outbox:
        """Returns what stands for a new client: for the service, a member."""
        return Outbox(connection, name, self.flusher, self.limits.outbox)

    def make_flusher(self) -> Flusher:
        """Returns what sends to the clients."""
        return ThreadFlusher()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.server_close()

    def accept(self) -> None:
        """Accepts a client that has come, and serves it or begins to: see `process_request`.

        Never blocks by itself, except for a moment if no descriptor is left: see `pause`.
        """
        try:
            connection, address = self.get_request()
        except (BlockingIOError, ConnectionError):  # the client that woke the thread has gone again
            return
        except OSError as error:
            self._note_shortage(error)
            return
        self._short_of_descriptors = False
        name = f"client {next(self._numbers)}"
        if problem := self._admit(connection, name, str(address[0])):
            self._refuse(connection, name, problem)
            return
        try:
            self.process_request(connection, address)
        except Exception as error:  # the system has no thread or process left for it
            self._refuse(connection, name, str(error))
        except BaseException:  # Ctrl-C, where the server runs in the main thread
            self.shutdown_request(connection)
            raise

    def _admit(self, connection: Socket, name: str, host: str) -> str:
        """Adds a client. Returns why not, if it cannot be served."""
        # A `shutdown` at the same moment either finds the client, or is found here. Without the lock it could
        # do neither, and the client's thread would never be told to end.
        with self._lock:
            if self._stopping:
                return "the server stops"
            if len(self.clients) >= self.limits.clients:
                return "the server is full"
            if problem := self.limits.door.enter(host):
                return problem
            try:
                connection.settimeout(self.limits.idle if self.blocking else 0.0)
                set_options(connection)
                client = self.clients[connection] = self.make_client(connection, name)
                client.address = host
            except OSError as error:
                self.limits.door.leave(host)
                return error.strerror or "the connection broke"
        return ""

    def _refuse(self, connection: Socket, name: str, why: str) -> None:
        """Tells a client why it is not served, as far as that takes no time, and closes its connection."""
        self.service.journal.add("refused", name, why)
        with contextlib.suppress(OSError):
            connection.setblocking(False)
            connection.send(encode([f"* {why}"]))
        self.shutdown_request(connection)

    def _note_shortage(self, error: OSError) -> None:
        """Out of descriptors: says so once, until a client could be accepted again, and pauses."""
        if self._stopping:  # the listener has been closed by another thread
            return
        if not self._short_of_descriptors:
            self._short_of_descriptors = True
            self.service.journal.add("paused", "the server", error.strerror or str(error))
        self.pause()

    def join_threads(self, deadline: float) -> None:
        """Blocks until every thread of the server has ended, or `time.monotonic` has reached the deadline."""
        if threading.current_thread() in self.threads:
            return
        if self._serving:  # not joined: it may be the main thread, which goes on after `serve_forever`
            self._served.wait(max(0.0, deadline - time.monotonic()))
        for thread in self.threads:
            if thread is not self._serving:
                thread.join(max(0.0, deadline - time.monotonic()))
