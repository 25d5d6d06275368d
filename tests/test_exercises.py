"""The exercises: a right answer passes, a wrong one is told what is wrong, copies fit their solutions."""

import asyncio
import concurrent.futures
import contextlib
import multiprocessing
import os
import socket
import socketserver
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
import refresh
from faults import SOON, eventually, untraced

import chatlib
from chatlib.bench import Row
from chatlib.checker.case import Failure, Outcome
from chatlib.checker.errors import Broken
from chatlib.checker.harness import timeouts
from chatlib.teach.exercises import ex06_faulty_servers, ex11_processes, ex12_choice, sandbox
from chatlib.teach.exercises.catalogue import EXERCISES
from chatlib.teach.exercises.ex04_lines import LINES, STREAM, cuts
from chatlib.teach.exercises.sandbox import SLIP, shown

SOLUTIONS = sorted(refresh.SOLUTIONS.glob("*.ipynb"))
each_solution = pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)


over = threading.Event()
"""Set after each test: then answers that never return do so after all."""


@pytest.fixture(autouse=True)
def _it_is_over() -> Iterator[None]:
    over.clear()
    before = set(threading.enumerate())
    yield
    over.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(SOON)
    while kept:
        kept.pop().close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """For wrong servers, which are silent: a third of the time is enough, or more on a busy computer."""
    measured = timeouts.measured

    def shorter(factor: float = 1.0) -> timeouts.Timeouts:
        usual = measured(factor)
        return replace(usual, patience=usual.patience - 0.6 * factor)

    monkeypatch.setattr(timeouts, "measured", shorter)


kept: list[socket.socket] = []
"""What wrong answers forget to close."""


def failure(number: str, answer: Any, failed: str) -> Failure:
    """Tries out a wrong answer; returns how the case failed that was to fail, and no other did."""
    report = chatlib.exercise(number, answer)
    assert report.failed == (failed,), str(report)
    [verdict] = report.of(Outcome.FAIL)
    assert verdict.failure
    return verdict.failure


def passes(number: str, answer: Any) -> None:
    """Tries out a right answer."""
    report = chatlib.exercise(number, answer)
    assert all(verdict.outcome is Outcome.PASS for verdict in report.verdicts), str(report)


def solved(number: str) -> dict[str, Any]:
    """Returns what the solution of an exercise defines."""
    [path] = refresh.SOLUTIONS.glob(f"{number}_*.ipynb")
    names: dict[str, Any] = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code" and "chatlib.exercise(" not in cell.source:
            exec(cell.source, names)
        elif cell.cell_type == "code":
            break
    return names


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
    assert [name[:2] for name in copies] == list(EXERCISES)


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


@pytest.mark.slow
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
    [check] = [cell.source for cell in copy.cells if cell.source.startswith("chatlib.exercise(")]
    told = str(eval(check, names))
    assert "nothing has been written yet in" in told or "you have said nothing of A yet" in told
    assert "Traceback" not in told and " pass " not in told


# What is true of all


@pytest.mark.parametrize("number", EXERCISES)
def test_nonsense_is_answered_by_a_sentence(number: str) -> None:
    """The result of a call, say, instead of the function: the check says what it takes."""
    for nonsense in (None, 3, "Lines", [], object()):
        wrong = failure(number, nonsense, "exercise.begun")
        assert wrong.expected == f"{EXERCISES[number].name}: {EXERCISES[number].takes}"
        assert wrong.actual.startswith("it was given ")


def test_a_number_may_be_said_as_one_likes() -> None:
    """4 is "04"; and what there is not is said."""
    assert chatlib.exercise(4, Lines).passed  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="there is no exercise '14': those are 01, 02, 03, 04, 05, 06"):
        chatlib.exercise("14", None)


def test_a_report_is_like_that_of_a_check() -> None:
    """The same class, the same form, and the same record: graders need to know one."""
    report = chatlib.exercise("04", solved("04")["Lines"])
    assert isinstance(report, chatlib.Report)
    assert str(report).startswith(
        "Lines, exercise 04: lines from a stream\n\npass  lines.whole   A whole line"
    )
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
        patch.setattr(sandbox, "PATIENCE", 0.0)
        patch.setattr(sandbox, "LONGEST", 0.0)
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


