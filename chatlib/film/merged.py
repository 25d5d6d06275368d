"""Makes one record of what several processes have seen."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from chatlib.film.spans import RECEIVING, SENDING, Span

Way = tuple[object, object, bool]


def merged(processes: Iterable[Sequence[Span]]) -> list[Span]:
    """Returns the spans of all processes, numbered as their calls ended; the open ones last.

    Bytes count from the beginning of each direction of a connection, whichever process has moved them.
    """
    spans = [span for spans in processes for span in spans]
    spans.sort(key=lambda span: (span.end is None, span.end or span.start))
    moved = dict(counted_anew(spans))
    return [
        span._replace(number=number, offset=moved.get(id(span), span.offset))
        for number, span in enumerate(spans, 1)
    ]


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
