"""Delivery: who hears what, how often, and in which order."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from chatlib.checker.case import GROUP, Case
from chatlib.checker.errors import Broken, Unjudged
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.dialect import show
from chatlib.checker.harness.session import Stage
from chatlib.checker.steps.basic import Join, Talk, listed, voice_of

LINES = 30
"""Lines in a row. Short ones: all together they fit into one `recv(1024)`."""

ROUNDS = 30
"""How often all talk at once."""


@dataclass(frozen=True)
class Reach:
    """Each says a line; everybody who should hears it, in the form of the dialect."""

    names: str

    def __str__(self) -> str:
        return f"{listed(self.names)} {'say a line each' if ' ' in self.names else 'says a line'}"

    def run(self, stage: Stage) -> None:
        for name in self.names.split():
            speaker = stage.peers[name]
            text = stage.say(speaker)
            stage.must_hear(speaker, stage.listeners(speaker), text)
            for listener in stage.listeners(speaker):
                self._compare(stage, speaker, listener, text)

    def _compare(self, stage: Stage, speaker: Peer, listener: Peer, text: bytes) -> None:
        if not stage.dialect.framed or stage.dialect.prefix is None:
            return
        stage.wait(lambda: stage.line(listener, text) is not None, stage.pace.quiet)
        line = stage.line(listener, text) or bytes(listener.heard[-80:])
        if expected := stage.dialect.misfit(speaker.nick, line, text):
            raise Broken(f"{listener.name} receives {expected}", f"{listener.name} received {show(line)}")


@dataclass(frozen=True)
class InARow:
    """Somebody says many lines; each arrives once, in order."""

    who: str

    def __str__(self) -> str:
        return f"{self.who} says {LINES} lines in a row"

    def run(self, stage: Stage) -> None:
        speaker = stage.peers[self.who]
        texts = [stage.text("line") for _ in range(LINES)]
        for text in texts:
            stage.say(speaker, text)
            if not stage.dialect.framed:  # bytes that come together may travel on together
                stage.must_hear(speaker, stage.listeners(speaker), text)
        listeners = stage.listeners(speaker)

        def missing() -> int:
            return sum(not stage.hears(peer, text) for peer in listeners for text in texts)

        while (before := missing()) and stage.wait(partial(_fewer, missing, before)):
            pass  # it may be slow, as long as it goes on
        stage.pause(stage.pace.quiet)  # what would come twice
        for listener in listeners:
            _compare_order(stage, speaker, listener, texts)


@dataclass(frozen=True)
class Echo:
    """A sender hears itself, or does not, as the dialect says."""

    who: str
    other: str

    def __str__(self) -> str:
        return f"{self.who} says a line, then {self.other} does"

    def run(self, stage: Stage) -> None:
        if stage.dialect.echo is None:
            raise Unjudged("this dialect leaves open whether a sender hears itself")
        speaker, other = stage.peers[self.who], stage.peers[self.other]
        text = stage.say(speaker)
        if stage.dialect.echo:
            stage.must_hear(speaker, [speaker], text)
            return
        stage.must_hear(speaker, [other], text)
        stage.must_hear(other, [speaker], stage.say(other))  # what was said before has come by now
        if stage.silent([speaker], text):
            raise Broken(f"{self.who} does not hear what it says itself", f"{self.who} received {show(text)}")


@dataclass(frozen=True)
class Overhear:
    """Others hear nothing of an answer."""

    who: str
    other: str

    def __str__(self) -> str:
        return f"{self.who} says a line, and {self.other} hears nothing of it"

    def run(self, stage: Stage) -> None:
        speaker, other = stage.peers[self.who], stage.peers[self.other]
        text = stage.say(speaker)
        stage.must_hear(speaker, [speaker], text)
        if stage.silent([other], stage.dialect.spoken(text)) or text in other.heard:
            raise Broken(f"only {self.who} is answered", f"{self.other} received {show(text)}, too")


@dataclass(frozen=True)
class AllAtOnce:
    """All talk at the same time. No line is torn, mixed with another, lost or doubled."""

    names: str

    def __str__(self) -> str:
        return f"{listed(self.names)} talk at the same time"

    def run(self, stage: Stage) -> None:
        for _ in range(ROUNDS):  # a line each: what several lines in one piece become is another case
            said = {stage.peers[name]: self._text(stage) for name in self.names.split()}
            for speaker, text in said.items():
                stage.say(speaker, text)
            self._compare(stage, said)

    def _text(self, stage: Stage) -> bytes:
        return stage.text("from") + b"-" * 10 + stage.text("to")

    def _compare(self, stage: Stage, said: dict[Peer, bytes]) -> None:
        pairs = [(speaker, listener) for speaker in said for listener in stage.listeners(speaker)]
        quiet = stage.pace.quiet
        stage.wait(lambda: all(stage.hears(listener, said[speaker]) for speaker, listener in pairs))
        if stage.dialect.framed:  # the end of the last line may be yet to come
            stage.wait(lambda: all(stage.line(peer, said[who]) is not None for who, peer in pairs), quiet)
        for speaker, listener in pairs:
            _compare_order(stage, speaker, listener, [said[speaker]])
            self._compare_voice(stage, speaker, listener, said[speaker])
        for listener in stage.present():
            listener.heard.clear()

    def _compare_voice(self, stage: Stage, speaker: Peer, listener: Peer, text: bytes) -> None:
        line, voices = stage.line(listener, text), stage.voices.get(speaker.name)
        if not stage.dialect.framed or line is None or not voices:
            return
        if voice_of(line, stage.dialect.spoken(text)) not in voices:
            expected = f"{listener.name} receives {show(text)} in a line of its own"
            raise Broken(expected, f"{listener.name} received it as {show(line)}")


def _fewer(missing: Callable[[], int], before: int) -> bool:
    return missing() < before


def _compare_order(stage: Stage, speaker: Peer, listener: Peer, texts: list[bytes]) -> None:
    heard = bytes(listener.heard)
    places = [heard.find(stage.dialect.spoken(text)) for text in texts]
    everything = f"{listener.name} hears each line that {speaker.name} says once, in order"
    if listener.end:
        raise Broken(everything, stage.fate(listener))
    if -1 in places:
        lost, last = places.index(-1), max(places)
        where = f"line {lost + 1} of {len(texts)} did not arrive"
        raise Broken(everything, stage.silence(where), certain=places[-1] >= 0 and last >= 0)
    for text in texts:
        if heard.count(stage.dialect.spoken(text)) > 1:
            raise Broken(everything, f"{show(text)} came {heard.count(stage.dialect.spoken(text))} times")
    if places != sorted(places):
        raise Broken(everything, "the lines came in another order")


LATE = "05 Group chat by hand"

CASES = (
    Case(
        "delivery.reach",
        "A line reaches everyone whom it should",
        "A line that one client says reaches every other client.",
        steps=(Join("alice bob carol"), Reach("alice bob carol")),
        hint="Serve all at the same time; send each line to all the others. (Another dialect? Try auto.)",
        lesson="03 A thread for each, 05 Group chat by hand",
        dialects=GROUP,
    ),
    Case(
        "delivery.answer",
        "A line is answered",
        "Each line is answered in upper case.",
        steps=(Join("alice"), Reach("alice")),
        hint="Answer with the line in upper case, and a newline. (Another dialect? Try auto.)",
        lesson="00 Start here",
        dialects=("shout",),
    ),
    Case(
        "delivery.order",
        "Lines arrive once, and in order",
        "Each line arrives exactly once, and lines arrive in the order in which they were said.",
        given=(Join("alice bob"), Talk("alice bob")),
        steps=(InARow("alice"), InARow("bob")),
        hint="Is a client in the list twice? Is each line sent by a new thread?",
        lesson=LATE,
    ),
    Case(
        "delivery.sender",
        "A sender hears itself, or does not",
        "A sender hears its own lines only if the dialect says so.",
        given=(Join("alice bob"), Talk("alice bob")),
        steps=(Echo("alice", "bob"), Echo("bob", "alice")),
        hint="Send to every client except the one that has spoken (or, if it should hear itself, to all).",
        lesson=LATE,
        dialects=GROUP,
    ),
    Case(
        "delivery.private",
        "An answer is for its sender only",
        "Nobody but its sender hears the answer to a line.",
        given=(Join("alice bob"), Talk("alice bob")),
        steps=(Overhear("alice", "bob"), Overhear("bob", "alice")),
        hint="Send the answer over the connection that the line came from.",
        lesson="03 A thread for each",
        dialects=("shout",),
    ),
    Case(
        "delivery.talkers",
        "Five clients talk at once",
        "When five clients talk at once, no line is torn or mixed with another.",
        given=(Join("alice bob carol dave erin"), Talk("alice bob carol dave erin")),
        steps=(AllAtOnce("alice bob carol dave erin"),),
        hint="Send each line, with its name, in one sendall. Keep no line in a variable that threads share.",
        lesson=LATE,
    ),
    Case(
        "delivery.late",
        "A latecomer gets new lines",
        "A client that joins later hears what is said from then on, and is heard.",
        given=(Join("alice bob"), Talk("alice bob", 15)),
        steps=(Join("carol"), Talk("alice bob carol")),
        hint="Add each client to the list as it comes, and walk that list anew for each line.",
        lesson=LATE,
    ),
)
