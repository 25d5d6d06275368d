"""What a picture says of its verdict: sentences above the time axis, and an arrow for each wait in them."""

from collections.abc import Iterator
from itertools import islice

from chatlib.film.render.drawing import length, path, text, titled
from chatlib.film.render.labels import FONT, SMALL, width_of
from chatlib.film.render.layout import BAR, Lane, Plan
from chatlib.film.verdict.finding import Verdict

MOST = 3
"""Findings that are told; of the others, only how many there are."""

_WIDE, _LINE = 1150.0, 20.0  # a line of text, at most; and how high it is
_TIES, _APART = 12, 16.0  # arrows that are drawn at most, and how far apart


def signs_of(verdict: Verdict) -> set[str]:
    """Returns which signs the legend has to explain."""
    signs = {"forever" if finding.certain else "now" for finding in verdict.findings[:MOST]}
    return signs | ({"tie"} if any(finding.waits for finding in verdict.findings[:MOST]) else set())


def head(verdict: Verdict, picture: Plan) -> tuple[str, float]:
    """Writes the sentences, each behind a sign. Returns how high that is as well: it lies above 0."""
    parts, y = list[str](), 0.0
    for finding in verdict.findings[:MOST]:
        for number, line in enumerate(wrapped(finding.sentence, min(_WIDE, picture.right - 40))):
            y += _LINE
            sign = knot(12, y - 13, finding.certain) if number == 0 else ""
            parts.append(sign + text("cf-finding", 36, y, line, finding.sentence))
    if (more := len(verdict.findings) - MOST) > 0:
        y += _LINE
        parts.append(text("cf-small", 36, y, f"and {more:,} more"))
    high = y + 12 if parts else 0.0
    moved = f'<g class="cf-verdict" transform="translate(0 {length(0 - high)})">{"".join(parts)}</g>'
    return (moved if parts else ""), high


def wrapped(sentence: str, wide: float) -> Iterator[str]:
    """Gives the lines of a sentence, none of them wider than that."""
    line = ""
    for word in sentence.split(" "):
        longer = f"{line} {word}" if line else word
        if line and width_of(longer, FONT, bold=True) > wide:
            yield line
            longer = word
        line = longer
    while width_of(line, FONT, bold=True) > wide and len(line) > 1:
        line = line[:-2] + "…"
    yield line


def knot(x: float, y: float, certain: bool) -> str:
    """Draws the sign of a finding: an octagon if it is for ever, or else an hourglass."""
    if certain:
        upper = ("M", x + 5, y, "h", 6, "l", 5, 5, "v", 6)
        return path("cf-forever", *upper, "l", -5, 5, "h", -6, "l", -5, -5, "v", -6, "z")
    return path("cf-now", "M", x + 2, y, "h", 12, "l", -12, 16, "h", 12, "z")


def ties(verdict: Verdict, picture: Plan) -> Iterator[str]:
    """Draws a dashed arrow from each bar that waits to the lane that it waits for, near the right edge."""
    told = verdict.findings[:MOST]
    waits = [(pair, finding.sentence) for finding in told for pair in dict.fromkeys(finding.waits)]
    drawn = [each for each in waits if set(each[0]) <= picture.lanes.keys()]
    for number, ((waiting, other), sentence) in enumerate(islice(drawn, _TIES)):
        x = picture.right - 12 - _APART * number
        way = tie(x, picture.lanes[waiting], picture.lanes[other])
        yield f'<g class="cf-tie">{titled(sentence)}{way}</g>'


def tie(x: float, here: Lane, there: Lane) -> str:
    """Draws one, from the middle of a bar to the edge of another one; in its own lane it turns back."""
    middle, low = here.bar + BAR / 2, here.bar + BAR
    if here.ident == there.ident:
        way: tuple[str | float, ...] = ("M", x, middle, "V", low + 9, "H", x - 26, "V", low - 4)
        x, end, down = x - 26, low - 4, -1
    else:
        down = 1 if there.bar > here.bar else -1
        end = there.bar + 5 if down > 0 else there.bar + BAR - 5
        way = ("M", x, middle, "V", end)
    return path("cf-halo", *way) + path("cf-way", *way) + hook(x, end, down)


def hook(x: float, y: float, down: int) -> str:
    """Draws the open tip of such an arrow: those of messages are filled."""
    return path("cf-hook", "M", x - 6, y - 9 * down, "L", x, y, "L", x + 6, y - 9 * down)


def small(kind: str, x: float, y: float) -> str:
    """Draws the sign that the legend explains."""
    if kind != "tie":
        return knot(x + 6, y + 4, kind == "forever")
    line = path("cf-way", "M", x, y + 13, "h", 28)
    tip = path("cf-hook", "M", x + 19, y + 7, "L", x + 28, y + 13, "L", x + 19, y + 19)
    return f'<g class="cf-tie">{line}{tip}</g>'


EXPLAINED = {
    "forever": "stuck for ever",
    "now": "stuck for now",
    "tie": "waits for",
}
"""What the legend says of each."""


def legend(verdict: Verdict, picture: Plan, y: float) -> tuple[str, float]:
    """Explains the signs that occur, in a line of its own. Returns where it ends, too."""
    signs, parts, x = signs_of(verdict), list[str](), 12.0
    for kind, words in EXPLAINED.items():
        if kind in signs:
            parts.append(small(kind, x, y) + text("cf-small", x + 36, y + 17, words))
            x += 54 + width_of(words, SMALL)
    return "".join(parts), y + 26 if parts else y