def test_a_slow_computer_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a call may compute is a multiple of what this computer needs for a known piece of work."""

    def compute() -> str:
        began = time.process_time()
        while time.process_time() - began < 3 * sandbox.EFFORT * usual:
            pass
        return "done"

    usual = 0.001
    trial = sandbox.Trial(None, deque())
    monkeypatch.setattr(sandbox, "LONGEST", 6 * SOON)
    monkeypatch.setattr(sandbox, "_reference", lambda: usual)
    with pytest.raises(Broken, match="it did not return"):
        trial.attempt(compute, "it returns")
    monkeypatch.setattr(sandbox, "_reference", lambda: 10 * usual)
    assert trial.attempt(compute, "it returns") == "done"


def test_a_step_that_the_clock_has_spoiled_is_taken_again() -> None:
    """A busy computer may hold a right answer up, once or twice; not so an answer that is wrong."""
    calls: list[float] = []

    def receive_within(sock: socket.socket, seconds: float) -> bytes | None:
        sock.settimeout(seconds)
        calls.append(seconds)
        time.sleep(1.0 if len(calls) == 1 else 0.0)  # held up
        with contextlib.suppress(TimeoutError):
            return sock.recv(1024)
        return None

    passes("01", receive_within)
    assert calls[:2] == [1.0, 1.0]


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


# 01: a deadline


def never(sock: socket.socket, seconds: float) -> bytes:
    """Has no deadline."""
    return sock.recv(1024)


def raising(sock: socket.socket, seconds: float) -> bytes:
    """Lets the TimeoutError out."""
    sock.settimeout(seconds)
    return sock.recv(1024)


def impatient(sock: socket.socket, seconds: float) -> bytes | None:
    """Does not wait at all."""
    sock.setblocking(False)
    try:
        return sock.recv(1024)
    except BlockingIOError:
        return None


def fixed(sock: socket.socket, seconds: float) -> bytes | None:
    """Has a deadline of its own choice."""
    sock.settimeout(1.0)
    with contextlib.suppress(TimeoutError):
        return sock.recv(1024)
    return None


def sleeping(sock: socket.socket, seconds: float) -> bytes | None:
    """Sleeps first, then looks."""
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        return sock.recv(1024)
    time.sleep(seconds)
    with contextlib.suppress(BlockingIOError):
        return sock.recv(1024)
    return None


def confusing(sock: socket.socket, seconds: float) -> bytes | None:
    """Takes a farewell for silence."""
    sock.settimeout(seconds)
    with contextlib.suppress(TimeoutError):
        return sock.recv(1024) or None
    return None


def polling(sock: socket.socket, seconds: float) -> bytes | None:
    """Asks again and again."""
    sock.setblocking(False)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(BlockingIOError):
            return sock.recv(1024)
    return None


def dozing(sock: socket.socket, seconds: float) -> bytes:
    """Sleeps although something is there."""
    time.sleep(seconds)
    return sock.recv(1024)


def decoding(sock: socket.socket, seconds: float) -> str:
    """Makes a text of what has come."""
    return sock.recv(1024).decode()


@pytest.mark.parametrize(
    ("answer", "failed", "sentence"),
    [
        (never, "deadline.nothing", "it did not return: it was still in line "),
        (raising, "deadline.nothing", "it raised TimeoutError: timed out, in line "),
        (impatient, "deadline.nothing", "it returned much earlier: it did not wait"),
        (fixed, "deadline.nothing", "it waited much longer"),
        (sleeping, "deadline.later", "it went on waiting although it was there"),
        (confusing, "deadline.left", "it returned None"),
        (polling, "deadline.asleep", "it was busy all the time: it asks again and again"),
        (dozing, "deadline.there", "it went on waiting although it was there"),
        (decoding, "deadline.there", "it returned 'hello'"),
    ],
)
def test_wrong_deadlines_are_told_apart(answer: Callable[..., object], failed: str, sentence: str) -> None:
    """Each mistake has a sentence of its own."""
    assert failure("01", answer, failed).actual.startswith(sentence)


def test_a_hint_fits_what_went_wrong() -> None:
    """In the first case most goes wrong: sleep, decode, and what Python itself says best."""

    def hint(answer: Callable[..., object]) -> str:
        return chatlib.exercise("01", answer).of(Outcome.FAIL)[0].case.hint

    assert hint(decoding).endswith("No sleep, no decode.")
    for slip in (
        lambda sock: None,
        lambda sock, seconds: "" + sock.recv(1024),
        lambda sock, seconds: sock.read(),
    ):
        assert hint(slip) == SLIP


def test_the_solution_of_01_passes() -> None:
    """In its own notebook, too: nbval sees to that."""
    passes("01", solved("01")["receive_within"])


# 04: lines from a stream


def test_the_solution_of_04_passes() -> None:
    """And chatlib's own reader would, if it raised ValueError."""
    passes("04", solved("04")["Lines"])


