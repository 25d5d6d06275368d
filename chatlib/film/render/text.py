"""The story of a film: what each thread did, in words, the same in each run of the same program."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator
from itertools import groupby, islice, zip_longest

from chatlib.film.recording import Recording
from chatlib.film.render.arrows import arrows_of
from chatlib.film.render.wording import AMOUNT, NOTHING_YET, verb_of
from chatlib.film.spans import Span
from chatlib.film.units import bytes_of, clean


def story(recording: Recording, most: int = 0) -> str:
    """Tells what each thread did, in order, as text that is the same in each run of the same program.

    Repeats of a step are one line: how many chunks a stream comes in, or how often a server looked for a
    connection, is chance. So no times and no ports either; those are in the picture.

    Args:
        recording: What has been seen.
        most: Lines that are told of each thread, the latest ones; all of them, if not given.
    """
    return "\n".join(told(recording, most)) if recording.spans else NOTHING_YET


def told(recording: Recording, most: int = 0) -> Iterator[str]:
    """Gives the lines of the story one by one."""
    if recording.dropped:
        yield f"… {recording.dropped:,} earlier calls, which the film has let go of …"
    unread: dict[int, Counter[str]] = defaultdict(Counter)
    for arrow in arrows_of(recording):
        if arrow.kind == "unread" and arrow.lane is not None and arrow.source.local:
            unread[arrow.lane][clean(recording.name_of(arrow.source.local))] += arrow.size
    known: dict[Hashable, str] = {}
    for ident, label in recording.lanes.items():
        yield clean(label)
        spans = sorted(recording.by_thread[ident], key=lambda span: span.start)
        # Waits for a connection that were in vain and went on at once are left out: how many is chance.
        steps = [
            span
            for span, later in zip_longest(spans, spans[1:])
            if span.outcome not in ("timeout", "nothing")
            or span.peer
            or later is None
            or (span.call, span.place) != (later.call, later.place)
        ]
        lines = _lines(recording, reversed(steps) if most else steps, known)
        if most:  # the latest come first, and when there are enough, no others have to be worded
            latest = list(islice(lines, most))
            yield from [f"  … the latest of {len(spans):,} calls:"] if next(lines, None) else []
            lines = reversed(latest)
        yield from lines
        for name, size in unread[ident].items():
            yield f"  {bytes_of(size)} from {name}: nobody has read them"


def _lines(recording: Recording, steps: Iterable[Span], known: dict[Hashable, str]) -> Iterator[str]:
    """Words steps, those in a row that sound alike as one: their bytes are added up."""

    def sound(span: Span) -> str:
        sort = span.call, span.outcome, span.end is None, span.size > 0
        key = *sort, span.subject, span.local, span.peer, span.place
        if key not in known:  # most calls are like one before, and words take time
            known[key] = verb_of(recording, span)
            if span.place:
                source = clean(span.place.source)
                known[key] += f", {clean(span.place.where)}" + (f": {source}" if source else "")
        return known[key]

    for text, alike in groupby(steps, key=sound):
        same = list(alike)
        line = text.replace(AMOUNT, bytes_of(sum(span.size for span in same)))
        goes_on = " (still)" if same[0].kind == "hidden" else " (still waiting)"
        yield f"  {line}" + goes_on * any(span.end is None for span in same)
