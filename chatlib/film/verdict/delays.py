"""Threads that wait for one which waits for something else: a silent client, or one that does not read."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from chatlib.film.spans import RECEIVING, SENDING, Ends
from chatlib.film.units import bytes_of, clean, seconds_of
from chatlib.film.verdict.finding import Finding
from chatlib.film.verdict.scene import RIPE, Scene, Wait
from chatlib.film.verdict.words import awaited, called, lines_of, listed, peer, player

PATIENCE = 1.0
"""Seconds for which a peer has not read, before that is said of it."""


def delays(scene: Scene) -> Iterator[Finding]:
    """Gives a finding for each thread that others wait for while it waits itself, and for blocked sends."""
    behind: dict[int, list[Wait]] = defaultdict(list)
    for wait in scene.waits.values():
        other = held_by(scene, wait)
        if other in scene.waits and not (other in scene.closed and scene.waits[other].sort == "lock"):
            behind[other].append(wait)
    for ident, wait in scene.waits.items():
        waiting = [each for each in behind[ident] if each.end[::-1] != served_by(scene, wait)]
        why = why_it_waits(scene, wait)
        if why and (waiting or is_unread(scene, wait)):
            yield held_up(scene, wait, waiting, why)
        elif why and (lying := unread_by(scene, wait)):
            yield left_lying(scene, wait, lying, why)


def unread_by(scene: Scene, wait: Wait) -> dict[Ends, int]:
    """Returns how many bytes lie where only this thread would read, by the end from which they were sent."""
    found, ripe, served = dict[Ends, int](), scene.recording.now - RIPE, served_by(scene, wait)
    for end in [] if scene.recording.dropped else scene.traffic.senders:
        size = scene.traffic.unread(end[::-1])
        if size and end[::-1] != served and scene.traffic.last_sent(end) <= ripe:
            needed, _ = scene.traffic.doors_of(end)
            if (needed or scene.traffic.readers(end[::-1])) == {wait.ident}:
                found[end] = size
    return found


def left_lying(scene: Scene, wait: Wait, lying: Mapping[Ends, int], why: str) -> Finding:
    """Words that a thread waits for one end, while what others have sent lies there unread."""
    recording = scene.recording
    sizes = ((clean(recording.name_of(end[0])), size) for end, size in lying.items() if end[0])
    told = listed(f"{_amount(size)} from {name}" for name, size in sizes)
    verb = "lies" if sum(lying.values()) == 1 else "lie"
    sentence = f"{told} {verb} unread: {called(recording, wait.ident)} waits {why}"
    return Finding("unread", sentence + lines_of([wait.span]), (wait.ident,))


def held_by(scene: Scene, wait: Wait) -> int | None:
    """Returns the one thread that has to read, or to release a lock, so that a wait can end."""
    if scene.recording.lasted(wait.span) < RIPE:
        return None
    if wait.sort == "lock":
        [holder] = wait.on
        return holder if holder != wait.ident else None
    if wait.span.kind != "recv" or not (wait.span.local and wait.span.peer):
        return None
    other, now = wait.end[::-1], scene.recording.now
    needed, since = scene.traffic.doors_of(wait.end)
    if now - since < RIPE or scene.recording.dropped:
        needed = set()
    if scene.traffic.unread(other) and now - scene.traffic.last_sent(wait.end) >= RIPE:
        needed = needed or scene.traffic.readers(other)
    return next(iter(needed)) if len(needed) == 1 and needed != {wait.ident} else None


def served_by(scene: Scene, wait: Wait) -> Ends | None:
    """Returns the end at which a thread that sleeps was last: that may be the time that an answer takes."""
    if wait.span.call != "sleep":
        return None
    earlier = (span for span in reversed(scene.recording.by_thread[wait.ident]) if span.peer)
    return next(((span.local, span.peer) for span in earlier), None)


def why_it_waits(scene: Scene, wait: Wait, before: frozenset[int] = frozenset()) -> str:
    """Says what a thread waits for, if that keeps it from all else; nothing, if it may come back at once.

    A lock counts only if its holder waits as well, and not for one of those `before` it: that is a circle.
    """
    recording, span = scene.recording, wait.span
    if recording.lasted(span) < RIPE:
        return ""
    if span.call in RECEIVING and span.peer:
        silent = scene.traffic.unread(wait.end) == 0 and not scene.traffic.has_left(wait.end[::-1])
        return f"for {peer(scene, wait)}, which says nothing" if silent else ""
    if span.call in SENDING and span.peer:
        return why_it_sends(scene, wait) if wait.sort == "send" else f"to send to {peer(scene, wait)}"
    if span.call == "sleep":
        return "in `time.sleep`"
    holder = scene.waits.get(next(iter(wait.on), 0)) if wait.sort == "lock" else None
    known = before | {wait.ident}
    if holder and holder.ident not in known and why_it_waits(scene, holder, known):
        return f"for {awaited(recording, wait)}"
    return ""


def why_it_sends(scene: Scene, wait: Wait) -> str:
    """Says for how long the other end has not read, and how much lies there at least."""
    other, recording = wait.end[::-1], scene.recording
    first = min(span.start for span in recording.spans if (span.local, span.peer) in (wait.end, other))
    since = recording.now - (scene.traffic.last_read(other) or first)
    reads = any(each.end == other and each.span.call in RECEIVING for each in scene.waits.values())
    if since < RIPE or reads:
        return ""
    name, amount = peer(scene, wait), scene.traffic.unread(other)
    lies = f": {_amount(amount)} or more lie there unread" if amount else ""
    return f"for {name}, which has not read for {seconds_of(since)}{lies}"


def _amount(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else bytes_of(size)


def is_unread(scene: Scene, wait: Wait) -> bool:
    """Whether it is a send that waits for a peer, within the film, which has not read for long."""
    return wait.sort == "send" and wait.ident not in scene.closed and wait.age >= PATIENCE


def held_up(scene: Scene, wait: Wait, behind: Sequence[Wait], why: str) -> Finding:
    """Words what a thread waits for, with those that wait `behind` it."""
    recording, name = scene.recording, called(scene.recording, wait.ident)
    spans = [*(each.span for each in behind), wait.span]
    kind = "unread" if wait.sort == "send" else "held-up"
    if not behind:
        sentence = f"{player(recording, wait.span)} waits {why}"
    else:
        locks = {each.sort == "lock" for each in behind} == {True}
        heads = listed(player(recording, each.span) for each in behind)
        thing = f"the lock that {name} holds" if locks else name
        sentence = f"{heads} {'waits' if len(behind) == 1 else 'wait'} for {thing}, and {name} waits {why}"
    lanes = tuple(span.ident for span in spans)
    pairs = tuple((each.ident, wait.ident) for each in behind)
    pairs += tuple((wait.ident, other) for other in sorted(wait.on) if other in recording.lanes)
    return Finding(kind, sentence + lines_of(spans), lanes, waits=pairs)
