"""Framing: TCP carries bytes, and a line may come in any pieces."""

import re
from dataclasses import dataclass

from chatlib.checker.case import FRAMED, Case
from chatlib.checker.errors import Broken
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.dialect import show
from chatlib.checker.harness.session import Stage
from chatlib.checker.steps.basic import Join, Talk, voice_of
from chatlib.checker.steps.long_lines import EndlessLine, LongLine
from chatlib.checker.steps.payloads import LETTER
from chatlib.checker.targets.target import Need

LESSON = "04 The stream lies"


@dataclass(frozen=True)
class SayFramed:
    """Somebody says lines in pieces; another speaks between the pieces. Each arrives as one line, whole.

    Attributes:
        who: Who speaks.
        pieces: What is sent at once. `%` stands for a text that nobody has said yet, and `|` for the end of a
            line.
        between: Who speaks between the pieces.
        words: What is done, in words.
    """

    who: str
    pieces: tuple[bytes, ...]
    between: str
    words: str

    def __str__(self) -> str:
        return self.words

    def run(self, stage: Stage) -> None:
        speaker = stage.peers[self.who]
        sent: list[bytes] = []
        mark = {peer: len(peer.heard) for peer in stage.present()}
        for number, piece in enumerate(self.pieces):
            data = re.sub(rb"%", lambda _: stage.text("line"), piece).replace(b"|", stage.dialect.newline)
            stage.send(speaker, data)
            sent.append(data)
            if number < len(self.pieces) - 1:
                self._interrupt(stage, speaker, mark, b"".join(sent).split(b"\n")[:-1])
        texts = [text for line in b"".join(sent).split(b"\n") if (text := line.strip(b"\r"))]
        for listener in stage.listeners(speaker):
            self._compare(stage, speaker, listener, texts, mark[listener])

    def _interrupt(self, stage: Stage, speaker: Peer, mark: dict[Peer, int], whole: list[bytes]) -> None:
        """Gives the server time to read the piece, and to pass it on, which would be too early.

        If there are whole lines in it, they have to arrive before: to talk at once is another case.
        """
        texts = [text for line in whole if (text := line.strip())]

        def passed_on(peer: Peer) -> bool:
            return all(stage.hears(peer, text) for text in texts) if texts else len(peer.heard) > mark[peer]

        listeners = stage.listeners(speaker)
        stage.wait(lambda: (all if texts else any)(map(passed_on, listeners)), 2 * stage.pace.quiet)
        if not self.between or not stage.dialect.framed:  # then what others say may come in between
            stage.pause(2 * stage.pace.quiet)
            return
        other = stage.peers[self.between]
        for _ in range(2):  # when it has been served twice, the piece has been read, too
            others = [peer for peer in stage.listeners(other) if peer is not speaker]
            stage.must_hear(other, others, stage.say(other))

    def _compare(self, stage: Stage, speaker: Peer, listener: Peer, texts: list[bytes], mark: int) -> None:
        def missing() -> list[bytes]:
            heard = listener.since(mark)
            if not stage.dialect.framed:  # bytes as they come: it is enough that they come
                return [text for text in texts if text not in heard]
            lines = heard.split(b"\n")[:-1]
            return [text for text in texts if not any(_carries(stage, speaker, line, text) for line in lines)]

        stage.wait(lambda: not missing() or listener.end)
        if lost := missing():
            heard = listener.since(mark)
            expected = f"{listener.name} receives {show(stage.dialect.spoken(lost[0]))}"
            expected += " as one line" if stage.dialect.framed else ""
            actual = stage.fate(listener, heard)
            if any(text[:4] in heard for text in lost):
                actual = f"it came apart: {actual}"
            raise Broken(expected, actual, certain=bool(heard.strip()))


def _carries(stage: Stage, speaker: Peer, line: bytes, text: bytes) -> bool:
    line = line.removesuffix(b"\r")
    voices = stage.voices.get(speaker.name, set())
    return any(
        form in line and (not voices or voice_of(line, form) in voices) for form in stage.dialect.forms(text)
    )


