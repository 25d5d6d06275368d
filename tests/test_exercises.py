"""The exercises: what is true of all of them, and copies of students that fit their solutions."""

import socket
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import nbformat
import pytest
import refresh
from answers import failure, solved
from faults import SOON, eventually, untraced

import chatlib
from chatlib.checker.case import Outcome
from chatlib.checker.check import CASES
from chatlib.checker.errors import Broken
from chatlib.teach.exercises import sandbox
from chatlib.teach.exercises.catalogue import EXERCISES
from chatlib.teach.exercises.sandbox import shown

SOLUTIONS = sorted(refresh.SOLUTIONS.glob("*.ipynb"))
each_solution = pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)


# Solutions and the copies of students


@each_solution
def test_a_student_copy_is_made_from_its_solution(path: Path) -> None:
    """Where they drift apart, `python tests/refresh.py` has not been run."""
    made = refresh.exercise_of(nbformat.read(path, as_version=4))
    copy = (refresh.EXERCISES / path.name).read_text(encoding="utf-8")
    assert copy == nbformat.writes(made) + "\n"


def test_there_is_a_copy_for_each_solution_and_no_other() -> None:
    """And both have the numbers that `chatlib.exercise` knows."""
    copies = sorted(path.name for path in refresh.EXERCISES.glob("*.ipynb"))
    assert copies == [path.name for path in SOLUTIONS]
    assert [name.partition("_")[0] for name in copies] == list(EXERCISES)


@each_solution
def test_a_student_copy_gives_nothing_away(path: Path) -> None:
    """No mark, nothing of what stood between the marks, and no output."""
    copy = nbformat.read(refresh.EXERCISES / path.name, as_version=4)
    left = "\n".join(cell.source for cell in copy.cells)
    assert "SOLUTION" not in left and "YOUR CODE HERE" in left
    for cell in nbformat.read(path, as_version=4).cells:
        for found in refresh.SOLUTION.finditer(cell.source):
            assert "\n".join(found[0].splitlines()[1:-1]) not in left
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in copy.cells)


@each_solution
def test_a_student_copy_fails_for_the_right_reason(path: Path) -> None:
    """Unsolved, no cell raises anything, and the check says in a sentence that nothing is written yet.

    Its other cells are those of its solution, which runs in a kernel; no film of exercise 06 is made again.
    """
    copy = nbformat.read(refresh.EXERCISES / path.name, as_version=4)
    names: dict[str, Any] = {}
    for cell in copy.cells:
        if cell.cell_type == "code" and not cell.source.startswith(("film", "chatlib.exercise(")):
            exec(cell.source, names)
    checks = [cell.source for cell in copy.cells if cell.source.startswith("chatlib.exercise(")]
    assert checks
    for check in checks:  # of the exercise, and of its stretch part
        told = str(eval(check, names))
        assert "nothing has been written yet in" in told
        assert "Traceback" not in told and " pass " not in told
        assert told.endswith("Nothing was tried yet.")


# What is true of all


def test_every_lesson_to_read_again_is_there() -> None:
    """Each goes by the title of its notebook: one that is not written yet would be a dead end."""
    parts = [part for task in EXERCISES.values() for part in (task, task.stretch) if part]
    cases = [*CASES, *(case for part in parts for case in part.cases)]
    for lesson in {lesson for case in cases for lesson in case.lesson.split(", ")}:
        assert (refresh.LESSONS / f"{lesson.lower().replace(' ', '_')}.ipynb").exists(), lesson


@pytest.mark.parametrize("number", EXERCISES)
def test_nonsense_is_answered_by_a_sentence(number: str) -> None:
    """The result of a call, say, instead of the function: the check says what it takes."""
    for nonsense in (None, 3, "Lines", [], object()):
        wrong = failure(number, nonsense, "exercise.begun")
        assert wrong.expected == f"{EXERCISES[number].name}: {EXERCISES[number].takes}"
        assert wrong.actual.startswith("it was given ")


def test_a_number_may_be_said_as_one_likes() -> None:
    """4 is "04"; and what there is not is said."""
    assert chatlib.exercise(4, solved("04")["Lines"]).passed  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="there is no exercise '99': those are 01, 02, 03, 04, 05, 06"):
        chatlib.exercise("99", None)


def test_a_report_is_like_that_of_a_check() -> None:
    """The same class, the same form, and the same record: graders need to know one."""
    report = chatlib.exercise("04", solved("04")["Lines"])
    assert isinstance(report, chatlib.Report)
    assert str(report).startswith(
        "Lines, exercise 04: lines from a stream\n\npass  lines.whole   A whole line"
    )
    well_done = f"All {len(report.verdicts)} passed. Well done! What comes next stands below."
    assert str(report).endswith(well_done)
    assert report.record()["counts"]["pass"] == len(report.verdicts)
    assert report.points({"lines.whole": 1, "lines.limit": 2}) == {"earned": 3, "possible": 3, "unjudged": 0}
    assert "<testsuite" in report.junit()


