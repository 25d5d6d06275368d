"""The steps of which cases are made. Each says in words what it does; several names stand in one text."""

import operator
import re
import time

from chatlib.checker.case import listed, step
from chatlib.checker.errors import Broken, Unjudged
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.dialect import show
from chatlib.checker.harness.session import Session
from chatlib.checker.steps.joining import acquaint, admit
from chatlib.checker.targets.target import Usage
from chatlib.resources import Spinner

LOOK = 0.05
"""Seconds between two looks at an idle server."""

REST, SHARE = 0.3, 0.1
"""A server rests if it takes no more than this share of what a thread gets that spins beside it, while that
thread gets so many seconds of processor time. On a busy machine that takes longer."""

ASLEEP, NOTHING = 3.0, 0.03
"""It rests as well if in so many seconds it takes no more than so many, and that thread at least twice that.
(It may get less than a server that spins: Linux shares processors out between sessions, then within each.)"""

STARVED = 0.8
"""It does not rest, however little it takes, while it is ready to run for more than this share of the time:
others have what it wants."""

WATCHED = 1.5
"""Seconds of processor time. A server that has taken so much without a rest never rests, if that thread has
had twice what it takes to see one."""


@step(
    lambda *names: f"{listed(*names)} {'join and greet each other' if len(names) > 1 else 'joins'}",
    seats=lambda *names: len(names),
)
def join(session: Session, *names: str) -> None:
    """They connect, say their names if asked, and are known to be served: each has heard the others."""
    here = [peer.name for peer in session.present()]
    for name in names:
        admit(session, name, sleeper=name == "sleeper")
        if here or session.dialect.answers:
            acquaint(session, name, *here)
        else:  # no other client can confirm that the first one is served: its thread has its turn to begin
            session.pause(session.timeouts.turn)
        here.append(name)


@step("{name} connects and says nothing")
def connect_silently(session: Session, name: str) -> None:
    """A client connects, and says nothing, not even a name."""
    session.clients.sleep(session.connect(name))


def talking(*names: str, times: int = 1) -> str:
    """Returns in words that each says a line, or several."""
    lines = "a line" if times == 1 else f"{times} lines"
    return f"{listed(*names)} {f'say {lines} each' if len(names) > 1 else f'says {lines}'}"


@step(talking)
def talk(session: Session, *names: str, times: int = 1) -> None:
    """Each says a line in turn, and all its listeners hear it."""
    for _ in range(times):
        for name in names:
            speaker = session.peers[name]
            text = session.say(speaker)
            session.must_hear(speaker, session.listeners(speaker), text)
            for listener in session.listeners(speaker):
                note_voice(session, speaker, listener, text)


def note_voice(session: Session, speaker: Peer, listener: Peer, text: bytes) -> None:
    """Remembers what stands before and behind this speaker's lines."""
    if (line := session.line(listener, text)) is not None:
        session.voices.setdefault(speaker.name, set()).add(voice_of(line, session.dialect.spoken(text)))


LOUD = 200
"""Bytes before and behind a line that say who spoke."""

_NUMBERED = re.compile(rb"\w*\d\w*")


def voice_of(line: bytes, text: bytes) -> tuple[bytes, bytes]:
    """Returns what stands before and behind a text in a line, with 0 for every number."""
    before, _, behind = line.partition(text)
    # The time of day, a counter, a port or an id may stand there, and changes from line to line; before all
    # that, the prompt that the listener was sent.
    before, behind = before.lstrip(b"> ")[-LOUD:], behind[:LOUD]  # megabytes would take minutes
    return _NUMBERED.sub(b"0", before), _NUMBERED.sub(b"0", behind)


def settle(session: Session, peer: Peer) -> None:
    """Gives the server time to notice what a client did, and to die of it, before others speak."""
    session.wait(lambda: peer.end, 2 * session.timeouts.quiet)


@step("{who} sends {words}")
def send_refusable(session: Session, who: str, data: bytes, words: str) -> None:
    """A client sends bytes that may be refused: whatever the server does to this client is well."""
    peer = session.peers.pop(who)  # no step expects anything of it any more
    session.clients.send(peer, data, session.timeouts.patience)
    settle(session, peer)


@step("{who} leaves politely (FIN)")
def leave(session: Session, who: str) -> None:
    """A client leaves politely: it reads all that came, then ends the connection (FIN)."""
    session.calm()
    farewell(session, session.peers.pop(who))


