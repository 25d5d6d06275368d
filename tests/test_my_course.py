"""A learner's own copy of the course: what it takes over, what it leaves alone, and what it has noticed."""

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.sign import NotebookNotary
from refresh import GRADED, LESSONS, SOLUTIONS

from chatlib.teach import my_course

TWO = "02_one_at_a_time.ipynb"
EXERCISE = "exercises/02_answer_in_upper_case.ipynb"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Some of the course: lessons 02 and 03, each with its exercise. The account has signed nothing yet."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "account"))
    for path in my_course.notebooks(LESSONS):
        if path.name[:2] in ("02", "03"):
            there = tmp_path / "notebooks" / path.relative_to(LESSONS)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(path.read_bytes())
    return tmp_path / "notebooks"


@pytest.fixture
def copy(source: Path) -> Path:
    """A copy of that."""
    folder = source.parent / "my course"
    my_course.main(source, folder)
    return folder


def changed(path: Path, **cell: Any) -> None:
    """Changes the first code cell of a notebook: its source, or what it has shown."""
    notebook = nbformat.read(path, as_version=4)
    next(each for each in notebook.cells if each.cell_type == "code").update(cell)
    nbformat.write(notebook, path)


def page(copy: Path) -> str:
    """Returns the first page of a copy."""
    return str(nbformat.read(copy / my_course.START, as_version=4).cells[0].source)


def row(copy: Path, name: str) -> str:
    """Returns what the first page says of a notebook."""
    [found] = re.findall(rf"^\|.*\({re.escape(name)}\) \| (.*?) \|", page(copy), re.MULTILINE)
    return str(found)


def test_saved_lessons_show_their_pictures_until_they_are_changed(source: Path, copy: Path) -> None:
    """JupyterLab shows the pictures of a notebook if the learner's account has signed its very content."""
    with NotebookNotary() as notary:
        assert notary.check_signature(nbformat.read(source / TWO, as_version=4))
        changed(source / TWO, source="print('not ours')")
        assert not notary.check_signature(nbformat.read(source / TWO, as_version=4))


def test_each_notebook_is_there_and_gives_nothing_away(source: Path, copy: Path) -> None:
    """The same cells, without numbers and outputs; and it is a notebook as others are."""
    for path in my_course.notebooks(source):
        own = nbformat.read(copy / path.relative_to(source), as_version=4)
        nbformat.validate(own)
        assert [cell.source for cell in own.cells] == [
            cell.source for cell in nbformat.read(path, as_version=4).cells
        ]
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in own.cells)


def test_each_exercise_follows_its_lesson(copy: Path) -> None:
    """A lesson has a link to what is saved with pictures; all links lead somewhere."""
    links = re.findall(r"\]\((\S+)\)", page(copy).partition("|---")[2])
    assert [link for link in links if not link.startswith("..")][:3] == [
        TWO,
        EXERCISE,
        "03_a_thread_for_each.ipynb",
    ]
    assert f"../notebooks/{TWO}" in links
    assert all((copy / link).is_file() for link in links)


def test_what_nobody_has_worked_in_is_renewed(source: Path, copy: Path) -> None:
    """Also if JupyterLab has saved it, with other metadata and another layout of the file."""
    own = json.loads((copy / TWO).read_text(encoding="utf-8"))
    own["metadata"]["language_info"]["version"] = "3.14.0"
    (copy / TWO).write_text(json.dumps(own), encoding="utf-8")
    changed(source / TWO, source="print('new')")
    my_course.main(source, copy)
    assert "print('new')" in (copy / TWO).read_text(encoding="utf-8")
    assert "newer version" not in page(copy)


def test_what_is_up_to_date_is_not_written_again(source: Path, copy: Path) -> None:
    """A notebook that is open in JupyterLab meanwhile would seem to have changed on the disk."""
    before = [(path, path.stat().st_mtime_ns) for path in my_course.notebooks(copy)]
    my_course.main(source, copy)
    assert [(path, path.stat().st_mtime_ns) for path in my_course.notebooks(copy)] == before


