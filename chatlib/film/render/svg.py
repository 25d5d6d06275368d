"""The space-time diagram of a film: a lane for each thread, time to the right, an arrow for each message.

One line of SVG, without references and without ids, so that several fit on one page. Each kind of step has
its own colour, of the palette by Okabe and Ito that colour-blind readers can tell apart, and its own shape.
"""

from collections.abc import Iterable, Iterator
from html import escape
from itertools import chain, islice, zip_longest
from math import floor, log10

from chatlib.film.render import shapes
from chatlib.film.render.arrows import Arrow, arrows_of, text_of, unread_labels
from chatlib.film.render.html import fragment_of, page_of
from chatlib.film.render.labels import ABOVE, FONT, INSIDE, SMALL, Row, width_of
from chatlib.film.render.layout import BAR, MOST, NAME, ROW, Plan, Step, fold, older, plan
from chatlib.film.render.shapes import length, path, text, titled
from chatlib.film.render.style import STYLE
from chatlib.film.render.text import story, told
from chatlib.film.render.wording import NOTHING_YET, clean, full_text, kind_of
from chatlib.film.spans import Recording

LEGEND = 540.0
"""How wide the legend may be: less than a narrow window, so that it can be read whole."""

_SHORT_STORY = 12
_LEGEND = {
    "recv": "waits for a peer's bytes",
    "door": "waits for a connection",
    "inside": "waits inside this program",
    "send": "sends",
    "leave": "leaves",
    "bytes": "bytes on their way",
    "unread": "sent, but nobody has read it",
    "away": "bytes that leave this film",
    "end": "FIN: the peer has left",
    "reset": "RST: broken off",
    "open": "still waiting",
}


def svg(recording: Recording, most: int = MOST) -> str:
    """Draws a film.

    Args:
        recording: What has been seen.
        most: Steps that are drawn at most, those that are open not counted; older ones are folded.

    Returns:
        An SVG element on one line, the same for equal recordings.
    """
    folded = fold(recording, most)
    arrows = arrows_of(recording, {step.span.number for step in folded.steps})
    picture = plan(recording, folded, arrows)
    arrows = [arrow for arrow in arrows if _is_shown(arrow, picture)]
    legend, bottom = _legend(picture, arrows)
    parts = chain(
        _background(picture),
        _axis(picture),
        _lanes(picture),
        _fold(picture),
        (_step(recording, picture, step) for step in picture.steps),
        (_arrow(recording, picture, arrow) for arrow in arrows),
        _labels(picture),
        _unread(recording, picture, arrows),
        ['<g class="cf-stays">', _names(picture), *legend],
        [text("cf-small", 12, bottom + 18, _notes(recording, picture)), "</g>"],
    )
    return _root(recording, picture, "".join(parts), bottom + 30)


def page(recording: Recording, title: str) -> str:
    """Returns an HTML file with the picture and the story, complete in itself: nothing is fetched."""
    return page_of(svg(recording), story(recording), title)


def bundle(recording: Recording) -> dict[str, str]:
    """Returns a film that has ended for a notebook: as HTML to explore, as a picture, and as text."""
    picture, told = svg(recording), story(recording)
    return {"text/html": fragment_of(picture, told), "image/svg+xml": picture, "text/plain": told}


def _root(recording: Recording, picture: Plan, inside: str, height: float) -> str:
    wide, high = length(picture.right + 14), length(height)
    short = "; ".join(islice(told(recording), _SHORT_STORY)) or NOTHING_YET
    head = f"{titled('Which thread waited in which call')}<desc>{escape(short)}</desc><style>{STYLE}</style>"
    limits = f"min-width:{length(picture.right * 0.8)}px;max-width:{length(picture.right * 1.5)}px"
    size = f'viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" style="{limits}" font-size="{FONT}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" class="chatfilm" role="img" {size}>{head}{inside}</svg>'


def _background(picture: Plan) -> Iterator[str]:
    yield '<rect class="cf-bg" width="100%" height="100%"/>'
    if not picture.steps:
        yield text("", 12, picture.bottom - 20, NOTHING_YET)


def _axis(picture: Plan) -> Iterator[str]:
    """Draws marks of the time since the film began, as many as there is room for."""
    if not picture.steps:
        return
    free, begin = Row(), min(step.start for step in picture.steps)
    about = max(8, int((picture.right - picture.left) / 110))
    for moment in _round_moments(begin - picture.began, picture.now - picture.began, about):
        x, words = picture.at(picture.began + moment), f"{moment:g} s"
        half = width_of(words, SMALL) / 2
        if free.is_free(x - half - 12, x + half + 12) and x + half < picture.right:
            free.take(x - half - 12, x + half + 12)
            yield path("cf-grid", "M", x, 26, "V", picture.bottom - 8) + text("cf-small cf-mid", x, 18, words)


