"""Exercise 02: a handler that answers in upper case. Each wrong one fails the case that is about it."""

import socketserver

import pytest
from answers import failure, over, passes, solved


class LowerCase(socketserver.StreamRequestHandler):
    """Answers as it was asked."""

    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line)


class OneLine(socketserver.StreamRequestHandler):
    """Has no loop: answers three lines, and has ended when the next one comes."""

    def handle(self) -> None:
        for _ in range(3):
            self.wfile.write(self.rfile.readline().upper())


class OneRecv(socketserver.BaseRequestHandler):
    """Answers whatever one `recv` has brought as if it were a line."""

    def handle(self) -> None:
        while data := self.request.recv(4096):
            self.request.sendall(data.strip().upper() + b"\n")


def test_a_piece_is_not_taken_for_a_line() -> None:
    """The first half is answered at once, and a line that is whole is waited for in vain."""
    halves = "alice sends half a line, and a moment later the rest"
    assert "alice received" in failure("02", OneRecv, "turns.split", halves, silence=2.0).actual


class Staying(socketserver.StreamRequestHandler):
    """Goes on when the client has left."""

    def handle(self) -> None:
        while not over.wait(0.01):
            if line := self.rfile.readline():
                self.wfile.write(line.upper())


@pytest.mark.parametrize(
    ("answer", "failed", "silent", "sentence"),
    [
        (LowerCase, "delivery.answer", "alice joins", "alice heard nothing of it in time"),
        (OneLine, "turns.lines", "", "connection of alice"),
        (Staying, "turns.next", "bob joins", "bob heard nothing of it in time"),
    ],
)
# A server that does not stop is ended by force: by a SystemExit in its threads, which may then close nothing.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_wrong_handlers_are_told_apart(answer: type, failed: str, silent: str, sentence: str) -> None:
    """Each mistake is found by the case that is about it."""
    assert sentence in failure("02", answer, failed, silent).actual


def test_the_solution_of_02_passes() -> None:
    """It need not be clever."""
    passes("02", solved("02")["Shouting"])
