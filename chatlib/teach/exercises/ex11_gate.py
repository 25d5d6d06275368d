"""Exercise 11: where those who compute wait, until the check lets them go on."""

import contextlib
import functools
import importlib
import multiprocessing
import os
import socket
import sys
from pathlib import Path
from typing import Any, NamedTuple

PATIENCE = 6.0
"""Seconds in which a process has to begin and to compute. On a busy computer, or with a virus scanner, a
fresh Python takes its time; only an answer that never comes costs so much."""

FOLDER = str(Path(__file__).parent)
"""Where a fresh Python finds the one module of ours that it needs, without importing all of chatlib."""


class Visitor(NamedTuple):
    """Who computes, and waits."""

    pid: int
    thread: int
    sock: socket.socket

    def release(self) -> None:
        """Lets it go on."""
        with contextlib.suppress(OSError):
            self.sock.sendall(b"!")  # closing alone would do nothing, if another process had a copy
        self.sock.close()


class Hall:
    """Where those who compute HELD wait until they are let go.

    Args:
        server: The server that computes: what it does is done by way of the hall from now on.
    """

    def __init__(self, server: Any) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.visitors: list[Visitor] = []
        self.pids: set[int] = set()
        """All who have ever come, from other processes."""
        self._before = set(multiprocessing.active_children())
        self.ends = True
        """Whether those that are left over are ended with the server."""
        self._shutdown, self._close = server.shutdown, server.server_close
        sys.path.append(FOLDER)  # also in the processes that are started from now on
        held_back = importlib.import_module("ex11_worker").work_held_back
        server.work = functools.partial(held_back, server.work, self.listener.getsockname()[1])
        server.shutdown, server.server_close, server.hall = self.shutdown, self.server_close, self

    def look(self) -> int:
        """Lets in who has come. Returns how many are here."""
        with contextlib.suppress(OSError):  # nobody more has come
            sock, _ = self.listener.accept()
            sock.settimeout(PATIENCE)
            pid, thread = sock.makefile("rb").readline().split()
            self.visitors.append(Visitor(int(pid), int(thread), sock))
            self.pids |= {int(pid)} - {os.getpid()}
        return len(self.visitors)

    def release(self) -> None:
        """Lets all go on who are here."""
        while self.visitors:
            self.visitors.pop().release()

    def pool(self) -> list[Any]:
        """Returns the processes of its pool that run: those without a name that are new since it was made."""
        new = set(multiprocessing.active_children()) - self._before
        return [child for child in new if "Process-" in child.name]

    def shutdown(self) -> None:
        """In place of the server's: first, nobody waits here any more."""
        self.look()
        self.listener.close()
        self.release()
        self._shutdown()

    def server_close(self) -> None:
        """In place of the server's: at the end, none of its processes is left, whatever it does."""
        try:
            self._close()
        finally:
            if self.ends:
                for child in self.pool():
                    child.kill()
                with contextlib.suppress(ValueError):  # it was closed before
                    sys.path.remove(FOLDER)
