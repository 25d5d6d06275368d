"""Where everything goes in the picture of a film. Nothing is drawn here, and nothing worded.

Time runs to the right, but not evenly: a wait of 0.5 s stands beside calls of 20 µs. Each event gets the same
small step to the right of the one before. What room is left is spread over the times between them, by their
logarithm: so a wait is drawn the longer the longer it was, and one of 30 s leaves room for one of 0.5 s.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import log1p
from typing import NamedTuple

from chatlib.film.render.arrows import Arrow
from chatlib.film.render.labels import FONT, SMALL, Label, Wish, place, width_of
from chatlib.film.render.wording import clean, kind_of, labels_of
from chatlib.film.spans import Recording, Span

MOST = 400
"""Steps that are drawn; older ones are folded."""

BAR = 26
ROW = 20
"""Heights of a bar, and of a line of labels."""

NAME = 260.0
"""How wide the name of a lane may be."""

_ROOM = 1080.0
_LEAST = 15.0  # between one event and the next
_SHORT = 0.002  # seconds; what takes less is hardly drawn longer
_EDGE = 30.0  # an open bar reaches so far beyond the last event
_POLL_PAUSE = 0.05  # who calls again within so many seconds has waited all the time


class Fold(NamedTuple):
    """What is drawn, and what is folded away."""

    steps: tuple["Step", ...]
    old: tuple["Step", ...]


class Step(NamedTuple):
    """A span, or several that are one: who polls asks again and again."""

    span: Span
    """The last of them."""
    start: float
    repeats: int


@dataclass(frozen=True)
class Lane:
    """One thread's strip of the picture."""

    ident: int
    label: str
    top: float
    bar: float
    """Upper edge of its bars."""
    below: float
    """Height of the line below its bars, where unread bytes lie."""
    folded: int


@dataclass(frozen=True)
class Plan:
    """The picture, measured."""

    steps: tuple[Step, ...]
    lanes: Mapping[int, Lane]
    labels: Mapping[Step, Label]
    at: Callable[[float], float]
    """Where a moment lies."""
    began: float
    now: float
    names: float
    """How wide the column of names is."""
    left: float
    right: float
    bottom: float
    folded: int

    def ends(self, step: Step) -> tuple[float, float]:
        """Returns where a step's bar begins and ends; an open one ends at the right edge."""
        return self.at(step.start), self.right if step.span.end is None else self.at(step.span.end)


class Scale:
    """Maps moments to places: in order, with a gap between any two events that can be seen.

    Args:
        moments: When something happened.
        left: Where the first of them lies.
        room: How wide the picture should be; many events make it wider.
    """

    def __init__(self, moments: Iterable[float], left: float, room: float = _ROOM) -> None:
        self.moments = sorted(set(moments))
        gaps = [later - earlier for earlier, later in pairwise(self.moments)]
        lengths = [log1p(gap / _SHORT) for gap in gaps]
        unit = max(room - _LEAST * len(gaps), 0.45 * room) / max(sum(lengths), 1.0)
        self.places = list(accumulate((_LEAST + length * unit for length in lengths), initial=left))

    def __call__(self, moment: float) -> float:
        """Returns where a moment lies; what came before the first event lies there, too."""
        after = bisect_right(self.moments, moment)
        if after == 0 or after == len(self.moments):
            return self.places[min(after, len(self.places) - 1)]
        earlier, later = self.moments[after - 1 : after + 1]
        share = (moment - earlier) / (later - earlier)
        return self.places[after - 1] + share * (self.places[after] - self.places[after - 1])


def older(steps: int) -> str:
    """Returns what is written where steps are folded."""
    return f"{steps:,} older"


def moment_of(recording: Recording) -> float:
    """Returns the last moment that a recording knows of."""
    known = (span.start if span.end is None else span.end for span in recording.spans)
    return max(recording.now, max(known, default=recording.now))


def steps_of(recording: Recording) -> list[Step]:
    """Returns the steps, in order of their ends, those that are open last. Polling is one step."""
    by_thread: dict[int, list[Step]] = defaultdict(list)
    for span in sorted(recording.spans, key=lambda span: (span.start, span.number)):
        steps = by_thread[span.ident]
        if steps and _goes_on(steps[-1].span, span):
            # After an end there is nothing to wait for: a call that has not returned yet is about to.
            last = steps[-1].span if span.end is None and steps[-1].span.outcome == "end" else span
            steps[-1] = Step(last, steps[-1].start, steps[-1].repeats + 1)
        else:
            steps.append(Step(span, span.start, 1))
    flat = [step for steps in by_thread.values() for step in steps]
    return sorted(
        flat, key=lambda step: (step.span.end is None, step.span.end or step.start, step.span.number)
    )


