"""The guide for those who teach says only what is so: its commands parse, and what it names is there."""

import csv
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import nbformat
import pytest
from faults import SOON, environment
from jupyter_server.services.kernels.kernelmanager import MappingKernelManager
from refresh import LESSONS

from chatlib.checker.check import CASES
from chatlib.checker.harness.dialect import DIALECTS
from chatlib.checker.report import points_of
from chatlib.cli import parse
from chatlib.cli.check import OPTIONS

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.+?)```", GUIDE, re.DOTALL)
HUB, LOOP = (text for language, text in BLOCKS if language == "python")
POINTS, LEVELS = (text for language, text in BLOCKS if language == "csv")
COMMANDS = [
    shlex.split(call.split(" > ")[0])
    for language, text in BLOCKS
    if language in ("text", "sh")
    for call in re.findall(r"-m chatlib (.+)$", text, re.MULTILINE)
]
NAMES = {case.id for case in CASES} | {case.topic for case in CASES}
ONE_AT_A_TIME = """
import socketserver, sys
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while self.request.recv(1024):
            pass
socketserver.TCPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def cells_of(number: str) -> list[tuple[str, str]]:
    """Returns the code cells of a lesson, each with the heading above it."""
    [path] = LESSONS.glob(f"{number}_*.ipynb")
    found, heading = [], ""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            found.append((heading, cell.source))
        else:
            heading = ([heading, *re.findall(r"^## (.+)$", cell.source, re.MULTILINE)])[-1].replace("`", "")
    return found


def test_its_map_and_minutes_are_those_of_the_notebooks() -> None:
    """What a lesson needs, how long it takes, and how long its exercises."""
    rows = re.findall(r"^\| (\d\d) \| ([\d, ]*?) ?\| (\d\d) \| ([\d, ]*?) ?\|$", GUIDE, re.MULTILINE)
    assert len(rows) == len(list(LESSONS.glob("[0-9]*.ipynb")))
    for number, needs, minutes, exercises in rows:
        [path] = LESSONS.glob(f"{number}_*.ipynb")
        found = re.search(r"(\d\d) minutes\. You need: (.*?)\n\n", first_cell(path), re.DOTALL)
        assert found and found[1] == minutes
        assert re.findall(r"\[(\d\d) ", found[2]) == re.findall(r"\d\d", needs), number
        own = sorted(LESSONS.glob(f"exercises/{number}*.ipynb"))
        assert [re.findall(r"^(\d\d) minutes", first_cell(each), re.MULTILINE)[0] for each in own] == (
            re.findall(r"\d\d", exercises)
        ), number


def first_cell(path: Path) -> str:
    """Returns the beginning of a notebook, with an empty line at its end."""
    return f"{nbformat.read(path, as_version=4).cells[0].source}\n\n"


def test_each_session_of_its_plans_fits_into_ninety_minutes() -> None:
    """Added up; and no lesson is forgotten in the plan of twelve."""
    plans = GUIDE.partition("## Plans")[2]
    sessions = re.findall(r"^\d+\. (.+(?:\n   .+)*)", plans, re.MULTILINE)
    assert len(sessions) == 3 + 6 + 12
    for session in sessions:
        assert 60 < sum(map(int, re.findall(r"\((\d+)\)", session))) <= 90, session
    twelve = " ".join(sessions[-12:])
    assert all(f"{path.name[:2]} " in twelve for path in LESSONS.glob("[0-9]*.ipynb"))


