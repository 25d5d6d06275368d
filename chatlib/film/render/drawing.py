"""The parts of a film's picture, as SVG: each sign is told from the others by its shape, not by colour alone.

Everything is known by now: each function turns a part of a `Plan` into text, and none looks at a recording.
"""

from collections.abc import Iterator
from html import escape
from itertools import zip_longest
from math import floor, hypot, log10

from chatlib.film.render.labels import ABOVE, FONT, INSIDE, SMALL, Label, Row, width_of
from chatlib.film.render.layout import BAR, NAME, ROW, Bar, Line, Plan
from chatlib.film.render.wording import NOTHING_YET

LEGEND = 540.0
"""How wide the legend may be: less than a narrow window, so that it can be read whole."""

_HALF = BAR / 2
_LEGEND = {
    "recv": "waits for bytes",
    "door": "waits for a connection",
    "inside": "waits inside this program",
    "hidden": "busy, or in a call that the X-ray cannot see",
    "send": "sends",
    "leave": "leaves",
    "bytes": "bytes on their way",
    "unread": "sent, but nobody has read it",
    "away": "bytes that leave this film",
    "end": "FIN: no more will come",
    "reset": "RST: broken off",
    "open": "still waiting",
    "idle": "still at rest",
    "process": "a process",
}
_SCALES = {
    False: "Not to scale: short steps are drawn much wider than they were.",
    True: "To scale: only what is too short to be seen is drawn wider.",
}


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
    """Returns what is shown when the reader points at a mark."""
    return f"<title>{escape(words)}</title>" if words else ""


def ground(picture: Plan) -> Iterator[str]:
    """Draws what lies behind the steps: a lane for each thread, and where the paper is folded."""
    bars: dict[int, list[tuple[float, float]]] = {ident: [] for ident in picture.lanes}
    for bar in picture.bars:
        bars[bar.step.span.ident].append((bar.begin, bar.end))
    for frame in picture.frames:
        size = f'width="{length(picture.right - 1)}" height="{length(frame.bottom - frame.top)}"'
        yield f'<rect class="cf-frame" x="5" y="{length(frame.top)}" rx="6" {size}/>'
    for lane in picture.lanes.values():  # dotted wherever it is not known what the thread does
        x, gaps = picture.left - 12, list[str | float]()
        for begin, end in sorted([*bars[lane.ident], (picture.right, picture.right)]):
            gaps += ["M", x, lane.bar + BAR / 2, "H", begin] if begin > x else []
            x = max(x, end)
        below = "" if picture.frames else path("cf-grid", "M", 12, lane.below + 4, "H", picture.right)
        yield below + path("cf-line", *gaps)
    if picture.folded:
        yield path("cf-fold", "M", picture.left - 8, 30, "l-5 5l5 5" * int((picture.bottom - 38) / 10))
    for lane in picture.lanes.values():
        if lane.folded:
            yield text("cf-small cf-last", picture.left - 16, lane.bar + 18, lane.folded)


def axis(picture: Plan) -> Iterator[str]:
    """Marks round numbers of seconds since the film began, as many as there is room for."""
    if not picture.bars:
        yield text("", 12, picture.bottom - 20, NOTHING_YET)
        return
    begin, end = min(bar.step.start for bar in picture.bars) - picture.began, picture.now - picture.began
    about = max(8, int((picture.right - picture.left) / 110))
    rough = max(end - begin, 1e-6) / about
    unit = 10.0 ** floor(log10(rough))
    step = next((unit * factor for factor in (1, 2, 5) if unit * factor >= rough), unit * 10)
    first, free = int(begin / step), Row()
    for moment in (round(number * step, 9) for number in range(first, first + about + 2)):
        x, words = picture.at(picture.began + moment), f"{moment:g} s"
        half = width_of(words, SMALL) / 2
        room = free.is_free(x - half - 12, x + half + 12) and x + half < picture.right
        if begin <= moment <= end and room:
            free.take(x - half - 12, x + half + 12)
            yield path("cf-grid", "M", x, 26, "V", picture.bottom - 8) + text("cf-small cf-mid", x, 18, words)