def _goes_on(earlier: Span, later: Span) -> bool:
    outcomes = ("timeout", "nothing", "end")  # who is told of an end, and asks again, polls as well
    in_vain = earlier.outcome in outcomes and not earlier.size and kind_of(earlier) != "send"
    if not in_vain or earlier.end is None or not 0 <= later.start - earlier.end < _POLL_PAUSE:
        return False
    if earlier.peer not in (later.peer, None):  # a listener does not know who will come
        return False
    return (earlier.call, earlier.subject, earlier.local, earlier.place) == (
        (later.call, later.subject, later.local, later.place)
    )


def fold(recording: Recording, most: int = MOST) -> Fold:
    """Keeps the latest steps, at most so many, and all that are open."""
    every = steps_of(recording)
    cut = max(0, sum(step.span.end is not None for step in every) - most)
    return Fold(tuple(every[cut:]), tuple(every[:cut]))


def plan(recording: Recording, folded: Fold, arrows: Sequence[Arrow] = ()) -> Plan:
    """Measures the picture.

    Args:
        recording: What has been seen.
        folded: Which of it is drawn.
        arrows: What travels between its lanes.
    """
    steps, old = folded
    now, shown = moment_of(recording), {step.span.ident for step in steps}
    names = {ident: clean(label) for ident, label in recording.lanes.items() if ident in shown}
    hidden = Counter(step.span.ident for step in old)
    widest = min(NAME, max((width_of(name, FONT + 1) for name in names.values()), default=0.0)) + 20
    left = widest + 20 + max((width_of(older(hidden[ident]), SMALL) for ident in names if old), default=0.0)
    at = Scale([*_events(steps), *_landings(steps, arrows), now], left)
    right = max(at(now) + _EDGE, left + 500)
    labels = _labels(recording, steps, at, now, (left, right))
    rows = {ident: 0 for ident in names}
    for step, label in labels.items():
        rows[step.span.ident] = max(rows[step.span.ident], label.row)
    below = {arrow.lane for arrow in arrows if arrow.kind == "unread" or arrow.lane == arrow.source.ident}
    lanes = _stack(names, rows, below, hidden)
    began = min((span.start for span in recording.spans), default=0.0)
    bottom = max((lane.below for lane in lanes.values()), default=40.0) + 12
    count = sum(step.repeats for step in old)
    return Plan(steps, lanes, labels, at, began, now, widest, left, right, bottom, count)


def _events(steps: Iterable[Step]) -> Iterable[float]:
    return (moment for step in steps for moment in (step.start, step.span.end) if moment is not None)


def _landings(steps: Iterable[Step], arrows: Iterable[Arrow]) -> Iterable[float]:
    """Where several arrows end at one bar, gives it a width at which they can be told apart."""
    among = {arrow.target.number: min(arrow.place[1], 6) for arrow in arrows if arrow.target}
    for span in (step.span for step in steps if among.get(step.span.number, 1) > 1 and step.span.end):
        number, lasted = among[span.number], (span.end or span.start) - span.start
        yield from (span.start + lasted * part / number for part in range(1, number))


def _stack(
    names: Mapping[int, str],
    rows: Mapping[int, int],
    below: Collection[int | None],
    folded: Mapping[int, int],
) -> dict[int, Lane]:
    lanes, top = {}, 34.0
    for ident, name in names.items():
        bar = top + 10 + ROW * rows[ident]
        under = bar + BAR + (20 if ident in below else 4)
        lanes[ident] = Lane(ident, name, top, bar, under, folded.get(ident, 0))
        top = under + 8
    return lanes


def _labels(
    recording: Recording, steps: Sequence[Step], at: Scale, now: float, edges: tuple[float, float]
) -> dict[Step, Label]:
    """Places the labels of each lane by itself: the fewer lanes, the more lines of them each may have."""
    many = len({step.span.ident for step in steps})
    rows = 4 if many <= 3 else 3 if many <= 6 else 2 if many <= 16 else 1
    lanes: dict[int, list[Step]] = defaultdict(list)
    for step in sorted(steps, key=lambda step: step.start - (step.span.end or now)):
        lanes[step.span.ident].append(step)
    found: dict[Step, Label] = {}
    for own in lanes.values():
        own.sort(key=lambda step: step.span.end is not None)  # the open ones are the loudest
        wishes = [_wish(recording, step, at, now, edges[1]) for step in own]
        flags = [
            at(step.span.end) for step in own if step.span.end is not None and step.span.outcome == "end"
        ]
        placed = place(wishes, flags, rows, edges)
        found |= {step: label for step, label in zip(own, placed, strict=True) if label}
    return found


def _wish(recording: Recording, step: Step, at: Scale, now: float, right: float) -> Wish:
    still_open = step.span.end is None
    end = now if step.span.end is None else step.span.end
    words = labels_of(recording, step.span, end - step.start)
    return Wish(words, at(step.start), right if still_open else at(end), still_open)