def _round_moments(begin: float, end: float, about: int) -> Iterator[float]:
    """Gives about so many round numbers of seconds between two moments."""
    rough = max(end - begin, 1e-6) / about
    unit = 10.0 ** floor(log10(rough))
    step = next((unit * factor for factor in (1, 2, 5) if unit * factor >= rough), unit * 10)
    first = int(begin / step)
    moments = (round(number * step, 9) for number in range(first, first + about + 2))
    yield from (moment for moment in moments if begin <= moment <= end)


def _lanes(picture: Plan) -> Iterator[str]:
    """Draws a dotted line wherever a thread runs, or nobody knows what it does."""
    bars: dict[int, list[tuple[float, float]]] = {ident: [] for ident in picture.lanes}
    for step in picture.steps:
        bars[step.span.ident].append(picture.ends(step))
    for lane in picture.lanes.values():
        x, gaps = picture.left - 12, list[str | float]()
        for begin, end in sorted([*bars[lane.ident], (picture.right, picture.right)]):
            gaps += ["M", x, lane.bar + BAR / 2, "H", begin] if begin > x else []
            x = max(x, end)
        yield path("cf-grid", "M", 12, lane.below + 4, "H", picture.right) + path("cf-line", *gaps)


def _names(picture: Plan) -> str:
    """Writes the lanes' names. With the legend they may stay when the picture is scrolled."""
    size = f'width="{length(picture.names)}" height="{length(max(picture.bottom - 40, 0))}"'
    lanes = picture.lanes.values()
    names = (text("cf-name", 12, lane.bar + 19, _fitted(lane.label, NAME), lane.label) for lane in lanes)
    return f'<rect class="cf-bg" y="30" {size}/>{"".join(names)}'


def _fold(picture: Plan) -> Iterator[str]:
    """Draws where the paper is folded, and how much lies behind."""
    if picture.folded:
        yield path("cf-fold", "M", picture.left - 8, 30, "l-5 5l5 5" * int((picture.bottom - 38) / 10))
    for lane in picture.lanes.values():
        if lane.folded:
            yield text("cf-small cf-last", picture.left - 16, lane.bar + 18, older(lane.folded))


def _step(recording: Recording, picture: Plan, step: Step) -> str:
    span, top = step.span, picture.lanes[step.span.ident].bar
    lasted = (picture.now if span.end is None else span.end) - step.start
    words = full_text(recording, span, lasted, step.repeats)
    source = clean(span.place.source) if span.place else ""
    ends = picture.ends(step)
    if span.end is None:
        kind, drawn = f"{kind_of(span)} cf-open", shapes.open_bar(*ends, top)
    else:
        kind, marks = kind_of(span), shapes.endings(step, *ends, top)
        drawn = shapes.bar(kind, *ends, top) + shapes.stripes(kind, *ends, top) + "".join(marks)
    data = {"step": _key(step), "text": words, "source": source}
    said = "".join(f' data-{name}="{escape(value)}"' for name, value in data.items() if value)
    title = titled(f"{words}: {source}" if source else words)
    return f'<g class="cf-step cf-{kind}"{said}>{title}{drawn}</g>'


def _key(step: Step) -> str:
    """Returns what tells a step from the others, in each picture of the same film."""
    return f"{step.span.ident:x}-{int(step.start * 1e7):x}"


def _is_shown(arrow: Arrow, picture: Plan) -> bool:
    """One end of an arrow may be folded, but not its lane."""
    lanes = (arrow.source.ident, arrow.lane, arrow.target and arrow.target.ident)
    return all(lane is None or lane in picture.lanes for lane in lanes)


def _points(picture: Plan, arrow: Arrow) -> tuple[float, float, float, float]:
    """Returns where an arrow begins and ends."""
    source = picture.lanes[arrow.source.ident]
    x1, x2 = picture.at(arrow.departs), picture.at(arrow.arrives)
    target = picture.lanes[arrow.lane] if arrow.lane is not None else None
    if arrow.kind == "away":
        return x1, source.bar + BAR, x1 + 16, source.below + 2
    if target is None or arrow.target is None:
        below = target.below - 8 if target else source.below
        up = target is not None and target.top < source.top
        return x1, source.bar if up else source.bar + BAR, x1 + 14, below
    number, among = arrow.place
    x2 = max(x1, x2 - (among - 1 - number) * min(12.0, 60.0 / among))
    if target.top > source.top:
        return x1, source.bar + BAR, x2, target.bar
    return x1, (source.bar if target is not source else source.bar + BAR), x2, target.bar + BAR


