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
    cells = lesson.get("cells", [])
    words = "\n\n".join(source_of(cell) for cell in cells if cell["cell_type"] == "markdown")
    asked = next((shown(cell) for cell in cells if "chatlib.predict(" in source_of(cell)), "")
    question, _, numbered = asked.strip().partition("\n")
    choices = re.sub(r"^ *\d+\. ", "", numbered, flags=re.MULTILINE).splitlines()
    answers = re.findall(r"^Measured: (.+)", "\n".join(map(shown, cells)), re.MULTILINE)
    measured = next((each for each in answers if each in choices), "")  # others are of other questions
    picture = picture_of(lesson)
    if not (asked and measured and picture):
        raise ValueError(f"{title(lesson) or 'this'} is no lesson that has been run")
    of_lesson, scene = _first(r"^\*\*(.+\?)\*\*", words), _first(r"^## Predict\n+(\w(?:.|\n.)+)", words)
    return Slide(title(lesson), _plain(of_lesson), _plain(scene), question, choices, measured, picture)


def picture_of(lesson: Notebook) -> str:
    """Returns the first film that a lesson shows under *See*, or else its first, as SVG; empty if none."""
    seeing, films = False, dict[bool, str]()
    for cell in lesson.get("cells", ()):
        for heading in re.findall(r"^## (.+)", source_of(cell), re.MULTILINE):
            seeing = heading.startswith("See")
        if film := shown(cell, "image/svg+xml").strip():
            films.setdefault(seeing, film)
    return films.get(True) or films.get(False, "")


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else ""


def _plain(text: str) -> str:
    """Returns a text without the marks of Markdown."""
    return re.sub(r"\]\([^)]*\)|[*`\[\]]", "", text)


def deck(lessons: Iterable[Path]) -> str:
    """Returns the page. Nothing is fetched, and no script is in it: page by page it is scrolled, or printed.

    Raises:
        ValueError: One of them is no lesson that has been run, or cannot be read.
    """
    slides = "\n".join(slide_of(read(path)).html() for path in lessons)
    return _PAGE.substitute(title=escape(TITLE), slides=slides)


def main(folder: str, page: str) -> None:
    """Writes the page of all lessons in a folder; ends with a sentence if that cannot be done."""
    lessons = sorted(Path(folder).glob("[0-9]*.ipynb"))
    if not lessons:
        sys.exit(f"there are no lessons in {folder}")
    try:
        Path(page).write_text(deck(lessons), encoding="utf-8")
    except (OSError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m chatlib.teach.deck NOTEBOOKS PAGE.html")
    main(*sys.argv[1:])