def test_every_cut_is_tried() -> None:
    """11 bytes, 10 places: 1024 ways, each different, and each the same stream."""
    ways = list(cuts(STREAM))
    assert len(ways) == len({tuple(pieces) for pieces in ways}) == 1024
    assert all(b"".join(pieces) == STREAM for pieces in ways)
    assert [line.removesuffix("\r") for line in STREAM.decode().split("\n")[:-1]] == LINES


class Lines:
    """A right answer, in parts that can be spoiled."""

    def __init__(self, limit: int) -> None:
        self.limit, self.rest = limit, b""

    def feed(self, piece: bytes) -> Any:
        """Takes a piece, returns lines."""
        *complete, self.rest = (self.rest + piece).split(b"\n")
        return self.checked([line.removesuffix(b"\r") for line in complete])

    def checked(self, lines: list[bytes]) -> list[str]:
        """Decodes lines that are not too long."""
        if any(len(line) > self.limit for line in [*lines, self.rest.removesuffix(b"\r")]):
            raise ValueError
        return [line.decode() for line in lines]


class AsBytes(Lines):
    """Forgets to decode."""

    def checked(self, lines: list[bytes]) -> Any:
        return lines


class OnlyFirst(Lines):
    """Takes what comes for a single line."""

    def feed(self, piece: bytes) -> Any:
        line, _, self.rest = (self.rest + piece).partition(b"\n")
        return [line.decode()]


class Forgetful(Lines):
    """Keeps nothing."""

    def feed(self, piece: bytes) -> Any:
        return [line.decode() for line in piece.split(b"\n")[:-1]]


class Decoding(Lines):
    """Decodes pieces."""

    def __init__(self, limit: int) -> None:
        self.text = ""

    def feed(self, piece: bytes) -> Any:
        *lines, self.text = (self.text + piece.decode()).split("\n")
        return lines


class Stripping(Lines):
    """Strips too much."""

    def checked(self, lines: list[bytes]) -> list[str]:
        return [line.strip().decode() for line in lines]


class SkippingEmpty(Lines):
    """Takes empty lines for nothing."""

    def checked(self, lines: list[bytes]) -> list[str]:
        return [line.decode() for line in lines if line]


class CarriageByPiece(Lines):
    """Drops the carriage return of a piece, not of a line."""

    def feed(self, piece: bytes) -> Any:
        *complete, self.rest = (self.rest + piece.replace(b"\r\n", b"\n")).split(b"\n")
        return [line.decode() for line in complete]


class Shared(Lines):
    """Keeps everything in the class."""

    rest = b""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def feed(self, piece: bytes) -> Any:
        *complete, type(self).rest = (type(self).rest + piece).split(b"\n")
        return [line.removesuffix(b"\r").decode() for line in complete]


class Unlimited(Lines):
    """Has no limit."""

    def checked(self, lines: list[bytes]) -> list[str]:
        return [line.decode() for line in lines]


class LimitedLater(Lines):
    """Looks at the limit only when a line is complete."""

    def checked(self, lines: list[bytes]) -> list[str]:
        if any(len(line) > self.limit for line in lines):
            raise ValueError
        return [line.decode() for line in lines]


class OffByOne(Lines):
    """Counts the newline, too."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit - 1)


class HalfAnEnd(Lines):
    """Counts a carriage return whose newline has not come yet."""

    def feed(self, piece: bytes) -> Any:
        lines = super().feed(piece)
        if len(self.rest) > self.limit:
            raise ValueError
        return lines


@pytest.mark.parametrize(
    ("answer", "failed", "sentence"),
    [
        (AsBytes, "lines.whole", "they returned [b'hello']"),
        (OnlyFirst, "lines.joined", "they returned ['one']"),
        (Forgetful, "lines.split", "they returned [] and ['lo']"),
        (Decoding, "lines.letter", "it raised UnicodeDecodeError: "),
        (Stripping, "lines.ends", "they returned ['two spaces']"),
        (SkippingEmpty, "lines.ends", "they returned ['one', 'two']"),
        (CarriageByPiece, "lines.every", "feed("),
        (Shared, "lines.apart", "the second returned ['albob'], and the first ['ice']"),
        (Unlimited, "lines.limit", "it raised nothing, and returned ['0123456789x']"),
        (LimitedLater, "lines.limit", "it raised nothing, and returned []"),
        (OffByOne, "lines.limit", "it raised ValueError"),
        (HalfAnEnd, "lines.limit", "it raised ValueError"),
    ],
)
def test_wrong_lines_are_told_apart(answer: type, failed: str, sentence: str) -> None:
    """Each mistake is found by the case that is about it."""
    assert failure("04", answer, failed).actual.startswith(sentence)


def test_the_right_lines_pass() -> None:
    """What is spoiled above is right."""
    passes("04", Lines)


# 02, 03, 05, 09 to 11: servers


@pytest.mark.parametrize("number", ["02", "05", "09", "10"])
def test_the_solutions_of_servers_pass(number: str) -> None:
    """That of 03 passes in its own notebook, and Python's own below."""
    passes(number, solved(number)[EXERCISES[number].name])


