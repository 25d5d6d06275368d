"""Exercise 03: a server that starts a thread for each client."""

import socketserver
from typing import Any

from chatlib.checker.case import Case, step
from chatlib.checker.errors import Broken
from chatlib.checker.harness.session import Session
from chatlib.checker.steps.basic import join, reset, talk
from chatlib.sockets import LOOPBACK
from chatlib.teach.exercises.exercise import Exercise, is_subclass_of
from chatlib.teach.exercises.servers import Make, chosen

LESSON = "03 A thread for each"


class Shouting(socketserver.StreamRequestHandler):
    """What the server says. Which thread waits for which client is the learner's part."""

    def setup(self) -> None:
        super().setup()
        # Its socket stays known, as in a list of clients. Or Python would close it for who forgets to.
        vars(self.server).setdefault("met", []).append(self.request)

    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line.upper())


def with_a_handler(server: Any) -> Make:
    """Returns what makes a server of this class, with a handler of ours."""

    def make(address: Any = LOOPBACK) -> Any:
        return server(address, Shouting)

    return make


@step("{who} vanishes (RST), and the server closes its end of the connection")
def vanish(session: Session, who: str) -> None:
    """A client vanishes, so that its handler raises an exception. Its socket is closed all the same."""
    met, client = getattr(session.instance.server, "met", []), session.peers[who].sock.getsockname()
    ends = [each for each in met if each.fileno() >= 0 and each.getpeername() == client]
    reset(who).run(session)
    if not session.wait(lambda: all(end.fileno() == -1 for end in ends)):
        expected = f"the socket by which the server talked with {who} is closed"
        raise Broken(
            expected, session.explain("it stayed open, although finish_request has raised"), certain=False
        )


CASES = (
    *chosen("delivery.answer", "isolation.silent", "delivery.private", "departures.fin"),
    Case(
        "departures.socket",
        "Whatever has happened, the connection is closed",
        "When a client vanishes, its handler raises an exception, and the server still closes the socket.",
        given=(join("alice", "bob"), talk("alice", "bob")),
        steps=(vanish("bob"), talk("alice")),
        hint="What has to be done whatever happens belongs into a finally. See hint 3.",
        lesson=LESSON,
    ),
)

EXERCISE = Exercise(
    title="a thread for each",
    name="ThreadedServer",
    takes="the server class itself, a kind of TCPServer, without brackets",
    fits=is_subclass_of(socketserver.TCPServer),
    cases=CASES,
    lesson=LESSON,
    serves=with_a_handler,
    dialect="shout",
)
