"""The README says only what is so: its programs are run, its commands and links are looked up."""

import contextlib
import io
import re
from pathlib import Path

import nbformat
import pytest
from refresh import LESSONS, PICTURED, films

import chatlib
from chatlib.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.+?)```", README, re.DOTALL)
PROMISED = re.compile(r"print\(.+\)  +# (.+)")
CALLS = re.findall(r"^\.venv/bin/python -m chatlib (.+)$", README, re.MULTILINE)


def printed_by(program: str) -> list[str]:
    """Runs one of the programs; returns the lines that it prints."""
    printed, names = io.StringIO(), dict[str, object]()
    with contextlib.redirect_stdout(printed):
        exec(program, names)
    for client in names.values():
        if isinstance(client, chatlib.Client):
            client.close()
    return printed.getvalue().splitlines()


def test_the_ten_lines_print_what_they_promise() -> None:
    """Bob waits while alice is there; and alice came and left before bob was heard at all."""
    journal = ["client 1 came", "client 1 left", "client 2 came", "client 2 said 'hello'"]
    assert printed_by(PROGRAMS[0]) == ["True", "HELLO", *journal]
    assert PROMISED.findall(PROGRAMS[0])[:2] == ["True: the server waits for alice", "HELLO"]


def test_the_exercise_prints_what_it_promises() -> None:
    """A service of one's own takes five lines."""
    assert printed_by(PROGRAMS[4]) == PROMISED.findall(PROGRAMS[4]) == ["olleh"]


def test_the_check_prints_what_it_promises() -> None:
    """The promise that is broken, first its id, then the whole story."""
    failed, *told = printed_by(PROGRAMS[3])
    assert PROMISED.findall(PROGRAMS[3])[0].startswith(failed + ":")
    assert any("for sam" in line for line in told), told


def test_the_orders_are_as_many_as_it_promises() -> None:
    """How many end right and wrong; then the shortest wrong one."""
    first, *told = printed_by(PROGRAMS[2])
    assert [first] == PROMISED.findall(PROGRAMS[2])
    assert told[-1] == "At the end: names = ['alice', 'alice']."


def test_the_film_shows_what_it_promises() -> None:
    """The server waits for alice, whatever the threads do meanwhile."""
    assert printed_by(PROGRAMS[1]) == PROMISED.findall(PROGRAMS[1]) == ["the server waits in recv for alice"]


@pytest.mark.parametrize("call", CALLS)
def test_the_commands_exist(call: str) -> None:
    """Each is accepted as it stands; `--help` keeps it from being carried out."""
    command, *options = call.split()
    with pytest.raises(SystemExit) as end:
        main([command, "--help", *options])
    assert end.value.code == 0


def test_its_film_is_that_of_the_lesson() -> None:
    """The picture was made by running lesson 11, and by nothing else."""
    lesson = nbformat.read(LESSONS / f"{PICTURED}.ipynb", as_version=4)
    assert (ROOT / "docs" / "xray.svg").read_text(encoding="utf-8") == films(lesson)[0] + "\n"


def test_its_links_and_pictures_are_there() -> None:
    """Every file that it names exists, and every lesson is named."""
    targets = re.findall(r"\]\(([^)]+)\)", README)
    assert all((ROOT / target).exists() for target in targets)
    lessons = {path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert lessons <= set(targets)
