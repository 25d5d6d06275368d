"""The slides that are made of the lessons."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from faults import SOON, environment
from refresh import LESSONS

from chatlib.teach.deck import deck, slide_of
from chatlib.teach.notebook_file import read

PATHS = sorted(LESSONS.glob("[0-9]*.ipynb"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_each_lesson_has_a_slide(path: Path) -> None:
    """A question, two choices at least, what was measured, and a picture; what was measured is a choice."""
    slide = slide_of(read(path))
    assert slide.title.startswith(path.stem[:2]) and slide.question.endswith("?")
    assert slide.scene and slide.asked.endswith("?") and len(slide.choices) >= 2
    assert slide.measured in slide.choices
    assert not re.search(r"[`*]|\]\(", slide.question + slide.scene)
    assert ElementTree.fromstring(slide.picture).tag.endswith("svg")


def test_the_command_writes_a_page_that_is_complete_in_itself(tmp_path: Path) -> None:
    """In the order of the lessons; nothing is fetched, and no script runs."""
    page = tmp_path / "deck.html"
    command = [sys.executable, "-m", "chatlib.teach.deck", str(LESSONS), str(page)]
    subprocess.run(command, env=environment(), check=True, timeout=SOON)
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"<section><h1>(\d\d) ", text) == [path.stem[:2] for path in PATHS]
    assert "<script" not in text and not re.findall(r"(?:src|href)=\"(?!data:)", text)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "usage: "),
        (["nowhere", "deck.html"], "there are no lessons in nowhere"),
        ([str(LESSONS), "nowhere/deck.html"], "No such file or directory"),
    ],
)
def test_a_mistake_in_the_call_is_one_line(words: list[str], sentence: str, tmp_path: Path) -> None:
    """And no page is written."""
    command = [sys.executable, "-m", "chatlib.teach.deck", *words]
    found = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=SOON
    )
    assert found.returncode == 1 and sentence in found.stderr and found.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_exercise_is_no_lesson() -> None:
    """It has no film, and what has not been run has shown none."""
    with pytest.raises(ValueError, match=r"Exercise 05 .* is no lesson that has been run"):
        deck(LESSONS.glob("exercises/05*.ipynb"))