def farewell(session: Session, peer: Peer) -> bool:
    """Leaves politely. Returns whether the server closed its side, too, before the connection was given up.

    A server that does so is given the time for it: what it sends to a client that is quite gone, the kernel
    answers with a reset, which is another case.
    """
    session.clients.half_close(peer)
    closed = session.wait(lambda: peer.end, 4 * session.timeouts.quiet)
    session.clients.leave(peer)
    return closed


@step("{who} vanishes (RST)")
def reset(session: Session, who: str) -> None:
    """A client vanishes, as when its program crashes."""
    peer = session.peers.pop(who)
    session.calm()
    session.clients.reset(peer)
    settle(session, peer)


@step("{who} sends no more (FIN), and still reads")
def half_close(session: Session, who: str) -> None:
    """A client says that it will send no more, and still reads."""
    session.calm()
    session.clients.half_close(session.peers[who])


@step("{who} sees the end of the connection")
def see_the_end(session: Session, who: str) -> None:
    """The server ends a client's connection."""
    peer = session.peers[who]
    mark = len(peer.heard)
    if not session.wait(lambda: peer.end):
        actual = session.explain(f"it did not close its side{_came(peer, mark)}")
        raise Broken(f"the server closes its side of the connection of {who}", actual, certain=False)


def _came(peer: Peer, mark: int) -> str:
    """Says what has come for a client meanwhile; nothing if nothing has."""
    heard = peer.since(mark)
    return f"; {len(heard):,} bytes came for {peer.name}: {show(heard, 40)}" if heard else ""


def _comes_to_rest(session: Session, usage: Usage) -> bool:
    """Whether a server rests for once. One that spins never does.

    One that is right may have work at first, and now and then: asyncio logs once a second what it cannot
    accept, a hundred times. How long it takes depends on the machine: so a thread that spins is the measure.

    Raises:
        Unjudged: The time is over, and there was too little processor time to be had.
    """
    with Spinner() as spinner:
        looks = [(time.monotonic(), usage.cpu(), usage.queued(), spinner.used)]
        while looks[-1][1] - looks[0][1] < WATCHED or looks[-1][3] < 2 * REST:
            session.pause(LOOK)
            look = time.monotonic(), usage.cpu(), usage.queued(), spinner.used
            if any(rested(*map(operator.sub, look, earlier)) for earlier in looks) and not usage.is_ready():
                return True
            looks.append(look)
    return False


def rested(seconds: float, taken: float, queued: float, had: float) -> bool:
    """Whether a server was at rest between two looks.

    Args:
        seconds: What passed.
        taken: Of that, the processor time that it took.
        queued: Of that, how long it was ready to run, and others ran.
        had: The processor time that a thread got that spins.
    """
    if taken + queued > STARVED * seconds:
        return False
    return (taken <= NOTHING <= had / 2 and seconds >= ASLEEP) or (had >= REST and taken <= SHARE * had)


def _asyncio_tries_again(session: Session) -> bool:
    """Whether asyncio itself is what never rests, as no descriptor is left.

    It tries again a hundred times for each failure, a second later: on a slow computer, all the time (CPython
    issue 151615, mended in 2026). The server's author cannot help it.
    """
    return session.instance.says("socket.accept() out of system resource")


@step("nobody does anything, and the server takes no processor time")
def idle(session: Session, survives: bool = False) -> None:
    """No client does anything, so the server has nothing to do.

    Args:
        session: Where.
        survives: True if this is where it is seen whether the server has survived what was done before.
    """
    usage = session.usage()
    session.pause(2 * session.timeouts.quiet)  # it may still tidy up, and send what was said before
    marks = [(peer, len(peer.heard)) for peer in session.present()]
    rests = _comes_to_rest(session, usage)
    if ended := session.instance.ended():
        if not survives:
            raise Unjudged(f"{ended}: see departures.others and departures.reset", blocked=True)
        raise Broken("the server still runs", ended)
    if not rests and not _asyncio_tries_again(session):
        came = "".join(_came(peer, mark) for peer, mark in marks)
        actual = session.explain(f"it was busy all the time, though nobody said anything{came}")
        raise Broken("the server waits, and takes no processor time", actual, certain=False)