def step(bar: Bar, top: float) -> str:
    """Draws a step, with all that the view shows of it when the reader points there."""
    words, source, span, ends = bar.words.full, bar.words.source, bar.step.span, (bar.begin, bar.end)
    if _waits(bar):
        kind, drawn = f"{span.kind} cf-open" + " cf-idle" * bar.idle, torn(*ends, top)
    else:
        kind, drawn = _colour(span.kind), shape(span.kind, *ends, top)
        if kind == "recv" and span.size:  # a wedge: bytes that arrived
            deep = min(11.0, max(bar.end - bar.begin - 4, 4))
            drawn += path("cf-cap", "M", bar.end, top, "v", BAR, "l", -deep, -_HALF, "z")
        if span.outcome == "end":  # a flag
            drawn += path("cf-fin", "M", bar.end, top + BAR + 3, "V", top - 8, "h", -10, "v", 9, "h", 10)
        if span.outcome == "reset":  # a cross
            drawn += path("cf-rst", "M", bar.end - 7, top + 6, "l", 14, 14, "m", 0, -14, "l", -14, 14)
    data = {"step": bar.key, "text": words, "source": source}
    said = "".join(f' data-{name}="{escape(value)}"' for name, value in data.items() if value)
    title = titled(f"{words}: {source}" if source else words)
    return f'<g class="cf-step cf-{kind}"{said}>{title}{drawn}</g>'


def _waits(bar: Bar) -> bool:
    """Returns whether it is a call that is watched, and has not returned."""
    return bar.open and bar.step.span.kind != "hidden"


def _colour(kind: str) -> str:
    """Returns the kind of step whose colour this one has: what cannot be seen is told by its shape."""
    return "inside" if kind == "hidden" else kind


def shape(kind: str, begin: float, end: float, top: float) -> str:
    """Draws the bar of a step that is over: round for `recv`, pointed for `send`, hatched for `door`.

    What cannot be seen is a thin bar without stripes, also while it lasts.
    """
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
    less = {"inside": 5, "hidden": 9}.get(kind, 0)
    bar = path("cf-bar", "M", begin, top + less, "H", end, "v", BAR - 2 * less, "H", begin, "z")
    striped = wide > 20 and kind != "hidden"
    return bar + (path("cf-stripes", "M", begin + 3, middle, "H", end - 3) if striped else "")


def torn(begin: float, end: float, top: float) -> str:
    """Draws the bar of a step that goes on: its right end is torn off."""
    tooth = ("l", -7, (BAR + 4) / 4, "l", 7, (BAR + 4) / 4)
    outline = ("M", end, top - 2, "H", begin, "v", BAR + 4, "H", end)
    return path("cf-bar", *outline, "M", end, top - 2, *tooth, *tooth)


def arrow(line: Line) -> str:
    """Draws an arrow; what lies unread ends in a dot."""
    (x1, y1), (x2, y2) = line.begin, line.end
    if line.bent:
        middle, low = (x1 + x2) / 2, y1 + 34
        drawn = path("cf-way", "M", x1, y1, "Q", middle, low, x2, y2) + tip(middle, low, x2, y2)
    else:
        end = dot(x2, y2) if line.kind == "unread" else tip(x1, y1, x2, y2)
        drawn = path("cf-way", "M", x1, y1, "L", x2, y2) + end
    return f'<g class="cf-arrow cf-{line.kind}">{titled(line.words)}{drawn}</g>'


def tip(x1: float, y1: float, x2: float, y2: float) -> str:
    """Draws the tip of an arrow: markers, as SVG calls them, would need ids."""
    far = hypot(x2 - x1, y2 - y1) or 1.0
    ux, uy = (x2 - x1) / far, (y2 - y1) / far
    x, y = x2 - 11 * ux, y2 - 11 * uy
    return path("cf-tip", "M", x2, y2, "L", x - 5 * uy, y + 5 * ux, "L", x + 5 * uy, y - 5 * ux, "z")


def dot(x: float, y: float) -> str:
    """Draws an open dot: bytes that no call has taken."""
    return f'<circle class="cf-dot" cx="{length(x)}" cy="{length(y)}" r="6"/>'


def ticks(picture: Plan) -> Iterator[str]:
    """Draws the lines that lead from labels above bars to these: beneath all texts, as arrows are."""
    for bar, label in picture.labels:
        if label.row != INSIDE:
            top = picture.lanes[bar.step.span.ident].bar
            yield path("cf-lead", "M", label.tick, top, "V", _baseline(label, top) - 4)


def labels(picture: Plan) -> Iterator[str]:
    """Writes what stands at bars: on them, or above them."""
    for bar, label in picture.labels:
        colour = _colour(bar.step.span.kind)
        where = "off" if label.row != INSIDE else "on-idle" if bar.idle else f"on-{colour}"
        kind = f"cf-label cf-{where}" + " cf-strong" * bar.open
        y = _baseline(label, picture.lanes[bar.step.span.ident].bar)
        yield text(kind, label.x, y, label.text, of=bar.key)