@dataclass(frozen=True)
class WithReturn:
    """A line that ends with CR LF arrives, and brings nothing else with it."""

    who: str

    def __str__(self) -> str:
        return f"{self.who} ends a line with CR LF"

    def run(self, stage: Stage) -> None:
        speaker, text = stage.peers[self.who], stage.text("line")
        stage.send(speaker, text + b"\r\n")
        stage.must_hear(speaker, stage.listeners(speaker), text)
        following = stage.say(speaker)
        stage.must_hear(speaker, stage.listeners(speaker), following)
        for listener in stage.listeners(speaker):
            heard = bytes(listener.heard)
            heard = heard[heard.find(stage.dialect.spoken(text)) :]  # what others said may come late
            between = heard[: heard.rfind(b"\n", 0, heard.find(stage.dialect.spoken(following))) + 1]
            lines = between.split(b"\n")[:-1]
            if len(lines) > 1:
                expected = f"{listener.name} receives one line"
                raise Broken(expected, f"{listener.name} received {len(lines)}: {show(between)}")


@dataclass(frozen=True)
class EmptyLine:
    """Somebody says nothing, twice. It is no farewell."""

    who: str

    def __str__(self) -> str:
        return f"{self.who} sends two empty lines"

    def run(self, stage: Stage) -> None:
        for _ in range(2):
            stage.send(stage.peers[self.who], stage.dialect.newline)
            stage.pause(stage.pace.quiet / 2)


CASES = (
    Case(
        "framing.split",
        "A line cut in two arrives as one",
        "A line arrives whole, even when its bytes come in two pieces.",
        given=(Join("alice bob carol"), Talk("alice bob carol")),
        steps=(
            SayFramed(
                "alice",
                (b"cut-", b"%|"),
                "carol",
                "alice sends half a line, carol says a line, alice sends the rest",
            ),
        ),
        hint="recv brings what has arrived, not what was sent: collect, for each client, up to a newline.",
        lesson=LESSON,
        dialects=FRAMED,
    ),
    Case(
        "framing.joined",
        "Lines that come in one piece arrive apart",
        "Two and a half lines in one piece are two lines; the half waits for its end.",
        given=(Join("alice bob carol"), Talk("alice bob carol")),
        steps=(
            SayFramed(
                "alice",
                (b"%|%|cut-", b"%|"),
                "carol",
                "alice sends two and a half lines at once, carol says a line, alice sends the rest",
            ),
        ),
        hint="One recv may bring several lines, and half of another. Split at newlines, and keep the rest.",
        lesson=LESSON,
        dialects=FRAMED,
    ),
    Case(
        "framing.letter",
        "A letter cut in half arrives",
        "A letter of two bytes arrives intact, even when they come in two pieces.",
        given=(Join("alice bob carol"), Talk("alice bob carol")),
        steps=(
            SayFramed(
                "alice",
                (b"caf" + LETTER[:1], LETTER[1:] + b"-%|"),
                "carol",
                "alice sends half of the letter é, carol says a line, alice sends the rest",
            ),
        ),
        hint="Decode whole lines, never what a single recv brought: it may end in the middle of a letter.",
        lesson=LESSON,
    ),
    Case(
        "framing.crlf",
        "CR LF ends one line",
        "A line that ends with CR LF, as telnet sends it, is one line.",
        given=(Join("alice bob"), Talk("alice bob")),
        steps=(WithReturn("alice"),),
        hint="Split at the newline only, then drop one carriage return before it.",
        lesson=LESSON,
        dialects=FRAMED,
    ),
    Case(
        "framing.empty",
        "An empty line is no farewell",
        "A client that sends an empty line is still served afterwards.",
        given=(Join("alice bob"), Talk("alice bob")),
        steps=(EmptyLine("alice"), Talk("alice bob", 2)),
        hint='Only b"" from recv means that the client has left. An empty line is b"\\n": test, then strip.',
        lesson=LESSON,
    ),
    Case(
        "framing.long",
        "A long line is delivered, or refused clearly",
        "A line of 64 KiB arrives whole, or its sender is told, or sees the end of its connection.",
        given=(Join("alice bob"), Talk("alice bob")),
        steps=(LongLine("alice"),),
        hint="A long line comes in many pieces. If you limit it, tell the client, or close its connection.",
        lesson=LESSON,
    ),
    Case(
        "framing.endless",
        "An endless line does not fill the memory",
        "The server keeps no more than 8 MiB of a line that never ends.",
        given=(Join("alice bob carol"), Talk("alice bob carol")),
        steps=(EndlessLine("alice"),),
        hint="Limit how long a line may be. Beyond that, tell the client, and close its connection.",
        lesson=LESSON,
        dialects=FRAMED,
        needs=frozenset({Need.GAUGE}),
        deadline=20.0,
    ),
)
