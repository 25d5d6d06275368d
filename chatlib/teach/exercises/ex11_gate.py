"""Exercise 11: where workers that compute wait, until the check lets them go on."""

import contextlib
import functools
import importlib
import multiprocessing
import os
import socket
import sys
from pathlib import Path
from typing import Any, NamedTuple

SAYS_WITHIN = 30.0
"""Seconds in which a worker that has connected says which it is. It does so at once, if it is ours."""

FOLDER = str(Path(__file__).parent)
"""Where a fresh Python finds the one module of ours that it needs, without importing all of chatlib."""


class Worker(NamedTuple):
    """A process or thread that has been told to compute, and waits at the gate."""

    pid: int
    thread: int
    sock: socket.socket

    def release(self) -> None:
        """Lets it go on."""
        with contextlib.suppress(OSError):
            self.sock.sendall(b"!")  # closing alone would do nothing, if another process had a copy
        self.sock.close()


class Gate:
    """Where the workers of a server wait that compute HELD, until they are released.

    Args:
        server: The server: from now on it computes by way of the gate, and nothing is left of it at its end.
    """

    def __init__(self, server: Any) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.waiting: list[Worker] = []
        self.pids: set[int] = set()
        """Of all workers that have ever come, from other processes."""
        self._before = set(multiprocessing.active_children())
        self.kills = True
        """Whether processes that are left over are killed when the server is closed."""
        self._server, self._shutdown, self._close = server, server.shutdown, server.server_close
        sys.path.append(FOLDER)  # also in the processes that are started from now on
        held_back = importlib.import_module("ex11_worker").work_held_back
        server.work = functools.partial(held_back, server.work, self.listener.getsockname()[1])
        server.shutdown, server.server_close, server.gate = self.shutdown, self.server_close, self

    def admit(self) -> int:
        """Accepts a worker that has come, if there is one. Returns how many wait here."""
        with contextlib.suppress(OSError):  # no other has come; or the gate is closed
            sock, _ = self.listener.accept()
            sock.settimeout(SAYS_WITHIN)
            pid, thread = sock.makefile("rb").readline().split()
            self.waiting.append(Worker(int(pid), int(thread), sock))
            self.pids |= {int(pid)} - {os.getpid()}
        return len(self.waiting)

    def release(self) -> None:
        """Lets all workers go on that wait here."""
        while self.waiting:
            self.waiting.pop().release()

    def processes(self) -> list[Any]:
        """Returns the processes of the pool that run: those without a name that are new since it was made."""
        new = set(multiprocessing.active_children()) - self._before
        return [child for child in new if "Process-" in child.name]

    def was_told_to_end(self) -> bool:
        """Whether the pool has been shut down: then it takes no work, though its processes may still run."""
        try:
            self._server.pool.submit(int)
        except RuntimeError:
            return True
        return False

    def shutdown(self) -> None:
        """In place of the server's: first, no worker waits here any more."""
        self.admit()
        self.listener.close()
        self.release()
        self._shutdown()

    def server_close(self) -> None:
        """In place of the server's: at the end, none of its processes is left, whatever it does."""
        try:
            self._close()
        finally:
            if self.kills:
                for child in self.processes():
                    child.kill()
                with contextlib.suppress(ValueError):  # it was closed before
                    sys.path.remove(FOLDER)
