"""What travels between the lanes of a film: bytes, the end of a connection, a reset."""

import sys
from collections import Counter, defaultdict
from collections.abc import Container, Iterator
from typing import NamedTuple

from chatlib.film.recording import Recording, made_once
from chatlib.film.spans import RECEIVING, Span
from chatlib.sockets import Address

Way = tuple[Address | None, Address | None]
"""One direction of a connection: from where to where."""

EVERY = range(sys.maxsize)
"""The numbers of all spans."""


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


def arrows_of(recording: Recording, shown: Container[int] = EVERY) -> list[Arrow]:
    """Returns an arrow for each message, and for each FIN and RST whose two ends were seen.

    Args:
        recording: What has been seen.
        shown: The numbers of the spans that matter: one end of each arrow is among them.
    """
    arrows = [
        arrow
        for arrow in bytes_on_their_way(recording)
        if arrow.source.number in shown or (arrow.target and arrow.target.number in shown)
    ]
    return [*arrows, *_ends(recording, shown)]


def _ends(recording: Recording, shown: Container[int]) -> Iterator[Arrow]:
    """Gives each end that was met, with the call by which the other side left."""
    left, met = defaultdict[Way, list[Span]](list), set[tuple[Way, str]]()
    leaving, ended = partings(recording)
    for span in leaving:
        left[span.peer, span.local].append(span)
    for span in ended:
        way = span.local, span.peer
        if span.number not in shown or (way, span.outcome) in met:
            continue
        if causes := [cause for cause in left[way] if cause.start <= (span.end or 0.0)]:
            met.add((way, span.outcome))
            cause = causes[0] if span.outcome == "end" else causes[-1]
            departs = _departure(cause, span)
            arrives = max(departs, span.end or departs)
            yield Arrow(span.outcome, cause, span, span.ident, departs, arrives, (0, 1), 0)


@made_once
def partings(recording: Recording) -> tuple[list[Span], list[Span]]:
    """Returns the calls by which an end has left, and those that were told of it."""
    leaving = [span for span in recording.spans if span.leaves]
    told = (span for span in recording.spans if span.outcome in ("end", "reset"))
    return leaving, [span for span in told if span.end is not None]


@made_once
def bytes_on_their_way(recording: Recording) -> list[Arrow]:
    """Returns an arrow for each message."""
    arrows = list[Arrow]()
    among = Counter(message.received.number for message in recording.messages if message.received)
    arrived, gone = Counter[int](), dict[int, int]()
    taken, unseen, homes = _fates(recording)
    for message in recording.messages:
        sent, received = message.sent, message.received
        gone[sent.number] = gone.get(sent.number, sent.offset) + message.size
        if received:
            lane: int | None = received.ident
            kind, place = "bytes", (arrived[received.number], among[received.number])
            arrived[received.number] += 1
            departs = _departure(sent, received)
            arrives = departs if received.end is None else max(departs, received.end)
        else:  # no call was seen to take them: either they are lost of sight, or they lie there
            way, place = (sent.local, sent.peer), (0, 1)
            home = homes.get((sent.peer, sent.local), homes.get((sent.peer, None)))
            lost = taken.get(way, 0) >= gone[sent.number] or unseen.get(way, -1.0) >= sent.start
            kind, lane = ("away", None) if home is None or lost else ("unread", home)
            departs = arrives = sent.start if sent.end is None else sent.end
        arrows.append(Arrow(kind, sent, received, lane, departs, arrives, place, message.size))
    return arrows


def _fates(recording: Recording) -> tuple[dict[Way, int], dict[Way, float], dict[Way, int]]:
    """Returns what may have become of bytes that no call was seen to take, for each way.

    How many have been taken: if later ones were, then earlier ones, too. Until when a call may have taken
    them that began before the film. And which thread would read, by ident: by both addresses of a connection,
    and by the address that was connected to.
    """
    taken, unseen, homes = dict[Way, int](), dict[Way, float](), dict[Way, int]()
    for span in recording.spans:
        way = span.peer, span.local
        if span.call in RECEIVING:
            taken[way] = max(taken.get(way, 0), span.offset + span.size)
            if span.outcome == "unseen":
                unseen[way] = span.end or span.start
        if span.local:
            homes[span.local, span.peer] = span.ident
            if span.call == "accept" or (span.local, None) not in homes:
                homes[span.local, None] = span.ident
    return taken, unseen, homes


def _departure(sent: Span, received: Span) -> float:
    """When bytes left: at once if they were waited for; a send that was blocked let go of them later."""
    return max(sent.start, min(received.start if sent.end is None else sent.end, received.start))
