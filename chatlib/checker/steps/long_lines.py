"""Steps with lines that are long, or never end."""

import time
from collections.abc import Callable

from chatlib.checker.case import step
from chatlib.checker.errors import Broken, Unjudged
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.dialect import show
from chatlib.checker.harness.session import Session
from chatlib.checker.steps.basic import talk

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

ENDLESS = 12 << 20
"""Bytes that are sent of an endless line, if the server lets us."""

LAG = 1 << 17
"""Bytes that a client may have left unread of what is passed on. With more, it is a slow reader, and cut."""

BLOCK = b"x" * (1 << 18)


@step(f"{{who}} sends a line of {LONG:,} bytes")
def say_long_line(session: Session, who: str) -> None:
    """A client sends a long line. It arrives whole, or its sender is told or sees the end."""
    speaker = session.peers.pop(who)  # refused or not, no later step expects anything of it
    first, last = session.text("first"), session.text("last")
    text = first + b"." * (LONG - len(first) - len(last)) + last
    listeners = session.listeners(speaker)
    mark = {peer: len(peer.heard) for peer in (speaker, *listeners)}
    for piece in (text[: LONG // 2], text[LONG // 2 :] + session.dialect.newline):  # no luck: it is never one
        session.clients.send(speaker, piece, 2 * session.timeouts.patience)
        session.wait(lambda: any(len(peer.heard) > mark[peer] for peer in listeners), session.timeouts.quiet)

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
    hearing = {peer: Counted() for peer in (speaker, *session.peers.values())}
    for peer, counted in hearing.items():
        peer.listener = counted
    before, start = usage.memory(), time.monotonic()

    def grows() -> bool:
        return usage.memory() - before > GROWTH

    sent, hearing, is_slow = send_on(session, speaker, hearing, grows)
    # The kernel keeps megabytes for a slow one, which may still be busy with them.
    session.wait(lambda: grows() or speaker.end or not usage.is_ready(), 2 * session.timeouts.patience)
    if grows():
        grown = f"its memory grew by more than {GROWTH >> 20} MiB while {who} sent it"
        raise Broken(f"the server ends {who}'s connection, or forgets the line", session.explain(grown))
    is_slow = is_slow or (sent < ENDLESS and usage.is_ready())
    if ended := session.instance.ended():
        raise Broken("the server goes on for all others", ended)
    session.wait(lambda: speaker.end or _have_heard(hearing, sent))  # it is not to be looked through later
    for peer in session.peers.values():
        peer.listener = peer.heard.extend
    if is_slow and not speaker.end:
        talk(*session.peers).run(session)  # else it was busy with that line only
        took = f"it took only {sent >> 20} MiB in {time.monotonic() - start:.0f} s"
        raise Unjudged(f"it is too slow: {took}", certain=False)


def send_on(
    session: Session, speaker: Peer, hearing: dict[Peer, Counted], grows: Callable[[], bool]
) -> tuple[int, dict[Peer, Counted], bool]:
    """Sends until the server takes no more, ends the connection, or has grown too much.

    Returns:
        How many bytes it took, to whom it passes them on, and whether there was no time for more.
    """
    sent, start = 0, time.monotonic()
    while sent < ENDLESS and not speaker.end and not grows():
        took = session.clients.send(speaker, BLOCK, session.timeouts.patience)
        sent += took
        hearing = _read_up(session, speaker, hearing, sent, is_first=sent == took)
        if took == 0:  # it reads no more: then it does not grow either, unless it is busy
            break
        if time.monotonic() - start > SLOW * session.timeouts.factor:
            return sent, hearing, sent < ENDLESS
    return sent, hearing, False


def _read_up(
    session: Session, speaker: Peer, hearing: dict[Peer, Counted], sent: int, is_first: bool
) -> dict[Peer, Counted]:
    """Reads what is passed on as it comes. Returns the clients to which the server does so."""
    if is_first:
        session.wait(lambda: speaker.end or _have_heard(hearing, 1), 4 * session.timeouts.quiet)
    hearing = {peer: one for peer, one in hearing.items() if one.bytes}
    session.wait(lambda: speaker.end or _have_heard(hearing, sent - LAG))
    return {peer: one for peer, one in hearing.items() if one.bytes >= sent - LAG}


def _have_heard(hearing: dict[Peer, Counted], size: int) -> bool:
    """Whether all have heard so much, but for those whose connection has ended."""
    return all(one.bytes >= size or peer.end for peer, one in hearing.items())
