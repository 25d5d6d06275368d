"""Films of several processes: forked, spawned, started as programs; and what a killed one leaves."""

import gc
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chatlib
from chatlib.film import tape_reader
from chatlib.film.child import About, later, names_of
from chatlib.film.film import Film
from chatlib.film.merged import merged
from chatlib.film.record import filmed_child, tape
from chatlib.film.record.lookout import Lookout
from chatlib.film.record.patches import unwatch
from chatlib.film.record.recorder import Recorder, recorders
from chatlib.film.record.tape import Tape
from chatlib.film.recording import Recording
from chatlib.film.render.arrows import arrows_of
from chatlib.film.render.svg import svg
from chatlib.film.spans import RECEIVING, SENDING, Span
from chatlib.film.tape_reader import TapeReader

PATIENCE = 20.0
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")

ECHO = """
import socketserver

class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(1000):
            self.request.sendall(data.upper())

with socketserver.{kind}(("127.0.0.1", 0), Handler) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
"""
CLIENT = """
import socket, sys

with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    connection.sendall(b"hello")
    connection.recv(100)
"""


@pytest.fixture
def film() -> Iterator[Film]:
    """A film of this process and of those that it starts."""
    with chatlib.xray(processes=True) as film:
        yield film


class Program:
    """A program of Python, which is ended with its test."""

    def __init__(self, file: Path, text: str, *arguments: object) -> None:
        file.write_text(text, "utf-8")
        command = [sys.executable, str(file), *map(str, arguments)]
        pipe = subprocess.PIPE  # its input does not end before the test does
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.out = self.process.stdout
        assert self.out

    def line(self) -> str:
        """Returns the next line that it prints."""
        assert self.out
        return self.out.readline().strip()

    def wait(self) -> int:
        """Blocks until it has ended; returns its exit status."""
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """Kills it, at once."""
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Starts a program by its name and text."""
    started = list[Program]()

    def start(name: str, text: str, *arguments: object) -> Program:
        started.append(Program(tmp_path / name, text, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def until(condition: Callable[[], object]) -> None:
    """Blocks until a condition holds, for `PATIENCE` at most."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ways(film: Film) -> list[tuple[str, str | None, int]]:
    """Returns from which process to which each message went, and its size; in the order of the sends."""
    names = film.recording().processes
    return [
        (
            names.get(message.sent.process, "here"),
            message.received and names.get(message.received.process, "here"),
            message.size,
        )
        for message in film.messages
    ]


def test_a_program_of_python_that_is_started_is_filmed(film: Film, program: Callable[..., Program]) -> None:
    """Its lane has its name, and its bytes go to and fro."""
    server = program("server.py", ECHO.format(kind="TCPServer"))
    port = int(server.line())
    assert program("client.py", CLIENT, port).wait() == 0
    film.stop()
    assert set(film.recording().processes.values()) == {"server.py", "client.py"}
    assert ways(film) == [("client.py", "server.py", 5), ("server.py", "client.py", 5)]


def test_this_process_talks_with_another(film: Film, program: Callable[..., Program]) -> None:
    """What it waits for now is told as of a thread of this one."""
    port = int(program("server.py", ECHO.format(kind="TCPServer")).line())
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"hello")
        assert connection.recv(100) == b"HELLO"
        until(lambda: "server.py waits in recv for the main program" in "\n".join(map(str, film.waiting())))
    film.stop()
    assert ways(film) == [("here", "server.py", 5), ("server.py", "here", 5)]
    assert "server.py\n" in film.story()
    assert "  receives 5 bytes from the main program (recv), line 6: while data :=" in film.story()