class LowerCase(socketserver.StreamRequestHandler):
    """Answers as it was asked."""

    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line)


class OneLine(socketserver.StreamRequestHandler):
    """Has no loop: answers once, so that whoever says a second line is alone."""

    def handle(self) -> None:
        for _ in range(3):
            self.wfile.write(self.rfile.readline().upper())


class OneRecv(socketserver.BaseRequestHandler):
    """Answers whatever one `recv` has brought as if it were a line."""

    def handle(self) -> None:
        while data := self.request.recv(4096):
            self.request.sendall(data.strip().upper() + b"\n")


class Staying(socketserver.StreamRequestHandler):
    """Goes on when the client has left."""

    def handle(self) -> None:
        while not over.wait(0.01):
            if line := self.rfile.readline():
                self.wfile.write(line.upper())


@pytest.mark.parametrize(
    ("answer", "failed", "sentence"),
    [
        (LowerCase, "delivery.answer", "alice heard nothing of it in time"),
        (OneLine, "turns.lines", "connection of alice"),
        (OneRecv, "turns.split", "alice received"),
        (Staying, "turns.next", "bob heard nothing of it in time"),
    ],
)
@pytest.mark.slow
# A server that does not stop is ended by force: by a SystemExit in its threads, which may then close nothing.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_wrong_handlers_are_told_apart(answer: type, failed: str, sentence: str, hasty: None) -> None:
    """Each mistake is found by the case that is about it."""
    assert sentence in failure("02", answer, failed).actual


class CalledAtOnce(socketserver.TCPServer):
    """Writes brackets where the name of the method belongs: still one at a time."""

    def process_request(self, request: Any, client_address: Any) -> None:
        target: Any = self.finish_request(request, client_address)  # type: ignore[func-returns-value]
        threading.Thread(target=target).start()


class NeverClosed(socketserver.TCPServer):
    """Forgets to close the connection."""

    def process_request(self, request: Any, client_address: Any) -> None:
        kept.append(request)
        threading.Thread(target=self.finish_request, args=(request, client_address), daemon=True).start()


class ClosedTooSoon(socketserver.TCPServer):
    """Closes before the other thread has talked. (Which of the two comes first would else be chance.)"""

    def process_request(self, request: Any, client_address: Any) -> None:
        self.shutdown_request(request)
        threading.Thread(target=self.finish_request, args=(request, client_address), daemon=True).start()


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (NeverClosed, "departures.fin"),
        (ClosedTooSoon, "delivery.answer"),
    ],
)
@pytest.mark.slow
def test_wrong_threads_are_told_apart(answer: type, failed: str, hasty: None) -> None:
    """Each mistake is found by the case that is about it."""
    failure("03", answer, failed)


def test_a_server_that_waits_for_one_is_shown_by_its_x_ray(hasty: None) -> None:
    """The check of a server says more than that of a function: who waits for whom."""
    wrong = failure("03", CalledAtOnce, "isolation.silent")
    [waiting] = wrong.waiting
    assert waiting.startswith("the server waits in recv_into for sam, in the line: target")


def test_pythons_own_is_right() -> None:
    """Whoever writes less has not written less well."""
    passes("03", socketserver.ThreadingTCPServer)


def chat(**methods: Callable[..., Any]) -> Any:
    """Returns the solution of exercise 05 with some methods of another kind."""
    return type("GroupChat", (solved("05")["GroupChat"],), dict(methods))


def to_all(self: Any, message: bytes, sender: socket.socket) -> None:
    """Sends to the sender, too."""
    for client in list(self.clients):
        with contextlib.suppress(OSError):
            client.sendall(message)


def to_nobody(self: Any, message: bytes, sender: socket.socket) -> None:
    """Sends to nobody."""


def failing(self: Any, message: bytes, sender: socket.socket) -> None:
    """Lets one failed send end the walk."""
    for client in list(self.clients):
        if client is not sender:
            client.sendall(message)


def forgetting(self: Any, client: socket.socket) -> None:
    """Removes, and does not close."""
    self.clients.remove(client)
    kept.append(client)


