"""Exercise 10: a group chat of coroutines, in which a question takes its time."""

import threading
from dataclasses import dataclass
from typing import Any

from chatlib.checker.case import Case
from chatlib.checker.errors import Broken
from chatlib.checker.harness.dialect import show
from chatlib.checker.harness.session import Stage
from chatlib.checker.steps.basic import Join, Talk
from chatlib.sockets import LOOPBACK
from chatlib.teach.exercises.ex02_servers import Make, built, chosen

LESSON = "10 async and await"

LONG = 5.0
"""Seconds that a question takes at most, if nobody lets it end before."""


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
    """Exercise 10: a chat that looks things up in an archive of ours."""

    def make(address: Any = LOOPBACK) -> Any:
        server, archive = built(chat, address), Archive()
        shutdown = server.shutdown

        def opened() -> None:
            archive.open.set()  # whoever still waits there would not let it end
            shutdown()

        server.look_up, server.shutdown = archive, opened
        return server

    make.__name__ = chat.__name__  # as it is called where it cannot be made
    return make


def _archive(stage: Stage) -> Archive:
    archive: Archive = stage.instance.server.look_up  # type: ignore[attr-defined]
    return archive


@dataclass(frozen=True)
class Ask:
    """Somebody asks something, and is answered; the others hear neither."""

    who: str
    other: str

    def __str__(self) -> str:
        return f"{self.who} asks ?something, and is answered; {self.other} hears nothing of it"

    def run(self, stage: Stage) -> None:
        speaker, other = stage.peers[self.who], stage.peers[self.other]
        text = stage.text("why")
        stage.say(speaker, b"?" + text)
        wanted = f"{self.who} receives what self.look_up has returned: {show(b'* ' + text)}"
        if not stage.wait(lambda: b"* " + text in speaker.heard or speaker.end):
            asked = "" if _archive(stage).asked.is_set() else ", and self.look_up was not called"
            raise Broken(wanted, stage.silence(f"{self.who} received nothing") + asked, certain=False)
        if b"* " + text not in speaker.heard:
            raise Broken(wanted, stage.fate(speaker))
        if stage.silent([other], text):
            raise Broken(
                f"{self.other} hears nothing of it", f"{self.other} received {show(bytes(other.heard))}"
            )


@dataclass(frozen=True)
class AskSlowly:
    """Somebody asks something that takes long; meanwhile the others talk."""

    who: str
    speaker: str
    listener: str

    def __str__(self) -> str:
        return f"{self.who} asks ?something that takes long; {self.speaker} says a line meanwhile"

    def run(self, stage: Stage) -> None:
        asker, speaker, listener = (stage.peers[name] for name in (self.who, self.speaker, self.listener))
        archive = _archive(stage)
        archive.asked.clear()
        archive.open.clear()
        question = stage.text("why")
        stage.say(asker, b"?" + question)
        if not stage.wait(archive.asked.is_set):
            raise Broken("self.look_up is called", stage.silence("it was not called"), certain=False)
        said = stage.say(speaker)
        self._compare(stage, archive, said)
        stage.must_hear(speaker, [listener], said)
        archive.open.set()
        stage.must_hear(asker, [asker], question)

    def _compare(self, stage: Stage, archive: Archive, said: bytes) -> None:
        """Whose thread waits need not be found out by waiting."""
        served_by = stage.instance.thread  # type: ignore[attr-defined]
        if archive.thread is served_by and not stage.silent([stage.peers[self.listener]], said):
            actual = f"{self.listener} heard nothing of it: the server's only thread was in self.look_up"
            raise Broken(f"{self.listener} hears {show(said)} at once, which {self.speaker} has said", actual)


CASES = (
    *chosen("delivery.reach", "delivery.sender"),
    Case(
        "questions.answer",
        "A question is answered",
        "A line that begins with ? is answered to its sender, by self.look_up, and goes to nobody else.",
        given=(Join("alice bob"), Talk("alice bob")),
        steps=(Ask("alice", "bob"),),
        hint="Is b'?' what you look for? look_up takes and returns bytes; hint 3 says how it is called.",
        lesson=LESSON,
    ),
    Case(
        "questions.meanwhile",
        "A question delays nobody",
        "While a question is looked up, all others are served.",
        given=(Join("alice bob carol"), Talk("alice bob carol")),
        steps=(AskSlowly("alice", "bob", "carol"),),
        hint="look_up blocks its thread. Which one should that be? See the table under One call that blocks.",
        lesson=LESSON,
    ),
    *chosen("departures.fin", "departures.reset"),
)
