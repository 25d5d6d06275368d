"""Isolation: one client must not make the others wait."""

from dataclasses import dataclass

from chatlib.checker.case import Case
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.session import Stage
from chatlib.checker.steps.basic import Connect, Join, Talk, listed
from chatlib.checker.steps.flood import Flood
from chatlib.checker.steps.joining import newcomers

TRICKLED = 25
"""Bytes that a slow sender sends, one every 10 ms."""

CROWD = 200

GROUP = 10
"""Of them, so many come before all others have to hear the next ones."""


@dataclass(frozen=True)
class Trickle:
    """Somebody sends one byte after the other, and never ends the line; others talk meanwhile."""

    who: str
    names: str

    def __str__(self) -> str:
        return f"{self.who} sends a byte every 10 ms; {listed(self.names)} talk meanwhile"

    def run(self, stage: Stage) -> None:
        slow = stage.peers.pop(self.who)  # nobody has to hear it, and it need not hear the others
        for _ in range(TRICKLED):
            stage.room.send(slow, b"x", stage.pace.patience)
            stage.pause(0.01)
            Talk(self.names).run(stage)


@dataclass(frozen=True)
class Crowd:
    """Many clients, all connected at the same time; each is known to be served before the next comes."""

    witness: str

    def __str__(self) -> str:
        return f"{CROWD} clients come, and all stay; each says a line"

    def run(self, stage: Stage) -> None:
        guests: list[Peer] = []
        for first in range(0, CROWD, GROUP):
            names = [f"guest{number + 1}" for number in range(first, first + GROUP)]
            guests += newcomers(stage, names, lambda: [stage.peers[self.witness], *guests])  # noqa: B023
            for peer in guests:
                peer.heard.clear()


THREADS = "02 One at a time, 03 A thread for each"
SLEEPER = "06 The sleeper"

CASES = (
    Case(
        "isolation.silent",
        "A silent client delays nobody",
        "While one client is connected and says nothing, not even its name, all others are served.",
        steps=(Connect("sam"), Join("alice bob"), Talk("alice bob", 2)),
        hint="Does your server wait in recv for one client (or for its name) before it accepts the next?",
        lesson=THREADS,
    ),
    Case(
        "isolation.trickle",
        "A slow sender delays nobody",
        "While one client sends a byte every 10 ms, without ending its line, all others are served.",
        given=(Join("alice bob sam"), Talk("alice bob sam")),
        steps=(Trickle("sam", "alice bob"),),
        hint="Does your server wait for the rest of a line (readline, or a loop of recv) while others wait?",
        lesson=THREADS,
    ),
    Case(
        "isolation.unread",
        "A client that never reads delays nobody",
        "While one client never reads what it is sent, all others are served.",
        given=(Join("alice bob sleeper"), Talk("alice bob sleeper")),
        steps=(Flood("alice", "bob", 6), Talk("alice bob")),
        hint="sendall waits when a client does not read. Who waits for that thread, or for a lock it holds?",
        lesson=SLEEPER,
        deadline=20.0,
    ),
    Case(
        "isolation.crowd",
        "200 clients at once are served",
        "200 clients that are connected at the same time are all served.",
        given=(Join("alice bob"), Talk("alice bob")),
        steps=(Crowd("alice"), Talk("alice bob")),
        hint="Is there a limit on clients, or on threads? Does the server accept while it serves?",
        lesson=THREADS,
        deadline=25.0,
    ),
)
