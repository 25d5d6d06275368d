"""How clients join: connected, named if the server asks, and known to be served once they are heard."""

import time
from collections.abc import Callable, Iterable

from chatlib.checker.errors import Broken
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.session import Session

LONG = 0.05
"""Seconds. A newcomer that is not heard for so long is no cause for concern, but two hundred of them are."""

GREETING = 0.3
"""Seconds for a greeting, where it is not known that one comes."""


def admit(session: Session, name: str, sleeper: bool = False) -> Peer:
    """Connects a client, which says its name if it is to. Others may not know it yet: see `acquaint`.

    Raises:
        Broken: The server does not let it in.
    """
    peer = session.connect(name, sleeper)
    if session.dialect.name_first:
        _introduce(session, peer)
    return peer


def newcomers(session: Session, names: Iterable[str], witnesses: Callable[[], list[Peer]]) -> list[Peer]:
    """Admits clients, each known to be served before the next one comes.

    How many may wait in the kernel at once is chance. Where it takes long until one is heard, because the
    server collects lines, several come at a time.

    Args:
        session: Where.
        names: The clients that come.
        witnesses: Returns the clients that have to hear them.

    Raises:
        Broken: One of them is not served.
    """
    waiting, came, several = list(names), list[Peer](), 1
    while waiting:
        group = [admit(session, name) for name in waiting[:several]]
        del waiting[:several]
        start = time.monotonic()
        answers = session.dialect.answers
        pairs = [(peer, other) for peer in group for other in ([peer] if answers else witnesses())]
        _greet(session, pairs, 3 * session.timeouts.patience)
        several = 10 if time.monotonic() - start > LONG else 1
        came += [session.peers.pop(peer.name) for peer in group]
    return came


def acquaint(session: Session, newcomer: str, *others: str) -> None:
    """Waits until a newcomer is heard, and hears the others: to be connected does not yet mean to be served.

    Until it is heard, only the newcomer speaks: a server that walks a changing list of clients must not fail
    here, by chance, but in the case on that.

    Raises:
        Broken: One of them is not heard, or does not hear.
    """
    peer, here = session.peers[newcomer], [session.peers[name] for name in others]
    listeners = [peer] if session.dialect.answers else here
    _greet(session, [(peer, other) for other in listeners], session.timeouts.patience)
    if not session.dialect.answers:
        everybody = [*here, peer]
        pairs = [(a, b) for a in here for b in everybody if a is not b]
        _greet(session, pairs, session.timeouts.patience)


def _introduce(session: Session, peer: Peer) -> None:
    """Says the client's name, after the greeting. Waits until it has been taken in."""
    budget = session.dialect.name == "budget-chat"
    wait = session.timeouts.patience if budget else GREETING
    session.wait(lambda: peer.heard or peer.end, wait if session.greets else session.timeouts.quiet / 4)
    session.greets = bool(peer.heard)
    before = len(peer.heard)
    session.send(peer, peer.nick.encode() + session.dialect.newline)

    def admitted() -> bool:
        if budget:
            return b"\n" in peer.heard[before:]
        others = (other for other in session.present() if other is not peer)
        return len(peer.heard) > before or any(peer.nick.encode() in other.heard for other in others)

    session.wait(lambda: admitted() or peer.end, wait if session.confirms else session.timeouts.quiet / 4)
    session.confirms = budget or admitted()
    if peer.end or (budget and not admitted()):
        expected = f"{peer.name} may come in with the name {peer.nick}"
        raise Broken(expected, session.fate(peer, peer.since(before)), certain=bool(peer.end))


def _greet(session: Session, pairs: list[tuple[Peer, Peer]], patience: float) -> None:
    """The first of each pair says something until the second has heard any of it.

    It is said again only when nothing more has come of it for a while: or in a crowd the server would have to
    send faster than all can read, and two lines of a client would meet in one `recv`. Patience counts such
    silence, not the time in which lines arrive.
    """
    said: dict[Peer, list[bytes]] = {speaker: [] for speaker, _ in pairs}
    left = list(pairs)

    def is_heard(pair: tuple[Peer, Peer]) -> bool:
        return any(text in pair[1].heard for text in said[pair[0]])

    def all_heard() -> bool:
        while left and is_heard(left[-1]):  # what was heard once is not looked at again
            left.pop()
        return not left

    silent, pause, before = 0.0, session.timeouts.quiet, len(left)
    while left and silent < patience:
        if len(left) == before:
            for speaker in dict.fromkeys(a for a, _ in left):
                said[speaker].append(session.dialect.spoken(session.say(speaker, session.ping())))
        before = len(left)
        session.wait(all_heard, pause)
        left[:] = [pair for pair in left if not is_heard(pair)]
        if left and any(peer.end for pair in pairs for peer in pair):
            # What was said may still be on its way when the connection of its speaker has ended.
            session.wait(lambda: all(is_heard(pair) or pair[1].end for pair in left))
            left[:] = [pair for pair in left if not is_heard(pair)]
            break
        if len(left) == before:
            silent, pause = silent + pause, min(2 * pause, session.timeouts.patience / 4)
    if left:
        raise _unheard(session, *left[0])
    # What was said again arrives, too: before a step says something, or takes it for the answer to that.
    within = session.timeouts.patience if session.dialect.answers else 2 * session.timeouts.quiet
    again = [(said[a][-1], b) for a, b in pairs if len(said[a]) > 1]
    session.wait(lambda: all(text in peer.heard or peer.end for text, peer in again), within)


def _unheard(session: Session, speaker: Peer, listener: Peer) -> Broken:
    """Says which of two does not hear the other, and what became of them."""
    what = "gets an answer" if speaker is listener else f"hears what {speaker.name} says"
    expected = f"{listener.name} {what}"
    if ended := next((peer for peer in (speaker, listener) if peer.end), None):
        return Broken(expected, session.fate(ended))
    return Broken(expected, session.silence(f"{listener.name} heard nothing of it"), certain=False)
