"""The lessons as files: nbval compares what they print, this looks at all the rest."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from refresh import LESSONS, METADATA, tidy

PATHS = sorted(LESSONS.glob("*.ipynb"))
lesson = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)

DIFFERS = {
    "an address with a port": r"\d+\.\d+\.\d+\.\d+(:|', )\d{2,}",
    "an address in memory": r"0x[0-9a-f]{6,}",
    "a numbered thread": r"Thread-\d+",
    "a path": r"(/(home|root|tmp|Users)/|[A-Z]:\\)",
    "a date or a time": r"\d{4}-\d\d-\d\d|\d\d:\d\d",
    "a fraction of a second": r"\d\.\d{3,}",
}


def cells(path: Path, kind: str) -> list[Any]:
    """Returns the code or markdown cells of a lesson."""
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def outputs(path: Path) -> list[str]:
    """Returns all that a lesson prints or shows, as text."""
    found = [output for cell in cells(path, "code") for output in cell.outputs]
    return [output.get("text") or output["data"]["text/plain"] for output in found]


def markdown(path: Path) -> str:
    """Returns the whole text of a lesson."""
    return "\n\n".join(cell.source for cell in cells(path, "markdown"))


@lesson
def test_every_cell_has_been_run_once_and_in_order(path: Path) -> None:
    """Execution counts are 1 to n: nbval passes over a cell that has none."""
    counts = [cell.execution_count for cell in cells(path, "code")]
    assert counts == list(range(1, len(counts) + 1))


@lesson
def test_outputs_are_the_same_on_every_machine(path: Path) -> None:
    """No port, address, thread number, path or time is printed."""
    for name, pattern in DIFFERS.items():
        for output in outputs(path):
            assert not re.search(pattern, output), f"{name} in {output!r}"


@lesson
def test_nothing_is_printed_as_an_error(path: Path) -> None:
    """No cell fails, and none prints to stderr."""
    for cell in cells(path, "code"):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr"


@lesson
def test_the_file_is_as_the_tool_writes_it(path: Path) -> None:
    """Ids, metadata and format are those of `tests/refresh.py`: what differs in the file is the lesson."""
    text = path.read_text(encoding="utf-8")
    assert text == nbformat.writes(tidy(nbformat.reads(text, as_version=4))) + "\n"
    assert nbformat.reads(text, as_version=4).metadata == METADATA


@lesson
def test_no_cell_is_empty_or_longer_than_a_screen(path: Path) -> None:
    """A cell has a purpose, and can be seen at a glance."""
    for cell in cells(path, "code"):
        assert 0 < cell.source.count("\n") + 1 <= 30


@lesson
def test_a_lesson_has_its_parts(path: Path) -> None:
    """Title, question, minutes, goals, prediction, run, see, modify, make, what you know now: PRIMM."""
    text = markdown(path)
    assert text.startswith(f"# {path.stem[:2]} · ")
    assert re.search(r"^\*\*.+\?\*\*  \d\d minutes\. You need: ", text, re.MULTILINE)
    for part in ("Predict", "Run", "See", "Modify", "Make", "What you know now"):
        assert f"## {part}" in text, part
    assert "Afterwards you can" in text


@lesson
def test_each_prediction_is_measured(path: Path) -> None:
    """And nobody has answered it: the file is as one finds it who runs all cells."""
    asked = sum("chatlib.predict(" in cell.source for cell in cells(path, "code"))
    assert sum(output.startswith("Measured: ") for output in outputs(path)) == asked


@lesson
def test_links_lead_somewhere(path: Path) -> None:
    """Every link to a file leads to one that is there."""
    for target in re.findall(r"\]\(([^)#]+)\)", markdown(path)):
        assert target.startswith("https://") or (path.parent / target).exists(), target


@lesson
def test_a_lesson_frees_what_it_has_started(path: Path) -> None:
    """The last code cell stops all servers."""
    assert "chatlib.stop_all()" in cells(path, "code")[-1].source


def test_there_are_lessons() -> None:
    """The tests above have something to look at."""
    assert len(PATHS) >= 5
