"""Runs in the processes of exercise 11. So that these begin quickly, it imports nothing of ours."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable

HELD = 4321
"""A worker that is to compute this goes to the gate first, and waits there."""

LONG = 60.0
"""Seconds that it waits at most. If the check ends before, its connection ends, and so does the wait."""


def work_held_back(work: Callable[[int], object], port: int, number: int) -> object:
    """Does the work. Before HELD it says at this port which worker it is, and waits to be let go."""
    if number == HELD:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), LONG) as here:
            here.sendall(f"{os.getpid()} {threading.get_ident()}\n".encode())
            here.recv(1)
    return work(number)
