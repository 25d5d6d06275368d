"""Where everything goes in the picture of a film. Nothing is drawn here.

Time runs to the right, but not evenly: a wait of 0.5 s stands beside calls of 20 µs. Each event gets the same
small step to the right of the one before. What room is left is spread over the times between them, by their
logarithm: so a wait is drawn the longer the longer it was, and one of 30 s leaves room for one of 0.5 s.
Only where lengths are to be compared, time runs evenly: to scale.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import log1p
from typing import NamedTuple

from chatlib.film.recording import Recording, made_once
from chatlib.film.render.arrows import Arrow, arrows_of
from chatlib.film.render.frames import Frame, Frames, short_names
from chatlib.film.render.labels import FONT, SMALL, Label, Wish, place, width_of
from chatlib.film.render.wording import Words, arrow_words, words_of
from chatlib.film.spans import Span
from chatlib.film.units import clean

MOST = 400
"""Steps that are drawn; older ones are folded."""

BAR = 26
ROW = 20
"""Heights of a bar, and of a line of labels."""

NAME = 260.0
"""How wide the name of a lane may be."""

ROOM = 1080.0
"""How wide the part with the bars should be."""

THIN = 4.0
"""How wide a bar is at least: to scale, a call of 20 µs could not be seen."""

_LEAST = 15.0  # between one event and the next
_SHORT = 0.002  # seconds; what takes less is hardly drawn longer
_EDGE = 30.0  # an open bar reaches so far beyond the last event


class Step(NamedTuple):
    """A span, or several that are one: a thread that polls asks again and again."""

    span: Span
    """The last of them."""
    start: float
    repeats: int

    def lasted(self, now: float) -> float:
        """Returns for how many seconds it has lasted, until now if it is open."""
        return (now if self.span.end is None else self.span.end) - self.start


class Bar(NamedTuple):
    """A step, and where it is drawn. An open one ends at the right edge."""

    step: Step
    words: Words
    begin: float
    end: float
    lasted: float
    """Seconds, until now for an open one."""

    @property
    def key(self) -> str:
        """What tells a step from the others, in each picture of the same film."""
        return f"{self.step.span.ident:x}-{int(self.step.start * 1e7):x}"

    @property
    def open(self) -> bool:
        """Whether the call has not returned."""
        return self.step.span.end is None

    @property
    def idle(self) -> bool:
        """Whether it has not returned, and need not."""
        return self.open and self.step.span.idle


class Line(NamedTuple):
    """An arrow, and where it is drawn."""

    kind: str
    words: str
    labels: Sequence[str]
    """What may be written at its end, from the shortest text to the longest."""
    begin: tuple[float, float]
    end: tuple[float, float]
    bent: bool
    """Whether it returns to its own lane: a thread that talks with itself."""


@dataclass(frozen=True)
class Lane:
    """One thread's strip of the picture."""

    ident: int
    label: str
    folded: str
    """How many of its steps are folded, in words."""
    top: float
    bar: float
    below: float


@dataclass(frozen=True)
class Plan:
    """The picture, measured."""

    bars: Sequence[Bar]
    lines: Sequence[Line]
    lanes: Mapping[int, Lane]
    frames: Sequence[Frame]
    """None if there is only one process."""
    labels: Sequence[tuple[Bar, Label]]
    at: Callable[[float], float]
    """Where a moment lies."""
    to_scale: bool
    """Whether equal times are equally wide."""
    began: float
    now: float
    names: float
    """How wide the column of names is."""
    left: float
    right: float
    bottom: float
    folded: int
    """How many calls are folded away; and how many the film has let go."""
    dropped: int


class Scale:
    """Maps moments to places: in order, with a gap between any two events that can be seen.

    From one event to the next, time runs evenly. So a scale of the first and the last alone is linear.

    Args:
        moments: When something happened.
        left: Where the first of them lies.
        room: How wide the picture should be; many events make it wider.
    """

    def __init__(self, moments: Iterable[float], left: float, room: float = ROOM) -> None:
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


@made_once
def steps_of(recording: Recording) -> list[Step]:
    """Returns the steps, in order of their ends, those that are open last. Polling is one step."""
    by_thread: dict[int, list[Step]] = defaultdict(list)
    for span in sorted(recording.spans, key=lambda span: (span.start, span.number)):
        steps = by_thread[span.ident]
        if steps and steps[-1].span.goes_on(span):
            # After an end there is nothing to wait for: a call that has not returned yet is about to.
            last = steps[-1].span if span.end is None and steps[-1].span.outcome == "end" else span
            steps[-1] = Step(last, steps[-1].start, steps[-1].repeats + 1)
        else:
            steps.append(Step(span, span.start, 1))
    flat = [step for steps in by_thread.values() for step in steps]
    return sorted(
        flat, key=lambda step: (step.span.end is None, step.span.end or step.start, step.span.number)
    )


