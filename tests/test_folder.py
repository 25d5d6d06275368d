"""The folder in which a checked program is started: a copy, in which it may write."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from checked import RELAY
from faults import POSIX

import chatlib
from chatlib.checker.targets import folder, program_run
from chatlib.checker.targets.folder import StandIn, StandIns

LINKS = POSIX  # on Windows, few accounts may make them

OPENED = 'clients = []\nhistory = open("history.txt", "ab", buffering=0)\n'
WRITTEN = "            history.write(data)\n            for other"

HISTORY = RELAY.replace("clients = []\n", OPENED).replace("            for other", WRITTEN)
HISTORY = HISTORY.replace("except OSError:", "except ConnectionError:")
"""A relay that writes down what is said, in the folder in which it was started, and dies if it cannot."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a file, a large file and a folder in it, and a folder beside it."""
    project = tmp_path / "project"
    (project / "pages").mkdir(parents=True)
    (project / "history.txt").write_text("before\n")
    (project / "large.bin").write_bytes(bytes(folder.COPIED + 1))
    (project / "pages" / "one.txt").write_text("one")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "words.txt").write_text("words")
    return project


@pytest.fixture
def copy(project: Path) -> Iterator[StandIn]:
    """What stands for it."""
    copy = StandIn(project)
    yield copy
    copy.discard()


@LINKS
def test_all_is_there_that_is_in_the_folder_and_beside_it(copy: StandIn, project: Path) -> None:
    """Copied or linked, it can be read by the same relative path."""
    assert copy.path != project and copy.path.name == project.name
    assert (copy.path / "history.txt").read_text() == "before\n"
    assert (copy.path / "large.bin").stat().st_size == folder.COPIED + 1
    assert (copy.path / "pages" / "one.txt").read_text() == "one"
    assert (copy.path / ".." / "data" / "words.txt").read_text() == "words"


@LINKS
def test_what_is_written_there_is_gone_afterwards_and_nothing_else(copy: StandIn, project: Path) -> None:
    """The original is as it was, also behind the links."""
    before = sorted(path for path in project.parent.rglob("*"))
    with (copy.path / "history.txt").open("a") as history:
        history.write("more\n")
    (copy.path / "new.txt").write_text("n" * 100)
    assert copy.largest() >= 100
    copy.discard()
    assert not copy.path.exists() and copy.largest() == 0
    assert (project / "history.txt").read_text() == "before\n"
    assert sorted(path for path in project.parent.rglob("*")) == before


@pytest.mark.parametrize("fault", ["links", "entries"])
def test_where_no_copy_can_be_made_it_is_the_folder_itself(
    project: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """No links are allowed, as on Windows; or there is too much in it. It is not removed either."""

    def refused(*_: object) -> None:
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refused)
    if fault == "entries":
        monkeypatch.setattr(folder, "ENTRIES", 2)
    copy = StandIn(project)
    assert (copy.path, copy.largest()) == (project, 0)
    copy.discard()
    assert (project / "pages" / "one.txt").exists()


@LINKS
def test_each_start_of_a_program_finds_the_folder_as_it_was(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that writes down all that is said passes each time, and leaves nothing."""
    (project / "server.py").write_text(HISTORY)
    monkeypatch.chdir(project)
    report = chatlib.check("server.py", "raw", cases=["delivery.reach", "delivery.late", "framing.empty"])
    assert report.passed, str(report)
    assert (project / "history.txt").read_text() == "before\n"


@POSIX
def test_a_limit_of_the_checker_is_named_and_is_no_failure(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its history may not grow further, so its thread dies; but that was our doing."""
    monkeypatch.setitem(program_run.LIMITS, "RLIMIT_FSIZE", 16_384)
    (project / "server.py").write_text(HISTORY)
    monkeypatch.chdir(project)
    report = chatlib.check("server.py", "raw", cases=["delivery.reach", "framing.long"])
    assert report.passed, str(report)
    [_, long] = report.verdicts
    assert long.reason == "a limit of the checker, no fault of it: a file that it wrote reached 16 KiB"
    assert report.points({"framing.long": 1}) == {"earned": 0, "possible": 0, "unjudged": 1}


@LINKS
def test_one_is_used_again_as_long_as_nothing_was_written_there(project: Path) -> None:
    """Into it or beside it, by whatever name; and never by two programs at once."""
    stand_ins = StandIns(project)
    one, other = stand_ins.take(), stand_ins.take()
    assert one is not other
    for _ in range(2):
        stand_ins.give_back(one)
    assert stand_ins.take() is one
    stand_ins.give_back(one)
    (one.path / "history.txt").write_text("after!\n")
    third = stand_ins.take()
    assert third is not one and (third.path / "history.txt").read_text() == "before\n"
    assert not one.path.exists()
    (third.path.parent / "left.txt").touch()
    stand_ins.give_back(third)
    last = stand_ins.take()
    assert last is not third
    stand_ins.close()
    for used in other, last:
        stand_ins.give_back(used)
    assert not any(used.path.exists() for used in (other, third, last))
