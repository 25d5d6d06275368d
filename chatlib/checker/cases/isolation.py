"""Isolation: one client must not make the others wait."""

from chatlib.checker.case import Case, step
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.session import Session
from chatlib.checker.steps.basic import connect_silently, join, talk
from chatlib.checker.steps.flood import flood
from chatlib.checker.steps.joining import newcomers

TRICKLED = 25
"""Bytes that a slow sender sends, one every 10 ms."""

CROWD = 200

GROUP = 10
"""Of them, so many come before all others have to hear the next ones."""


@step("{who} sends a byte every 10 ms; {names} talk meanwhile")
def trickle(session: Session, who: str, *names: str) -> None:
    """A client sends one byte after the other, and never ends the line; others talk meanwhile."""
    slow = session.peers.pop(who)  # none of the others has to hear it, nor it them
    for _ in range(TRICKLED):
        session.clients.send(slow, b"x", session.timeouts.patience)
        session.pause(0.01)
        talk(*names).run(session)


@step(f"{CROWD} clients come, and all stay; each says a line")
def crowd_in(session: Session, witness: str) -> None:
    """Many clients, all connected at the same time; each is known to be served before the next comes."""
    guests: list[Peer] = []
    for first in range(0, CROWD, GROUP):
        names = [f"guest{number + 1}" for number in range(first, first + GROUP)]
        guests += newcomers(session, names, lambda: [session.peers[witness], *guests])  # noqa: B023
        for peer in guests:
            peer.heard.clear()


THREADS = "02 One at a time, 03 A thread for each"
SLEEPER = "06 The sleeper"

CASES = (
    Case(
        "isolation.silent",
        "A silent client delays nobody",
        "While one client is connected and says nothing, not even its name, all others are served.",
        steps=(connect_silently("sam"), join("alice", "bob"), talk("alice", "bob", times=2)),
        hint="Does your server wait in recv for one client (or for its name) before it accepts the next?",
        lesson=THREADS,
    ),
    Case(
        "isolation.trickle",
        "A slow sender delays nobody",
        "While one client sends a byte every 10 ms, without ending its line, all others are served.",
        given=(join("alice", "bob", "sam"), talk("alice", "bob", "sam")),
        steps=(trickle("sam", "alice", "bob"),),
        hint="Does your server wait for the rest of a line (readline, or a loop of recv) while others wait?",
        lesson=THREADS,
    ),
    Case(
        "isolation.unread",
        "A client that never reads delays nobody",
        "While one client never reads what it is sent, all others are served.",
        given=(join("alice", "bob", "sleeper"), talk("alice", "bob", "sleeper")),
        steps=(flood("alice", "bob", 6), talk("alice", "bob")),
        hint="sendall waits when a client does not read. Who waits for that thread, or for a lock it holds?",
        chance=True,
        lesson=SLEEPER,
        deadline=20.0,
    ),
    Case(
        "isolation.crowd",
        "200 clients at once are served",
        "200 clients that are connected at the same time are all served.",
        given=(join("alice", "bob"), talk("alice", "bob")),
        steps=(crowd_in("alice"), talk("alice", "bob")),
        hint="Is there a limit on clients, or on threads? Does the server accept while it serves?",
        chance=True,
        crowded=True,
        lesson=THREADS,
        deadline=25.0,
    ),
)
