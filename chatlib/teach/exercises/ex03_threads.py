"""Exercise 03: a server that starts a thread for each client."""

import socketserver
from typing import Any

from chatlib.sockets import LOOPBACK
from chatlib.teach.exercises.exercise import Exercise, is_subclass_of
from chatlib.teach.exercises.servers import Make, chosen


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


EXERCISE = Exercise(
    title="a thread for each",
    name="ThreadedServer",
    takes="the server class itself, a kind of TCPServer, without brackets",
    fits=is_subclass_of(socketserver.TCPServer),
    cases=chosen("delivery.answer", "isolation.silent", "delivery.private", "departures.fin"),
    lesson="03 A thread for each",
    serves=with_a_handler,
    dialect="shout",
)