def test_one_thing_at_a_time_is_mended() -> None:
    """What comes after the first failure is not tried; why, is said once."""

    class Nothing:
        def __init__(self, limit: int) -> None: ...
        def feed(self, piece: bytes) -> None: ...

    report = chatlib.exercise("04", Nothing)
    assert [verdict.outcome for verdict in report.verdicts][:2] == [Outcome.FAIL, Outcome.SKIPPED]
    assert [verdict.reason for verdict in report.verdicts][:3] == ["", "first mend lines.whole", ""]


def test_a_failure_names_step_hint_and_lesson() -> None:
    """All that a beginner needs to go on."""

    def receive_within(sock: socket.socket, seconds: float) -> bytes:
        sock.settimeout(seconds)
        try:
            return sock.recv(1024)
        except TimeoutError:
            return b""

    told = str(chatlib.exercise("01", receive_within))
    assert "then        the other side does nothing; receive_within(sock, 0.3)\n" in told
    assert "expected    it returns None: nothing came in time\n" in told
    assert "but         it returned b''\n" in told
    assert "hint        sock.settimeout(seconds)" in told
    assert "lesson      01 A call that waits\n" in told


def looping(sock: socket.socket, seconds: float) -> None:
    """Never comes back."""
    while True:
        pass


def stubborn(sock: socket.socket, seconds: float) -> None:
    """Catches everything, twice: a bare `except` takes what ends it for an error of its own."""
    for _ in range(2):
        try:
            while True:
                pass
        except:  # noqa: E722
            print(sys.exc_info()[0], file=sys.__stdout__)


def try_loops() -> None:
    """Prints what is said of both, and whether no thread is left."""
    sandbox.EFFORT = 20  # it need not be much, if it is known to be endless
    before = set(threading.enumerate())
    for answer in (looping, stubborn):
        print(failure("01", answer, "deadline.there").actual)
    print(eventually(lambda: set(threading.enumerate()) <= before))


def test_what_has_returned_is_not_said_to_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread of a call lives on for a moment after its return, which may be when time is up."""
    returned, judged = threading.Event(), threading.Event()
    run = threading.Thread.run

    def run_and_linger(thread: threading.Thread) -> None:
        run(thread)
        if thread.name == "the exercise":
            returned.set()
            judged.wait(SOON)

    def join_in_vain(thread: threading.Thread, timeout: float | None = None) -> None:
        assert returned.wait(SOON)

    monkeypatch.setattr(threading.Thread, "run", run_and_linger)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "join", join_in_vain)
        patch.setattr(sandbox, "EFFORT", 0)
        assert sandbox.Trial(None, deque()).attempt(lambda: 42, "it returns") == 42
    judged.set()


def test_an_endless_loop_is_found_and_ended() -> None:
    """The check comes back, says where it is, and leaves nothing that goes on."""
    said, *caught, also_said, left = untraced(try_loops)
    assert said.startswith("it did not return: it was still in line ")
    assert said.endswith((": while True:", ": pass"))
    assert caught == ["<class 'SystemExit'>"] * 2
    assert also_said.startswith("it did not return")
    assert left == "True"


def test_a_slow_computer_may_compute_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a call may compute is a multiple of what this computer needs for a known piece of work."""

    def compute() -> str:
        began = time.process_time()
        while time.process_time() - began < 3 * sandbox.EFFORT * usual:
            pass
        return "done"

    usual = 0.001
    trial = sandbox.Trial(None, deque())
    monkeypatch.setattr(sandbox, "WAITS", 1_000_000)  # other programs may leave it little time
    monkeypatch.setattr(sandbox, "_reference", lambda: usual)
    with pytest.raises(Broken, match="it did not return"):
        trial.attempt(compute, "it returns")
    monkeypatch.setattr(sandbox, "_reference", lambda: 10 * usual)
    assert trial.attempt(compute, "it returns") == "done"


@pytest.mark.parametrize("ending", [SystemExit, KeyboardInterrupt, ZeroDivisionError])
def test_an_exception_is_told_with_its_line(ending: type[BaseException]) -> None:
    """Also one that would end the kernel."""

    def receive_within(sock: socket.socket, seconds: float) -> None:
        raise ending("oh")

    wrong = failure("01", receive_within, "deadline.there")
    assert wrong.actual.startswith(f"it raised {ending.__name__}: oh, in line ")
    assert wrong.actual.endswith(': raise ending("oh")')


def test_what_is_printed_does_not_flood_the_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    """The last lines stand in the report, and nothing else does."""

    def receive_within(sock: socket.socket, seconds: float) -> str:
        for number in range(2_000):  # more than is kept, and soon done
            print("line", number)
        return "nonsense"

    wrong = failure("01", receive_within, "deadline.there")
    assert wrong.said[-1] == "line 1999" and len(wrong.said) <= 6
    assert wrong.actual == "it returned 'nonsense'"
    assert capsys.readouterr().out == ""


def test_a_value_is_shown_whatever_it_is() -> None:
    """Long, or with a `__repr__` that fails."""

    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    assert "Odd" in shown(Odd())
    assert len(shown(["x" * 1000] * 1000)) < 10_000
