"""Exercise 06b: an outbox with a limit. Each wrong one fails the case that is about its mistake."""

import contextlib
import socket
from collections.abc import Callable
from typing import Any

import pytest
from answers import failure, over, passes, solved, variant

import chatlib
from chatlib.checker.case import Outcome
from chatlib.teach.exercises.sandbox import SLIP


def test_the_solution_of_06b_passes() -> None:
    """In its own notebook it does so, too."""
    passes("06b", solved("06b")["Outbox"])


def size(outbox: Any) -> int:
    """Returns how many bytes wait."""
    return sum(map(len, outbox.waiting))


def posting(self: Any, line: bytes) -> None:
    """Is right, without the stretch."""
    with self.changed:
        if size(self) + len(line) > self.limit:
            self.client.shutdown(socket.SHUT_RDWR)
        else:
            self.waiting.append(line)
            self.changed.notify()


def sending(self: Any, line: bytes) -> None:
    """Sends by itself, and waits for the client."""
    self.client.sendall(line)


def silent(self: Any, line: bytes) -> None:
    """Wakes no thread."""
    with self.changed:
        self.waiting.append(line)


def waiting(self: Any, line: bytes) -> None:
    """Waits until there is room."""
    with self.changed:
        while not self.changed.wait_for(lambda: over.is_set() or len(self.waiting) < 3, 0.1):
            pass
        self.waiting.append(line)
        self.changed.notify()


def unlimited(self: Any, line: bytes) -> None:
    """Keeps everything."""
    with self.changed:
        self.waiting.append(line)
        self.changed.notify()


def dropping(self: Any, line: bytes) -> None:
    """Loses what does not fit, and the client does not know."""
    with self.changed:
        if size(self) + len(line) <= self.limit:
            self.waiting.append(line)
            self.changed.notify()


def counting_lines(self: Any, line: bytes) -> None:
    """Takes ten lines, however long they are."""
    with self.changed:
        if len(self.waiting) >= 10:
            self.client.shutdown(socket.SHUT_RDWR)
        else:
            self.waiting.append(line)
            self.changed.notify()


def counting_all(self: Any, line: bytes) -> None:
    """Never counts down."""
    self.posted = getattr(self, "posted", 0) + len(line)
    if self.posted > self.limit:
        self.client.shutdown(socket.SHUT_RDWR)
    else:
        unlimited(self, line)


def keeping(self: Any, line: bytes) -> None:
    """Cuts off, and keeps the line all the same: memory grows with each line for a client that is gone."""
    with self.changed:
        self.waiting.append(line)
        self.changed.notify()
        if size(self) > self.limit:
            self.client.shutdown(socket.SHUT_RDWR)


def strict(self: Any, line: bytes) -> None:
    """Cuts off at the limit, and not beyond it."""
    with self.changed:
        if size(self) + len(line) >= self.limit:
            self.client.shutdown(socket.SHUT_RDWR)
        else:
            self.waiting.append(line)
            self.changed.notify()


def sending_locked(self: Any) -> None:
    """Holds the lock while it sends."""
    with contextlib.suppress(OSError):
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.waiting)
                if not (line := self.waiting.popleft()):
                    break
                self.client.sendall(line)


def sending_once(self: Any) -> None:
    """Has no loop."""
    self.client.sendall(self.take())


def sending_bare(self: Any) -> None:
    """Catches nothing."""
    while line := self.take():
        self.client.sendall(line)


def sending_on(self: Any) -> None:
    """Catches inside its loop, and goes on with the next line."""
    while line := self.take():
        with contextlib.suppress(OSError):
            self.client.sendall(line)


@pytest.mark.parametrize(
    ("methods", "failed", "sentence"),
    [
        ({"post": silent}, "outbox.sends", "it has received 0 lines, and it is still connected"),
        ({"send_all": sending_once}, "outbox.sends", "it has received 1 line, and it is still connected"),
        ({"post": sending}, "outbox.waits", "it did not return: it was still in line "),
        ({"post": waiting}, "outbox.waits", "it did not return: it was still in line "),
        ({"send_all": sending_locked}, "outbox.waits", "it did not return: it was still in line "),
        ({"post": counting_all}, "outbox.room", "it has received 10 lines, and it was cut off"),
        ({"post": strict}, "outbox.limit", "it was cut off"),
        ({"post": keeping}, "outbox.limit", "110 bytes wait: more than 100"),
        ({"post": unlimited}, "outbox.limit", "it has received 0 lines, and it is still connected"),
        ({"post": dropping}, "outbox.limit", "it has received 0 lines, and it is still connected"),
        ({"post": counting_lines}, "outbox.limit", "it has received 0 lines, and it is still connected"),
        ({"send_all": sending_bare}, "outbox.end", "it raised BrokenPipeError: the connection was shut down"),
        ({"send_all": sending_on}, "outbox.end", "it goes on"),
    ],
)
def test_wrong_outboxes_are_told_apart(
    methods: dict[str, Callable[..., Any]], failed: str, sentence: str
) -> None:
    """Each mistake is found by the case that is about it, and said in words."""
    assert failure("06b", variant("06b", **methods), failed).actual.startswith(sentence)


def drop_oldest(post: Callable[..., Any]) -> type:
    """Returns an answer to the stretch part, with its method."""
    return type("DropOldest", (solved("06b")["Outbox"],), {"post": post})


def test_the_solution_of_the_stretch_passes() -> None:
    """It is known by its name."""
    passes("06b", solved("06b")["DropOldest"])


@pytest.mark.parametrize(
    ("keeps", "sentence"),
    [
        ("the newest is dropped", "it has received "),
        ("the client is cut off", "it was cut off"),
        ("all are dropped", "some of the last 10 lines, which have room, are missing"),
        ("all are kept", "250 bytes had waited"),
    ],
)
def test_wrong_stretches_are_told_apart(keeps: str, sentence: str) -> None:
    """What is dropped has to be the oldest, and no more than that."""

    def post(self: Any, line: bytes) -> None:
        if keeps == "the client is cut off":
            posting(self, line)
        elif keeps == "the newest is dropped":
            dropping(self, line)
        else:
            with self.changed:
                if keeps == "all are dropped" and size(self) + len(line) > self.limit:
                    self.waiting.clear()
                self.waiting.append(line)
                self.changed.notify()

    assert failure("06b", drop_oldest(post), "outbox.oldest").actual.startswith(sentence)


def test_text_instead_of_bytes_is_explained() -> None:
    """What a method raises is said with its line, and a slip with what Python means by it."""

    def post(self: Any, line: bytes) -> None:
        self.waiting.append(line + "\n")  # type: ignore[operator]

    wrong = failure("06b", variant("06b", post=post), "outbox.sends")
    assert wrong.actual.startswith("it raised TypeError: ")
    [verdict] = chatlib.exercise("06b", variant("06b", post=post)).of(Outcome.FAIL)
    assert verdict.case.hint == SLIP
