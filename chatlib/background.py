"""Servers in background threads: start one, stop one, stop them all. The notebook goes on meanwhile."""

import contextlib
import errno
import os
import signal
import socketserver
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from socket import socket
from typing import Any, Protocol, TypeVar

from chatlib import notebook_cells
from chatlib.servers import Server
from chatlib.servers.core.server import STOP_WITHIN
from chatlib.sockets import Keepers, hang_up

POLL_INTERVAL = 0.05
"""Seconds between a stock server's checks for `shutdown`. (socketserver's default is 0.5.)"""


class Serving(Protocol):
    """Any server that is driven by the verbs of `socketserver`."""

    @property
    def server_address(self) -> Any:
        """Where it listens: host and port."""

    def serve_forever(self) -> None:
        """Serves until `shutdown`. Blocks."""

    def shutdown(self) -> None:
        """Ends `serve_forever`."""

    def server_close(self) -> None:
        """Frees the port."""


AnyServer = TypeVar("AnyServer", bound=Serving)


@dataclass(frozen=True)
class Running:
    """A server that `start` has started."""

    server: Serving
    thread: threading.Thread
    """The one in `serve_forever`."""
    stopping: threading.Event
    handlers: dict[Any, threading.Thread]
    """The connections of a stock server, each with the thread that serves it: the server keeps no list."""
    cell: str
    """The title of the notebook's cell that has started it."""


_running: dict[int, Running] = {}  # by `id(server)`: a student's server need not be hashable


def start(server: AnyServer | Callable[..., AnyServer], *args: Any, **kwargs: Any) -> AnyServer:
    """Starts a server in a background thread. Returns at once; the server accepts connections from then on.

    In a notebook, a server that an earlier run of the same cell started is stopped first: its port is free.

    Args:
        server: A server, or a class or function that makes it from the arguments that follow. Ours, one of
            `socketserver`, or your own with the same verbs: `serve_forever`, `shutdown`, `server_close`.
        args: What the class or function is called with.
        kwargs: The same, by name.

    Raises:
        OSError: Its address is not available.
        TypeError: This is no server, and does not make one.
        ValueError: This server has been stopped before, or is being served by a thread of your own.
        RuntimeError: The system has no thread left for it.
    """
    found = _running.get(id(server))
    # Its thread lives on for a moment after the server was closed: only a server that is open still runs.
    if found and found.thread.is_alive() and not _has_ended(found.server):
        return found.server  # type: ignore[return-value]
    is_server = _has_verb(server, "serve_forever")
    if not is_server and not callable(server):
        raise TypeError(f"{server!r} is neither a server nor a class that makes one")
    if isinstance(server, type) and issubclass(server, socketserver.BaseRequestHandler):
        name = server.__name__
        raise TypeError(f'{name} is a handler, not a server: start(TCPServer, ("127.0.0.1", 0), {name})')
    notebook_cells.close_earlier()
    made: Any = server if is_server else _made(server, args, kwargs)  # type: ignore[arg-type]
    if _has_ended(made):
        raise ValueError("this server has been stopped; make a new one and start that")
    if isinstance(made, Server) and made.threads:
        raise ValueError("another thread runs this server's serve_forever already")
    # Noted before it serves: its first handler may stop it at once, and `stop` must find it.
    running = _running[id(made)] = _prepare(made)
    try:
        running.thread.start()
    except RuntimeError:
        del _running[id(made)]
        if not is_server:  # no variable of the caller holds it: its port would stay taken
            made.server_close()
        raise
    notebook_cells.remember(made, stop)
    return made  # type: ignore[no-any-return]


def stop(server: Serving) -> None:
    """Stops a server: closes its connections, joins its threads, frees its port.

    Blocks for some milliseconds; for at most 3 s if a handler is busy, and then warns. Does nothing if the
    server has been stopped before. Called from one of its own handlers, it does not wait.
    """
    if not _has_verb(server, "shutdown"):
        raise TypeError(f"{server!r} is not a server: stop takes what start has returned")
    found = _running.pop(id(server), None)
    if isinstance(server, Server):
        server.server_close()
        ended = threading.current_thread() in server.threads or not server.threads
        if found and not server.threads:
            found.thread.join(STOP_WITHIN)  # it has served, and has only to end
    elif found:
        ended = _close_stock(found)
    else:
        # Started elsewhere, or never. In a thread, because `shutdown` blocks for ever if it never served.
        shutting_down = threading.Thread(target=server.shutdown, daemon=True)
        shutting_down.start()
        shutting_down.join(STOP_WITHIN)
        server.server_close()
        ended = True
    if not ended:
        warnings.warn("a handler of this server is still busy after 2 s", RuntimeWarning, stacklevel=2)


