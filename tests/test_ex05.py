"""Exercise 05: a group chat with threads. Each wrong one fails the case that is about its mistake."""

import contextlib
import socket
from collections.abc import Callable
from typing import Any

import pytest
from answers import failure, kept, passes, solved, variant


@pytest.mark.exhaustive
def test_the_solution_of_05_passes() -> None:
    """In its own notebook it passes in the quick suite, too."""
    passes("05", solved("05")["GroupChat"])


def to_all(self: Any, message: bytes, sender: socket.socket) -> None:
    """Sends to the sender, too."""
    for client in list(self.clients):
        with contextlib.suppress(OSError):
            client.sendall(message)


def to_nobody(self: Any, message: bytes, sender: socket.socket) -> None:
    """Sends to nobody."""


def to_the_list(self: Any, message: bytes, sender: socket.socket) -> None:
    """Walks the list itself, without a copy and a lock."""
    for client in self.clients:
        if client is not sender:
            with contextlib.suppress(OSError):
                client.sendall(message)


def until_one_fails(self: Any, message: bytes, sender: socket.socket) -> None:
    """Catches what one send raises, but only where the loop is over."""
    with contextlib.suppress(OSError):
        for client in list(self.clients):
            if client is not sender:
                client.sendall(message)


def forgetting(self: Any, client: socket.socket) -> None:
    """Removes, and does not close."""
    self.clients.remove(client)
    kept.append(client)


def spinning(self: Any, client: socket.socket) -> None:
    """Does not know what b"" means. (It hangs up, so that only the processor suffers.)"""
    while not self.stopping:
        with contextlib.suppress(OSError):
            message = client.recv(1024)
            self.broadcast(message, client) if message else client.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    ("methods", "failed", "silent"),
    [
        ({"broadcast": to_nobody}, "delivery.reach", "alice, bob and carol join and greet each other"),
        ({"broadcast": to_all}, "delivery.sender", ""),
        ({"remove": forgetting}, "departures.fin", "alice sees the end of the connection"),
        ({"handle_client": spinning}, "departures.idle", ""),
    ],
)
def test_wrong_chats_are_told_apart(methods: dict[str, Callable[..., Any]], failed: str, silent: str) -> None:
    """Each mistake is found by the case that is about it."""
    failure("05", variant("05", **methods), failed, silent)


LEAVES = "alice says a line; while the server sends it to carol, bob leaves (FIN)"
VANISHES = "alice says a line; just as the server sends it to carol, carol vanishes (RST)"


@pytest.mark.parametrize(
    ("broadcast", "failed", "silent"),
    [
        (to_the_list, "broadcast.leave", LEAVES),
        (until_one_fails, "broadcast.vanish", VANISHES),
    ],
)
def test_a_broadcast_that_leaves_a_client_out_is_found(
    broadcast: Callable[..., Any], failed: str, silent: str
) -> None:
    """Each time, and not by chance: the server is held up where it matters."""
    failure("05", variant("05", broadcast=broadcast), failed, silent, silence=3.0)


def test_what_is_not_written_yet_is_named() -> None:
    """Of four methods, one is left."""

    def remove(self: Any, client: socket.socket) -> None:
        raise NotImplementedError

    wrong = failure("05", variant("05", remove=remove), "exercise.begun")
    assert wrong.actual.startswith("nothing has been written yet in remove: ")


def test_a_server_that_cannot_be_made_is_told() -> None:
    """An exception in `__init__` is the learner's, and no error of the checker."""

    def broken(self: Any, address: Any) -> None:
        raise RuntimeError("oh")

    wrong = failure("05", variant("05", __init__=broken), "delivery.reach")
    assert "RuntimeError: oh" in wrong.actual
