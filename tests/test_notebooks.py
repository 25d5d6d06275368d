"""Lessons, solutions and exercises as files: nbval compares what they print, this looks at all the rest."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from refresh import EXERCISES, GRADED, LESSONS, METADATA, POINTS, SOLUTION, SOLUTIONS, UNCOMPARED, tidy

from chatlib.teach.exercises.ex14_capstone import LEVELS

PATHS = sorted(LESSONS.glob("[0-9]*.ipynb"))
PLAYGROUND, GLOSSARY = LESSONS / "playground.ipynb", LESSONS / "glossary.ipynb"
SOLVED = sorted(SOLUTIONS.glob("*.ipynb"))
ASKED = sorted(EXERCISES.glob("*.ipynb"))


def _each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=lambda path: f"{path.parent.stem}/{path.stem}")


lesson, solution = _each(PATHS), _each(SOLVED)
run, notebook = _each([*PATHS, PLAYGROUND, *SOLVED]), _each([*PATHS, PLAYGROUND, GLOSSARY, *SOLVED, *ASKED])

DIFFERS = {
    "an address with a port": r"\d+\.\d+\.\d+\.\d+(:|', )\d{2,}",
    "an address in memory": r"0x[0-9a-f]{6,}",
    "a numbered thread": r"Thread-\d+(?! \(process_request_thread\))",  # a script counts from 1
    "a path": r"(/(home|root|tmp|Users)/|[A-Z]:\\)",
    "a date or a time": r"\d{4}-\d\d-\d\d|\d\d:\d\d",
    "a fraction of a second": r"\d\.\d{3,}",
}


def cells(path: Path, kind: str) -> list[Any]:
    """Returns the code or markdown cells of a lesson."""
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def outputs(path: Path) -> list[str]:
    """Returns all that a notebook prints or shows and nbval compares, as text."""
    compared = (cell for cell in cells(path, "code") if UNCOMPARED not in cell.metadata.get("tags", ()))
    found = [output for cell in compared for output in cell.outputs]
    return [output.get("text") or output["data"]["text/plain"] for output in found]


def markdown(path: Path) -> str:
    """Returns the whole text of a lesson."""
    return "\n\n".join(cell.source for cell in cells(path, "markdown"))


@run
def test_every_cell_has_been_run_once_and_in_order(path: Path) -> None:
    """Execution counts are 1 to n: nbval passes over a cell that has none."""
    counts = [cell.execution_count for cell in cells(path, "code") if GRADED not in cell.source]
    assert counts == list(range(1, len(counts) + 1))


@run
def test_outputs_are_the_same_on_every_machine(path: Path) -> None:
    """No port, address, thread number, path or time is printed."""
    for name, pattern in DIFFERS.items():
        for output in outputs(path):
            assert not re.search(pattern, output), f"{name} in {output!r}"


@run
def test_nothing_is_printed_as_an_error(path: Path) -> None:
    """No cell fails, and none prints to stderr."""
    for cell in cells(path, "code"):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr"


@notebook
def test_the_file_is_as_the_tool_writes_it(path: Path) -> None:
    """Ids, metadata and format are those of `tests/refresh.py`: what differs in the file is the lesson."""
    text = path.read_text(encoding="utf-8")
    assert text == nbformat.writes(tidy(nbformat.reads(text, as_version=4))) + "\n"
    assert nbformat.reads(text, as_version=4).metadata == METADATA


@notebook
def test_no_cell_is_empty_or_longer_than_a_screen(path: Path) -> None:
    """A cell has a purpose, and can be seen at a glance. (The marks of a solution do not count.)"""
    for cell in cells(path, "code"):
        lines = [line for line in cell.source.splitlines() if "SOLUTION" not in line]
        assert 0 < len(lines) <= 30


@notebook
def test_a_drawing_of_letters_fits_into_a_narrow_window(path: Path) -> None:
    """Of 900 pixels, with the list of files. Where a line breaks, nothing stands below what it belongs to.

    A command may break.
    """
    for drawing in re.findall(r"```text\n(.*?)```", markdown(path), re.DOTALL):
        assert [line for line in drawing.splitlines() if len(line) > 44 and " -m " not in line] == []


@_each([*PATHS, *SOLVED])
def test_a_notebook_can_be_read_by_a_beginner(path: Path) -> None:
    """No cell is long: 15 lines of code without the answer, 200 words of text, 30 words in a sentence."""
    for cell in cells(path, "code"):
        assert len(SOLUTION.sub("", cell.source).strip().splitlines()) <= 15, cell.source[:80]
    for cell in cells(path, "markdown"):
        assert len(cell.source.split()) <= 200, cell.source[:80]
        for sentence in sentences(cell.source):
            assert len(sentence.split()) <= 30, sentence


def sentences(text: str) -> list[str]:
    """Returns the sentences of a cell; so is a field of a table. What is code, or a heading, is none."""
    text = re.sub(r"```.*?```|^#.*?$|^\|[-| ]+$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`]*`", "code", re.sub(r"\]\([^)]*\)|<[^>]*>", "", text))
    return re.split(r"[.?!:;](?=\W*\s|\W*$)|\n\n|\n- |\n\d\. |\|", text)


def test_what_a_lesson_prints_says_more_than_true_or_false() -> None:
    """A number or a word says it, with very few exceptions."""
    lines = "\n".join(output for path in PATHS for output in outputs(path)).splitlines()
    assert len([line for line in lines if re.search(r"\b(True|False)\b", line)]) <= 10


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
    """The file is as Run All Cells leaves it: each prediction is compared, and none is answered."""
    asked = sum("chatlib.predict(" in cell.source for cell in cells(path, "code"))
    assert sum(output.startswith("Measured: ") for output in outputs(path)) == asked


@lesson
def test_a_lesson_asks_for_a_reason(path: Path) -> None:
    """Not only what comes, but also why: in a prediction, or in the text that leads to one."""
    asked = [cell.source for cell in cells(path, "code") if "chatlib.predict(" in cell.source]
    questions = re.findall(r'chatlib\.predict\(\s*"(.+)"', "\n".join(asked))
    leading = re.findall(r"^## Predict\n\n(.+)", markdown(path), re.MULTILINE)
    assert any(re.search(r"\bwhy\b", each, re.IGNORECASE) for each in (*questions, *leading))


@notebook
def test_links_lead_somewhere(path: Path) -> None:
    """Every link to a file leads to one that is there."""
    for target in re.findall(r"\]\(([^)#]+)\)", markdown(path)):
        assert target.startswith("https://") or (path.parent / target).exists(), target


def test_the_first_use_of_a_term_leads_to_its_place_in_the_glossary() -> None:
    """Once in the course: before that, the word does not stand in a sentence."""
    terms = re.findall(r"^### (.+)", markdown(GLOSSARY), re.MULTILINE)
    course = "\n\n".join(map(markdown, PATHS))
    links = re.findall(r"\[([^\]]+)\]\(glossary\.ipynb#([^)]+)\)", course)
    assert len({term for _, term in links}) == len(links) > 40
    assert {term for _, term in links} <= {term.replace(" ", "-") for term in terms}
    assert terms == sorted(terms, key=str.lower)
    for words, term in links:
        before = course.partition(f"[{words}](glossary.ipynb#{term})")[0]
        sentences = re.sub(
            r"```.*?```|`[^`]*`|\[[^\]]*\]\([^)]*\)|^#.*?$", "", before, flags=re.DOTALL | re.MULTILINE
        )
        assert not re.search(rf"(?<![\w-]){words}(?![\w-])", sentences), words


@lesson
def test_a_lesson_frees_what_it_has_started(path: Path) -> None:
    """The last code cell stops all servers."""
    assert "chatlib.stop_all()" in cells(path, "code")[-1].source


@solution
def test_an_exercise_has_its_parts(path: Path) -> None:
    """Title, minutes, lesson, goal, three hints, a check, what to read again, what comes next."""
    text, number = markdown(path), path.stem.partition("_")[0]
    assert text.startswith(f"# Exercise {number} · ")
    assert re.search(r"^\d\d minutes\. You need: \[", text, re.MULTILINE)
    for part in ("**Goal.**", "## Check", "## Read again"):
        assert part in text, part
    assert re.findall(r"<summary>Hint (\d): .+</summary>", text) == ["1", "2", "3"]
    assert re.search(r"^Next: \[", text, re.MULTILINE) or path == SOLVED[-1]
    assert any(f'chatlib.exercise("{number}", ' in cell.source for cell in cells(path, "code"))


@solution
def test_an_exercise_can_be_graded_by_nbgrader(path: Path) -> None:
    """One cell earns the points, by the same call that students see; one at least holds the answer."""
    code = [cell for cell in cells(path, "code") if "nbgrader" in cell.metadata]
    assert any(cell.metadata.nbgrader.solution for cell in code)
    [graded] = [cell for cell in code if cell.metadata.nbgrader.grade]
    [call] = re.findall(r"chatlib\.exercise\(.+?\)", graded.source)
    assert call in [cell.source for cell in cells(path, "code")]
    run_graded(graded.source, passed=True, level="distinction")
    if "report.level" in graded.source:
        worth = ast.literal_eval(re.findall(r"{.+}", graded.source)[0])
        assert list(worth) == ["none", *LEVELS] and list(worth.values()) == sorted(
            {0, *worth.values(), POINTS}
        )
    else:
        with pytest.raises(AssertionError):
            run_graded(graded.source, passed=False)


def run_graded(source: str, **found: Any) -> None:
    """Runs a cell that earns points, after a check that has found this of an answer."""
    [answer] = re.findall(r"chatlib\.exercise\(.+?, (\w+)\)", source)
    exec(source, {"chatlib": SimpleNamespace(exercise=lambda *_: SimpleNamespace(**found)), answer: None})


ALLOWED = {"06_diagnose": 1, "12_measure_and_choose": 3, "12_which_one_should_it_be": 1}


@run
def test_hardly_any_output_is_uncompared(path: Path) -> None:
    """The picture of a server that is never at rest; figures of the reader's computer, and what follows."""
    tagged = [cell for cell in cells(path, "code") if UNCOMPARED in cell.metadata.get("tags", ())]
    assert len(tagged) <= ALLOWED.get(path.stem, 0)


def test_there_are_notebooks() -> None:
    """The tests above have something to look at."""
    assert len(PATHS) >= 5 and len(SOLVED) >= 6
