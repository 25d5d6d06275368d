"""A film that stands by itself: picture, story, and what belongs to the bar that one points at."""

from html import escape
from pathlib import Path
from urllib.parse import quote

from chatlib.film.render.wording import clean

_STATIC = Path(__file__).parent.parent / "static"
SCRIPT = (_STATIC / "film.js").read_text("utf-8")
STYLE = (_STATIC / "film.css").read_text("utf-8")
"""The view of a film, as a module that a widget of Jupyter can be made of, and what it looks like."""

_PAGE_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:17px/1.5 system-ui,sans-serif;margin:1.5rem;background:#fff;color:#111}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#fff}}"
)

# The view takes the place of the still picture and its story, which are there where no scripts are run.
_SHOW = """
const root = document.currentScript?.previousElementSibling;
const still = root?.querySelector("svg, img");
if (still) {
  const [, data] = still.localName === "img" ? still.src.split(",", 2) : [];
  const picture = data ? decodeURIComponent(data) : new XMLSerializer().serializeToString(still);
  const state = { picture, story: root.querySelector("pre").textContent, finished: true };
  const { open } = root.querySelector("details");
  root.replaceChildren();
  view.render({ model: { get: (name) => state[name], on() {}, off() {} }, el: root });
  root.querySelector("details").open = open;
  if (open) root.querySelector(".reel").focus();
}
"""


def page_of(picture: str, story: str, title: str) -> str:
    """Returns an HTML file that is complete in itself: nothing is fetched.

    Args:
        picture: The SVG.
        story: The same as text.
        title: What the page is called.
    """
    safe = escape(clean(title))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
        f"<title>{safe}</title>\n<style>{_PAGE_STYLE}</style>\n</head>\n<body>\n<h1>{safe}</h1>\n"
        f"{_part(picture, story, ' open')}\n</body>\n</html>\n"
    )


def fragment_of(picture: str, story: str) -> str:
    """Returns a part of an HTML page, for a notebook. Where no scripts are run, it is an image and a text.

    Args:
        picture: The SVG. It becomes an image, which notebooks also show if they do not trust their author.
        story: The same as text.
    """
    image = f'<img src="data:image/svg+xml,{quote(picture)}" alt="The picture; below, the same in words">'
    return _part(image, story)


def _part(still: str, story: str, attribute: str = "") -> str:
    summary = "<summary>What each thread did, in words</summary>"
    told = f"<details{attribute}>{summary}<pre>{escape(story)}</pre></details>"
    script = SCRIPT.replace("export default", "const view =") + _SHOW
    return (
        f"<style>{STYLE}</style>\n<div>{still}{told}</div>"
        f'<script>(() => {{\n"use strict";\n{script}}})();</script>'
    )