@made_once
def plan(recording: Recording, most: int = MOST, room: float = ROOM, to_scale: bool = False) -> Plan:
    """Measures the picture.

    Args:
        recording: What has been seen.
        most: Steps that are drawn at most, the latest, those that are open not counted.
        room: How wide the part with the bars should be.
        to_scale: Whether equal times are equally wide.
    """
    every = steps_of(recording)
    cut = max(0, sum(step.span.end is not None for step in every) - most)
    old, steps = every[:cut], every[cut:]
    arrows = arrows_of(recording, {step.span.number for step in steps})
    ends = [span.start if span.end is None else span.end for span in recording.spans]
    now, began = max([recording.now, *ends]), min((span.start for span in recording.spans), default=0.0)
    words = [words_of(recording, step.span, step.lasted(now), step.repeats) for step in steps]
    signs = [arrow_words(recording, arrow) for arrow in arrows]
    shown, hidden = {step.span.ident for step in steps}, Counter(step.span.ident for step in old)
    names = {ident: clean(label) for ident, label in short_names(recording).items() if ident in shown}
    owners = {ident: recording.process_of[ident] for ident in names} if recording.processes else {}
    notes = {ident: f"{hidden[ident]:,} older" for ident in names if old}
    column = min(NAME, max((width_of(name, FONT + 1) for name in names.values()), default=0.0)) + 20
    left = column + 20 + max((width_of(note, SMALL) for note in notes.values()), default=0.0)
    moments = [*_moments(steps, arrows), now]
    at = Scale((min(moments), now) if to_scale else moments, left, room)
    right = max(at(now) + _EDGE, left + min(room, 500))
    bars = list[Bar]()
    for step, said in zip(steps, words, strict=True):
        end = right if step.span.end is None else max(at(step.span.end), at(step.start) + THIN)
        bars.append(Bar(step, said, at(step.start), end, step.lasted(now)))
    labels = _labels(bars, left, right)
    frames = Frames(owners, recording.processes)
    lanes = _lanes(names, labels, arrows, {ident: notes[ident] for ident in notes if hidden[ident]}, frames)
    lines = [_line(arrow, sign, lanes, at) for arrow, sign in zip(arrows, signs, strict=True)]
    drawn = [line for line in lines if line]
    bottom = max((lane.below for lane in lanes.values()), default=40.0) + (20 if frames.drawn else 12)
    folded, dropped = sum(step.repeats for step in old), recording.dropped
    sizes = column, left, right, bottom
    return Plan(bars, drawn, lanes, frames.drawn, labels, at, to_scale, began, now, *sizes, folded, dropped)


def _moments(steps: Sequence[Step], arrows: Iterable[Arrow]) -> Iterator[float]:
    """Where several arrows end at one bar, that gets a width at which they can be told apart."""
    among = {arrow.target.number: min(arrow.place[1], 6) for arrow in arrows if arrow.target}
    for step in steps:
        yield step.start
        if (end := step.span.end) is not None:
            yield end
            number = among.get(step.span.number, 1)
            yield from (
                step.span.start + (end - step.span.start) * part / number for part in range(1, number)
            )


def _labels(bars: Sequence[Bar], left: float, right: float) -> list[tuple[Bar, Label]]:
    """Places the labels of each lane by itself: the fewer lanes, the more lines of them each may have."""
    many = len({bar.step.span.ident for bar in bars})
    rows = 4 if many <= 3 else 3 if many <= 6 else 2 if many <= 16 else 1
    lanes: dict[int, list[Bar]] = defaultdict(list)
    for bar in sorted(bars, key=lambda bar: -bar.lasted):
        lanes[bar.step.span.ident].append(bar)
    found = list[tuple[Bar, Label]]()
    for own in lanes.values():
        own.sort(key=lambda bar: not bar.open)  # the open ones are the loudest
        wishes = [Wish(bar.words.labels, bar.begin, bar.end, bar.open) for bar in own]
        flags = [bar.end for bar in own if not bar.open and bar.step.span.outcome == "end"]
        placed = place(wishes, flags, rows, (left, right))
        found += [(bar, label) for bar, label in zip(own, placed, strict=True) if label]
    return found


def _lanes(
    names: Mapping[int, str],
    labels: Iterable[tuple[Bar, Label]],
    arrows: Iterable[Arrow],
    folded: Mapping[int, str],
    frames: "Frames",
) -> dict[int, Lane]:
    """Stacks the lanes: each as high as the labels above its bars, and what lies below, demand."""
    rows, lanes, top = Counter[int](), dict[int, Lane](), 34.0
    for bar, label in labels:
        rows[bar.step.span.ident] = max(rows[bar.step.span.ident], label.row)
    below = {arrow.lane for arrow in arrows if arrow.kind == "unread" or arrow.lane == arrow.source.ident}
    for ident, name in names.items():
        top = frames.begin(ident, top)
        bars = top + 10 + ROW * rows[ident]
        under = bars + BAR + (20 if ident in below else 4)
        lanes[ident] = Lane(ident, name, folded.get(ident, ""), top, bars, under)
        top = frames.end(ident, under + 8)
    return lanes


def _line(arrow: Arrow, sign: tuple[str, list[str]], lanes: Mapping[int, Lane], at: Scale) -> Line | None:
    """Returns where an arrow begins and ends. One end of it may be folded, but not its lane: then None."""
    idents = {arrow.source.ident, arrow.lane, arrow.target and arrow.target.ident} - {None}
    if not idents <= lanes.keys():
        return None
    source, target = lanes[arrow.source.ident], None if arrow.lane is None else lanes[arrow.lane]
    x1, y1, x2 = at(arrow.departs), source.bar + BAR, at(arrow.arrives)
    if target is None:  # out of this film
        x2, y2 = x1 + 16, source.below + 2
    elif arrow.target is None:  # into the buffers of a thread
        y1 = source.bar if target.top < source.top else y1
        x2, y2 = x1 + 14, target.below - 8
    else:
        number, among = arrow.place
        x2 = max(x1, x2 - (among - 1 - number) * min(12.0, 60.0 / among))
        y1 = source.bar if target.top < source.top else y1
        y2 = target.bar if target.top > source.top else target.bar + BAR
    words, labels = sign
    return Line(arrow.kind, words, labels, (x1, y1), (x2, y2), arrow.target is not None and target is source)
