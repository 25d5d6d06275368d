"""Servers in background threads: start one, stop one, stop them all. The notebook goes on meanwhile."""

import contextlib
import socketserver
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from socket import socket
from typing import Any, Protocol, TypeVar

from chatlib import cells
from chatlib.outbox import hang_up
from chatlib.servers import Server

STOP_WITHIN = 2.0
"""Seconds that `stop` waits at most."""

POLL_INTERVAL = 0.05
"""Seconds between two looks of a stock server whether it shall stop. (Its own choice is 0.5.)"""


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
    """A server, the thread in its `serve_forever`, and the connections of a server that is not ours."""

    server: Serving
    thread: threading.Thread
    accepted: set[socket]


_running: list[Running] = []


def start(server: AnyServer | Callable[..., AnyServer], *args: Any, **kwargs: Any) -> AnyServer:
    """Starts a server in a background thread. Returns at once; the server accepts connections from then on.

    In a notebook, a server that an earlier run of the same cell started is stopped first, so that its port is
    free.

    Args:
        server: A class or function that makes the server from the arguments that follow, or a server. Ours,
        one of `socketserver`, or your own that has the same verbs: `serve_forever`, `shutdown`,
        `server_close`.
        args: What the class or function is called with.
        kwargs: The same, by name.

    Raises:
        OSError: Its address cannot be had.
        ValueError: This server has been stopped before.
    """
    found = _find(server)
    if found:
        return found.server  # type: ignore[return-value]
    cells.close_earlier()
    is_instance = hasattr(server, "serve_forever") and not isinstance(server, type)
    made: Any = server if is_instance else server(*args, **kwargs)  # type: ignore[operator]
    if made.socket.fileno() == -1:
        raise ValueError("this server has been stopped; make a new one and start that")
    if isinstance(made, socketserver.ThreadingMixIn):
        made.daemon_threads = True  # or Python would not exit before the last client has left
    polling = {"poll_interval": POLL_INTERVAL} if isinstance(made, socketserver.BaseServer) else {}
    thread = threading.Thread(target=made.serve_forever, kwargs=polling, name="the server", daemon=True)
    _running.append(Running(made, thread, _follow(made)))
    thread.start()
    cells.remember(made, stop)
    return made  # type: ignore[no-any-return]


def stop(server: Serving) -> None:
    """Stops a server: closes its connections, joins its threads, frees its port.

    Blocks for some milliseconds, and for about 2 s at most. Warns when a handler is still busy then. Does
    nothing if the server has been stopped before. May be called from one of its own handlers.
    """
    found = _find(server)
    if found:
        with contextlib.suppress(ValueError):  # another thread stops it, too
            _running.remove(found)
    if isinstance(server, Server):
        server.server_close()
        busy = any(thread is not threading.current_thread() for thread in server.threads)
    else:
        busy = not _close_foreign(server, found)
    if busy:
        warnings.warn("a handler of this server is still busy after 2 s", RuntimeWarning, stacklevel=2)


def stop_all() -> None:
    """Stops every server that `start` has started. Blocks for at most 2 s for each."""
    for running in list(_running):
        stop(running.server)


@contextlib.contextmanager
def running(server: AnyServer | Callable[..., AnyServer], *args: Any, **kwargs: Any) -> Iterator[AnyServer]:
    """Starts a server as `start` does, and stops it at the end of the `with` block."""
    started = start(server, *args, **kwargs)
    try:
        yield started
    finally:
        stop(started)


def _find(server: object) -> Running | None:
    return next((running for running in _running if running.server is server), None)


def _follow(server: Any) -> set[socket]:
    """Keeps track of whom a stock server has accepted: it does not, so it cannot end a silent one's wait."""
    accepted: set[socket] = set()
    if isinstance(server, Server) or not isinstance(server, socketserver.TCPServer):
        return accepted
    get_request, close_request = server.get_request, server.close_request

    def get_and_add() -> tuple[socket, Any]:
        connection, address = get_request()
        accepted.add(connection)
        return connection, address

    def discard_and_close(request: Any) -> None:
        accepted.discard(request)
        close_request(request)

    vars(server).update(get_request=get_and_add, close_request=discard_and_close)
    return accepted


def _close_foreign(server: Serving, found: Running | None) -> bool:
    """Closes a server that is not ours, whose `shutdown` may wait for ever. Returns whether it has ended."""
    ending = threading.Thread(target=_shutdown_and_close, args=(server,), daemon=True)
    ending.start()
    if found and found.thread is threading.current_thread():
        return True  # one of its handlers asks: the server ends when that handler returns
    deadline = time.monotonic() + STOP_WITHIN
    while ending.is_alive() and time.monotonic() < deadline:
        for connection in found.accepted.copy() if found else ():
            hang_up(connection)
        ending.join(0.02)
    return not ending.is_alive()


def _shutdown_and_close(server: Serving) -> None:
    server.shutdown()
    server.server_close()