def _arrow(recording: Recording, picture: Plan, arrow: Arrow) -> str:
    x1, y1, x2, y2 = _points(picture, arrow)
    if arrow.target is not None and arrow.lane == arrow.source.ident:  # a thread that talks with itself
        middle, low = (x1 + x2) / 2, y1 + 34
        line = path("cf-way", "M", x1, y1, "Q", middle, low, x2, y2)
        return _grouped(recording, arrow, line + shapes.arrowhead(middle, low, x2, y2))
    line = path("cf-way", "M", x1, y1, "L", x2, y2)
    end = shapes.dot(x2, y2) if arrow.kind == "unread" else shapes.arrowhead(x1, y1, x2, y2)
    return _grouped(recording, arrow, line + end)


def _grouped(recording: Recording, arrow: Arrow, drawn: str) -> str:
    return f'<g class="cf-arrow cf-{arrow.kind}">{titled(text_of(recording, arrow))}{drawn}</g>'


def _unread(recording: Recording, picture: Plan, arrows: Iterable[Arrow]) -> Iterator[str]:
    """Bytes that nobody takes lie there to this day: their label says so, and a dotted line."""
    unread = ((*_points(picture, arrow)[2:], arrow) for arrow in arrows if arrow.kind == "unread")
    dots = sorted(unread, key=lambda dot: (dot[1], dot[0]))
    for (x, y, arrow), following in zip_longest(dots, dots[1:]):
        edge = following[0] - 10 if following and following[1] == y else picture.right
        texts, room = unread_labels(recording, arrow), edge - x - 12
        fitting = [words for words in texts if width_of(words, bold=True) <= room]
        if fitting:
            yield text("cf-label cf-strong", x + 12, y + 5, fitting[-1])
            x += 12 + width_of(fitting[-1], bold=True)
        yield path("cf-trail", "M", min(x + 8, edge), y, "H", edge)


def _labels(picture: Plan) -> Iterator[str]:
    for step, label in picture.labels.items():
        top, begin = picture.lanes[step.span.ident].bar, picture.at(step.start)
        y = top + 18 if label.row == INSIDE else top - 7 - ROW * (label.row - ABOVE)
        kind = f"cf-on-{kind_of(step.span)}" if label.row == INSIDE else "cf-off"
        loud = " cf-strong" if step.span.end is None else ""
        lead = path("cf-lead", "M", begin + 1, top, "V", y - 4) if label.row != INSIDE else ""
        yield lead + text(f"cf-label {kind}{loud}", label.x, y, label.text, of=_key(step))


def _legend(picture: Plan, arrows: Iterable[Arrow]) -> tuple[list[str], float]:
    """Explains the signs that occur. Returns where it ends, too."""
    there = {kind_of(step.span) for step in picture.steps} | {arrow.kind for arrow in arrows}
    there |= {"open" if step.span.end is None else step.span.outcome for step in picture.steps}
    parts, x, y = list[str](), 12.0, picture.bottom + 8
    for kind, words in _LEGEND.items():
        if kind in there:
            if x + 40 + width_of(words, SMALL) > min(picture.right, LEGEND):
                x, y = 12.0, y + 26
            parts.append(shapes.sign(kind, x, y) + text("cf-small", x + 36, y + 17, words))
            x += 54 + width_of(words, SMALL)
    return parts, y + (24 if parts else 0)


def _notes(recording: Recording, picture: Plan) -> str:
    notes = ["Not to scale: short steps are drawn much wider than they were."] if picture.steps else []
    if picture.folded:
        notes.append(f"{picture.folded:,} older steps are folded away at the left.")
    if recording.dropped:
        notes.append(f"The film has let go of {recording.dropped:,} still older ones.")
    return " ".join(notes)


def _fitted(words: str, room: float) -> str:
    """Shortens a name; its end is kept, as that may be all that tells it from another."""
    begin, end = words, ""
    while width_of(begin + end, FONT + 1) > room:
        end = "…" + words[-8:]
        begin = begin[:-1]
    return begin + end