def test_the_environment_is_as_before_when_the_film_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the program has changed it meanwhile."""
    monkeypatch.setenv("PYTHONPATH", "before")
    with chatlib.xray(processes=True):
        folder = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0])
        assert (folder / "sitecustomize.py").is_file()
    assert os.environ["PYTHONPATH"] == "before"
    assert not folder.exists()
    monkeypatch.delenv("PYTHONPATH")
    with chatlib.xray(processes=True):
        assert "PYTHONPATH" in os.environ
    assert "PYTHONPATH" not in os.environ
    with chatlib.xray(processes=True):
        monkeypatch.setenv("PYTHONPATH", "after")
    assert os.environ["PYTHONPATH"] == "after"


def test_without_the_wish_no_other_process_is_filmed(program: Callable[..., Program]) -> None:
    """Nothing of ours is in it."""
    with chatlib.xray() as film:
        ours = "[name for name in sys.modules if 'chatlib' in name or 'customize' in name]"
        said = program("plain.py", f"import sys\nprint({ours})").line()
    assert said == "[]"
    assert not film.recording().processes


def test_a_program_finds_the_customization_that_it_would_have_found(
    tmp_path: Path, film: Film, monkeypatch: pytest.MonkeyPatch, program: Callable[..., Program]
) -> None:
    """And its path is as without the film."""
    (tmp_path / "custom").mkdir()
    (tmp_path / "custom" / "sitecustomize.py").write_text("CUSTOM = 7\n")
    path = os.pathsep.join([os.environ["PYTHONPATH"], str(tmp_path / "custom")])
    monkeypatch.setenv("PYTHONPATH", path)
    text = (
        "import sitecustomize, sys\nprint(sitecustomize.CUSTOM, [p for p in sys.path if 'chatlib-film' in p])"
    )
    assert program("custom.py", text).line() == "7 []"


@forks
def test_a_forking_server_has_a_lane_for_each_child(film: Film, program: Callable[..., Program]) -> None:
    """The parent accepts, the child reads: also the bytes that came before the fork are counted once."""
    server = program("server.py", ECHO.format(kind="ForkingTCPServer"))
    port = int(server.line())
    for _ in range(2):
        assert program("client.py", CLIENT, port).wait() == 0
    until(lambda: film.story().count("has left") == 2)
    film.stop()
    assert ways(film) == [
        ("client.py", "child 1 of server.py", 5),
        ("child 1 of server.py", "client.py", 5),
        ("client.py (2)", "child 2 of server.py", 5),
        ("child 2 of server.py", "client.py (2)", 5),
    ]


GREET = """
import multiprocessing, socket, sys

def greet(port):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"hi")
        connection.recv(10)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    process = context.Process(target=greet, args=(int(sys.argv[2]),), name="greeter")
    process.start()
    process.join()
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_processes_of_multiprocessing_have_their_names(
    film: Film, method: str, program: Callable[..., Program]
) -> None:
    """However they are started."""
    port = int(program("server.py", ECHO.format(kind="TCPServer")).line())
    assert program("greet.py", GREET, method, port).wait() == 0
    film.stop()
    assert ways(film) == [("greeter", "server.py", 2), ("server.py", "greeter", 2)]


