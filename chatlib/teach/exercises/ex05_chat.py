"""Exercise 05: a group chat with a thread for each client, written by hand."""

import contextlib
from collections.abc import Iterator
from typing import Any

from chatlib.checker.case import Case, step
from chatlib.checker.errors import Broken
from chatlib.checker.harness.session import Session
from chatlib.checker.steps.basic import join, leave, reset, talk
from chatlib.teach.exercises.ex05_door import Door, Guest
from chatlib.teach.exercises.exercise import Exercise, is_subclass_of
from chatlib.teach.exercises.servers import Make, Server, chosen, prepared

LESSON = "05 Group chat by hand"


def with_a_door(chat: Any) -> Make:
    """Returns what makes a chat of this class that can be held up in the middle of a broadcast."""

    def prepare(server: Any) -> None:
        server.socket = Door(server.socket)

    return prepared(chat, prepare)


def _guest(session: Session, name: str) -> Guest:
    door: Door = session.instance.server.socket
    return door.guests[session.peers[name].sock.getsockname()]


@contextlib.contextmanager
def _held(session: Session, speaker: str, at: str) -> Iterator[None]:
    """One says a line. Meanwhile the server is just sending it to another; afterwards all have to hear it."""
    guest, talker = _guest(session, at), session.peers[speaker]
    guest.hold()
    try:
        text = session.say(talker)
        if not session.wait(guest.reached.is_set):
            actual = session.silence("nothing was sent to it")
            raise Broken(f"{at} is sent what {speaker} says", actual, certain=False)
        yield
    finally:
        guest.let_go()
    session.must_hear(talker, session.listeners(talker), text)


@step("{speaker} says a line; while the server sends it to {at}, {leaver} leaves (FIN)")
def leave_meanwhile(session: Session, speaker: str, leaver: str, at: str) -> None:
    """A client leaves that was sent the line before; all others hear it."""
    leaving, clients = _guest(session, leaver), session.instance.server.clients
    with _held(session, speaker, at):
        leave(leaver).run(session)
        session.wait(lambda: leaving not in clients)  # in vain, if a lock is held while lines are sent


@step("{speaker} says a line; just as the server sends it to {at}, {at} vanishes (RST)")
def vanish_meanwhile(session: Session, speaker: str, at: str) -> None:
    """A client vanishes as it is its turn; all others hear the line."""
    with _held(session, speaker, at):
        reset(at).run(session)


FOUR = (join("alice", "bob", "carol", "dave"), talk("alice", "bob", "carol", "dave"))

CASES = (
    *chosen(
        "delivery.reach",
        "delivery.sender",
        "departures.fin",
        "departures.idle",
        "departures.others",
        "departures.reset",
    ),
    Case(
        "broadcast.leave",
        "A client leaves in the middle of a broadcast",
        "When a client leaves while a line is being sent to all, the others get it.",
        given=FOUR,
        steps=(leave_meanwhile("alice", "bob", "carol"), talk("alice", "dave")),
        hint="A list that changes while it is walked leaves a client out: walk a copy of it. See hint 3.",
        lesson=LESSON,
    ),
    Case(
        "broadcast.vanish",
        "A client vanishes in the middle of a broadcast",
        "When a client vanishes (RST) just as a line is sent to it, all others get the line.",
        given=FOUR,
        steps=(vanish_meanwhile("alice", "carol"), talk("alice", "dave")),
        hint="A send to a client that has gone raises an error: catch it inside the loop over the clients.",
        lesson=LESSON,
    ),
)

EXERCISE = Exercise(
    title="a group chat",
    name="GroupChat",
    takes="the server class itself, without brackets",
    fits=is_subclass_of(Server),
    cases=CASES,
    lesson=LESSON,
    serves=with_a_door,
    dialect="lines",
)
