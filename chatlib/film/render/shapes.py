"""The signs of a film's picture, each told from the others by its shape and not by its colour alone."""

from collections.abc import Iterator
from html import escape
from math import hypot

from chatlib.film.render.layout import BAR, Step
from chatlib.film.render.wording import kind_of

_HALF = BAR / 2


def length(number: float) -> str:
    """Writes a length: a tenth of a pixel is exact enough, and short."""
    return f"{number:.1f}".removesuffix(".0")


def path(kind: str, *parts: str | float) -> str:
    """Draws a path of a class from letters and lengths: `path("cf-way", "M", 1, 2, "H", 9)`."""
    written = (part if isinstance(part, str) else f"{length(part)} " for part in parts)
    return f'<path class="{kind}" d="{"".join(written).rstrip()}"/>'


def text(kind: str, x: float, y: float, words: str, title: str = "", of: str = "") -> str:
    """Writes words, which may come from a network: they stay text. They may be `of` a step."""
    at = f'x="{length(x)}" y="{length(y)}"' + (f' data-of="{of}"' if of else "")
    return f'<text class="{kind}" {at}>{escape(words)}{titled(title)}</text>'


def titled(words: str) -> str:
    """Returns what is shown when somebody points at a mark."""
    return f"<title>{escape(words)}</title>" if words else ""


def dot(x: float, y: float) -> str:
    """Draws an open dot: bytes that nobody has taken."""
    return f'<circle class="cf-dot" cx="{length(x)}" cy="{length(y)}" r="6"/>'


def bar(kind: str, begin: float, end: float, top: float) -> str:
    """Draws a step that is over: round for `recv`, square for `door`, pointed for `send` and so on."""
    middle, bottom, wide = top + _HALF, top + BAR, end - begin
    if kind == "recv":
        r = min(8.0, wide / 2)
        right = ("q", r, 0, r, _HALF, "q", 0, _HALF, -r, _HALF)
        left = ("q", -r, 0, -r, -_HALF, "q", 0, -_HALF, r, -_HALF)
        return path("cf-bar", "M", begin + r, top, "H", end - r, *right, "H", begin + r, *left, "z")
    if kind == "send":
        tip = end - min(9.0, wide)
        return path("cf-bar", "M", begin, top, "H", tip, "L", end, middle, "L", tip, bottom, "H", begin, "z")
    if kind == "leave":
        slope = min(_HALF, wide / 2)
        upper = ("M", begin, middle, "l", slope, -_HALF, "H", end - slope, "L", end, middle)
        return path("cf-bar", *upper, "l", -slope, _HALF, "H", begin + slope, "z")
    less = 5 if kind == "inside" else 0
    return path("cf-bar", "M", begin, top + less, "H", end, "v", BAR - 2 * less, "H", begin, "z")


def open_bar(begin: float, end: float, top: float) -> str:
    """Draws a step that goes on: its right end is torn off."""
    tooth = ("l", -7, (BAR + 4) / 4, "l", 7, (BAR + 4) / 4)
    outline = ("M", end, top - 2, "H", begin, "v", BAR + 4, "H", end)
    return path("cf-bar", *outline, "M", end, top - 2, *tooth, *tooth)


def stripes(kind: str, begin: float, end: float, top: float) -> str:
    """Hatches a bar whose kind says so, and which is wide enough."""
    hatched = kind in ("door", "inside") and end - begin > 20
    return path("cf-stripes", "M", begin + 3, top + _HALF, "H", end - 3) if hatched else ""


def endings(step: Step, begin: float, end: float, top: float) -> Iterator[str]:
    """Marks how a step ended: a wedge for bytes that arrived, a flag for a FIN, a cross for a RST."""
    span = step.span
    if kind_of(span) == "recv" and span.size:
        deep = min(11.0, max(end - begin - 4, 4))
        yield path("cf-cap", "M", end, top, "v", BAR, "l", -deep, -_HALF, "z")
    if span.outcome == "end":
        yield path("cf-fin", "M", end, top + BAR + 3, "V", top - 8, "h", -10, "v", 9, "h", 10)
    if span.outcome == "reset":
        yield path("cf-rst", "M", end - 7, top + 6, "l", 14, 14, "m", 0, -14, "l", -14, 14)


def arrowhead(x1: float, y1: float, x2: float, y2: float) -> str:
    """Draws the tip of an arrow: markers, as SVG calls them, would need ids."""
    far = hypot(x2 - x1, y2 - y1) or 1.0
    ux, uy = (x2 - x1) / far, (y2 - y1) / far
    x, y = x2 - 11 * ux, y2 - 11 * uy
    return path("cf-tip", "M", x2, y2, "L", x - 5 * uy, y + 5 * ux, "L", x + 5 * uy, y - 5 * ux, "z")


def sign(kind: str, x: float, y: float) -> str:
    """Draws the sign of one kind of step or arrow, 28 wide and 20 high, for the legend."""
    if kind in ("unread", "bytes", "away", "end", "reset"):
        return f'<g class="cf-{kind}">{_arrow_sign(kind, x, y + 13)}</g>'
    drawn = open_bar(0, 40, 0) if kind == "open" else bar(kind, 0, 40, 0) + stripes(kind, 0, 40, 0)
    classes = "cf-recv cf-open" if kind == "open" else f"cf-{kind}"
    return f'<g class="{classes}" transform="translate({length(x)} {length(y + 3)}) scale(.72)">{drawn}</g>'


def _arrow_sign(kind: str, x: float, y: float) -> str:
    ends = {
        "unread": dot(x + 22, y),
        "end": path("cf-fin", "M", x + 28, y + 8, "v", -17, "h", -10, "v", 8, "h", 10),
        "reset": path("cf-rst", "M", x + 15, y - 7, "l", 13, 13, "m", 0, -13, "l", -13, 13),
    }
    return path("cf-way", "M", x, y, "h", 24) + ends.get(kind, arrowhead(x, y, x + 28, y))
