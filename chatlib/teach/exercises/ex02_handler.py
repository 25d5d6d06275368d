"""Exercise 02: a handler that answers in upper case, in a server for one client at a time."""

import socketserver
from typing import Any, Protocol, runtime_checkable

from chatlib.checker.case import Case
from chatlib.checker.cases.delivery import talk_in_a_row
from chatlib.checker.cases.framing import say_in_pieces
from chatlib.checker.steps.basic import join, leave, talk
from chatlib.sockets import LOOPBACK
from chatlib.teach.exercises.exercise import Exercise, is_subclass_of
from chatlib.teach.exercises.servers import Make, chosen

LESSON = "02 One at a time"


@runtime_checkable
class Handler(Protocol):
    """A class with the method that socketserver calls for each client."""

    def handle(self) -> None:
        """Talks with one client until it leaves."""


def in_a_server(handler: Any) -> Make:
    """Returns what makes a server for one client at a time, with this handler."""

    def make(address: Any = LOOPBACK) -> Any:
        return socketserver.TCPServer(address, handler)

    return make


CASES = (
    *chosen("delivery.answer"),
    Case(
        "turns.lines",
        "All that a client says is answered, in order",
        "Each line of a client is answered, as long as it stays.",
        steps=(join("alice"), talk_in_a_row("alice")),
        hint="handle is called once for each client: it needs a loop that goes on until the client leaves.",
        lesson=LESSON,
    ),
    Case(
        "turns.split",
        "A line cut in two is answered as one",
        "A line is answered when it is whole, even if its bytes come in two pieces.",
        steps=(
            join("alice"),
            say_in_pieces(
                "alice", (b"cut-", b"%|"), "", "alice sends half a line, and a moment later the rest"
            ),
        ),
        hint="self.rfile gives whole lines: for line in self.rfile. A recv gives what is there.",
        lesson=f"{LESSON}, 04 The stream lies",
    ),
    Case(
        "turns.next",
        "When a client has left, the next is served",
        "When a client has left, its handler ends, and the next client is served.",
        steps=(join("alice"), leave("alice"), join("bob"), talk("bob", times=2)),
        hint="Does your loop end when the client has left? Until handle returns, no other client is served.",
        lesson=LESSON,
    ),
)

EXERCISE = Exercise(
    title="answer in upper case",
    name="Shouting",
    takes="the handler class itself, without brackets",
    fits=is_subclass_of(Handler),
    cases=CASES,
    lesson=LESSON,
    serves=in_a_server,
    dialect="shout",
)
