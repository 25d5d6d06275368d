"""What an address is, and what a beginner is told that wrote something else."""

import socket
import socketserver
from collections.abc import Callable
from typing import Any

import pytest
from faults import SOON

import chatlib
from chatlib.sockets import checked

NO_ADDRESS: list[Any] = [9999, "9999", None, ("127.0.0.1",), ("127.0.0.1", "9999"), chatlib.Shout]
UNCHECKED: Any = chatlib
"""The package without its types: a beginner has no type checker."""


@pytest.mark.parametrize("wrong", NO_ADDRESS, ids=repr)
def test_what_is_no_address_is_answered_with_one(wrong: Any) -> None:
    """The message quotes what was written, and shows what an address looks like."""
    with pytest.raises(TypeError) as caught:
        checked(wrong)
    assert str(caught.value) == f'{wrong!r} is not an address: that is a pair like ("127.0.0.1", 9999)'


def test_an_address_of_the_newer_family_is_cut_to_host_and_port() -> None:
    """A socket gives four numbers for it."""
    assert checked(("::1", 80, 0, 0)) == ("::1", 80)


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (lambda: UNCHECKED.SyncServer(9999), "is not an address"),
        (lambda: UNCHECKED.start(UNCHECKED.ThreadingServer, ("127.0.0.1", "9999")), "is not an address"),
        (lambda: UNCHECKED.connect(UNCHECKED.SyncServer), "is not an address"),
        (lambda: UNCHECKED.connect(9999), "is not an address"),
        (lambda: UNCHECKED.start(UNCHECKED.SyncServer, service=UNCHECKED.Shout), "write one like Shout()"),
        (lambda: UNCHECKED.start(UNCHECKED.SyncServer, service="shout"), "is not a service"),
        (lambda: UNCHECKED.start(UNCHECKED.SyncServer, limits=0.5), "write Limits"),
        (lambda: UNCHECKED.start("SyncServer"), "neither a server nor a class that makes one"),
        (lambda: UNCHECKED.start(socketserver.StreamRequestHandler), "is a handler, not a server"),
        (lambda: UNCHECKED.stop(UNCHECKED.SyncServer), "stop takes what start has returned"),
        (lambda: UNCHECKED.stop("SyncServer"), "stop takes what start has returned"),
    ],
)
def test_a_mistake_in_the_arguments_is_named_at_once(mistake: Callable[[], object], told: str) -> None:
    """In the call that made it, and not later by the first client in a server's thread."""
    with pytest.raises(TypeError) as caught:
        mistake()
    assert told in str(caught.value)


def test_text_for_bytes_and_bytes_for_text_are_named() -> None:
    """A service that posts text fails in its own line; a client that sends bytes is told so."""

    class Wrong(chatlib.Service):
        def answer(self, member: chatlib.Member, lines: list[str]) -> None:
            member.post("hi")  # type: ignore[arg-type]

    running = chatlib.running(chatlib.ThreadingServer, service=Wrong())
    with running as server, chatlib.connect(server) as client:
        with pytest.raises(TypeError, match="send takes text"):
            client.send(b"hello")  # type: ignore[arg-type]
        client.send("hello")
        assert server.service.journal.wait_for("failed", timeout=SOON)
    failed = server.service.journal.find("failed")[0].text
    assert "write member.post(chatlib.encode([text]))" in failed
    assert failed.endswith("in answer)")


class Half(chatlib.Service):
    """Answers without a newline."""

    def answer(self, member: chatlib.Member, lines: list[str]) -> None:
        member.post(b"6")


def test_what_came_without_a_newline_is_shown() -> None:
    """Whose handler forgets the newline sees what came all the same."""
    running = chatlib.running(chatlib.SyncServer, service=Half())
    with running as server, chatlib.connect(server, "alice") as alice:
        alice.send("hello")
        assert alice.socket.recv(1, socket.MSG_PEEK)
        with pytest.raises(TimeoutError, match=r"for alice within 0.2 s, only b'6' without a newline"):
            alice.receive(0.2)
