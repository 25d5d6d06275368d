"""Labels that never overlap: each as long as there is room for, and none rather than one over another."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from unicodedata import combining, east_asian_width

FONT = 15
SMALL = 13
"""Sizes, in the picture's own units: pixels at its actual size."""

INSIDE, ABOVE = 0, 1
"""The rows of labels of a lane: on the bars, the first above them; and more above that."""

_GAP = 9.0  # between a label and the next
_LONG = 3  # texts from this one on say no more than how long, and at which line


class Wish(NamedTuple):
    """What should be written at a bar."""

    texts: Sequence[str]
    """From the shortest to the longest."""
    begin: float
    end: float
    bold: bool


class Label(NamedTuple):
    """A text and where it stands."""

    text: str
    x: float
    row: int
    width: float
    tick: float
    """Where a line leads down to its bar, if it stands above that."""


class Row:
    """A line of text that does not overlap itself."""

    def __init__(self) -> None:
        self._begins: list[float] = []
        self._ends: list[float] = []

    def is_free(self, begin: float, end: float) -> bool:
        """Returns whether nothing stands there."""
        after = bisect_left(self._begins, end)
        return after == 0 or self._ends[after - 1] <= begin

    def take(self, begin: float, end: float) -> None:
        """Notes that something stands there."""
        index = bisect_left(self._begins, begin)
        self._begins.insert(index, begin)
        self._ends.insert(index, end)

    def give_back(self, begin: float, end: float) -> None:
        """Undoes `take`."""
        index = self._begins.index(begin)
        del self._begins[index], self._ends[index]


class _Widths(dict[str, float]):
    """How wide each letter is, in parts of the font's size: asked often, worked out once."""

    def __missing__(self, letter: str) -> float:
        if letter in "iljI.,:;'|!()[]/ ft-":
            width = 0.43
        elif letter in "mwMW@%…—":
            width = 1.02
        elif letter.isascii():
            width = 0.86 if letter.isupper() else 0.7 if letter in "bdghnopqu" else 0.66
        else:
            width = 0.0 if combining(letter) else 1.25 if east_asian_width(letter) in "WF" else 0.95
        self[letter] = width
        return width


_WIDTHS = _Widths()


def width_of(text: str, size: float = FONT, bold: bool = False) -> float:
    """Returns how wide a text is at most, whichever of the usual fonts shows it."""
    return size * sum(map(_WIDTHS.__getitem__, text)) * (1.14 if bold else 1.0)


def place(
    wishes: Sequence[Wish], flags: Sequence[float], rows: int, edges: tuple[float, float]
) -> Sequence[Label | None]:
    """First gives each bar of a lane a short label, then lets them grow, in the order of the list.

    Args:
        wishes: The bars of one lane, the most important first.
        flags: Where something else stands above the bars.
        rows: How many rows above the bars there may be.
        edges: Where the picture begins and ends.
    """
    shelves = _shelves(flags, rows)
    found: list[Label | None] = [None] * len(wishes)
    reached = [-1] * len(wishes)
    for level in [*range(5), *range(5)]:  # twice: a label that moved has perhaps left room behind
        for number, wish in enumerate(wishes):
            if reached[number] < level < len(wish.texts):
                better = _grown(wish, level, shelves, found[number], edges)
                if better:
                    found[number], reached[number] = better, level
    return _untangled(found, _shelves(flags, rows))


def _shelves(flags: Iterable[float], rows: int) -> list[Row]:
    """Returns the rows of a lane: on its bars, and above them, where there may be flags."""
    shelves = [Row() for _ in range(rows + 1)]
    for flag in flags:
        if shelves[ABOVE].is_free(flag - 12, flag + 4):
            shelves[ABOVE].take(flag - 12, flag + 4)
    return shelves


def _grown(
    wish: Wish, level: int, shelves: Sequence[Row], now: Label | None, edges: tuple[float, float]
) -> Label | None:
    """Finds room for a longer text instead of the one that is there now; None if there is none."""
    if now:
        if level >= _LONG and now.row == INSIDE:
            shelves = shelves[:ABOVE]  # it says the most important already; others need the room above
        shelves[now.row].give_back(now.x, now.x + now.width)
    width = width_of(wish.texts[level], bold=wish.bold) + _GAP
    for row, shelf in enumerate(shelves):
        x = wish.begin + 9 if row == INSIDE else max(edges[0], min(wish.begin, edges[1] - width))
        if x + width <= (wish.end - 8 if row == INSIDE else edges[1]) and shelf.is_free(x, x + width):
            shelf.take(x, x + width)
            return Label(wish.texts[level], x, row, width, wish.begin + 1)
    if now:
        shelves[now.row].take(now.x, now.x + now.width)
    return None


def _untangled(labels: Sequence[Label | None], shelves: Sequence[Row]) -> Sequence[Label | None]:
    """Moves labels above bars to other rows, so that fewer ticks run through texts.

    From right to left, each to the lowest row that is free: a tick stands at the left end of its text, so of
    two labels the left one belongs above. If there are too few rows for that, all stay where they are.
    """
    above = [(label, number) for number, label in enumerate(labels) if label and label.row != INSIDE]
    moved = list(labels)
    for label, number in sorted(above, key=lambda each: -each[0].tick):
        begin, end = label.x, label.x + label.width
        row = next((row for row in range(ABOVE, len(shelves)) if shelves[row].is_free(begin, end)), None)
        if row is None:
            return labels
        shelves[row].take(begin, end)
        moved[number] = label._replace(row=row)
    return moved