def spinning(self: Any, client: socket.socket) -> None:
    """Does not know what b"" means. (It hangs up, so that only the processor suffers.)"""
    while not self.stopping:
        with contextlib.suppress(OSError):
            message = client.recv(1024)
            self.broadcast(message, client) if message else client.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    ("methods", "failed"),
    [
        ({"broadcast": to_nobody}, "delivery.reach"),
        ({"broadcast": to_all}, "delivery.sender"),
        ({"remove": forgetting}, "departures.fin"),
        ({"handle_client": spinning}, "departures.idle"),
    ],
)
@pytest.mark.slow
def test_wrong_chats_are_told_apart(methods: dict[str, Callable[..., Any]], failed: str, hasty: None) -> None:
    """Each mistake is found by the case that is about it."""
    failure("05", chat(**methods), failed)


def loop(**methods: Callable[..., Any]) -> Any:
    """Returns the solution of exercise 09 with some methods of another kind."""
    return type("OneThread", (solved("09")["OneThread"],), dict(methods))


def conversing(self: Any, client: socket.socket) -> None:
    """Talks with one client until it has left; the others wait."""
    client.setblocking(True)
    with contextlib.suppress(OSError):
        while data := client.recv(1024):
            client.sendall(data.upper())
    self.remove(client)


def threaded(self: Any) -> None:
    """Starts a thread for each client after all."""
    client, _ = self.socket.accept()
    kept.append(client)
    threading.Thread(target=answering, args=(client,), daemon=True).start()


def answering(client: socket.socket) -> None:
    """Answers one client in its own thread."""
    with contextlib.suppress(OSError):
        while data := client.recv(1024):
            client.sendall(data.upper())


def staying(self: Any, client: socket.socket) -> None:
    """Goes on watching a client that has left, and is told so again and again."""
    with contextlib.suppress(OSError):
        data = client.recv(1024)
        client.sendall(data.upper()) if data else client.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    ("methods", "failed"),
    [
        ({"serve": conversing}, "isolation.silent"),
        ({"accept": threaded}, "loop.thread"),
        ({"serve": staying}, "departures.idle"),
    ],
)
@pytest.mark.slow
def test_wrong_loops_are_told_apart(methods: dict[str, Callable[..., Any]], failed: str, hasty: None) -> None:
    """Each mistake is found by the case that is about it."""
    failure("09", loop(**methods), failed)


# 10: one call that blocks


def questions(look_up: Callable[..., Any]) -> Any:
    """Returns the solution of exercise 10, in which questions are answered in another way."""
    names = solved("10")

    async def heard(self: Any, line: bytes, sender: Any) -> None:
        if line.startswith(b"?"):
            await look_up(self, line, sender)
        else:
            await names["AsyncChat"].heard(self, line, sender)

    return type("AsyncChat", (names["Frame"],), {"talk": names["AsyncChat"].talk, "heard": heard})


async def called(self: Any, line: bytes, sender: Any) -> None:
    """Calls what blocks, in the only thread there is."""
    sender.write(self.look_up(line))


async def awaited(self: Any, line: bytes, sender: Any) -> None:
    """Believes that an `await` makes it harmless."""
    sender.write(await self.look_up(line))


async def called_first(self: Any, line: bytes, sender: Any) -> None:
    """Writes brackets where the function itself belongs."""
    sender.write(await asyncio.to_thread(self.look_up(line)))


async def told_to_all(self: Any, line: bytes, sender: Any) -> None:
    """Tells everybody what one has asked for."""
    for writer in self.writers:
        writer.write(await asyncio.to_thread(self.look_up, line))


async def made_up(self: Any, line: bytes, sender: Any) -> None:
    """Does not look it up."""
    sender.write(b"* 42\n")


@pytest.mark.parametrize(
    ("look_up", "failed", "sentence"),
    [
        (
            called,
            "questions.meanwhile",
            "carol heard nothing of it: the server's only thread was in self.look_up",
        ),
        (awaited, "questions.answer", "the server closed the connection of alice"),
        (called_first, "questions.answer", "the server closed the connection of alice"),
        (told_to_all, "questions.answer", "bob received "),
        (made_up, "questions.answer", "self.look_up was not called"),
    ],
)
@pytest.mark.slow
def test_wrong_questions_are_told_apart(
    look_up: Callable[..., Any], failed: str, sentence: str, hasty: None
) -> None:
    """Each mistake is found by the case that is about it, and who blocks the loop is found without a wait."""
    assert sentence in failure("10", questions(look_up), failed).actual


def test_who_blocks_the_loop_is_shown_with_the_line() -> None:
    """The X-ray of the check says which it is."""
    [waiting] = failure("10", questions(called), "questions.meanwhile").waiting
    assert waiting.startswith("the server waits in wait for an event")
    assert waiting.endswith("in the line: sender.write(self.look_up(line))")