def _baseline(label: Label, top: float) -> float:
    """Returns on which line a label stands, by where the bars of its lane begin."""
    return top + 18 if label.row == INSIDE else top - 7 - ROW * (label.row - ABOVE)


def trails(picture: Plan) -> Iterator[str]:
    """Draws a dotted line, and a label, after bytes that no call takes: they lie there to this day."""
    dots = sorted((line for line in picture.lines if line.kind == "unread"), key=lambda line: line.end[::-1])
    for line, following in zip_longest(dots, dots[1:]):
        (x, y), edge = line.end, picture.right
        if following and following.end[1] == y:
            edge = following.end[0] - 10
        fitting = [words for words in line.labels if width_of(words, bold=True) <= edge - x - 12]
        if fitting:
            yield text("cf-label cf-strong", x + 12, y + 5, fitting[-1])
            x += 12 + width_of(fitting[-1], bold=True)
        yield path("cf-trail", "M", min(x + 8, edge), y, "H", edge)


def names(picture: Plan) -> Iterator[str]:
    """Writes the lanes' names. With the legend they may stay when the picture is scrolled."""
    size = f'width="{length(picture.names)}" height="{length(max(picture.bottom - 40, 0))}"'
    yield f'<rect class="cf-bg" y="30" {size}/>'
    for lane in picture.lanes.values():
        begin, end = lane.label, ""
        while width_of(begin + end, FONT + 1) > NAME:  # its end may be all that tells it from another
            begin, end = begin[:-1], "…" + lane.label[-8:]
        yield text("cf-name", 12, lane.bar + 19, begin + end, lane.label)
    for frame in picture.frames:
        yield path("cf-side", "M", 5, frame.top + 6, "V", frame.bottom - 6)
        yield text("cf-owner", 12, frame.top + 18, frame.name) if frame.name else ""


def legend(picture: Plan, y: float) -> tuple[str, float]:
    """Explains the signs that occur, and what is not in the picture. Returns where it ends, too."""
    there = {bar.step.span.kind for bar in picture.bars} | {line.kind for line in picture.lines}
    there |= {
        "idle" if bar.idle else "open" if _waits(bar) else bar.step.span.outcome for bar in picture.bars
    }
    there |= {"process"} if picture.frames else set()
    waiting = {bar.step.span.kind for bar in picture.bars if _waits(bar) and not bar.idle}
    held = "recv" if "recv" in waiting else min(waiting, default="recv")  # a colour that the picture has
    parts, x = list[str](), 12.0
    for kind, words in _LEGEND.items():
        if kind in there:
            if x + 40 + width_of(words, SMALL) > min(picture.right, LEGEND):
                x, y = 12.0, y + 26
            parts.append(sign(kind, x, y, held) + text("cf-small", x + 36, y + 17, words))
            x += 54 + width_of(words, SMALL)
    notes = [_SCALES[picture.to_scale]] if picture.bars else []
    if picture.folded:
        notes.append(f"{picture.folded:,} older steps are folded away at the left.")
    if picture.dropped:
        notes.append(f"The film has let go of {picture.dropped:,} still older ones.")
    y += 42 if parts else 18
    return "".join(parts) + text("cf-small", 12, y, " ".join(notes)), y


def sign(kind: str, x: float, y: float, held: str) -> str:
    """Draws the sign of one kind of step or arrow, 28 wide and 20 high. What still waits looks `held`."""
    if kind == "process":
        frame = (
            f'<rect class="cf-frame" x="{length(x + 1)}" y="{length(y + 2)}" width="27" height="19" rx="4"/>'
        )
        return frame + path("cf-side", "M", x + 1, y + 6, "v", 11)
    if kind not in ("unread", "bytes", "away", "end", "reset"):
        classes = {"open": f"cf-{held} cf-open", "idle": "cf-door cf-open cf-idle"}.get(
            kind, f"cf-{_colour(kind)}"
        )
        drawn = torn(0, 40, 0) if "cf-open" in classes else shape(kind, 0, 40, 0)
        at = f"translate({length(x)} {length(y + 3)})"
        return f'<g class="{classes}" transform="{at} scale(.72)">{drawn}</g>'
    y += 13
    ends = {
        "unread": dot(x + 22, y),
        "end": path("cf-fin", "M", x + 28, y + 8, "v", -17, "h", -10, "v", 8, "h", 10),
        "reset": path("cf-rst", "M", x + 15, y - 7, "l", 13, 13, "m", 0, -13, "l", -13, 13),
    }
    end = ends.get(kind) or tip(x, y, x + 28, y)
    return f'<g class="cf-{kind}">{path("cf-way", "M", x, y, "h", 24)}{end}</g>'
