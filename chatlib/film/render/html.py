"""A film that stands by itself: picture, story, and what belongs to the bar that the reader points at."""

from html import escape
from pathlib import Path
from string import Template
from urllib.parse import quote

from chatlib.film.units import clean

_STATIC = Path(__file__).parent.parent / "static"
SCRIPT = "\n".join((_STATIC / name).read_text("utf-8") for name in ("player.js", "film.js"))
STYLE = (_STATIC / "film.css").read_text("utf-8")
"""The view of a film, as a module that a widget of Jupyter can be made of, and what it looks like."""

ENDED = "the film has ended"

_PAGE = Template((_STATIC / "page.html").read_text("utf-8"))
_FILM = Template((_STATIC / "film.html").read_text("utf-8").rstrip())


def page_of(pictures: tuple[str, str], story: str, title: str, play: str) -> str:
    """Returns an HTML file that is complete in itself: nothing is fetched.

    Args:
        pictures: Two SVGs: the one that is shown first, and the one in the other scale.
        story: The same as text.
        title: What the page is called.
        play: What `playback` returns of the film.
    """
    film = _film(pictures[0], pictures[1], story, play, " open")
    return _PAGE.substitute(title=escape(clean(title)), film=film)


def fragment_of(pictures: tuple[str, str], story: str, play: str, ended: str = ENDED) -> str:
    """Returns a part of an HTML page, for a notebook. Where no scripts are run, it is an image and a text.

    Args:
        pictures: Two SVGs: the one that is shown first, and the one in the other scale. The first becomes an
            image, which notebooks also show if they do not trust their author.
        story: The same as text.
        play: What `playback` returns of the film.
        ended: Why it does not move.
    """
    image = f'<img src="data:image/svg+xml,{quote(pictures[0])}" alt="The picture; below, the same in words">'
    return _film(image, pictures[1], story, play, ended=ended)


def _film(still: str, other: str, story: str, play: str, attribute: str = "", ended: str = ENDED) -> str:
    """Returns still picture and story, and the script that puts the view in their place, where it is run."""
    script = SCRIPT.replace("export default", "const view =")
    parts = {"style": STYLE, "still": still, "other": quote(other), "story": escape(story), "script": script}
    return _FILM.substitute(parts, play=quote(play), attribute=attribute, ended=ended)