@pytest.mark.slow
def test_a_coroutine_that_nobody_awaits_is_told(hasty: None) -> None:
    """Also at the second look: by itself, Python says it once."""
    names = solved("10")

    async def talk(self: Any, reader: Any, writer: Any) -> None:
        while line := await reader.readline():
            self.heard(line, writer)
        writer.close()

    answer = type("AsyncChat", (names["AsyncChat"],), {"talk": talk})
    with pytest.warns(RuntimeWarning, match="heard' was never awaited") as warned:
        failure("10", answer, "delivery.reach")
    assert len(warned) > 1


# 11: a pool of processes


@pytest.fixture
def _no_process_is_left() -> Iterator[None]:
    """After each check: of all processes that it has started, none runs."""
    before = set(multiprocessing.active_children())
    yield
    assert eventually(lambda: not set(multiprocessing.active_children()) - before)


def counting(**methods: Callable[..., Any]) -> Any:
    """Returns the solution of exercise 11 with some methods of another kind."""
    return type("Counting", (solved("11")["Counting"],), dict(methods))


def answering_by(compute: Callable[..., Any]) -> Any:
    """Returns the solution of exercise 11, which computes in another way."""

    async def answer(self: Any, line: bytes) -> bytes:
        if not line.strip().isdigit():
            return line.upper()
        return f"{await compute(self, int(line))}\n".encode()

    return counting(answer=answer)


async def by_itself(self: Any, number: int) -> Any:
    """Computes in the only thread there is."""
    return self.work(number)


async def by_a_thread(self: Any, number: int) -> Any:
    """Lets another thread compute."""
    return await asyncio.to_thread(self.work, number)


async def by_waiting(self: Any, number: int) -> Any:
    """Lets the pool compute, and blocks meanwhile."""
    return self.pool.submit(self.work, number).result()


async def by_a_lambda(self: Any, number: int) -> Any:
    """Gives the pool what cannot be sent."""
    return await asyncio.get_running_loop().run_in_executor(self.pool, lambda: self.work(number))


async def by_a_new_pool(self: Any, number: int) -> Any:
    """Makes a pool for each question."""
    return await asyncio.get_running_loop().run_in_executor(self.make_pool(), self.work, number)


async def by_heart(self: Any, number: int) -> Any:
    """Computes something else."""
    return {1000: 168}.get(number, 0)


@pytest.mark.parametrize(
    ("compute", "failed", "sentence"),
    [
        (by_itself, "pool.meanwhile", "bob heard nothing: the server's only thread computed"),
        (by_a_thread, "pool.elsewhere", "both are computed in the server's own process"),
        (by_waiting, "pool.meanwhile", "bob heard nothing of it in time"),
        (by_a_lambda, "pool.count", "the server closed the connection of alice"),
        (by_a_new_pool, "pool.elsewhere", "6 different processes have computed so far"),
        (by_heart, "pool.meanwhile", "self.work was not called"),
    ],
)
@pytest.mark.slow
def test_wrong_computations_are_told_apart(
    compute: Callable[..., Any], failed: str, sentence: str, hasty: None, _no_process_is_left: None
) -> None:
    """Each mistake is found by the case that is about it, whatever the computer's speed."""
    assert sentence in failure("11", answering_by(compute), failed).actual


def pool(kind: str, workers: int = 2) -> Callable[..., Any]:
    """Returns a method that makes a pool of another kind."""

    def make_pool(self: Any) -> Any:
        context = multiprocessing.get_context(kind)
        return concurrent.futures.ProcessPoolExecutor(max_workers=workers, mp_context=context)

    return make_pool


@pytest.mark.slow
def test_one_process_is_not_enough(hasty: None, _no_process_is_left: None) -> None:
    """Who asks at the same time is computed for at the same time."""
    wrong = failure("11", counting(make_pool=pool("spawn", 1)), "pool.elsewhere")
    assert wrong.actual == "only one process computes in time"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_pool_is_told(hasty: None, _no_process_is_left: None) -> None:
    """Its processes hold copies of all connections: a client that leaves does not see the end."""
    wrong = failure("11", counting(make_pool=pool("fork")), "pool.copies")
    assert "the connection of alice stayed open" in wrong.actual


@pytest.mark.slow
def test_a_pool_that_is_left_running_is_told_and_ended(
    monkeypatch: pytest.MonkeyPatch, _no_process_is_left: None
) -> None:
    """And why, if closing it has failed."""
    monkeypatch.setattr(ex11_processes, "ENDS_WITHIN", 0.3)
    wrong = failure("11", counting(close_pool=lambda self: None), "pool.end")
    assert "of the pool still run: 1" in wrong.actual
    wrong = failure("11", counting(close_pool=lambda self: self.pool.close()), "pool.end")
    assert "has no attribute 'close', in line" in wrong.actual


