"""Exercise 03: a thread for each client. Each wrong server fails the case that is about its mistake."""

import socketserver
import threading
from typing import Any

import pytest
from answers import failure, kept, passes

import chatlib
from chatlib.checker.case import Outcome


class CalledAtOnce(socketserver.TCPServer):
    """Writes brackets where the name of the method belongs: still one at a time."""

    def process_request(self, request: Any, client_address: Any) -> None:
        target: Any = self.finish_request(request, client_address)  # type: ignore[func-returns-value]
        threading.Thread(target=target).start()


class NeverClosed(socketserver.TCPServer):
    """Forgets to close the connection."""

    def process_request(self, request: Any, client_address: Any) -> None:
        kept.append(request)
        threading.Thread(target=self.finish_request, args=(request, client_address), daemon=True).start()


class LeftToPython(socketserver.TCPServer):
    """Forgets to close the connection, and nobody else knows its socket."""

    met: list[Any]

    def process_request(self, request: Any, client_address: Any) -> None:
        threading.Thread(target=self.finish_request, args=(request, client_address), daemon=True).start()

    def server_close(self) -> None:
        super().server_close()
        kept.extend(self.met)


class ClosedTooSoon(socketserver.TCPServer):
    """Closes before the other thread has talked. (Which of the two comes first would else be chance.)"""

    def process_request(self, request: Any, client_address: Any) -> None:
        self.shutdown_request(request)
        threading.Thread(target=self.finish_request, args=(request, client_address), daemon=True).start()


class ClosedIfAllIsWell(socketserver.TCPServer):
    """Closes the connection, but not if the handler raises an exception."""

    def process_request(self, request: Any, client_address: Any) -> None:
        threading.Thread(target=self.serve, args=(request, client_address), daemon=True).start()

    def serve(self, request: Any, client_address: Any) -> None:
        kept.append(request)
        self.finish_request(request, client_address)
        self.shutdown_request(request)


@pytest.mark.parametrize(
    ("answer", "failed", "silent"),
    [
        (CalledAtOnce, "isolation.silent", "alice and bob join and greet each other"),
        (NeverClosed, "departures.fin", "alice sees the end of the connection"),
        (LeftToPython, "departures.fin", "alice sees the end of the connection"),
        (ClosedTooSoon, "delivery.answer", ""),
        (
            ClosedIfAllIsWell,
            "departures.socket",
            "bob vanishes (RST), and the server closes its end of the connection",
        ),
    ],
)
def test_wrong_threads_are_told_apart(answer: type, failed: str, silent: str) -> None:
    """Each mistake is found by the case that is about it."""
    failure("03", answer, failed, silent)


def test_the_x_ray_shows_which_client_a_server_waits_for() -> None:
    """The check of a server says more than that of a function."""
    [verdict] = chatlib.exercise("03", CalledAtOnce).of(Outcome.FAIL)
    assert verdict.failure
    stuck, waiting = verdict.failure.waiting
    assert "lie unread: the server waits for sam, which says nothing" in stuck
    assert waiting.startswith("the server waits in recv_into for sam, in the line: target")


def test_pythons_own_is_right() -> None:
    """To write less is not to write worse."""
    passes("03", socketserver.ThreadingTCPServer)
