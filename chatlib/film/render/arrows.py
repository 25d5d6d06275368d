"""What travels between the lanes of a film: bytes, the end of a connection, a reset."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterator
from typing import NamedTuple

from chatlib.film.render.wording import bytes_of, clean
from chatlib.film.spans import LEAVING, RECEIVING, Message, Recording, Span
from chatlib.sockets import Address

Way = tuple[Address | None, Address | None]


class Arrow(NamedTuple):
    """One arrow, from a lane to a lane."""

    kind: str
    """`bytes`; `unread`: they lie in the kernel's buffers; `away`: out of this film; `end`, `reset`."""
    source: Span
    target: Span | None
    lane: int | None
    """The ident of the thread at whose lane it ends; None if that is not in the film."""
    departs: float
    arrives: float
    place: tuple[int, int]
    """Its number among those that end at the same call, from 0, and how many those are."""
    size: int


def arrows_of(recording: Recording, shown: Container[int] | None = None) -> list[Arrow]:
    """Returns an arrow for each message, and for each FIN and RST whose two ends were seen.

    Args:
        recording: What has been seen.
        shown: The numbers of the spans that matter: one end of each arrow is among them. All, if not given.
    """
    return [*_bytes(recording, shown), *_endings(recording, shown)]


def _bytes(recording: Recording, shown: Container[int] | None) -> Iterator[Arrow]:
    arriving = Counter(message.received.number for message in recording.messages if message.received)
    arrived: dict[int, int] = defaultdict(int)
    taken, homes, gone = _taken(recording), _homes(recording), dict[int, int]()
    unseen = _unseen(recording)
    for message in recording.messages:
        sent, received = message.sent, message.received
        gone[sent.number] = gone.get(sent.number, sent.offset) + message.size
        if received:
            place = arrived[received.number], arriving[received.number]
            arrived[received.number] += 1
            if shown is None or sent.number in shown or received.number in shown:
                yield _delivered(message, received, place)
        elif shown is None or sent.number in shown:
            way = sent.local, sent.peer
            lost = taken.get(way, 0) >= gone[sent.number] or unseen.get(way, -1.0) >= sent.start
            yield _undelivered(message, homes, lost)


def _delivered(message: Message, received: Span, place: tuple[int, int]) -> Arrow:
    departs = _departure(message.sent, received)
    arrives = departs if received.end is None else max(departs, received.end)
    return Arrow("bytes", message.sent, received, received.ident, departs, arrives, place, message.size)


def _departure(sent: Span, received: Span) -> float:
    """When bytes left: at once if they were waited for; a send that was blocked let go of them later."""
    return max(sent.start, min(received.start if sent.end is None else sent.end, received.start))


def _undelivered(message: Message, homes: dict[Way, int], lost: bool) -> Arrow:
    """Returns an arrow for bytes that no call was seen to take, which are lost of sight or lie there."""
    sent = message.sent
    home = homes.get((sent.peer, sent.local), homes.get((sent.peer, None)))
    kind = "away" if home is None or lost else "unread"
    leaves = sent.start if sent.end is None else sent.end
    return Arrow(kind, sent, None, None if kind == "away" else home, leaves, leaves, (0, 1), message.size)


def _taken(recording: Recording) -> dict[Way, int]:
    """Returns how many bytes of each way have been taken: if later ones were, then earlier ones, too."""
    taken: dict[Way, int] = defaultdict(int)
    for span in recording.spans:
        if span.call in RECEIVING:
            way = span.peer, span.local
            taken[way] = max(taken[way], span.offset + span.size)
    return taken


def _unseen(recording: Recording) -> dict[Way, float]:
    """Returns until when a call may have taken bytes that began before the film, so that nobody saw it."""
    spans = [span for span in recording.spans if span.outcome == "unseen" and span.call in RECEIVING]
    return {(span.peer, span.local): span.end or span.start for span in spans}


def _homes(recording: Recording) -> dict[Way, int]:
    """Returns who would read: by both addresses of a connection, and by the address that was connected to."""
    homes: dict[Way, int] = {}
    for span in recording.spans:
        if span.local:
            homes[span.local, span.peer] = span.ident
            if span.call == "accept" or (span.local, None) not in homes:
                homes[span.local, None] = span.ident
    return homes


def _endings(recording: Recording, shown: Container[int] | None) -> Iterator[Arrow]:
    """Links each call that met a FIN or a RST with the one by which the other side left."""
    left: dict[Way, list[Span]] = defaultdict(list)
    for span in recording.spans:
        if span.call in LEAVING:
            left[span.peer, span.local].append(span)
    met = set[tuple[Way, str]]()
    for span in recording.spans:
        if span.outcome in ("end", "reset") and span.end is not None:
            way = span.local, span.peer
            causes = [cause for cause in left[way] if cause.start <= span.end]
            if causes and (way, span.outcome) not in met and (shown is None or span.number in shown):
                met.add((way, span.outcome))
                yield _ending(span, causes[0] if span.outcome == "end" else causes[-1])


def _ending(span: Span, cause: Span) -> Arrow:
    departs = _departure(cause, span)
    arrives = max(departs, span.end or departs)
    return Arrow(span.outcome, cause, span, span.ident, departs, arrives, (0, 1), 0)


def text_of(recording: Recording, arrow: Arrow) -> str:
    """Returns `14 bytes from alice to the server: unread`, or who has left."""
    local, peer = arrow.source.local, arrow.source.peer
    source = f" from {clean(recording.name_of(local))}" if local else ""
    if arrow.kind in ("end", "reset"):
        return ("FIN" if arrow.kind == "end" else "RST") + source
    target = f" to {clean(recording.name_of(peer))}" if peer else ""
    note = {"unread": ": unread", "away": ", received outside this film"}.get(arrow.kind, "")
    return bytes_of(arrow.size) + source + target + note


def unread_labels(recording: Recording, arrow: Arrow) -> list[str]:
    """Returns what may be written at bytes that lie unread, from the shortest text to the longest."""
    whose = f" from {clean(recording.name_of(arrow.source.local))}" if arrow.source.local else ""
    return ["unread", f"{bytes_of(arrow.size)}, unread", f"{bytes_of(arrow.size)}{whose}, unread"]
