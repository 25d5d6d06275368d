"""Delivery: which client hears what, how often, and in which order."""

from chatlib.checker.case import ANSWERING, GROUP, Case, step
from chatlib.checker.errors import Broken, Unjudged
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.dialect import show
from chatlib.checker.harness.session import Session
from chatlib.checker.steps.basic import join, talk, talking, voice_of

LINES = 30
"""Lines in a row. Short ones: all together they fit into one `recv(1024)`."""

FEWER = 10
"""So many where each is waited for."""

ROUNDS = 30
"""How often all talk at once."""


@step(talking)
def reach(session: Session, *names: str) -> None:
    """Each says a line; all its listeners hear it, in the form of the dialect."""
    for name in names:
        speaker = session.peers[name]
        text = session.say(speaker)
        session.must_hear(speaker, session.listeners(speaker), text)
        for listener in session.listeners(speaker):
            _compare_form(session, speaker, listener, text)


def _compare_form(session: Session, speaker: Peer, listener: Peer, text: bytes) -> None:
    if not session.dialect.framed or session.dialect.prefix is None:
        return
    session.wait(lambda: session.line(listener, text) is not None, session.timeouts.quiet)
    line = session.line(listener, text) or bytes(listener.heard[-80:])
    if expected := session.dialect.misfit(speaker.nick, line, text):
        raise Broken(f"{listener.name} receives {expected}", f"{listener.name} received {show(line)}")


@step(lambda who: f"{who} says {LINES} lines in a row")
def talk_in_a_row(session: Session, who: str) -> None:
    """A client says many lines; each arrives once, in order."""
    speaker = session.peers[who]
    texts = [session.text("line") for _ in range(LINES if session.dialect.framed else FEWER)]
    for text in texts:
        session.say(speaker, text)
        if not session.dialect.framed:  # bytes that come together may travel on together
            session.must_hear(speaker, session.listeners(speaker), text)
    listeners = session.listeners(speaker)

    def missing() -> int:
        return sum(not session.settled([peer], text) for peer in listeners for text in texts)

    while (before := missing()) and session.wait(lambda: missing() < before):  # noqa: B023
        pass  # it may be slow, as long as it goes on
    session.pause(session.timeouts.quiet)  # what would come twice
    for listener in listeners:
        _compare_order(session, speaker, listener, texts)


@step("{who} says a line, then {other} does")
def expect_echo(session: Session, who: str, other: str) -> None:
    """A sender hears itself, or does not, as the dialect says."""
    if session.dialect.echo is None:
        raise Unjudged("this dialect leaves open whether a sender hears itself")
    speaker, listener = session.peers[who], session.peers[other]
    text = session.say(speaker)
    if session.dialect.echo:
        session.must_hear(speaker, [speaker], text)
        return
    session.must_hear(speaker, [listener], text)
    session.must_hear(listener, [speaker], session.say(listener))  # what was said before has come by now
    if session.silent([speaker], text):
        raise Broken(f"{who} does not hear what it says itself", f"{who} received {show(text)}")


@step("{who} says a line, and {other} hears nothing of it")
def answer_in_private(session: Session, who: str, other: str) -> None:
    """Others hear nothing of an answer."""
    speaker, listener = session.peers[who], session.peers[other]
    text = session.say(speaker)
    session.must_hear(speaker, [speaker], text)
    if session.silent([listener], session.dialect.spoken(text)) or text in listener.heard:
        raise Broken(f"only {who} is answered", f"{other} received {show(text)}, too")


@step("{names} talk at the same time")
def talk_at_once(session: Session, *names: str) -> None:
    """All talk at the same time. No line is torn, mixed with another, lost or doubled."""
    for _ in range(ROUNDS):  # a line each: what several lines in one piece become is another case
        said = {session.peers[name]: session.text("from") + b"-" * 10 + session.text("to") for name in names}
        for speaker, text in said.items():
            session.say(speaker, text)
        _compare_all(session, said)


