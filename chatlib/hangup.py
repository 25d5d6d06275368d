"""How to end a connection at once, on every system."""

import contextlib
import os
import socket


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
