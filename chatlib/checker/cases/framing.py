"""Framing: TCP carries bytes, and a line may come in any pieces."""

import re

from chatlib.checker.case import FRAMED, Case, step
from chatlib.checker.errors import Broken, Unjudged
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.dialect import show
from chatlib.checker.harness.session import Session
from chatlib.checker.steps.basic import join, talk, voice_of
from chatlib.checker.steps.long_lines import say_endless_line, say_long_line
from chatlib.checker.steps.payloads import LETTER
from chatlib.checker.targets.target import Need

LESSON = "04 The stream lies"


@step("{words}")
def say_in_pieces(session: Session, who: str, pieces: tuple[bytes, ...], between: str, words: str) -> None:
    """A client says lines in pieces; another speaks between the pieces. Each arrives as one line, whole.

    Args:
        session: Where.
        who: The client that speaks.
        pieces: What is sent at once. `%` stands for a text that no client has said yet, and `|` for the end
            of a line.
        between: The client that speaks between the pieces.
        words: What is done, in words.
    """
    speaker = session.peers[who]
    sent: list[bytes] = []
    mark = {peer: len(peer.heard) for peer in session.present()}
    for number, piece in enumerate(pieces):
        data = re.sub(rb"%", lambda _: session.text("line"), piece).replace(b"|", session.dialect.newline)
        session.send(speaker, data)
        sent.append(data)
        if number < len(pieces) - 1:
            _interrupt(session, speaker, between, mark, b"".join(sent).split(b"\n")[:-1])
    texts = [text for line in b"".join(sent).split(b"\n") if (text := line.strip(b"\r"))]
    for listener in session.listeners(speaker):
        _compare(session, speaker, listener, texts, mark[listener])


def _interrupt(
    session: Session, speaker: Peer, between: str, mark: dict[Peer, int], whole: list[bytes]
) -> None:
    """Gives the server time to read the piece, and to pass it on, which would be too early.

    If there are whole lines in it, they have to arrive before: to talk at once is another case.
    """
    texts = [text for line in whole if (text := line.strip())]

    def passed_on(peer: Peer) -> bool:
        return all(session.hears(peer, text) for text in texts) if texts else len(peer.heard) > mark[peer]

    listeners = session.listeners(speaker)
    session.wait(lambda: (all if texts else any)(map(passed_on, listeners)), 2 * session.timeouts.quiet)
    if texts and between:  # the half behind them has its time to come too early, too
        session.pause(2 * session.timeouts.quiet)
    if not between or not session.dialect.framed:  # then what others say may come in between
        session.pause(2 * session.timeouts.quiet)
        return
    other = session.peers[between]
    for _ in range(2):  # when it has been served twice, the piece has been read, too
        others = [peer for peer in session.listeners(other) if peer is not speaker]
        session.must_hear(other, others, session.say(other))


def _compare(session: Session, speaker: Peer, listener: Peer, texts: list[bytes], mark: int) -> None:
    voices = session.voices.get(speaker.name, set())

    def carries(line: bytes, text: bytes) -> bool:
        forms = session.dialect.forms(text)
        return any(form in line and (not voices or voice_of(line, form) in voices) for form in forms)

    def missing() -> list[bytes]:
        heard = listener.since(mark)
        if not session.dialect.framed:  # bytes as they come: it is enough that they come
            return [text for text in texts if text not in heard]
        lines = [line.removesuffix(b"\r") for line in heard.split(b"\n")[:-1]]
        return [text for text in texts if not any(carries(line, text) for line in lines)]

    session.wait(lambda: not missing() or listener.end)
    if lost := missing():
        heard = listener.since(mark)
        end = b"\n" if session.dialect.framed else b""
        expected = f"{listener.name} receives {show(session.dialect.spoken(lost[0]) + end)}"
        expected += " as one line" if end else ""
        actual, hint = session.fate(listener, heard), ""
        if b"\n" not in heard and any(form in heard for form in session.dialect.forms(lost[-1])):
            actual, hint = f"no newline came behind it: {actual}", "Send a newline behind each line, too."
        elif any(text[:4] in heard for text in lost):
            actual = f"it came apart: {actual}"
        raise Broken(expected, actual, certain=bool(heard.strip()), hint=hint)


