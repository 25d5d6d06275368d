"""The lines of a program around those that a film tells of, as the page of a film shows them."""

import linecache
from collections.abc import Iterator
from pathlib import Path

from chatlib.film.place import Place
from chatlib.film.recording import Recording
from chatlib.film.render.playback import Excerpt

AROUND = 3
"""Lines before and after the one that is meant."""

MOST = 200
"""Lines of a program whose surroundings are shown."""


def excerpts_of(recording: Recording) -> dict[Place, Excerpt]:
    """Returns the lines around each line that made a call, of the files that can be read here and now.

    Not for a film that somebody else has made: it would choose which files are read.
    """
    places = dict.fromkeys(span.place for span in reversed(recording.spans) if span.place)
    return dict(excerpt for place in list(places)[:MOST] for excerpt in around(place))


def around(place: Place) -> Iterator[tuple[Place, Excerpt]]:
    """Gives the lines, unless the file was changed since: then the line is another one."""
    # A pipe, or a device, is never opened: that might wait for its other end.
    readable = place.file in linecache.cache or Path(place.file).is_file()
    lines = linecache.getlines(place.file) if readable else []
    here = place.line - 1
    if place.source and 0 <= here < len(lines) and lines[here].strip() == place.source:
        first = max(0, here - AROUND)
        yield place, Excerpt(first + 1, tuple(line.rstrip() for line in lines[first : here + AROUND + 1]))