def _compare_all(session: Session, said: dict[Peer, bytes]) -> None:
    pairs = [(speaker, listener) for speaker in said for listener in session.listeners(speaker)]
    quiet = session.timeouts.quiet
    session.wait(lambda: all(session.settled([listener], said[speaker]) for speaker, listener in pairs))
    if session.dialect.framed:  # the end of the last line may be yet to come
        session.wait(lambda: all(session.line(peer, said[who]) is not None for who, peer in pairs), quiet)
    for speaker, listener in pairs:
        _compare_order(session, speaker, listener, [said[speaker]])
        line, voices = session.line(listener, said[speaker]), session.voices.get(speaker.name)
        if not session.dialect.framed or line is None or not voices:
            continue
        if voice_of(line, session.dialect.spoken(said[speaker])) not in voices:
            expected = f"{listener.name} receives {show(said[speaker])} in a line of its own"
            raise Broken(expected, f"{listener.name} received it as {show(line)}")
    for listener in session.present():
        listener.heard.clear()


def _compare_order(session: Session, speaker: Peer, listener: Peer, texts: list[bytes]) -> None:
    heard = bytes(listener.heard)
    places = [heard.find(session.dialect.spoken(text)) for text in texts]
    everything = f"{listener.name} hears each line that {speaker.name} says once, in order"
    if listener.end:
        raise Broken(everything, session.fate(listener))
    if -1 in places:
        lost, last = places.index(-1), max(places)
        where = f"line {lost + 1} of {len(texts)} did not arrive"
        raise Broken(everything, session.silence(where), certain=places[-1] >= 0 and last >= 0)
    for text in texts:
        if heard.count(session.dialect.spoken(text)) > 1:
            raise Broken(everything, f"{show(text)} came {heard.count(session.dialect.spoken(text))} times")
    if places != sorted(places):
        raise Broken(everything, "the lines came in another order")


LATE = "05 Group chat by hand"

CASES = (
    Case(
        "delivery.reach",
        "A line reaches everyone whom it should",
        "A line that one client says reaches every other client.",
        steps=(join("alice", "bob", "carol"), reach("alice", "bob", "carol")),
        hint="Serve all at the same time; send each line to all the others.",
        lesson="03 A thread for each, 05 Group chat by hand",
        dialects=GROUP,
    ),
    Case(
        "delivery.answer",
        "A line is answered",
        "Each line is answered: in upper case by a server that shouts, unchanged by an echo.",
        steps=(join("alice"), reach("alice")),
        hint="Answer the whole line, with its newline. When a handler returns or fails, its connection ends.",
        lesson="02 One at a time",
        dialects=ANSWERING,
    ),
    Case(
        "delivery.order",
        "Lines arrive once, and in order",
        "Each line arrives exactly once, and lines arrive in the order in which they were said.",
        given=(join("alice", "bob"), talk("alice", "bob")),
        steps=(talk_in_a_row("alice"), talk_in_a_row("bob")),
        hint="Is a client in the list twice? Is each line sent by a new thread?"
        " Does what one recv brings after its first line get lost?",
        lesson=LATE,
    ),
    Case(
        "delivery.sender",
        "A sender hears itself, or does not",
        "A sender hears its own lines only if the dialect says so.",
        given=(join("alice", "bob"), talk("alice", "bob")),
        steps=(expect_echo("alice", "bob"), expect_echo("bob", "alice")),
        hint="Send to every client except the one that has spoken (or, if it should hear itself, to all).",
        lesson=LATE,
        dialects=GROUP,
    ),
    Case(
        "delivery.private",
        "An answer is for its sender only",
        "Only its sender hears the answer to a line.",
        given=(join("alice", "bob"), talk("alice", "bob")),
        steps=(answer_in_private("alice", "bob"), answer_in_private("bob", "alice")),
        hint="Send the answer over the connection that the line came from.",
        lesson="03 A thread for each",
        dialects=ANSWERING,
    ),
    Case(
        "delivery.talkers",
        "Five clients talk at once",
        "When five clients talk at once, no line is torn or mixed with another.",
        given=(join("alice", "bob", "carol", "dave", "erin"), talk("alice", "bob", "carol", "dave", "erin")),
        steps=(talk_at_once("alice", "bob", "carol", "dave", "erin"),),
        hint="Send each line, with its name, in one sendall. Keep no line in a variable that threads share.",
        chance=True,
        lesson=LATE,
    ),
    Case(
        "delivery.late",
        "A latecomer gets new lines",
        "A client that joins later hears what is said from then on, and is heard.",
        given=(join("alice", "bob"), talk("alice", "bob", times=15)),
        steps=(join("carol"), talk("alice", "bob", "carol")),
        hint="Add each client to the list as it comes, and walk that list anew for each line.",
        lesson=LATE,
    ),
)