@step("{who} says a line with the letter é")
def say_letter(session: Session, who: str) -> None:
    """A letter that comes in one piece arrives."""
    try:
        say_in_pieces(who, (b"caf" + LETTER + b"-%|",), "", "").run(session)
    except Broken as broken:
        if session.dialect.name == "budget-chat" and session.instance.says("'ascii' codec"):
            raise Unjudged("it takes only ASCII, and this protocol promises no more") from broken
        raise


@step("{who} ends a line with CR LF")
def end_with_return(session: Session, who: str) -> None:
    """A line that ends with CR LF arrives, and brings nothing else with it."""
    speaker, text = session.peers[who], session.text("line")
    session.send(speaker, text + b"\r\n")
    session.must_hear(speaker, session.listeners(speaker), text)
    following = session.say(speaker)
    session.must_hear(speaker, session.listeners(speaker), following)
    for listener in session.listeners(speaker):
        heard = bytes(listener.heard)
        heard = heard[heard.find(session.dialect.spoken(text)) :]  # what others said may come late
        between = heard[: heard.rfind(b"\n", 0, heard.find(session.dialect.spoken(following))) + 1]
        lines = between.split(b"\n")[:-1]
        if len(lines) > 1:
            expected = f"{listener.name} receives one line"
            raise Broken(expected, f"{listener.name} received {len(lines)}: {show(between)}")


@step("{who} sends two empty lines")
def send_empty_lines(session: Session, who: str) -> None:
    """A client says nothing, twice. It is no farewell."""
    for _ in range(2):
        session.send(session.peers[who], session.dialect.newline)
        session.pause(session.timeouts.quiet / 2)


CASES = (
    Case(
        "framing.split",
        "A line cut in two arrives as one",
        "A line arrives whole, even when its bytes come in two pieces.",
        given=(join("alice", "bob", "carol"), talk("alice", "bob", "carol")),
        steps=(
            say_in_pieces(
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
        given=(join("alice", "bob", "carol"), talk("alice", "bob", "carol")),
        steps=(
            say_in_pieces(
                "alice",
                (b"%|%!|cut-", b"%|"),  # one is longer by one: its end may fall anywhere, also for recv(2)
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
        given=(join("alice", "bob", "carol"), talk("alice", "bob", "carol")),
        steps=(
            say_letter("alice"),
            say_in_pieces(
                "alice",
                (b"caf" + LETTER[:1], LETTER[1:] + b"-%|"),
                "carol",
                "alice sends half of the letter é, carol says a line, alice sends the rest",
            ),
        ),
        hint="Decode whole lines, as UTF-8, never what recv brought: it may end in the middle of a letter.",
        lesson=LESSON,
    ),
    Case(
        "framing.crlf",
        "CR LF ends one line",
        "A line that ends with CR LF, as telnet sends it, is one line.",
        given=(join("alice", "bob"), talk("alice", "bob")),
        steps=(end_with_return("alice"),),
        hint="Split at the newline only, then drop one carriage return before it.",
        lesson=LESSON,
        dialects=FRAMED,
    ),
    Case(
        "framing.empty",
        "An empty line is no farewell",
        "A client that sends an empty line is still served afterwards.",
        given=(join("alice", "bob"), talk("alice", "bob")),
        steps=(send_empty_lines("alice"), talk("alice", "bob", times=2)),
        hint='Only b"" from recv means that the client has left. An empty line is b"\\n": test, then strip.',
        lesson=LESSON,
    ),
    Case(
        "framing.long",
        "A long line is delivered, or refused clearly",
        "A line of 70,000 bytes arrives whole, or its sender is told, or sees the end of its connection.",
        given=(join("alice", "bob", "carol"), talk("alice", "bob", "carol")),
        steps=(say_long_line("alice"), talk("bob", "carol", times=2)),
        hint="A long line comes in many pieces. If you limit it, tell the client, or close its connection.",
        lesson=LESSON,
    ),
    Case(
        "framing.endless",
        "An endless line does not fill the memory",
        "The server keeps no more than 8 MiB of a line that never ends.",
        given=(join("alice", "bob", "carol"), talk("alice", "bob", "carol")),
        steps=(say_endless_line("alice"), talk("bob", "carol", times=2)),
        hint="Limit how long a line may be. Beyond that, tell the client, and close its connection.",
        lesson=LESSON,
        dialects=FRAMED,
        needs=frozenset({Need.USAGE}),
        deadline=20.0,
    ),
)
