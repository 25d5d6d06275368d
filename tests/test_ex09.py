"""Exercise 09: one thread for all clients. Each wrong loop fails the case that is about its mistake."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from answers import failure, kept, passes, solved, variant


@pytest.mark.exhaustive
def test_the_solution_of_09_passes() -> None:
    """In its own notebook it passes in the quick suite, too."""
    passes("09", solved("09")["OneThread"])


def conversing(self: Any, client: socket.socket) -> None:
    """Talks with one client until it has left; the others wait."""
    client.setblocking(True)
    with contextlib.suppress(OSError):
        while data := client.recv(1024):
            client.sendall(data.upper())
    self.remove(client)


def threaded(self: Any) -> None:
    """Starts a thread for each client after all."""
    client, _ = self.socket.accept()
    kept.append(client)
    threading.Thread(target=answering, args=(client,), daemon=True).start()


def answering(client: socket.socket) -> None:
    """Answers one client in its own thread."""
    with contextlib.suppress(OSError):
        while data := client.recv(1024):
            client.sendall(data.upper())


def staying(self: Any, client: socket.socket) -> None:
    """Goes on watching a client that has left, and is told so again and again."""
    with contextlib.suppress(OSError):
        data = client.recv(1024)
        client.sendall(data.upper()) if data else client.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    ("methods", "failed", "silent"),
    [
        ({"serve": conversing}, "isolation.silent", "alice and bob join and greet each other"),
        ({"accept": threaded}, "loop.thread", ""),
        ({"serve": staying}, "departures.idle", ""),
    ],
)
def test_wrong_loops_are_told_apart(methods: dict[str, Callable[..., Any]], failed: str, silent: str) -> None:
    """Each mistake is found by the case that is about it."""
    failure("09", variant("09", **methods), failed, silent)