def stop_all() -> None:
    """Stops every server that `start` has started, one after the other, each as `stop` does."""
    for running in list(_running.values()):
        stop(running.server)


@contextlib.contextmanager
def running(server: AnyServer | Callable[..., AnyServer], *args: Any, **kwargs: Any) -> Iterator[AnyServer]:
    """Starts a server as `start` does, and stops it at the end of the `with` block."""
    started = start(server, *args, **kwargs)
    try:
        yield started
    finally:
        stop(started)


def _has_verb(server: object, verb: str) -> bool:
    """Returns whether this is a server, and no class or function, as far as one of its verbs tells.

    Not asked by `isinstance` with a protocol: Python 3.12 and later would overlook the verbs of a server that
    passes them on to another with `__getattr__`.
    """
    return not isinstance(server, type) and hasattr(server, verb)


def _has_ended(server: Any) -> bool:
    listener = getattr(server, "socket", None)
    stopped = isinstance(server, Server) and server.stopped
    return stopped or (isinstance(listener, socket) and listener.fileno() == -1)


def _made(factory: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Returns a server. A stock one may bind the port that it had a moment ago, which it refuses by default.

    If the port is taken, and the error does not say so yet, it says by whom.
    """
    stock = isinstance(factory, type) and issubclass(factory, socketserver.TCPServer)
    if stock and not issubclass(factory, Server) and os.name == "posix":  # type: ignore[arg-type]
        factory = type(factory.__name__, (factory,), {"allow_reuse_address": True})  # type: ignore[arg-type]
    try:
        return factory(*args, **kwargs)
    except OSError as error:
        address = next((one for one in args if isinstance(one, tuple) and len(one) == 2), ("", 0))
        keeper = keeper_of(address[1]) if error.errno == errno.EADDRINUSE else ""
        if not keeper or keeper in str(error):
            raise
        raise type(error)(error.errno, f"{error.strerror}{keeper}") from None


def keeper_of(port: int) -> str:
    """Says which cell's server has a port, and how to free it; nothing if it is none of a cell's."""
    for running in list(_running.values()):
        address = running.server.server_address
        if running.cell and not _has_ended(running.server) and address[1:2] == (port,):
            return f", by the server of the cell {running.cell}; to free it, run chatlib.stop_all() in a cell"
    return ""


Keepers.of = staticmethod(keeper_of)


def _prepare(server: Any) -> Running:
    """Returns a thread for a server, not yet started."""
    stock = isinstance(server, socketserver.BaseServer)
    options = {"poll_interval": POLL_INTERVAL} if stock else {}
    thread = threading.Thread(target=server.serve_forever, kwargs=options, name="the server", daemon=True)
    running = Running(server, thread, threading.Event(), {}, notebook_cells.title())
    if stock and not isinstance(server, Server):
        _track(running, server)
    return running


def _track(running: Running, server: Any) -> None:
    """Keeps track of a stock server: of its connections, so that `stop` can wake a handler that waits for a
    silent client; and of the end of its thread, so that it can be started again."""
    finish_request, shutdown = server.finish_request, server.shutdown

    def finish_tracked_request(request: Any, client_address: Any) -> None:
        running.handlers[request] = threading.current_thread()
        try:
            # The race with `stop`, which sets the event and then reads the handlers: one sees the other.
            if not running.stopping.is_set():
                finish_request(request, client_address)
        finally:
            running.handlers.pop(request, None)

    def shutdown_and_join() -> None:
        shutdown()  # returns when the loop is left; until the thread has ended as well, it seems to serve
        if running.thread.ident and running.thread is not threading.current_thread():
            running.thread.join(STOP_WITHIN)

    server.finish_request, server.shutdown = finish_tracked_request, shutdown_and_join
    server.daemon_threads = True  # or Python would not exit before the last client has left


def _close_stock(running: Running) -> bool:
    """Stops a server that `start` has started and that is none of ours.

    Blocks for at most `STOP_WITHIN` seconds. Returns whether its threads have ended in that time.
    """
    server = running.server

    def shutdown_and_close() -> None:
        server.shutdown()
        server.server_close()

    running.stopping.set()
    handlers = dict(running.handlers)
    ending = threading.Thread(target=shutdown_and_close, daemon=True)
    ending.start()
    for connection in handlers:
        if isinstance(connection, socket):  # by UDP there is no connection
            hang_up(connection)
    # Those of a ForkingTCPServer: each has a copy of the listener, and server_close would wait for them.
    for child in list(getattr(server, "active_children", None) or ()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    threads = [running.thread, ending, *handlers.values()]
    if threading.current_thread() in threads:
        return True  # one of its handlers asks: the server ends when that handler returns
    deadline = time.monotonic() + STOP_WITHIN
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)