@forks
def test_processes_are_in_the_order_in_which_they_were_forked(
    film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of them runs first is chance; here it is the second, and the film looks before the first does."""
    (reading, writing), begin = os.pipe(), filmed_child._begin

    def begin_late(folder: str, before: Recorder | None) -> None:
        os.close(writing)
        os.read(reading, 1)  # until the test closes the other end
        begin(folder, before)

    children = list[int]()
    for beginning in (begin_late, begin):
        monkeypatch.setattr(filmed_child, "_begin", beginning)
        if not (child := os.fork()):
            time.sleep(0.001)
            os._exit(0)
        children.append(child)
    os.waitpid(children[1], 0)
    assert list(film.recording().processes.values()) == ["child 1"]
    os.close(writing)
    os.waitpid(children[0], 0)
    os.close(reading)
    assert film.recording().processes == {2: "child 1", 1: "child 2"}
    lanes = film.recording().lanes.values()
    assert [name for name in lanes if name.startswith("child")] == ["child 1", "child 2"]


@forks
def test_an_orphan_keeps_its_name(film: Film) -> None:
    """When its parent has ended, the system says another one."""
    (gate, opened), (ended, living) = os.pipe(), os.pipe()
    if not (child := os.fork()):
        if not os.fork():
            os.close(opened)
            os.read(gate, 1)  # until the test closes the other end
            time.sleep(0.001)
        os._exit(0)
    os.waitpid(child, 0)
    film.waiting()  # so it has looked round since
    os.close(living)
    os.close(opened)
    assert os.read(ended, 1) == b""
    film.stop()
    os.close(gate)
    os.close(ended)
    assert list(film.recording().processes.values()) == ["child 1 of child 1"]


@forks
def test_a_process_that_may_have_no_more_threads_is_not_filmed(
    film: Film, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It goes on as it would alone, and says nothing of that."""

    def refuse(_: Lookout) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(Lookout, "start", refuse)
        if not (child := os.fork()):
            os._exit(len(recorders))
    assert os.waitpid(child, 0) == (child, 0)
    film.stop()
    assert not film.recording().processes
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has handles")
def test_a_film_that_nobody_holds_lets_go_of_its_tapes(program: Callable[..., Program]) -> None:
    """As it lets go of all else."""
    before = psutil.Process().num_fds()
    film = chatlib.xray(processes=True).start()
    waits = program("waits.py", "print('here', flush=True)\ninput()")
    waits.line()
    film.waiting()
    waits.kill()
    del film
    gc.collect()
    assert psutil.Process().num_fds() == before


@forks
def test_bytes_that_both_sides_of_a_fork_move_are_counted_once(film: Film) -> None:
    """Parent and child have the same connection, and read from it by turns."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sender = socket.create_connection(listener.getsockname())
        receiver, _ = listener.accept()
        sender.sendall(b"abcdef")
        assert receiver.recv(2) == b"ab"
        if not (child := os.fork()):
            receiver.recv(2)
            os._exit(0)
        os.waitpid(child, 0)
        assert receiver.recv(2) == b"ef"
        sender.close()
        receiver.close()
    film.stop()
    assert ways(film) == [("here", "here", 2), ("here", "child 1", 2), ("here", "here", 2)]


def test_a_killed_process_leaves_all_to_its_last_call(film: Film, program: Callable[..., Program]) -> None:
    """Nothing had to be handed over; and what it waited for is over."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        text = CLIENT + "    print('sent', flush=True)\n    connection.recv(100)\n"
        killed = program(
            "killed.py", text.replace("connection.recv(100)\n    p", "p"), listener.getsockname()[1]
        )
        connection, _ = listener.accept()
        assert killed.line() == "sent"
        killed.kill()
        assert connection.recv(10) == b"hello"
        connection.close()
    film.stop()
    assert ways(film) == [("killed.py", "here", 5)]
    assert all(span.end is not None for span in film.spans if span.process == 1)


@forks
def test_the_low_numbers_of_files_are_left_to_the_program(
    film: Film, program: Callable[..., Program]
) -> None:
    """In a program that is started, and in a process that is forked."""
    text = "import os\nprint(os.dup(0), flush=True)\nos.fork() or print(os.dup(0), flush=True)"
    numbers = program("numbers.py", text)
    assert (numbers.line(), numbers.line()) == ("3", "4")


@forks
def test_a_process_with_few_files_is_filmed(film: Film, program: Callable[..., Program]) -> None:
    """Where there are no high numbers, low ones have to do."""
    text = "import os, resource, time\nresource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))\n"
    text += "child = os.fork()\ntime.sleep(0.01)\nif child:\n    os.wait()\nelse:\n    os._exit(0)"
    assert program("few.py", text).wait() == 0
    film.stop()
    assert set(film.recording().processes.values()) == {"few.py", "child 1 of few.py"}


def test_a_process_says_until_when_it_has_waited(film: Film, program: Callable[..., Program]) -> None:
    """The call that a killed one was in is told as over."""
    server = program("server.py", ECHO.format(kind="TCPServer"))
    server.line()
    until(lambda: "server.py waits in select" in "\n".join(map(str, film.waiting())))
    server.kill()
    film.stop()
    assert "waits in select for a connection, until its process ended, line" in film.story()
    assert "its process ended" in svg(film.recording())
    assert film.waiting() == []


def test_clients_of_another_process_have_their_names(film: Film, program: Callable[..., Program]) -> None:
    """As `chatlib.connect` has given them there."""
    port = int(program("server.py", ECHO.format(kind="TCPServer")).line())
    text = f"import chatlib\nalice = chatlib.connect(('127.0.0.1', {port}), name='alice')\nalice.send('hi')\n"
    assert program("alice.py", text + "alice.receive()\nalice.close()\n").wait() == 0
    film.stop()
    assert "server.py\n" in film.story()
    assert "  receives 3 bytes from alice (recv)" in film.story()


def test_a_program_that_is_not_filmed_is_told_as_such(
    film: Film, program: Callable[..., Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes leave the film."""
    with monkeypatch.context() as outside:
        outside.delenv("PYTHONPATH")
        port = int(program("server.py", ECHO.format(kind="TCPServer")).line())
    assert program("client.py", CLIENT, port).wait() == 0
    film.stop()
    assert "  sends 5 bytes to a program that is not filmed (sendall)" in film.story()
    assert "received outside this film" in svg(film.recording())


def test_a_film_that_is_over_is_over_in_each_process(program: Callable[..., Program]) -> None:
    """There, too, each class is as it was."""
    with chatlib.xray(processes=True) as film:
        text = "import socket, time\nprint('here', flush=True)\n"
        text += "while hasattr(socket.socket.recv, '__wrapped__'):\n    time.sleep(0.01)\nprint('over')"
        child = program("child.py", text)
        assert child.line() == "here"
    assert child.line() == "over"
    assert not film.running


def test_frames_stand_around_the_threads_of_a_process(film: Film, program: Callable[..., Program]) -> None:
    """With its name above them, if there are several; the legend says so."""
    serve = "import threading\n    threading.Thread(target=server.serve_forever).start()\n    input()"
    text = ECHO.format(kind="ThreadingTCPServer").replace("server.serve_forever()", serve)
    port = int(program("server.py", text).line())
    assert program("client.py", CLIENT, port).wait() == 0
    film.stop()
    picture = svg(film.recording())
    assert picture.count('<rect class="cf-frame"') == 1 + len({one.process for one in film.spans})
    assert '<text class="cf-owner"' in picture
    assert ">a process</text>" in picture


def test_processes_are_named_by_what_they_are() -> None:
    """A fork by its parent, a program by its file; those that are alike by a number."""
    processes = [
        About(10, 1, False, "", "server.py"),
        About(11, 10, True, "", "server.py"),
        About(12, 10, True, "", "server.py"),
        About(13, 1, True, "", "python"),
        About(14, 1, False, "", "client.py"),
        About(15, 1, False, "", "client.py"),
        About(16, 1, True, "Process-1", "x.py"),
        About(17, 16, True, "Process-1", "x.py"),
        About(18, 1, False, "", ""),
    ]
    assert names_of(processes) == [
        "server.py",
        "child 1 of server.py",
        "child 2 of server.py",
        "child 1",
        "client.py",
        "client.py (2)",
        "Process-1",
        "child 1 of Process-1",
        "python",
    ]


COMMON = ("a thread", 3, "recv", "", (("127.0.0.1", 1), ("127.0.0.1", 2)), "done", ("a.py", 1, "f"))
"""What calls have in common."""

TIMES = (1.5, 2.5, 9, 0)


def test_a_tape_keeps_the_last_calls(tmp_path: Path) -> None:
    """Its file does not grow; a reader learns from the numbers how many it has missed."""
    written, number = Tape(str(tmp_path / "a.tape")), 0
    reader = TapeReader(str(tmp_path / "a.tape"))
    size = (tmp_path / "a.tape").stat().st_size
    while number < 300_000:
        number += 1
        written.add(COMMON, number, *TIMES)
    read = list(reader.calls())
    assert read[-1] == (300_000, COMMON, *TIMES)
    assert [row[0] for row in read] == list(range(300_001 - len(read), 300_001))
    assert len(read) * 48 > tape.HALF * 0.99
    assert (tmp_path / "a.tape").stat().st_size == size
    written.add(COMMON, number + 1, *TIMES)
    assert [row[0] for row in reader.calls()] == [300_001]
    reader.close()


def test_a_half_is_empty_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads at just that moment reads nothing twice."""
    written = Tape(str(tmp_path / "a.tape"))
    reader, numbers, number = TapeReader(str(tmp_path / "a.tape")), list[int](), 0
    turn = Tape._turn

    def turn_and_read(self: Tape) -> None:
        turn(self)
        numbers.extend(call[0] for call in reader.calls())

    while written._begun < 3:  # the half that was written first is written anew
        number += 1
        written.add(COMMON, number, *TIMES)
        if number % 1000 == 0:
            numbers += [call[0] for call in reader.calls()]
            monkeypatch.setattr(Tape, "_turn", turn_and_read)
    numbers += [call[0] for call in reader.calls()]
    reader.close()
    assert numbers == list(range(1, number + 1))


def test_a_tape_is_read_while_it_is_written(tmp_path: Path) -> None:
    """No reader sees half of a record, or one twice, or one before another."""
    written = Tape(str(tmp_path / "a.tape"))
    reader = TapeReader(str(tmp_path / "a.tape"))

    def write() -> None:
        for number in range(1, 120_001):
            # Each second call has something in common with no other, the rest with a few.
            written.add((number % 2 and number, "x" * (number % 200)), number, 0.5, float(number), number, 0)
        written.know(("all",), 1.0, 1)

    writer = threading.Thread(target=write)
    writer.start()
    numbers = list[int]()
    while reader.state() != ("all",):
        numbers += [check(row) for row in reader.calls()]
    numbers += [check(row) for row in reader.calls()]
    writer.join(PATIENCE)
    reader.close()
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 120_000


def check(row: tuple[Any, ...]) -> int:
    """Returns the number of a record; it must be whole."""
    number = int(row[0])
    common = (number % 2 and number, "x" * (number % 200))
    assert row == (number, common, 0.5, float(number), number, 0)
    return number


def test_what_is_known_is_not_read_while_it_may_be_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the next state, the writer may have begun the one that takes its place."""
    written, reader = Tape(str(tmp_path / "a.tape")), TapeReader(str(tmp_path / "a.tape"))
    assert written.know(("first",), 1.0, 1)

    def read_late(*args: Any) -> Any:
        monkeypatch.undo()
        assert written.know(("second",), 2.0, 2)
        return 0, ("torn",)

    monkeypatch.setattr(reader, "_record", read_late)
    assert reader.state() == ("second",)
    reader.close()


def test_what_is_too_large_for_a_tape_is_left_out(tmp_path: Path) -> None:
    """Rather than that the program would fail."""
    written = Tape(str(tmp_path / "a.tape"))
    reader = TapeReader(str(tmp_path / "a.tape"))
    assert reader.state() is None
    assert not written.know(("x" * tape.STATE,), 1.0, 1)
    with pytest.raises(ValueError, match="too many"):
        written.append((0, "x" * tape.HALF))
    with pytest.raises(ValueError, match="too many"):
        written.add(("x" * tape.HALF,), 1, *TIMES)
    written.append((0, ""))
    written.add(COMMON, 2, *TIMES)
    assert written.know(("small",), 2.0, 3)
    assert (reader.state(), reader.answer()) == (("small",), (2.0, 3))
    assert list(reader.calls()) == [(0, ""), (2, COMMON, *TIMES)]
    reader.close()


def span(start: float, end: float | None, call: str, process: int, size: int, offset: int) -> Span:
    """A call on one connection, whose ends are A and B."""
    ends = (("a", 1), ("b", 2)) if call == "sendall" else (("b", 2), ("a", 1))
    return Span(0, "MainThread", process, call, "", *ends, start, end, size, offset, "done", None, process)


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 2)), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 2)), max_size=20),
)
@settings(deadline=None)
def test_each_byte_is_in_one_message(sent: list[tuple[int, int]], received: list[tuple[int, int]]) -> None:
    """Wherever the stream is cut, and whichever of the processes that share a connection moves the bytes."""
    spans = list[Span]()
    for call, parts, begin in (("sendall", sent, 0.0), ("recv", received, 0.5)):
        counted = dict.fromkeys(range(3), 0)  # each process counts for itself
        for number, (size, process) in enumerate(parts):
            at = number + begin
            spans.append(span(at, at + 0.1, call, process, size, counted[process]))
            counted[process] += size
    by_process = [[one for one in spans if one.process == process] for process in range(3)]
    numbered = merged(by_process)
    messages = Recording(tuple(numbered)).messages
    assert sum(message.size for message in messages) == sum(size for size, _ in sent)
    for one in numbered:
        own = sum(message.size for message in messages if one in (message.sent, message.received))
        assert own == one.size if one.call == "sendall" else own <= one.size
    taken = sum(message.size for message in messages if message.received)
    assert taken == min(sum(size for size, _ in sent), sum(size for size, _ in received))


TALK = """
import os, random, socket, sys, threading, time

chance = random.Random(int(sys.argv[2]))
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    for _ in range(chance.randrange(1, 30)):
        connection.sendall(bytes(chance.randrange(1, 3000)))
        if chance.random() < 0.5:
            connection.recv(chance.randrange(1, 5000))
    if chance.random() < 0.5:
        os.kill(os.getpid(), 9) if hasattr(os, "fork") else os._exit(9)
"""


@pytest.mark.parametrize("kind", ["ThreadingTCPServer"] + ["ForkingTCPServer"] * hasattr(os, "fork"))
def test_bytes_between_processes_are_drawn_once(
    film: Film, kind: str, program: Callable[..., Program]
) -> None:
    """Of processes that start and end at any time, and are killed: no arrow goes backwards in time."""
    server = program("server.py", ECHO.format(kind=kind))
    port = int(server.line())
    for begin in range(0, 12, 4):
        for talker in [program(f"talk{seed}.py", TALK, port, seed) for seed in range(begin, begin + 4)]:
            talker.wait()
    film.stop()
    drawn: dict[Span, int] = {}
    for message in film.messages:
        drawn[message.sent] = drawn.get(message.sent, 0) + message.size
        assert message.received is None or (message.received.end or 0.0) >= message.sent.start
        assert message.received is None or message.received.process != message.sent.process
    assert drawn == {one: one.size for one in film.spans if one.call in SENDING and one.size}
    taken = sum(one.size for one in film.spans if one.call in RECEIVING)
    assert sum(message.size for message in film.messages if message.received) >= 0.9 * taken > 0
    assert all(arrow.arrives >= arrow.departs for arrow in arrows_of(film.recording()))


def test_a_film_has_room_for_so_many_processes(
    film: Film, program: Callable[..., Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is started later runs unfilmed."""
    monkeypatch.setattr(filmed_child, "MOST", 0)
    if hasattr(os, "fork"):
        if not (child := os.fork()):
            time.sleep(0)
            os._exit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
    film.stop()
    assert not film.recording().processes


def test_a_clock_that_differs_is_set_right() -> None:
    """Spans of a process are told by the clock of this one."""
    slow = later(span(1.0, 2.0, "recv", 1, 5, 0), 0.5)
    assert (slow.start, slow.end) == (1.5, 2.5)
    assert later(span(1.0, None, "recv", 1, 5, 0), 0.5).end is None


def test_what_a_child_does_can_be_done_here(tmp_path: Path) -> None:
    """It writes its calls and what it waits for, answers a look, and ends when the film is over."""
    (tmp_path / "control").write_bytes(bytes(filmed_child.CONTROL.size))
    with chatlib.xray():  # a forked child has its patches
        child = filmed_child.FilmedChild(str(tmp_path), Recorder(10))
    try:
        [file] = tmp_path.glob(f"*{tape.SUFFIX}")
        reader = TapeReader(str(file))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(0.001)
            with pytest.raises(TimeoutError):
                listener.accept()
        with open(tmp_path / "control", "r+b") as control:
            control.write(filmed_child.CONTROL.pack(7, 0, 0))
        until(lambda: reader.state() and reader.answer()[1] == 7)
        named, *calls = reader.calls()
        assert named[0] == 0
        assert "accept" in {common[2] for _, common, *_ in calls}
        state = reader.state()
        assert state
        assert (state[0][0], state[0][2]) == (os.getpid(), True)
        with open(tmp_path / "control", "r+b") as control:
            control.write(filmed_child.CONTROL.pack(7, 1, 0))
        until(lambda: child.recorder not in recorders)
        reader.close()
        filmed_child.begin(str(tmp_path))  # the film is over: nothing begins
        assert not recorders
    finally:
        unwatch(child.recorder)


def run(text: str, **options: Any) -> tuple[str, str, int]:
    """Runs a program to its end; returns what it prints, what it says to stderr, and its status."""
    command = [sys.executable, "-c", text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, **options)
    return done.stdout, done.stderr, done.returncode


@pytest.mark.skipif(not hasattr(os, "pwrite"), reason="Windows keeps room for all of a file")
def test_a_daemon_that_closes_all_descriptors_keeps_its_files(tmp_path: Path) -> None:
    """One of them gets the number of the tape; nothing is written there, and the tape goes on."""
    written = Tape(str(tmp_path / "a.tape"))
    reader = TapeReader(str(tmp_path / "a.tape"))
    descriptor = written._descriptor
    (tmp_path / "own").touch()
    written.beat(time.perf_counter() + PATIENCE, 0)  # just now, however slow this computer is
    with open(tmp_path / "own", "rb") as own:
        os.dup2(own.fileno(), descriptor)
    assert not reader.has_ended  # it has not come to say so
    for number in range(1, 10_001):
        written.add(COMMON, number, *TIMES)
    assert written.know(("known",), 1.0, 1)
    assert [row[0] for row in reader.calls()] == list(range(1, 10_001))
    assert reader.state() == ("known",)
    assert not reader.has_ended  # there is no lock any more, but its process lives
    assert os.fstat(descriptor).st_size == 0
    os.close(descriptor)
    written.beat(2.0, 2)
    assert not reader.has_ended
    reader.close()


@pytest.mark.skipif(not hasattr(os, "SEEK_HOLE"), reason="the system does not tell where a file has room")
def test_a_tape_is_read_on_a_full_disk(tmp_path: Path) -> None:
    """To read where the disk keeps no room would kill the reader: there is room before the first call."""
    Tape(str(tmp_path / "a.tape"))
    with open(tmp_path / "a.tape", "rb") as file:
        assert os.lseek(file.fileno(), tape.HALVES[0], os.SEEK_HOLE) > tape.HALVES[0]


def test_tapes_leave_descriptors_to_the_program(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose tape would need one of the last is not in the film."""
    monkeypatch.setattr(tape_reader, "_most_descriptors", lambda: 0)
    assert run("import time; time.sleep(0.01)") == ("", "", 0)
    film.stop()
    assert not film.recording().processes


@pytest.mark.usefixtures("film")
@pytest.mark.parametrize("change", ["sys.argv.clear()", "sys.argv = [7]", "del sys.argv"])
def test_a_program_may_change_its_arguments(change: str) -> None:
    """Its name is not known then, and it hears nothing of that."""
    assert run(f"import sys, time\n{change}\ntime.sleep(0.2)") == ("", "", 0)


@forks
def test_a_forked_process_that_ends_writes_nothing_of_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its functions for the end, too."""
    (tmp_path / "control").write_bytes(bytes(filmed_child.CONTROL.size))
    with chatlib.xray():
        child = filmed_child.FilmedChild(str(tmp_path), Recorder(10))
    reader = TapeReader(str(next(tmp_path.glob(f"*{tape.SUFFIX}"))))
    child._lookout.stop()
    before = reader.state(), reader.answer()[0]
    with monkeypatch.context() as other:
        other.setattr(os, "getpid", lambda: 1)
        child._end()
    assert (reader.state(), reader.answer()[0]) == before
    child._end()
    assert reader.state()
    assert reader.answer()[0] > before[1]
    reader.close()
    filmed_child._filming.clear()


@forks
def test_two_films_do_not_disturb_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever ends first, the other goes on; and the environment is as it was."""
    monkeypatch.setenv("PYTHONPATH", "before")
    first, second = chatlib.xray(processes=True), chatlib.xray(processes=True)
    for ends, goes_on in ((first, second), (second, first)):
        first.start()
        second.start()
        ends.stop()
        if not (child := os.fork()):
            time.sleep(0.01)
            os._exit(0)
        os.waitpid(child, 0)
        assert run("import time; time.sleep(0.01)") == ("", "", 0)
        goes_on.stop()
        assert set(goes_on.recording().processes.values()) == {"child 1", "python"}
        assert os.environ["PYTHONPATH"] == "before"


def test_a_film_that_nobody_ends_leaves_no_file(tmp_path: Path) -> None:
    """Neither at the end of its program, nor when no code holds it any more."""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "TEMP": str(tmp_path), "TMP": str(tmp_path)}
    text = "import chatlib, gc, os\nfilm = chatlib.xray(processes=True).start()\n"
    text += "print('film-' in os.environ['PYTHONPATH'])\n"
    assert run(text, env=environment) == ("True\n", "", 0)
    assert not list(tmp_path.iterdir())
    text += "del film\ngc.collect()\nprint(os.listdir(os.environ['TMPDIR']))\n"
    assert run(text, env=environment) == ("True\n[]\n", "", 0)


FORK_IN_THREAD = """
import os, socket, threading

def fork():
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)
    print("forked", flush=True)
    socket.create_server(("127.0.0.1", 0)).accept()

thread = threading.Thread(target=fork, name="forking", daemon=True)
thread.start()
thread.join()
"""


@forks
def test_a_process_is_seen_whose_main_thread_waits_while_another_forks(
    film: Film, program: Callable[..., Program]
) -> None:
    """What it waits for is looked at again after the fork."""
    assert program("forking.py", FORK_IN_THREAD).line() == "forked"
    until(lambda: "forking waits in accept" in "\n".join(map(str, film.waiting())))


@forks
@pytest.mark.usefixtures("film")
def test_the_numbers_of_closed_standard_files_are_those_of_the_program() -> None:
    """A daemon closes them, forks, and opens others."""
    text = "import os\nos.close(0)\nif not (child := os.fork()):\n"
    text += "    os._exit(os.open(os.devnull, os.O_RDONLY))\n"
    text += "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    assert run(text) == ("0\n", "", 0)


def test_a_program_that_outlives_the_film_hands_its_folder_to_no_other(
    program: Callable[..., Program],
) -> None:
    """Who makes a folder of that name later could have it run what they like."""
    text = "import os\nprint('here', flush=True)\nwhile 'chatlib-film' in os.environ.get('PYTHONPATH', ''):\n"
    text += "    os.stat('.')\nprint('gone', flush=True)\n"
    with chatlib.xray(processes=True):
        child = program("child.py", text)
        assert child.line() == "here"
    assert child.line() == "gone"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell who lives")
def test_the_film_of_a_process_that_was_killed_is_over(program: Callable[..., Program]) -> None:
    """Those that it has started go on, unfilmed."""
    inner = (
        "import os\nwhile 'chatlib-film' in os.environ['PYTHONPATH']: os.stat('.')\nprint('gone', flush=True)"
    )
    text = "import chatlib, os, subprocess, sys, time\nos.environ['PYTHONPATH'] = 'x'\n"
    text += "film = chatlib.xray(processes=True).start()\n"
    text += f"child = subprocess.Popen([sys.executable, '-c', {inner!r}])\ntime.sleep(0.5)\n"
    text += "print(film._children._folder, flush=True)\nos.kill(os.getpid(), 9)\n"
    killed = program("killed.py", text)
    folder = Path(killed.line())
    assert killed.wait() < 0
    assert killed.line() == "gone"
    shutil.rmtree(folder)


def test_a_module_that_is_half_imported_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is looked at while its program imports."""
    for name in ("chatlib.client", "multiprocessing.process"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    assert not list(filmed_child.named_clients())
    assert filmed_child.program_names()[0] == ""


def test_a_parent_that_closes_its_copy_has_not_hung_up(film: Film, program: Callable[..., Program]) -> None:
    """The child has the connection still: the end that the client reads is the child's."""
    if not hasattr(os, "fork"):
        return
    port = int(program("server.py", ECHO.format(kind="ForkingTCPServer")).line())
    text = CLIENT + "    connection.shutdown(socket.SHUT_WR)\n    connection.recv(100)\n"
    assert program("client.py", text, port).wait() == 0
    until(lambda: film.story().count("has left") == 2)
    film.stop()
    assert "  leaves client.py to another process (close), line" in film.story()
    names = film.recording().processes
    ends = [names[arrow.source.process] for arrow in arrows_of(film.recording()) if arrow.kind == "end"]
    assert sorted(ends) == ["child 1 of server.py", "client.py"]


def test_pairs_of_two_processes_are_not_mixed_up(film: Film, program: Callable[..., Program]) -> None:
    """Each process numbers its pairs by itself, and a forked one goes on like its parent."""
    text = (
        "import socket\none, other = socket.socketpair()\ninput()\none.sendall(b'a')\ninput()\nother.recv(9)"
    )
    pairs = [program(f"pair{number}.py", text) for number in range(2)]
    for number, each in enumerate((*pairs, *reversed(pairs)), 1):  # both have sent before one reads
        assert each.process.stdin
        each.process.stdin.write("\n")
        each.process.stdin.flush()
        while sum(span.size for span in film.spans) < number:
            time.sleep(0.01)
    assert [each.wait() for each in pairs] == [0, 0]
    film.stop()
    assert {(sent, received) for sent, received, _ in ways(film)} == {
        ("pair0.py", "pair0.py"),
        ("pair1.py", "pair1.py"),
    }


def test_the_calls_of_packages_are_filmed_in_programs(
    film: Film, tmp_path: Path, program: Callable[..., Program]
) -> None:
    """Told by the line that leads into the package; or else by the package's own."""
    package = tmp_path / "site-packages"
    package.mkdir()
    text = (
        "import socket\n\ndef greet(port):\n    with socket.create_connection(('127.0.0.1', port)) as one:\n"
    )
    (package / "greeting.py").write_text(text + "        one.sendall(b'hello')\n        one.recv(100)\n")
    port = int(program("server.py", ECHO.format(kind="TCPServer")).line())
    path = f"import sys\nsys.path.append({str(package)!r})\nimport greeting, threading\n"
    assert program("led.py", f"{path}greeting.greet({port})\n").wait() == 0
    alone = f"{path}one = threading.Thread(target=greeting.greet, args=[{port}])\none.start()\none.join()\n"
    assert program("alone.py", alone).wait() == 0
    film.stop()
    story = film.story()
    assert ways(film)[0] == ("led.py", "server.py", 5)
    assert f"  sends 5 bytes to the server (sendall), line 4: greeting.greet({port})" in story
    assert "  sends 5 bytes to the server (sendall), greeting.py: one.sendall(b'hello')" in story
    assert "not filmed" not in story


WAITS = """
import multiprocessing, os, subprocess, sys, time

def work(box, pipe, lock):
    pipe.send(True)
    with lock:
        box.put(box.get())
    pipe.send(False)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    box, lock, (here, there) = context.Queue(), context.Lock(), context.Pipe()
    process = context.Process(target=work, args=(box, there, lock), name="worker")
    lock.acquire()
    process.start()
    process.join(0.01)
    box.put(1)
    here.recv()
    time.sleep(0.3)
    lock.release()
    here.recv()
    process.join()
    try:
        subprocess.run([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, timeout=0.01)
    except subprocess.TimeoutExpired:
        pass
    subprocess.Popen([sys.executable, "-c", ""]).wait()
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_what_waits_for_other_processes_is_told(
    film: Film, method: str, program: Callable[..., Program]
) -> None:
    """Also if a program imports `multiprocessing` and `subprocess` while it is filmed."""
    assert program("waits.py", WAITS, method).wait() == 0
    film.stop()
    told = {(span.call, span.subject): span.outcome for span in film.spans}
    assert told["join", "the end of worker"] == "done"
    assert ("join", "the end of worker", "timeout") in {
        (span.call, span.subject, span.outcome) for span in film.spans
    }
    assert told["Connection.recv", "an object from the other end"] == "done"
    assert told["acquire", "a lock of several processes"] == "done"
    assert told["get", "an item in a queue"] == "done"
    assert told["communicate", "the output and the end of another process"] == "timeout"
    assert told["wait", "the end of another process"] == "done"


@forks
def test_a_wait_for_another_process_is_never_said_to_be_for_ever(film: Film) -> None:
    """That may be one which is not filmed, and it will end."""
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    waiter = threading.Thread(target=os.waitpid, args=(child.pid, 0), name="waiter")
    waiter.start()
    until(lambda: any((each.thread, each.call) == ("waiter", "waitpid") for each in film.waiting()))
    assert not any(finding.certain for finding in film.verdict().findings)
    assert child.stdin
    child.stdin.close()
    waiter.join()
    child.wait()


def test_what_the_film_finds_later_is_as_before_when_it_is_over(program: Callable[..., Program]) -> None:
    """Nothing of it stays in Python's list of those that find modules, or in the modules."""
    text = "import sys, time\nbefore = list(sys.meta_path)\nimport multiprocessing.connection as found\n"
    text += "own = found.Connection.recv\nprint(hasattr(own, '__wrapped__'), flush=True)\n"
    text += "while hasattr(found.Connection.recv, '__wrapped__'):\n    time.sleep(0.01)\n"
    text += "print(len(before) - len(sys.meta_path), 'exec_module' in vars(found.__spec__.loader))"
    with chatlib.xray(processes=True):
        child = program("child.py", text)
        assert child.line() == "True"
    assert child.line() == "1 False"