@pytest.mark.parametrize("work", [{"source": "mine = 1"}, {"execution_count": 1}])
def test_what_somebody_has_worked_in_is_kept(source: Path, copy: Path, work: dict[str, Any]) -> None:
    """As it is, byte for byte. If the lesson has changed since, the page says how to get the new one."""
    changed(copy / TWO, **work)
    mine = (copy / TWO).read_bytes()
    my_course.main(source, copy)
    assert "newer version" not in page(copy)
    changed(source / TWO, source="print('new')")
    my_course.main(source, copy)
    assert f"There is a newer version of {TWO}." in page(copy)
    assert (copy / TWO).read_bytes() == mine
    (copy / TWO).rename(copy / "02_mine.ipynb")
    my_course.main(source, copy)
    assert "print('new')" in (copy / TWO).read_text(encoding="utf-8")
    assert "newer version" not in page(copy)
    assert (copy / "02_mine.ipynb").read_bytes() == mine


def test_a_file_that_is_no_notebook_any_more_is_kept(source: Path, copy: Path) -> None:
    """A disk was full, a merge went wrong: it is the learner's all the same, and the page is made."""
    (copy / TWO).write_text("<<<<<<<", encoding="utf-8")
    my_course.main(source, copy)
    assert (copy / TWO).read_text(encoding="utf-8") == "<<<<<<<"
    assert row(copy, TWO) == ""


def test_a_copy_that_was_broken_off_is_made_again(source: Path, copy: Path) -> None:
    """Where nothing says how a file was made, it is the learner's, unless it is as it would be made now."""
    (copy / my_course.MADE).unlink()
    changed(copy / EXERCISE, source="mine = 1")
    my_course.main(source, copy)
    assert "mine = 1" in (copy / EXERCISE).read_text(encoding="utf-8")
    changed(source / TWO, source="print('new')")
    my_course.main(source, copy)
    assert "print('new')" in (copy / TWO).read_text(encoding="utf-8")


def test_the_page_says_where_to_go_on(copy: Path, source: Path) -> None:
    """At the beginning; in the middle; and at the end."""
    assert f"Begin with **[02 · One at a time]({TWO})**." in page(copy)
    for name in ("02", "03"):
        for path in [*copy.glob(f"{name}_*"), *copy.glob(f"exercises/{name}_*")]:
            of = SOLUTIONS if path.parent.name == "exercises" else LESSONS
            path.write_bytes((of / path.name).read_bytes())
            my_course.main(source, copy)
            if (name, path.parent.name) == ("02", "exercises"):
                assert "Go on with **[03 · A thread for each](03_a_thread_for_each.ipynb)**." in page(copy)
    assert "You have done all of it." in page(copy)


def test_the_page_says_what_was_done(source: Path, copy: Path) -> None:
    """Cells that were run, predictions that were made before they were measured, checks that were passed.

    The notebooks of the course are saved as if they had been worked in.
    """
    changed(copy / TWO, execution_count=1)
    my_course.main(source, copy)
    assert re.fullmatch(r"1 of \d+ cells run, 0 of 2 predicted", row(copy, TWO))
    solved = nbformat.read(SOLUTIONS / Path(EXERCISE).name, as_version=4)
    solved.cells = [cell for cell in solved.cells if GRADED not in cell.source]
    nbformat.write(solved, copy / EXERCISE)
    text = (LESSONS / TWO).read_text(encoding="utf-8")
    (copy / TWO).write_text(
        text.replace("although A stays\\n", "although A stays (you said)\\n"), encoding="utf-8"
    )
    my_course.main(source, copy)
    assert row(copy, TWO) == "✓ done, 1 of 2 predicted"
    assert row(copy, EXERCISE) == "✓ done, 1 of 1 checks passed"


def test_a_check_that_has_failed_is_not_passed(source: Path, copy: Path) -> None:
    """However often it was run."""
    path = copy / EXERCISE
    notebook = nbformat.read(path, as_version=4)
    told = nbformat.v4.new_output("execute_result", {"text/plain": "FAIL turns.next\n\n3 passed, 1 failed"})
    for cell in (each for each in notebook.cells if each.cell_type == "code"):
        cell.update(execution_count=1, outputs=[told] if "chatlib.exercise(" in cell.source else [])
    nbformat.write(notebook, path)
    my_course.main(source, copy)
    assert row(copy, EXERCISE) == "3 of 3 cells run, 0 of 1 checks passed"
