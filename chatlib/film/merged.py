"""Makes one record of what several processes have seen."""

from collections import ChainMap, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from chatlib.film.child import Seen
from chatlib.film.recording import Recording
from chatlib.film.spans import LEFT_TO_ANOTHER, RECEIVING, SENDING, Ends, Span

Way = tuple[object, object, bool]


def of_several(own: Recording, processes: Sequence[Seen]) -> Recording:
    """Makes one record of what this process and others have seen; without those that only start others."""
    seen = [each for each in processes if any(map(tells, each.spans))]
    if not seen:
        return own
    spans = merged([own.spans, *(each.spans for each in seen)])
    clients = ChainMap(dict(own.names), *(dict(each.clients) for each in seen))
    free, looker = (own.free or frozenset(), own.looker) if own.spans else (frozenset[int](), 0)
    return Recording(
        tuple(spans),
        dict(clients),
        max([own.now, *(span.start for span in spans if span.end is None)]),
        own.dropped + sum(each.dropped for each in seen),
        {each.number: each.name for each in seen},
        free.union(*(each.free for each in seen)),
        looker,
    )


def tells(span: Span) -> bool:
    """Whether a call is one of a program's, or of a connection: others are those of Python's own helpers."""
    return bool(span.peer or (span.place and span.place.own))


def merged(processes: Iterable[Sequence[Span]]) -> list[Span]:
    """Returns the spans of all processes, numbered as their calls ended; the open ones last.

    Bytes count from the beginning of each direction of a connection, whichever process has moved them.
    """
    spans = [span for spans in processes for span in spans]
    spans.sort(key=lambda span: (span.end is None, span.end or span.start))
    moved, left = dict(counted_anew(spans)), set(left_to_others(spans))
    return [
        span._replace(
            number=number,
            offset=moved.get(id(span), span.offset),
            outcome=LEFT_TO_ANOTHER if id(span) in left else span.outcome,
        )
        for number, span in enumerate(spans, 1)
    ]


def left_to_others(spans: Sequence[Span]) -> Iterator[int]:
    """Gives the calls that close one process's copy of a connection, which another goes on with: no FIN.

    After a fork both have it, and a server's parent mostly closes it at once.
    """
    later: dict[Ends, set[int]] = defaultdict(set)  # which processes use it after a moment
    for span in reversed(spans):
        ends = span.local, span.peer
        if span.call == "close" and later[ends] - {span.process}:
            yield id(span)
        if span.call in ("accept", "connect", "connect_ex"):  # before that, the ports were another one's
            later[ends].clear()
        elif span.peer:
            later[ends].add(span.process)


def counted_anew(spans: Sequence[Span]) -> Iterator[tuple[int, int]]:
    """Gives new offsets to calls of processes that have moved bytes of one direction by turns.

    After a fork both have the connection, and each goes on counting for itself. The order of the ends of
    their calls is that of the bytes, unless two were under way at the same time: that cannot be seen.
    """
    ways: dict[Way, list[Span]] = defaultdict(list)
    for span in spans:
        if span.size and span.call in SENDING | RECEIVING:
            ways[span.local, span.peer, span.call in SENDING].append(span)
    for own in ways.values():
        if len({span.process for span in own}) > 1 and overlap(own):
            at = min(span.offset for span in own)
            for span in own:
                yield id(span), at
                at += span.size


def overlap(own: Sequence[Span]) -> bool:
    ordered = sorted(own, key=lambda span: span.offset)
    return any(
        later.offset < earlier.offset + earlier.size
        for earlier, later in zip(ordered, ordered[1:], strict=False)
    )
