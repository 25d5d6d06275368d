"""Exercise 10: a group chat of coroutines, in which a question takes its time."""

import threading
from typing import Any

from chatlib.checker.case import Case, step
from chatlib.checker.errors import Broken
from chatlib.checker.harness.dialect import show
from chatlib.checker.harness.session import Session
from chatlib.checker.steps.basic import join, talk
from chatlib.teach.exercises.exercise import Exercise, is_subclass_of
from chatlib.teach.exercises.servers import Make, Server, chosen, prepared

LESSON = "10 async and await"

LONG = 60.0
"""Seconds that a question takes at most, if the check does not let it end before."""


class Archive:
    """Stands in for `look_up`, which blocks: for no longer than the check lets it."""

    def __init__(self) -> None:
        self.open, self.asked = threading.Event(), threading.Event()
        self.open.set()
        self.thread: threading.Thread | None = None
        """Which thread has asked, and waits."""

    def __call__(self, question: bytes) -> bytes:
        self.thread = threading.current_thread()
        self.asked.set()
        self.open.wait(LONG)
        return b"* " + question.removeprefix(b"?")


def with_archive(chat: Any) -> Make:
    """Returns what makes a chat of this class that looks things up in an archive of ours."""

    def prepare(server: Any) -> None:
        archive, shutdown = Archive(), server.shutdown

        def open_and_shut_down() -> None:
            archive.open.set()  # a thread that still waits there would not let the server end
            shutdown()

        server.look_up, server.shutdown = archive, open_and_shut_down

    return prepared(chat, prepare)


def _archive(session: Session) -> Archive:
    archive: Archive = session.instance.server.look_up
    return archive


@step("{who} asks ?something, and is answered; {other} hears nothing of it")
def ask(session: Session, who: str, other: str) -> None:
    """A client asks something, and is answered; the others hear neither."""
    speaker, listener = session.peers[who], session.peers[other]
    text = session.text("why")
    session.say(speaker, b"?" + text)
    wanted = f"{who} receives what self.look_up has returned: {show(b'* ' + text)}"
    if not session.wait(lambda: b"* " + text in speaker.heard or speaker.end):
        asked = "" if _archive(session).asked.is_set() else ", and self.look_up was not called"
        raise Broken(wanted, session.silence(f"{who} received nothing") + asked, certain=False)
    if b"* " + text not in speaker.heard:
        raise Broken(wanted, session.fate(speaker))
    if session.silent([listener], text):
        actual = f"{other} received {show(bytes(listener.heard))}"
        raise Broken(f"{other} hears nothing of it", actual)


@step("{who} asks ?something that takes long; {speaker} says a line meanwhile")
def ask_slowly(session: Session, who: str, speaker: str, listener: str) -> None:
    """A client asks something that takes long; meanwhile the others talk."""
    asker, talker, hearer = (session.peers[name] for name in (who, speaker, listener))
    archive = _archive(session)
    archive.asked.clear()
    archive.open.clear()
    question = session.text("why")
    session.say(asker, b"?" + question)
    if not session.wait(archive.asked.is_set):
        raise Broken("self.look_up is called", session.silence("it was not called"), certain=False)
    said = session.say(talker)
    # Which thread waits is seen: a long silence would add nothing.
    if archive.thread is session.instance.thread and not session.silent([hearer], said):
        actual = f"{listener} heard nothing of it: the server's only thread was in self.look_up"
        raise Broken(f"{listener} hears {show(said)} at once, which {speaker} has said", actual)
    session.must_hear(talker, [hearer], said)
    archive.open.set()
    session.must_hear(asker, [asker], question)


CASES = (
    *chosen("delivery.reach", "delivery.sender"),
    Case(
        "questions.answer",
        "A question is answered",
        "A line that begins with ? is answered to its sender, by self.look_up, and no other client hears it.",
        given=(join("alice", "bob"), talk("alice", "bob")),
        steps=(ask("alice", "bob"),),
        hint="Is b'?' what you look for? look_up takes and returns bytes; hint 3 says how it is called.",
        lesson=LESSON,
    ),
    Case(
        "questions.meanwhile",
        "A question delays nobody",
        "While a question is looked up, all others are served.",
        given=(join("alice", "bob", "carol"), talk("alice", "bob", "carol")),
        steps=(ask_slowly("alice", "bob", "carol"),),
        hint="look_up blocks its thread. Which one should that be? See the table under One call that blocks.",
        lesson=LESSON,
    ),
    *chosen("departures.fin", "departures.reset"),
)

EXERCISE = Exercise(
    title="one call that blocks",
    name="AsyncChat",
    takes="the server class itself, without brackets",
    fits=is_subclass_of(Server),
    cases=CASES,
    lesson=LESSON,
    serves=with_archive,
    dialect="lines",
)
