"""The space-time diagram of a film: a lane for each thread, time to the right, an arrow for each message.

One line of SVG, without references and without ids, so that several fit on one page. Each kind of step has
its own colour, of the palette by Okabe and Ito that colour-blind readers can tell apart, and its own shape.
"""

from collections.abc import Iterator
from html import escape
from itertools import islice

from chatlib.film.recording import Recording
from chatlib.film.render import drawing, findings
from chatlib.film.render.drawing import length, titled
from chatlib.film.render.html import ENDED, fragment_of, page_of
from chatlib.film.render.labels import FONT
from chatlib.film.render.layout import MOST, ROOM, plan
from chatlib.film.render.playback import Excerpts, playback
from chatlib.film.render.style import STYLE
from chatlib.film.render.text import story, told
from chatlib.film.render.wording import NOTHING_YET
from chatlib.film.verdict.judge import verdict_of

STORY = 1000
"""Lines that a page tells of each thread, the latest ones."""

_SHORT_STORY = 12  # lines


def svg(recording: Recording, most: int = MOST, room: float = ROOM, to_scale: bool = False) -> str:
    """Draws a film: what is known is worded and measured first, then drawn.

    Args:
        recording: What has been seen.
        most: Steps that are drawn at most, those that are open not counted; older ones are folded.
        room: How wide the part with the bars should be, in pixels. Many steps make it wider.
        to_scale: Whether equal times are equally wide, and many steps make it no wider.

    Returns:
        An SVG element on one line, the same for equal recordings.
    """
    verdict = verdict_of(recording)
    sentences = [finding.sentence for finding in verdict.findings[: findings.MOST]]
    short = "; ".join([*sentences, *islice(told(recording), _SHORT_STORY)]) or NOTHING_YET
    picture = plan(recording, most, room, to_scale)
    above, high = findings.head(verdict, picture)
    ties, middle = findings.legend(verdict, picture, picture.bottom + 8)
    legend, bottom = drawing.legend(picture, middle)

    def parts() -> Iterator[str]:
        yield (
            titled("Which thread waited in which call")
            + f"<desc>{escape(short)}</desc><style>{STYLE}</style>"
        )
        yield f'<rect class="cf-bg" y="{length(0 - high)}" width="100%" height="100%"/>'
        yield from drawing.axis(picture)
        yield from drawing.ground(picture)
        for bar in sorted(picture.bars, key=lambda bar: bar.begin - bar.end):  # short ones over long ones
            yield drawing.step(bar, picture.lanes[bar.step.span.ident].bar)
        yield from drawing.ticks(picture)
        yield from map(drawing.arrow, picture.lines)
        yield from findings.ties(verdict, picture)
        yield from drawing.labels(picture)
        yield from drawing.trails(picture)
        yield f'<g class="cf-stays">{"".join(drawing.names(picture))}{above}{ties}{legend}</g>'

    kind = "chatfilm cf-to-scale" if to_scale else "chatfilm"
    wide, tall, top = length(picture.right + 14), length(bottom + 12 + high), length(0 - high)
    limits = f"min-width:{length(picture.right * 0.8)}px;max-width:{length(picture.right * 1.5)}px"
    size = f'viewBox="0 {top} {wide} {tall}" width="{wide}" height="{tall}" style="{limits}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="{kind}" role="img" {size} font-size="{FONT}">'
    return head + "".join(parts()) + "</svg>"


def both(
    recording: Recording, most: int = MOST, room: float = ROOM, to_scale: bool = False
) -> tuple[str, str]:
    """Draws a film twice, as `svg` does: in the scale that is asked for, and in the other."""
    return svg(recording, most, room, to_scale), svg(recording, most, room, not to_scale)


def page(recording: Recording, title: str, excerpts: Excerpts | None = None) -> str:
    """Returns an HTML file with the picture and the story, complete in itself: nothing is fetched."""
    told = story(recording, STORY if len(recording.spans) > STORY else 0)
    return page_of(both(recording), told, title, playback(recording, excerpts=excerpts))


def bundle(
    recording: Recording, ended: str = ENDED, to_scale: bool = False, excerpts: Excerpts | None = None
) -> dict[str, str]:
    """Returns what a notebook shows of a film that moves no more: HTML to explore, a picture, and text.

    Args:
        recording: What has been seen.
        ended: Why it does not move.
        to_scale: Whether equal times are equally wide.
        excerpts: The lines around those that made a call, where they are known.
    """
    pictures, told = both(recording, to_scale=to_scale), story(recording)
    html = fragment_of(pictures, told, playback(recording, to_scale, excerpts), ended)
    return {"text/html": html, "image/svg+xml": pictures[0], "text/plain": told}
