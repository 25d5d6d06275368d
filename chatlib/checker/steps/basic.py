"""The steps of which cases are made. Each says in words what it does; several names stand in one text."""

import re
from dataclasses import dataclass

from chatlib.checker.errors import Broken, Unjudged
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.session import Stage
from chatlib.checker.steps.joining import acquaint, admit


def listed(names: str) -> str:
    """Returns `alice, bob and carol` for `alice bob carol`."""
    *first, last = names.split()
    return f"{', '.join(first)} and {last}" if first else last


@dataclass(frozen=True)
class Join:
    """They connect, say their names if asked, and are known to be served: each has heard the others."""

    names: str

    def __str__(self) -> str:
        return f"{listed(self.names)} {'join and greet each other' if ' ' in self.names else 'joins'}"

    def run(self, stage: Stage) -> None:
        here = [peer.name for peer in stage.present()]
        for name in self.names.split():
            admit(stage, name, sleeper=name == "sleeper")
            here.append(name)
            if len(here) > 1 or stage.dialect.answers:
                acquaint(stage, here)
            else:  # nobody can confirm that the first one is served
                stage.pause(stage.pace.quiet)


@dataclass(frozen=True)
class Connect:
    """Somebody connects, and says nothing, not even a name."""

    name: str

    def __str__(self) -> str:
        return f"{self.name} connects and says nothing"

    def run(self, stage: Stage) -> None:
        stage.room.sleep(stage.connect(self.name))


@dataclass(frozen=True)
class Talk:
    """Each says a line in turn, and everybody who should hears it."""

    names: str
    times: int = 1

    def __str__(self) -> str:
        lines = "a line" if self.times == 1 else f"{self.times} lines"
        return f"{listed(self.names)} {f'say {lines} each' if ' ' in self.names else f'says {lines}'}"

    def run(self, stage: Stage) -> None:
        for _ in range(self.times):
            for name in self.names.split():
                speaker = stage.peers[name]
                text = stage.say(speaker)
                stage.must_hear(speaker, stage.listeners(speaker), text)
                for listener in stage.listeners(speaker):
                    note_voice(stage, speaker, listener, text)


def note_voice(stage: Stage, speaker: Peer, listener: Peer, text: bytes) -> None:
    """Remembers what stands before and behind this speaker's lines."""
    if (line := stage.line(listener, text)) is not None:
        stage.voices.setdefault(speaker.name, set()).add(voice_of(line, stage.dialect.spoken(text)))


_NUMBERED = re.compile(rb"\w*\d\w*")


def voice_of(line: bytes, text: bytes) -> tuple[bytes, bytes]:
    """Returns what stands before and behind a text in a line, with 0 for every number."""
    before, _, behind = line.partition(text)
    # The time of day, a counter, a port or an id may stand there, and changes from line to line; before all
    # that, the prompt that the listener was sent.
    return _NUMBERED.sub(b"0", before.lstrip(b"> ")), _NUMBERED.sub(b"0", behind)


def settle(stage: Stage, peer: Peer) -> None:
    """Gives the server time to notice what a client did, and to die of it, before others speak."""
    stage.wait(lambda: peer.end, 2 * stage.pace.quiet)


@dataclass(frozen=True)
class Throw:
    """Somebody sends bytes that may be refused: whatever the server does to this client is well."""

    who: str
    data: bytes
    words: str
    """What it sends, in words."""

    def __str__(self) -> str:
        return f"{self.who} sends {self.words}"

    def run(self, stage: Stage) -> None:
        peer = stage.peers.pop(self.who)  # nobody expects anything of it any more
        stage.room.send(peer, self.data, stage.pace.patience)
        settle(stage, peer)


@dataclass(frozen=True)
class Leave:
    """Somebody leaves politely: reads all that came, then ends the connection (FIN)."""

    who: str

    def __str__(self) -> str:
        return f"{self.who} leaves politely (FIN)"

    def run(self, stage: Stage) -> None:
        farewell(stage, stage.peers.pop(self.who))


def farewell(stage: Stage, peer: Peer) -> bool:
    """Leaves politely. Returns whether the server closed its side, too, before the connection was given up.

    A server that does so is given the time for it: what it sends to a client that is quite gone would be
    answered with a reset, which is another case.
    """
    stage.room.half_close(peer)
    closed = stage.wait(lambda: peer.end, 4 * stage.pace.quiet)
    stage.room.leave(peer)
    return closed


@dataclass(frozen=True)
class Reset:
    """Somebody vanishes, as when a program crashes."""

    who: str

    def __str__(self) -> str:
        return f"{self.who} vanishes (RST)"

    def run(self, stage: Stage) -> None:
        peer = stage.peers.pop(self.who)
        stage.room.reset(peer)
        settle(stage, peer)


@dataclass(frozen=True)
class HalfClose:
    """Somebody says that it will send no more, and still reads."""

    who: str

    def __str__(self) -> str:
        return f"{self.who} sends no more (FIN), and still reads"

    def run(self, stage: Stage) -> None:
        stage.room.half_close(stage.peers[self.who])


@dataclass(frozen=True)
class SeesTheEnd:
    """The server ends somebody's connection."""

    who: str

    def __str__(self) -> str:
        return f"{self.who} sees the end of the connection"

    def run(self, stage: Stage) -> None:
        peer = stage.peers[self.who]
        if not stage.wait(lambda: peer.end):
            actual = stage.silence(f"the connection of {self.who} stayed open: nothing came")
            raise Broken(f"the server closes the connection of {self.who}", actual, certain=False)


@dataclass(frozen=True)
class Idle:
    """Nobody does anything, so the server has nothing to do."""

    survives: bool = False
    """True if this is where it is seen whether the server has survived what was done before."""

    WATCHED = 0.5
    """Seconds."""
    BUSY = 0.05
    """Seconds of processor time in that. A server that waits takes a thousandth; one that spins takes all
    that it can get, on a busy machine not much."""

    def __str__(self) -> str:
        return "nobody does anything, and the server takes no processor time"

    def run(self, stage: Stage) -> None:
        gauge = stage.gauge()
        stage.pause(2 * stage.pace.quiet)  # it may still tidy up
        if ended := stage.instance.ended():
            if not self.survives:
                raise Unjudged(f"{ended}: see departures.others and departures.reset", blocked=True)
            raise Broken("the server still runs", ended)
        before = gauge.cpu()
        busy = stage.wait(lambda: gauge.cpu() - before > self.BUSY, self.WATCHED)
        if not busy and gauge.cpu() > before:  # perhaps it spins, and others leave it little time
            busy = stage.wait(lambda: gauge.cpu() - before > 2 * self.BUSY, 10 * self.WATCHED)
        if busy:
            actual = stage.explain("it was busy all the time, though nobody said anything")
            raise Broken("the server waits, and takes no processor time", actual, certain=False)
