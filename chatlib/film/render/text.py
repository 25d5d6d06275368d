"""The story of a film: what each thread did, in words, the same in each run of the same program."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import NamedTuple

from chatlib.film.render.arrows import arrows_of
from chatlib.film.render.wording import AMOUNT, NOTHING_YET, bytes_of, clean, line_of, name_of, verb_of
from chatlib.film.spans import Place, Recording, Span


class _Line(NamedTuple):
    """One line of the story, as yet without its bytes: consecutive lines add them up."""

    text: str
    size: int
    open: bool


def story(recording: Recording, most: int = 0) -> str:
    """Tells what each thread did, in order, as text that is the same in each run of the same program.

    Repeats of a step are one line: how many chunks a stream comes in, or how often somebody looked for a
    connection, is chance. So no times and no ports either; those are in the picture.

    Args:
        recording: What has been seen.
        most: Lines that are told of each thread, the latest ones; all of them, if not given.
    """
    if not recording.spans:
        return NOTHING_YET
    return "\n".join(told(recording, most))


def told(recording: Recording, most: int = 0) -> Iterator[str]:
    """Gives the lines of the story one by one."""
    if recording.dropped:
        yield f"… {recording.dropped:,} earlier calls, which the film has let go of …"
    known: dict[Hashable, str] = {}
    unread = _unread(recording)
    for ident, label in recording.lanes.items():
        yield clean(label)
        spans = sorted(recording.by_thread[ident], key=lambda span: span.start)
        steps = list(_without_polling(spans))
        lines = _steps(
            _Line(_text(recording, span, known), span.size, span.end is None)
            for span in (reversed(steps) if most else steps)
        )
        yield from reversed(list(_latest(lines, most, spans))) if most else lines
        yield from unread.get(ident, ())


def _unread(recording: Recording) -> dict[int, list[str]]:
    """Returns, by thread, what has been sent to it and nobody has taken."""
    sizes = Counter[tuple[int, str]]()
    for arrow in arrows_of(recording):
        if arrow.kind == "unread" and arrow.lane is not None and arrow.source.local:
            sizes[arrow.lane, clean(recording.name_of(arrow.source.local))] += arrow.size
    lines: dict[int, list[str]] = defaultdict(list)
    for (lane, name), size in sizes.items():
        lines[lane].append(f"  {bytes_of(size)} from {name}: nobody has read them")
    return lines


def _without_polling(spans: Sequence[Span]) -> Iterator[Span]:
    """Leaves out waits for a connection that were in vain and went on at once: how many is chance."""
    *polled, last = spans
    for span, later in zip(polled, spans[1:], strict=True):
        in_vain = span.outcome in ("timeout", "nothing") and not span.peer
        if not in_vain or (span.call, span.place) != (later.call, later.place):
            yield span
    yield last


def _latest(lines: Iterator[str], most: int, spans: Sequence[Span]) -> Iterator[str]:
    yield from islice(lines, most)
    if next(lines, None):
        yield f"  … the latest of {len(spans):,} calls:"


def _steps(lines: Iterable[_Line]) -> Iterator[str]:
    for text, repeats in groupby(lines, key=lambda line: line.text):
        same = list(repeats)
        told = text.replace(AMOUNT, bytes_of(sum(line.size for line in same)))
        yield f"  {told}" + (" (still waiting)" if any(line.open for line in same) else "")


def _text(recording: Recording, span: Span, known: dict[Hashable, str]) -> str:
    """Words what a call did, and where; but only once, as most calls are like one before."""
    sort = span.call, span.outcome, span.end is None, span.size > 0
    key = *sort, span.subject, span.local, span.peer, span.place
    if key not in known:
        known[key] = verb_of(recording, span) + (_where(span.place) if span.place else "")
    return known[key]


def _where(place: Place) -> str:
    source = clean(place.source)
    return f", {line_of(place) or clean(name_of(place))}" + (f": {source}" if source else "")