def test_a_slip_in_making_a_server_is_told_with_its_line() -> None:
    """And is not taken for an address that does not fit."""

    def make_pool(self: Any) -> Any:
        return concurrent.futures.ProcessPoolExecutor(worker=2)  # type: ignore[call-overload]

    wrong = failure("11", counting(make_pool=make_pool), "delivery.answer")
    assert "unexpected keyword argument 'worker', in line" in wrong.actual
    assert wrong.actual.startswith("Counting(('127.0.0.1', 0)) failed: ")
    assert "a function that needs only the address" not in wrong.actual


@pytest.mark.slow
def test_the_solution_of_11_passes(_no_process_is_left: None) -> None:
    """And what it has put on the path for its processes is taken off again."""
    before = list(sys.path)
    passes("11", solved("11")["Counting"])
    assert [path for path in sys.path if path not in before and "teach" in path] == []


# 12: which one should it be?

Requirement = tuple[float, float, float]


def choosing(**differs: Any) -> Callable[..., Any]:
    """Returns a right answer to exercise 12, in parts that can be spoiled."""
    part: dict[str, Any] = {
        "skips": lambda row, clients: row.server == "floor" or row.clients != clients,
        "trusts": lambda figures: figures and not figures.disturbed and figures.kib_per_client is not None,
        "late": lambda figures, p99_ms: figures.p99_us > p99_ms * 1000,
        "mib": lambda figures, clients: figures.kib_per_client * clients / 1024,
        "noise": 1.5,
        "simple": ("threading", "asyncio", "selectors"),
    }
    part |= differs

    def choose(rows: list[Row], clients: int, p99_ms: float, memory_mib: float) -> str | None:
        rows = [row for row in rows if not part["skips"](row, clients) and part["trusts"](row.figures)]
        rows = [row for row in rows if not part["late"](row.figures, p99_ms)]
        fit = {row.server: part["mib"](row.figures, clients) for row in rows}
        fit = {server: mib for server, mib in fit.items() if mib <= memory_mib}
        near = [server for server in fit if fit[server] <= part["noise"] * min(fit.values())]
        return next((server for server in part["simple"] if server in near), None)

    return choose


NONE = ex12_choice.made_up("threading", 20, 1.0, 30.0)


@pytest.fixture
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured: here are the rows."""
    floor = ex12_choice.made_up("floor", 20, 0.5, 0.4)
    slow = ex12_choice.made_up("selectors", 20, 3.0, 1.0)
    monkeypatch.setattr(ex12_choice, "measured", lambda: (floor, NONE, slow, Row("asyncio", 20, None, "-")))


@pytest.mark.parametrize(
    ("differs", "failed"),
    [
        ({"late": lambda figures, p99_ms: figures.p99_us > p99_ms}, "choice.latency"),
        ({"late": lambda figures, p99_ms: figures.p50_us > p99_ms * 1000}, "choice.latency"),
        ({"mib": lambda figures, clients: figures.kib_per_client}, "choice.memory"),
        ({"mib": lambda figures, clients: figures.kib_per_client / 1024}, "choice.memory"),
        ({"skips": lambda row, clients: row.server == "floor"}, "choice.clients"),
        ({"trusts": lambda figures: figures and figures.kib_per_client is not None}, "choice.figures"),
        ({"trusts": lambda figures: not figures.disturbed}, "choice.figures"),
        ({"trusts": lambda figures: figures and not figures.disturbed}, "choice.figures"),
        ({"noise": 1.0}, "choice.noise"),
        ({"noise": 3.0}, "choice.noise"),
        ({"simple": ("selectors", "asyncio", "threading")}, "choice.noise"),
    ],
)
def test_wrong_choices_are_told_apart(differs: dict[str, Any], failed: str, _measured: None) -> None:
    """Each mistake is found by the case that is about it."""
    failure("12", choosing(**differs), failed)


def test_right_choices_pass(_measured: None) -> None:
    """What is spoiled above is right, and so is the solution."""
    passes("12", choosing())
    passes("12", solved("12")["choose"])


def test_who_knows_the_made_up_rows_by_heart_is_found_out(_measured: None) -> None:
    """The last case takes others."""

    def by_rote(rows: list[Row], clients: int, p99_ms: float, memory_mib: float) -> str | None:
        return choosing()(rows, clients, p99_ms, memory_mib) if clients != 20 else "asyncio"

    wrong = failure("12", by_rote, "choice.here")
    assert wrong.expected.startswith("choose(rows, 20, 0.000, 1000) returns None, of floor (20 clients")


def test_a_hint_says_what_may_be_none(_measured: None) -> None:
    """Better than Python's own words do; all else Python says best."""
    untrusting = choosing(trusts=lambda figures: not figures.disturbed)
    [verdict] = chatlib.exercise("12", untrusting).of(Outcome.FAIL)
    assert verdict.case.hint.startswith("row.figures may be None")
    [verdict] = chatlib.exercise("12", lambda rows: None).of(Outcome.FAIL)
    assert verdict.case.hint == SLIP


