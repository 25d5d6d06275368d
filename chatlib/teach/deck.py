"""Slides for a projector, one for each lesson: its question, what to vote on, and behind a click its film.

`python -m chatlib.teach.deck notebooks deck.html` makes one page of the saved notebooks, complete in itself.
"""

import re
import sys
from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template
from typing import NamedTuple

from chatlib.teach.notebook_file import Notebook, read, shown, source_of, title

TITLE = "What it means for a server to wait"

_PAGE = Template(Path(__file__).with_name("deck.html").read_text("utf-8"))


class Slide(NamedTuple):
    """What is shown of a lesson."""

    title: str
    question: str
    scene: str
    """What is about to happen, where the lesson says so before it asks."""
    asked: str
    choices: list[str]
    measured: str
    picture: str
    """As SVG: the first film that the lesson shows under *See*, or else its first."""

    def html(self) -> str:
        """Returns it as a part of a page."""
        choices = "".join(f"<li>{escape(choice)}</li>" for choice in self.choices)
        answer = f"<details><summary>What was measured</summary><p>{escape(self.measured)}</p>"
        film = f'<div class="film">{self.picture}</div></details>'
        head = f"<h1>{escape(self.title)}</h1><h2>{escape(self.question)}</h2><p>{escape(self.scene)}</p>"
        return f"<section>{head}<p><b>{escape(self.asked)}</b></p><ol>{choices}</ol>{answer}{film}</section>"


def slide_of(lesson: Notebook) -> Slide:
    """Reads a lesson that has been run.

    Raises:
        ValueError: It asks for no prediction, or shows no film: it is no lesson, or has not been run.
    """
    question, scene, asked, measured, first_film, seen, seeing = "", "", "", "", "", "", False
    for cell in lesson.get("cells", ()):
        text = source_of(cell)
        if cell["cell_type"] == "markdown":
            question = question or "".join(re.findall(r"^\*\*(.+\?)\*\*", text, re.MULTILINE)[:1])
            scene = scene or "".join(
                re.findall(r"^## Predict\n+(\w.+?)(?:\n\n|\Z)", text, re.DOTALL | re.MULTILINE)
            )
            for heading in re.findall(r"^## (.+)", text, re.MULTILINE):
                seeing = heading.startswith("See")
        if "chatlib.predict(" in text:
            asked = asked or shown(cell)
        found = re.search(r"^Measured: (.+)", shown(cell), re.MULTILINE)
        measured = measured or (found[1] if found else "")
        film = shown(cell, "image/svg+xml").strip()
        first_film, seen = first_film or film, seen or (film if seeing else "")
    if not (asked and measured and first_film):
        raise ValueError(f"{title(lesson) or 'this'} is no lesson that has been run")
    first, *choices = asked.strip().splitlines()
    choices = [re.sub(r"^ *\d+\. ", "", choice) for choice in choices]
    # They are shown as text, without the marks of Markdown.
    question, scene = (re.sub(r"\]\([^)]*\)|[*`\[\]]", "", text) for text in (question, scene))
    return Slide(title(lesson), question, scene, first, choices, measured, seen or first_film)


def deck(lessons: Iterable[Path]) -> str:
    """Returns the page. Nothing is fetched, and no script is in it: page by page it is scrolled, or printed.

    Raises:
        OSError: A file cannot be read.
        ValueError: One of them is no lesson that has been run.
    """
    slides = "\n".join(slide_of(read(path)).html() for path in lessons)
    return _PAGE.substitute(title=escape(TITLE), slides=slides)


if __name__ == "__main__":
    _folder, _page = map(Path, sys.argv[1:])
    _page.write_text(deck(sorted(_folder.glob("[0-9]*.ipynb"))), encoding="utf-8")
