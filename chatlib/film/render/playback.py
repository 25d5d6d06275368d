"""What a view needs to play a film that has ended: the events in their order, and lines of the program."""

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from chatlib.film.place import Place
from chatlib.film.recording import Recording
from chatlib.film.render.layout import MOST, ROOM, Bar, plan
from chatlib.film.render.wording import words_of
from chatlib.film.units import clean


class Excerpt(NamedTuple):
    """Some lines of a program, around one that made a call."""

    first: int
    """The number of the first of them."""
    lines: tuple[str, ...]


Excerpts = Mapping[Place, Excerpt]


def playback(recording: Recording, to_scale: bool = False, excerpts: Excerpts | None = None) -> str:
    """Returns what the view is to know of a film, as JSON that is the same for equal films.

    An event is the beginning or the end of a step: when it was, in seconds since the film began; the key of
    the step; and where that is, in the picture that is shown first and in the one in the other scale.

    Args:
        recording: What has been seen.
        to_scale: Which picture is shown first.
        excerpts: The lines around those that made a call, where they are known.
    """
    picture, other = (plan(recording, MOST, ROOM, scale) for scale in (to_scale, not to_scale))
    places = dict.fromkeys(bar.step.span.place for bar in picture.bars)
    code = {place: number for number, place in enumerate(place for place in places if place)}
    steps = dict[str, tuple[str, int | None]]()
    for bar in picture.bars:
        span = bar.step.span
        ongoing = words_of(recording, span._replace(end=None, size=0, outcome=""), 0.0).labels[1]
        steps[bar.key] = ongoing, code[span.place] if span.place else None
    moments = [*sorted(moment for bar in picture.bars for moment in moments_of(bar)), (picture.now, 0, "")]
    events = [
        (round(moment - picture.began, 7), key, round(picture.at(moment), 1), round(other.at(moment), 1))
        for moment, _, key in moments
    ]
    lines = [code_of(place, (excerpts or {}).get(place)) for place in code]
    return json.dumps({"events": events, "steps": steps, "code": lines}, separators=(",", ":"))


def moments_of(bar: Bar) -> Iterator[tuple[float, int, str]]:
    """Gives when a step began and ended. At one moment, steps end before others begin."""
    begin, end = bar.step.start, bar.step.span.end
    yield begin, 1, bar.key
    if end is not None:
        yield end, 0 if end > begin else 2, bar.key


def code_of(place: Place, excerpt: Excerpt | None) -> tuple[str, int, int, list[str]]:
    """Returns the name of a file, the number of the line that is meant, that of the first, and the lines."""
    first, lines = excerpt or Excerpt(place.line, (place.source,))
    name = "" if place.in_cell else clean(place.name)
    return name, place.line, first, [clean(line.expandtabs(4)) for line in lines]