def test_each_misconception_has_a_question_before_and_one_after() -> None:
    """With three choices, one of them right, and a reason; about the lesson that answers it."""
    quiz = json.loads((ROOT / "docs" / "quiz.json").read_text(encoding="utf-8"))
    table = GUIDE.partition("### Which cell answers")[2].partition("###")[0]
    rows = re.findall(r"^\| (.+?) \| (.*\[(?:\d\d)\].*) \|$", table, re.MULTILINE)
    asked = [(each["misconception"], each["when"]) for each in quiz]
    assert asked == [
        (myth, when) for myth in dict.fromkeys(myth for myth, _ in asked) for when in ("before", "after")
    ]
    assert {myth for myth, _ in asked} == {myth for myth, _ in rows}
    for each in quiz:
        assert each["answer"] in each["choices"] and len({*each["choices"]}) == 3, each["question"]
        assert each["why"].endswith((".", ")")) and each["why"] != each["answer"]
        assert f"[{each['lesson']}]" in dict(rows)[each["misconception"]], each["question"]
    places = [each["choices"].index(each["answer"]) for each in quiz]
    assert all(places.count(place) >= len(quiz) // 5 for place in range(3))  # none is always the right one


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_its_commands_parse(words: list[str]) -> None:
    """Each command and option exists, and takes what it is given."""
    options = parse(words)
    assert set(getattr(options, "case", [])) <= NAMES


def test_its_other_options_exist() -> None:
    """Also those that are named in a sentence."""
    for option, value in re.findall(r"`(--[a-z-]+) (\w+)`", GUIDE):
        command = ["serve", "sync"] if option == "--port" else ["check", "server.py"]
        parse([*command, option, value])
    assert all(f"`--{option} yes`" in GUIDE for option in OPTIONS)
    assert set(re.findall(r"run\.py (\w+)", GUIDE)) <= {"lab", "test"}


def test_its_links_are_there() -> None:
    """Every file that it links to exists."""
    targets = re.findall(r"\]\(([^)]+)\)", GUIDE)
    assert targets
    assert all((ROOT / "docs" / target).exists() for target in targets)


@pytest.mark.parametrize("path", sorted(LESSONS.glob("[0-9]*.ipynb")), ids=lambda path: path.stem)
def test_it_knows_every_lesson(path: Path) -> None:
    """With the title and the minutes that stand in the notebook."""
    text = nbformat.read(path, as_version=4).cells[0].source
    [title] = re.findall(r"^# (.+)$", text, re.MULTILINE)
    [minutes] = re.findall(r"(\d\d) minutes", text)
    assert f"**[{title}](../notebooks/{path.name}), {minutes} minutes.**" in GUIDE


def test_the_cells_that_answer_are_there() -> None:
    """Each misconception is answered by a cell under the heading that is named."""
    answers = re.findall(r"\[(\d\d)\]\([^)]+\) \*(.+?)\*: `(.+?)`", GUIDE)
    assert len(answers) > 8
    for number, heading, piece in answers:
        assert any(heading == above and piece in source for above, source in cells_of(number)), piece


def test_its_cases_exist(tmp_path: Path) -> None:
    """Topics in the tables of points, and ids in the text."""
    file = tmp_path / "points.csv"
    for table in (POINTS, LEVELS):
        file.write_text(table, encoding="utf-8")
        assert {part for name in points_of(file) for part in name.split("+")} <= NAMES
        assert sum(points_of(file).values()) == 100
    topics = {case.topic for case in CASES}
    named = [name for name in re.findall(r"`([a-z]+\.\w+)`", GUIDE) if name.partition(".")[0] in topics]
    assert named
    assert set(named) <= NAMES


def test_it_counts_the_cases_of_each_dialect() -> None:
    """As they are now."""
    counts = dict(re.findall(r"^\| `([a-z-]+)` \|.+\| (\d+) \|$", GUIDE, re.MULTILINE))
    assert counts == {name: str(sum(name in case.dialects for case in CASES)) for name in DIALECTS}


@pytest.mark.skipif(sys.platform == "win32", reason="JupyterHub starts each server with a shell")
def test_its_hub_opens_a_copy_of_the_students_own(tmp_path: Path) -> None:
    """The start command makes in an empty home what the hub then opens, and starts the student's server."""
    programs, home = tmp_path / "hub" / "bin", tmp_path / "home"
    programs.mkdir(parents=True)
    home.mkdir()
    for name, program in {"python": shlex.quote(sys.executable), "jupyterhub-singleuser": "echo"}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {program} "$@"\n', encoding="utf-8")
        (programs / name).chmod(0o755)
    hub = configured(programs.parent)
    command = [*hub.Spawner.cmd, "--port=1", *hub.Spawner.args]
    account = environment() | {"HOME": str(home)}
    told = subprocess.check_output(command, cwd=home, env=account, text=True, timeout=6 * SOON)
    assert told.split() == ["--port=1", *hub.Spawner.args]
    page = home / hub.Spawner.default_url.removeprefix("/lab/tree/")
    linked = re.findall(r"\]\(([^)]+)\)", first_cell(page))
    assert "../notebooks/00_start_here.ipynb" in linked
    assert [link for link in linked if not (page.parent / link).exists()] == []
    assert (home / ".venv" / "bin" / "python").exists()


def configured(programs: Path) -> Any:
    """Returns the hub's configuration, with its programs in a folder, and no limits for the tester."""
    text = re.sub("^ulimit .+\n", "", HUB, flags=re.MULTILINE)
    for place, path in {"/opt/hub": programs, "/srv/chatlib": ROOT}.items():
        text = text.replace(place, shlex.quote(str(path)))
    hub = MagicMock()
    exec(text, {"get_config": lambda: hub})
    return hub


def test_what_its_hub_names_is_there() -> None:
    """The files of the project in its commands, and the option of the students' servers."""
    named = re.findall(r"/srv/chatlib/(\S+)", GUIDE)
    assert {"requirements.lock", "notebooks/solutions"} <= set(named)
    assert [name for name in named if not (ROOT / name).exists()] == []
    [option] = re.findall(r"--MappingKernelManager\.(\w+)=", HUB)
    assert MappingKernelManager.class_traits()[option]


def test_its_loop_grades_a_folder(tmp_path: Path) -> None:
    """The program is run as it stands: one server does not start, one serves a client at a time."""
    (tmp_path / "points.csv").write_text(POINTS, encoding="utf-8")
    for student, text in {"anna": "oops(", "ben": ONE_AT_A_TIME}.items():
        (tmp_path / "submissions" / student).mkdir(parents=True)
        (tmp_path / "submissions" / student / "server.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-c", LOOP]
    subprocess.run(command, cwd=tmp_path, env=environment(), timeout=20 * SOON, check=True)
    with (tmp_path / "grades.csv").open(encoding="utf-8", newline="") as grades:
        [_, anna, ben] = csv.reader(grades)
    assert "SyntaxError" in anna[1]
    assert ben == ["ben", "1", "0.0", "100.0", "0.0", "delivery.reach"]
