"""How clients join: connected, named if the server asks, and known to be served once they are heard."""

import time
from collections.abc import Callable, Iterable, Iterator

from chatlib.checker.errors import Broken
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.session import Stage

LONG = 0.05
"""Seconds. A newcomer that is not heard for so long is no cause for concern, but two hundred of them are."""

GREETING = 0.3
"""Seconds for a greeting, where it is not known that one comes."""


def admit(stage: Stage, name: str, sleeper: bool = False) -> Peer:
    """Connects a client, which says its name if it is to. Others may not know it yet: see `acquaint`.

    Raises:
        Broken: The server does not let it in.
    """
    peer = stage.connect(name, sleeper)
    if stage.dialect.name_first:
        _introduce(stage, peer)
    return peer


def newcomers(stage: Stage, names: Iterable[str], witnesses: Callable[[], list[Peer]]) -> list[Peer]:
    """Admits clients, each known to be served before the next one comes.

    How many may wait in the kernel at once is chance. Where it takes long until one is heard, because the
    server collects lines, several come at a time.

    Args:
        stage: Where.
        names: Who comes.
        witnesses: Returns who has to hear them.

    Raises:
        Broken: Somebody is not served.
    """
    waiting, came, several = list(names), list[Peer](), 1
    while waiting:
        group = [admit(stage, name) for name in waiting[:several]]
        del waiting[:several]
        start = time.monotonic()
        answers = stage.dialect.answers
        pairs = [(peer, other) for peer in group for other in ([peer] if answers else witnesses())]
        _greet(stage, pairs, 3 * stage.pace.patience)
        several = 10 if time.monotonic() - start > LONG else 1
        came += [stage.peers.pop(peer.name) for peer in group]
    return came


def acquaint(stage: Stage, names: Iterable[str]) -> None:
    """Waits until each hears the others: to be connected does not yet mean to be served.

    Raises:
        Broken: Somebody is not heard, or does not hear.
    """
    peers = [stage.peers[name] for name in names]
    pairs = [(a, b) for a in peers for b in peers if (a is b) == stage.dialect.answers]
    _greet(stage, pairs, stage.pace.patience)


def _introduce(stage: Stage, peer: Peer) -> None:
    """Says the client's name, after the greeting. Waits until it has been taken in."""
    budget = stage.dialect.name == "budget-chat"
    wait = stage.pace.patience if budget else GREETING
    stage.wait(lambda: peer.heard or peer.end, wait if stage.greets else stage.pace.quiet / 4)
    stage.greets = bool(peer.heard)
    before = len(peer.heard)
    stage.send(peer, peer.nick.encode() + stage.dialect.newline)

    def admitted() -> bool:
        return b"\n" in peer.heard[before:] if budget else _named(stage, peer, before)

    stage.wait(lambda: admitted() or peer.end, wait if stage.confirms else stage.pace.quiet / 4)
    stage.confirms = budget or admitted()
    if peer.end or (budget and not admitted()):
        expected = f"{peer.name} may come in with the name {peer.nick}"
        raise Broken(expected, stage.fate(peer, peer.since(before)), certain=bool(peer.end))


def _named(stage: Stage, peer: Peer, before: int) -> bool:
    nick = peer.nick.encode()
    others = (other for other in stage.present() if other is not peer)
    return len(peer.heard) > before or any(nick in other.heard for other in others)


def _greet(stage: Stage, pairs: list[tuple[Peer, Peer]], patience: float) -> None:
    """The first of each pair says something, again and again, until the second has heard any of it."""
    said: dict[Peer, list[bytes]] = {speaker: [] for speaker, _ in pairs}

    def missing() -> list[tuple[Peer, Peer]]:
        return [(a, b) for a, b in pairs if not any(stage.hears(b, text) for text in said[a])]

    for pause in _pauses(patience, stage.pace.patience / 4):
        for speaker in dict.fromkeys(a for a, _ in missing()):
            said[speaker].append(stage.say(speaker, stage.ping()))
        stage.wait(lambda: not missing(), pause)
        if not missing() or any(peer.end for pair in pairs for peer in pair):
            break
    if strangers := missing():
        _strangers(stage, *strangers[0])


def _pauses(patience: float, longest: float) -> Iterator[float]:
    """Yields how long to wait before saying it again: at first not long, in all for our patience."""
    pause, left = 0.02, patience
    while left > 0:
        yield min(pause, left)
        pause, left = min(2 * pause, longest), left - pause


def _strangers(stage: Stage, speaker: Peer, listener: Peer) -> None:
    what = "gets an answer" if speaker is listener else f"hears what {speaker.name} says"
    if ended := next((peer for peer in (speaker, listener) if peer.end), None):
        raise Broken(f"{listener.name} {what}", stage.fate(ended))
    actual = stage.silence(f"{listener.name} heard nothing of it")
    raise Broken(f"{listener.name} {what}", actual, certain=False)