def test_memory_too_little_to_be_seen_makes_nobody_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sometimes measured as less than nothing: then whoever keeps the limits may be chosen."""
    rows = tuple(ex12_choice.made_up(name, 20, 1.0, -0.5) for name in ex12_choice.SIMPLE)
    monkeypatch.setattr(ex12_choice, "measured", lambda: rows)
    passes("12", choosing())


@pytest.mark.slow
def test_the_choice_is_tried_on_this_computer() -> None:
    """Whatever is measured here, a right answer is right."""
    ex12_choice.measured.cache_clear()
    passes("12", choosing())
    assert {row.server for row in ex12_choice.measured()} >= set(ex12_choice.SIMPLE)


def test_what_is_not_written_yet_is_named() -> None:
    """Of four methods, one is left."""

    def remove(self: Any, client: socket.socket) -> None:
        raise NotImplementedError

    wrong = failure("05", chat(remove=remove), "exercise.begun")
    assert wrong.actual.startswith("nothing has been written yet in remove: ")


def test_a_server_that_cannot_be_made_is_told() -> None:
    """An exception in `__init__` is the learner's, and no error of the checker."""

    def broken(self: Any, address: Any) -> None:
        raise RuntimeError("oh")

    wrong = failure("05", chat(__init__=broken), "delivery.reach")
    assert "RuntimeError: oh" in wrong.actual


# 06: diagnose

RIGHT = {"A": "one slow reader mutes all", "B": "one client at a time", "C": "spins on goodbye"}


def test_a_right_diagnosis_says_where_it_shows() -> None:
    """Of each patient, the line of its X-ray."""
    passes("06", RIGHT)
    reasons = {verdict.case.id: verdict.reason for verdict in chatlib.exercise("06", RIGHT).verdicts}
    assert reasons["diagnosis.B"].startswith("it shows here: the server waits in recv for sam")


def test_a_wrong_diagnosis_says_what_it_would_look_like() -> None:
    """It does not say what is right; and what is said of the others counts for itself."""
    wrong = failure("06", RIGHT | {"A": "a sender hears itself"}, "diagnosis.A")
    assert wrong.actual.startswith("you said 'a sender hears itself': then an arrow would lead")
    assert RIGHT["A"] not in str(wrong)


def test_a_slip_of_the_pen_is_no_diagnosis() -> None:
    """Capitals and blanks do not count; a fault that is not in the list, and none at all, is named."""
    passes("06", RIGHT | {"B": "  One client AT A TIME\n"})
    wrong = failure("06", RIGHT | {"B": "One client at a time!"}, "diagnosis.B")
    assert wrong.actual == "'One client at a time!' is not in it"
    for nothing in ("", "  ", None, ...):
        assert failure("06", RIGHT | {"C": nothing}, "diagnosis.C").actual == "you have said nothing of C yet"
    assert chatlib.exercise("06", {}).failed == ("diagnosis.A", "diagnosis.B", "diagnosis.C")
    assert failure("06", RIGHT | {"C": ["spins"]}, "diagnosis.C").actual == "['spins'] is not in it"


def test_the_examination_gives_nothing_away() -> None:
    """It prints who hears whom and who waits, of each patient: what one never does, its film shows."""
    [path] = refresh.SOLUTIONS.glob("06_*.ipynb")
    outputs = [
        output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", ())
    ]
    printed = [output.text.splitlines() for output in outputs if "hears bob:" in output.get("text", "")]
    assert len(printed) == 3
    assert all(" hears " in line or " waits in " in line for lines in printed for line in lines)


@pytest.mark.slow
def test_the_patients_suffer_from_what_is_said_of_them(hasty: None) -> None:
    """The checker finds it, too: in A and B by what others hear, in C by what it costs."""
    cases = ["isolation.silent", "departures.idle", "departures.others"]
    assert chatlib.check(ex06_faulty_servers.A, cases=[*cases, "isolation.unread"]).failed == (
        "isolation.unread",
    )
    assert chatlib.check(ex06_faulty_servers.B, cases=cases[:1]).failed == ("isolation.silent",)
    assert chatlib.check(ex06_faulty_servers.C, cases=cases).failed == ("departures.idle",)
