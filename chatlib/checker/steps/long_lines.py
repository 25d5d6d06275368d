"""Steps with lines that are long, or never end."""

import time

from chatlib.checker.case import step
from chatlib.checker.errors import Broken, Unjudged
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.dialect import show
from chatlib.checker.harness.session import Session

LONG = 70_000
"""Bytes in a long line, without its end. A server may refuse it, but not mutilate it.

Well over 65,536, at which asyncio's `readline` and `readuntil` raise: just below it they show no fault.
"""

SHOWN = 40
"""Bytes of what stands in a long line, and was not said."""

GROWTH = 8 << 20
"""Bytes that an endless line may cost."""

SLOW = 12.0
"""Seconds after which we stop sending it."""

ENDLESS = 32 << 20
"""Bytes that are sent of an endless line, if the server lets us."""

BLOCK = b"x" * (1 << 18)


@step(f"{{who}} sends a line of {LONG:,} bytes")
def say_long_line(session: Session, who: str) -> None:
    """A client sends a long line. It arrives whole, or its sender is told or sees the end."""
    speaker = session.peers.pop(who)  # refused or not, no later step expects anything of it
    first, last = session.text("first"), session.text("last")
    text = first + b"." * (LONG - len(first) - len(last)) + last
    listeners = session.listeners(speaker)
    mark = {peer: len(peer.heard) for peer in (speaker, *listeners)}
    session.clients.send(speaker, text + session.dialect.newline, 2 * session.timeouts.patience)

    def refused() -> bool:
        heard = speaker.since(mark[speaker])
        told = b"\n" in heard and not any(b"...." in peer.since(mark[peer]) for peer in (speaker, *listeners))
        return bool(speaker.end or told)

    def lost() -> list[Peer]:
        return [peer for peer in listeners if session.dialect.spoken(text) not in peer.since(mark[peer])]

    done = session.wait(lambda: not lost() or refused(), 2 * session.timeouts.patience)
    if hurt := next((peer for peer in lost() if peer.end and peer is not speaker), None):
        raise Broken(f"{hurt.name} is still served", session.fate(hurt))
    if not done:
        listener = lost()[0]
        heard = listener.since(mark[listener])
        expected = f"{listener.name} receives the line whole, or {who} is told that it is too long"
        what = mutilation_of(heard, session.dialect.spoken(text)) if heard else "received nothing"
        actual = session.explain(f"{listener.name} {what}, and {who} was told nothing")
        raise Broken(expected, actual, certain=bool(heard))


def mutilation_of(heard: bytes, text: bytes) -> str:
    """Says where a long line is no longer what was said: it ends there, or something else stands in it."""
    came = heard[max(heard.find(text[:9]), 0) :]  # after a prefix, if there is one
    same = next((at for at, (a, b) in enumerate(zip(came, text, strict=False)) if a != b), len(came))
    if same == len(came):
        return f"received only its first {same:,} bytes"
    return f"received its first {same:,} bytes, and then {show(came[same : same + SHOWN])}"


class Counted:
    """How many bytes a client has heard."""

    def __init__(self) -> None:
        self.bytes = 0

    def __call__(self, data: bytes) -> None:
        self.bytes += len(data)


@step(lambda who: f"{who} sends a line without an end, up to {ENDLESS >> 20} MiB")
def say_endless_line(session: Session, who: str) -> None:
    """A client sends without ever ending the line. It is refused before it fills the memory."""
    speaker, usage = session.peers.pop(who), session.usage()
    heard = {peer: Counted() for peer in session.peers.values()}
    for peer, counted in heard.items():
        peer.listener = counted
    speaker.listener = Counted()
    before, sent, start = usage.memory(), 0, time.monotonic()
    while sent < ENDLESS and not speaker.end:
        took = session.clients.send(speaker, BLOCK, session.timeouts.patience)
        sent += took
        _let_others_read(session, list(heard.values()), sent, is_first=sent == took)
        if usage.memory() - before > GROWTH:
            grown = f"its memory grew by more than {GROWTH >> 20} MiB, and it still listened"
            expected = f"the server ends {who}'s connection, or forgets the line"
            raise Broken(expected, session.explain(grown))
        if took == 0:  # it reads no more: then it does not grow either
            break
        if time.monotonic() - start > SLOW * session.timeouts.factor:
            seconds = SLOW * session.timeouts.factor
            raise Unjudged(f"it is too slow: it took only {sent >> 20} MiB in {seconds:.0f} s", certain=False)
    if ended := session.instance.ended():
        raise Broken("the server goes on for all others", ended)
    if any(one.bytes for one in heard.values()):  # what was passed on of it is not to be looked through later
        session.wait(lambda: all(one.bytes >= sent for one in heard.values()))
    for peer in heard:
        peer.listener = peer.heard.extend


def _let_others_read(session: Session, heard: list[Counted], sent: int, is_first: bool) -> None:
    """Where bytes are passed on as they come, a client that does not read them in time is a slow reader."""
    if is_first:  # it shows whether they are
        session.wait(lambda: all(one.bytes for one in heard), 4 * session.timeouts.quiet)
    elif any(one.bytes for one in heard):
        session.wait(lambda: all(one.bytes > 0.9 * sent for one in heard))
