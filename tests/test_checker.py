"""The checker: what it makes of good servers, of bad ones, and of what is no server at all."""

import contextlib
import io
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import psutil
import pytest
from faults import POSIX, SOON, environment, eventually, together, untraced

import chatlib
from chatlib.checker import check as checking
from chatlib.checker.case import Case, Outcome, Verdict, step
from chatlib.checker.harness.dialect import DIALECTS, Dialect, dialect_of, show
from chatlib.checker.harness.launcher import Launcher
from chatlib.checker.harness.session import Session
from chatlib.checker.harness.timeouts import measured
from chatlib.checker.report import Report, points_of
from chatlib.checker.runner import Runner
from chatlib.checker.specimens.forgets_to_remove import ForgetsToRemove
from chatlib.checker.specimens.threads import Client as ThreadsClient
from chatlib.checker.steps import flood
from chatlib.checker.targets import program, program_run
from chatlib.checker.targets.capture import overheard
from chatlib.checker.targets.remote import Remote
from chatlib.checker.targets.resolve import target_of
from chatlib.checker.targets.target import Target
from chatlib.cli import main

SCHEMA = json.loads(Path(checking.__file__).with_name("report.schema.json").read_text("utf-8"))


def script(folder: Path, text: str, name: str = "server.py") -> str:
    """Writes a program; returns its path."""
    path = folder / name
    path.write_text(text, "utf-8")
    return str(path)


RELAY = """
import socket, sys, threading
clients = []
def serve(client):
    try:
        while data := client.recv(1024):
            for other in clients[:]:
                if other is not client:
                    other.sendall(data)
    except OSError:
        pass
    finally:
        clients.remove(client)
        client.close()
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = listener.accept()
    clients.append(client)
    threading.Thread(target=serve, args=(client,), daemon=True).start()
"""
"""What many write: it passes on whatever one recv brings."""


def judge(target: Target, cases: list[Case[Session]], dialect: Dialect) -> list[Verdict]:
    """Takes cases of a test's own making."""
    with target, Launcher(target) as launcher:
        return Runner(launcher, dialect).run(cases)


def test_a_server_that_is_running_already_is_checked_and_left_running() -> None:
    """What would need to start it again is skipped, and says so."""
    with chatlib.running(chatlib.RawThreadServer, service=chatlib.Broadcast()) as server:
        report = chatlib.check(server, cases=["delivery", "lifecycle", "departures.many"])
        assert report.passed
        assert len(report.of(Outcome.SKIPPED)) == 5
        assert "its memory, threads and descriptors must be visible" in report.of(Outcome.SKIPPED)[0].reason
        assert eventually(lambda: not server.clients)  # those of the check are still leaving
        with chatlib.connect(server) as a, chatlib.connect(server) as b:
            assert eventually(lambda: len(server.clients) == 2)
            a.send("still here")
            assert b.receive(SOON) == "still here"


@pytest.mark.parametrize(
    ("dialect", "service"),
    [("lines", chatlib.Broadcast), ("shout", chatlib.Shout), ("budget-chat", chatlib.Chat)],
)
def test_the_dialect_is_found_by_talking(dialect: str, service: type[chatlib.Service]) -> None:
    """Three services, three dialects."""
    report = chatlib.check(
        lambda address: chatlib.ThreadingServer(address, service()),
        "auto",
        cases=["delivery.reach", "delivery.answer"],
    )
    assert (report.dialect.name, report.asked, report.passed) == (dialect, "auto", True)


def test_a_server_without_framing_is_found_to_be_raw_and_fails_as_lines(tmp_path: Path) -> None:
    """As raw it promises no lines; as lines it is held to them."""
    path = script(tmp_path, RELAY)
    assert chatlib.check(path, "auto", cases=["delivery.reach"]).dialect.name == "raw"
    report = chatlib.check(path, "lines", cases=["delivery", "framing"])
    assert set(report.failed) == {"framing.split", "framing.joined", "framing.letter"}


@pytest.mark.parametrize(("prompt", "echo"), [("Name: ", True), ("", False)])
def test_names_and_echoes_are_found_out(tmp_path: Path, prompt: str, echo: bool) -> None:
    """With and without a question for the name; the sender hears itself or does not."""
    text = RELAY.replace(
        "    try:\n        while data := client.recv(1024):\n",
        f"    client.sendall({prompt.encode()!r})\n"
        "    name = client.recv(100).strip()\n    clients.append(client)\n"
        "    try:\n        while data := client.recv(1024):\n            data = name + b': ' + data\n",
    ).replace("    clients.append(client)\n    threading", "    threading")
    text = text.replace("if other is not client", "if True") if echo else text
    report = chatlib.check(script(tmp_path, text), "auto", cases=["delivery.reach", "delivery.sender"])
    assert report.passed, str(report)
    assert (report.dialect.name_first, report.dialect.prefix, report.dialect.echo) == (True, True, echo)


def test_what_was_not_found_out_is_said_to_be_assumed(mixed: Report) -> None:
    """Also where it was to be found out, but the server hangs up without a word."""
    assert "textbook, assumed: shout: " in str(mixed)

    def curt(address: tuple[str, int]) -> socketserver.TCPServer:
        return socketserver.TCPServer(address, socketserver.BaseRequestHandler)

    report = chatlib.check(curt, "auto", cases=["lifecycle.descriptors"])
    assert "curt, assumed: lines: " in str(report) and not report.record()["dialect"]["found"]


def test_who_confuses_two_that_come_together_is_understood_all_the_same(tmp_path: Path) -> None:
    """A thread that looks up whom it serves only a moment later: found to be raw, as it is."""
    confused = RELAY.replace(
        "def serve(client):\n", "def serve(_):\n    time.sleep(0.02)\n    client = clients[-1]\n"
    )
    path = script(tmp_path, confused.replace("import socket, sys", "import socket, sys, time"))
    assert chatlib.check(path, "auto", cases=["delivery.reach"]).dialect.name == "raw"


def test_what_is_not_seen_in_time_breaks_no_promise() -> None:
    """The time for a whole case is over: it is skipped, and says so."""
    [reach] = checking.chosen_cases(["delivery.reach"])
    target = target_of(lambda address: chatlib.RawThreadServer(address, chatlib.Broadcast()))
    [verdict] = judge(target, [replace(reach, deadline=0.0)], DIALECTS["lines"])
    assert (verdict.outcome, verdict.reason) == (
        Outcome.SKIPPED,
        "its time was over before this could be seen",
    )


def test_options_say_what_is_expected(tmp_path: Path) -> None:
    """A sender that should hear itself, and does not, is a broken promise; so is a missing prefix."""
    path = script(tmp_path, RELAY)
    report = chatlib.check(path, "lines", echo=True, prefix=True, cases=["delivery.reach", "delivery.sender"])
    assert report.failed == ("delivery.reach",)
    assert chatlib.check(path, "lines", echo=True, cases=["delivery.sender"]).failed == ("delivery.sender",)


class Deaf:
    """Accepts nobody, and says nothing; its clients wait in the kernel."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.listener = socket.create_server(address)
        self.server_address = self.listener.getsockname()
        self.over = threading.Event()

    def serve_forever(self) -> None:
        self.over.wait()

    def shutdown(self) -> None:
        self.over.set()

    def server_close(self) -> None:
        self.listener.close()


def test_a_deaf_server_is_asked_no_further() -> None:
    """Where no line arrives, the rest is not tried: it takes no time at all."""
    report = chatlib.check(Deaf, "lines")
    reach, *others = report.verdicts
    assert report.failed == (reach.case.id,) == ("delivery.reach",)
    assert {(verdict.outcome, verdict.seconds) for verdict in others} == {(Outcome.SKIPPED, 0.0)}
    assert "before delivery.reach passes" in others[0].reason
    assert str(report).count("Another dialect? Try auto.") == 1


class Late(ForgetsToRemove):
    """What a client says arrives after the end of its connection."""

    def write(self, client: ThreadsClient) -> None:
        with contextlib.suppress(OSError):
            while data := self.owed(client):
                time.sleep(0.02)
                client.sock.sendall(data)


def test_a_line_may_arrive_after_the_connection_of_its_speaker_has_ended() -> None:
    """Which of the two is seen first is chance, and must not decide whether a case is judged."""
    [verdict] = chatlib.check(Late, "lines", cases=["departures.many"]).verdicts
    assert verdict.failure is not None, verdict.reason
    assert verdict.failure.actual == "the server closed the connection of alice"


class Upper(socketserver.StreamRequestHandler):
    """A textbook's handler."""

    def handle(self) -> None:
        while line := self.rfile.readline():
            self.wfile.write(line.upper())


def textbook(address: tuple[str, int]) -> socketserver.TCPServer:
    """Returns a textbook's server: one at a time."""
    return socketserver.TCPServer(address, Upper)


@pytest.fixture(scope="module")
def mixed() -> Report:
    """A report with something of each kind."""
    cases = ["delivery.answer", "isolation.silent", "departures.reset", "lifecycle.descriptors"]
    return chatlib.check(textbook, "shout", cases=cases)


def test_a_failure_says_what_was_done_what_was_expected_and_who_waits(mixed: Report) -> None:
    """The X-ray names the client that the server waits for."""
    [failure] = [verdict.failure for verdict in mixed.of(Outcome.FAIL)]
    assert failure is not None
    assert failure.done == ("sam connects and says nothing",)
    assert failure.step == "alice and bob join and greet each other"
    assert (failure.expected, failure.actual) == ("alice gets an answer", "alice heard nothing of it in time")
    assert any("for sam" in waiting for waiting in failure.waiting), failure.waiting
    text = str(mixed)
    for part in ("FAIL isolation.silent", "went well", "expected", "X-ray", "hint", "lesson"):
        assert part in text


class Spinning(socketserver.BaseRequestHandler):
    """Goes on when the client has left."""

    def handle(self) -> None:
        while True:
            data = self.request.recv(1024)
            if data:
                self.request.sendall(data.upper())


class SpinningServer(socketserver.ThreadingTCPServer):
    """Has a thread for each client, which never ends by itself."""

    daemon_threads = True
    allow_reuse_address = True


def check_spinning() -> None:
    """Prints what has failed, and whether all its threads have ended."""
    before = threading.active_count()
    report = chatlib.check(
        lambda address: SpinningServer(address, Spinning), "shout", cases=["departures.fin"]
    )
    print(*report.failed)
    print(eventually(lambda: threading.active_count() <= before))


def test_a_spinning_thread_is_ended_with_its_server() -> None:
    """Nothing is left in a process of a server whose thread never ends by itself."""
    failed, ended = untraced(check_spinning)
    assert "departures.fin" in failed and ended == "True"


def test_what_a_server_prints_is_kept_and_shown_with_the_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """A megabyte does not reach the notebook; the last lines, and an exception, stand in the report."""

    class Talkative(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                print("x" * 10_000)
                self.wfile.write(line.lower())
                raise ValueError("no more")

    report = chatlib.check(lambda address: socketserver.ThreadingTCPServer(address, Talkative), "shout")
    failure = report.verdicts[0].failure
    assert failure is not None and any("ValueError: no more" in line for line in failure.said), failure
    assert capsys.readouterr() == ("", "")


def test_what_other_threads_write_is_kept_in_whatever_form(capsys: pytest.CaptureFixture[str]) -> None:
    """Text and bytes; what the checker's own thread writes goes on to its stream."""

    def speak() -> None:
        sys.stdout.buffer.write("café ".encode(sys.stdout.encoding))
        print("and tea", flush=True)

    with overheard() as kept:
        print("mine", flush=True)
        together(speak)
    assert "".join(kept) == "café and tea\n"
    assert capsys.readouterr().out == "mine\n"


def test_a_stream_that_was_closed_meanwhile_is_left_alone_by_what_stands_in_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stand-in that is collected later closes; from Python 3.13 on, an error in that is reported."""
    stream = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", stream)
    with overheard():
        stand_in = sys.stdout
    stream.close()
    stand_in.close()


def print_beyond() -> None:
    """Prints two words in a thread; between them, the other threads cease to be overheard."""
    within, over = threading.Event(), threading.Event()

    class Slow:
        def __str__(self) -> str:
            within.set()
            return str(over.wait(SOON))

    with overheard():
        thread = threading.Thread(target=print, args=(Slow(), "more"))
        thread.start()
        assert within.wait(SOON)
    over.set()
    thread.join(SOON)
    print(thread.is_alive())


def test_who_prints_on_afterwards_writes_into_nothing_that_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`print` only borrows `sys.stdout`. In debug mode, freed memory is overwritten: to use it is a crash."""
    monkeypatch.setenv("PYTHONMALLOC", "debug")
    assert untraced(print_beyond) == ["False"]


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (42, "42 cannot be checked"),
        ("nowhere.py", "there is no nowhere.py"),
        ("127.0.0.1:1", "cannot connect to 127.0.0.1:1: nobody listens there"),
        ("127.0.0.1:99999", "99999 is not a port"),
        ("93.184.216.34:80", "is a public address"),
        ("192.168.1.7:80", "is another computer: if it is yours, say --lan"),
        ("example.org:80", "example.org is a name"),
        (["node", "server.js"], "does not say where the port goes"),
        (["no-such-program-anywhere", "{port}"], "no-such-program-anywhere"),
        (lambda address: None, "has no serve_forever"),
        (lambda address, handler: None, "give a function that needs only the address"),
        (type("Failing", (), {"__init__": lambda self, address: 1 / 0}), "ZeroDivisionError"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),  # the same in every run
)
def test_what_is_no_server_is_said_in_a_sentence(target: Any, sentence: str) -> None:
    """One clear sentence for each, and no verdict."""
    with pytest.raises(chatlib.TargetError, match="(?i)" + sentence.replace("(", r"\(")) as raised:
        chatlib.check(target)
    assert len(str(raised.value).splitlines()[0]) < 300


def test_a_server_that_does_not_say_where_it_listens_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be connected to, a sentence says why, and its thread does not go on."""
    monkeypatch.setattr("chatlib.checker.targets.in_process.STARTS_WITHIN", 0.1)

    class Nowhere:
        def __init__(self, address: Any) -> None:
            self.listener, self.over = socket.create_server(address), threading.Event()

        def serve_forever(self) -> None:
            self.over.wait(SOON)

        def shutdown(self) -> None:
            self.over.set()

        def server_close(self) -> None:
            self.listener.close()

    before = set(threading.enumerate())
    with pytest.raises(chatlib.TargetError, match="its server_address must be the host and port"):
        chatlib.check(Nowhere, cases=["delivery.reach"])
    assert eventually(lambda: set(threading.enumerate()) <= before)


@pytest.mark.parametrize(
    ("text", "sentence", "within"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'", SOON),
        ("print('bye')", "has ended, with exit code 0", SOON),
        (
            "import time; time.sleep(600)",
            "it listens on no port .does it ask for input.., and printed nothing",
            0.5,
        ),
        (RELAY.replace("int(sys.argv[1])", "0"), "it listens on port .*, not on .*, which it was told", SOON),
    ],
    ids=["crashes", "ends", "never listens", "another port"],
)
def test_a_program_that_does_not_start_is_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str, within: float
) -> None:
    """A traceback's last lines are the student's error."""
    monkeypatch.setattr(program.ProgramTarget.start, "__defaults__", (0, 0, within))
    monkeypatch.setattr(program_run, "ELSEWHERE", 0.2)
    with pytest.raises(chatlib.TargetError, match=sentence.replace(".*", r"\d+")):
        chatlib.check(script(tmp_path, text))


def test_a_directory_and_a_file_that_cannot_run_are_no_targets(tmp_path: Path) -> None:
    """Each is told what to give instead."""
    with pytest.raises(chatlib.TargetError, match="is a directory: give the script in it"):
        target_of(tmp_path)
    with pytest.raises(chatlib.TargetError, match="say how it is run, as in -- node"):
        target_of(script(tmp_path, "", "server.js"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"dialect": "latin"}, "is not a dialect"),
        ({"cases": ["nonsense"]}, "there is no case 'nonsense': the topics are delivery"),
        ({"cases": ["framing.splt"]}, r"no case 'framing.splt' \(did you mean framing.split\?\): the topics"),
        ({"cases": "delivry"}, r"no case 'delivry' \(did you mean delivery\?\): .* check --list prints all"),
        ({"dialect": "shout", "echo": True}, "leaves nothing open: echo"),
    ],
)
def test_bad_arguments_are_told_before_anything_starts(arguments: dict[str, Any], sentence: str) -> None:
    """A mistake in the call costs no time."""
    with pytest.raises(ValueError, match=sentence):
        chatlib.check(Deaf, **arguments)


def test_a_public_address_is_refused_also_with_a_word_by_hand() -> None:
    """`lan` is for a private network, and nothing else."""
    for address in ("93.184.216.34:80", "224.0.0.1:80", "255.255.255.255:80"):
        with pytest.raises(chatlib.TargetError, match="is a public address"):
            target_of(address, lan=True)


@POSIX
def test_a_program_that_prints_a_megabyte_and_one_with_a_fixed_port_are_checked(tmp_path: Path) -> None:
    """Its output never blocks it; its port is told by hand, and it is started again for each case."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    text = RELAY.replace("int(sys.argv[1])", str(port)).replace(
        "while True:", "print('x' * 1_000_000)\nwhile True:"
    )
    report = chatlib.check(script(tmp_path, text), "raw", port=port, cases=["delivery", "departures.reset"])
    assert report.passed, str(report)


@POSIX
def test_a_fixed_port_that_is_not_free_again_is_given_as_the_reason(tmp_path: Path) -> None:
    """Once one has ended before its clients did, the next cannot start: `lifecycle.again` says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    listen = f"socket.socket(); listener.bind(('127.0.0.1', {port})); listener.listen()"
    path = script(tmp_path, RELAY.replace('socket.create_server(("127.0.0.1", int(sys.argv[1])))', listen))
    report = chatlib.check(path, "raw", port=port, cases=["lifecycle.again", "lifecycle.busy"])
    assert report.failed == ("lifecycle.again",)
    [_, busy] = report.verdicts
    assert (busy.outcome, busy.blocked) == (Outcome.SKIPPED, True), str(report)
    assert f"(port {port} is still in use: by another program, or by connections of" in str(report)
    assert "if it does not set SO_REUSEADDR (see the case lifecycle.again)" in busy.reason


@POSIX
def test_a_greedy_program_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More memory than it may use: it is killed, and the report says so."""
    monkeypatch.setattr(program_run, "MEMORY", 200 << 20)
    greedy = RELAY.replace("        while data", "        hoard = bytearray(400 << 20)\n        while data")
    report = chatlib.check(script(tmp_path, greedy), "raw", cases=["delivery.reach"])
    failure = report.verdicts[0].failure
    assert failure is not None and "more than 200 MiB of memory" in failure.actual, report


@POSIX
def test_a_program_that_becomes_too_many_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork bomb ends before the computer does."""
    monkeypatch.setattr(program_run, "PROCESSES", 0)
    report = chatlib.check(script(tmp_path, RELAY), "raw", cases=["departures.idle"])
    assert "it became more than 0 processes" in str(report)


@POSIX
@pytest.mark.parametrize("rest, passes", [(5.0, True), (0.0, False)])
def test_a_server_that_works_now_and_then_is_not_busy_all_the_time(
    tmp_path: Path, rest: float, passes: bool
) -> None:
    """As asyncio does when no descriptor is left: for a while each second, and longer on a slow machine."""
    at_work = f"""
import threading, time
def work():
    while True:
        end = time.thread_time() + 0.7
        while time.thread_time() < end:
            pass
        time.sleep({rest})
threading.Thread(target=work, daemon=True).start()
{RELAY}"""
    report = chatlib.check(script(tmp_path, at_work), "raw", cases=["departures.idle"])
    assert report.passed is passes, report
    assert passes or "it was busy all the time" in str(report)


@POSIX
def test_that_asyncio_never_rests_without_descriptors_is_not_held_against_a_server(tmp_path: Path) -> None:
    """It tries again too often by itself: on a slow machine all the time, here with a shorter delay."""
    relay = """
import asyncio, sys
from asyncio import constants
constants.ACCEPT_RETRY_DELAY = 0.05
writers = set()
async def serve(reader, writer):
    writers.add(writer)
    try:
        while line := await reader.readline():
            for other in writers - {writer}:
                other.write(line)
    except OSError:
        pass
    finally:
        writers.discard(writer)
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""
    report = chatlib.check(script(tmp_path, relay), "raw", cases=["lifecycle.descriptors"])
    assert report.passed and not report.verdicts[0].reason, report


@POSIX
def test_what_a_program_leaves_behind_is_ended(tmp_path: Path) -> None:
    """Also a child in a session of its own, which outlives its parent's group."""
    pids = tmp_path / "pids"
    child = "import time; time.sleep(600)"
    text = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {child!r}], start_new_session=True)
open({str(pids)!r}, "a").write(f"{{child.pid}}\\n")
{RELAY}"""
    assert chatlib.check(script(tmp_path, text), "raw", cases=["delivery.reach"]).passed
    left = [int(pid) for pid in pids.read_text().split()]
    assert left and eventually(lambda: not any(map(_runs, left)))


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


DETACHED = """
import os, subprocess, sys, time
if len(sys.argv) > 2:
    time.sleep(600)
apart = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
subprocess.Popen([sys.executable, __file__, "", "apart"], start_new_session=True, **apart)
"""
"""Begins a program with a child that has left its group, so that killing the group does not end it."""


@contextlib.contextmanager
def marked(mark: str) -> Iterator[Callable[[], list[Any]]]:
    """Yields what returns all processes with a mark in their environment; none of them is left at the end."""

    def all_marked() -> list[Any]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("MARK") == mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    try:
        yield all_marked
    finally:
        for process in all_marked():
            process.kill()


@POSIX
@pytest.mark.parametrize("moment", ["a process starts", "a server runs"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_an_interrupted_check_leaves_no_process(tmp_path: Path, number: signal.Signals, moment: str) -> None:
    """However and whenever the checker ends, its programs end too; on Linux, with children of any session."""
    path = script(tmp_path, (DETACHED if sys.platform == "linux" else "") + RELAY)
    command = [sys.executable, "-m", "chatlib", "check", path, "--dialect", "raw"]
    surroundings, silent = environment() | {"MARK": str(tmp_path)}, subprocess.DEVNULL
    with (
        marked(str(tmp_path)) as running,
        subprocess.Popen(command, env=surroundings, stdout=silent, stderr=subprocess.PIPE) as checking,
    ):
        enough = 2 if moment == "a process starts" else 4
        assert eventually(lambda: len(running()) >= enough)
        checking.send_signal(number)
        assert checking.wait(SOON) != 0
        assert eventually(lambda: not running()), running()
        assert checking.stderr is not None and b"Traceback" not in checking.stderr.read()


EARLY = """
import os, signal
from chatlib.checker.targets import supervisor
os.setsid = lambda: (os.write(1, b"forked"), signal.pause())
supervisor.main()
"""


@POSIX
def test_a_program_is_ended_before_it_has_a_session_of_its_own() -> None:
    """Letting go of the leash so early ends the program as well; its supervisor does not wait for ever."""
    command, pipe = [sys.executable, "-c", EARLY, "{}", "true"], subprocess.PIPE
    with subprocess.Popen(command, env=environment(), stdin=pipe, stdout=pipe) as supervisor:
        assert supervisor.stdin and supervisor.stdout
        children = _children(supervisor.pid) if supervisor.stdout.read(6) == b"forked" else []
        supervisor.stdin.close()
        try:
            assert supervisor.wait(SOON) == 128 + signal.SIGKILL
        finally:
            for process in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()


@POSIX
def test_an_interrupt_between_the_cases_leaves_nothing(tmp_path: Path) -> None:
    """Several servers are at work then."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    cases = ["departures", "framing"]
    with pytest.raises(KeyboardInterrupt):
        chatlib.check(script(tmp_path, RELAY), "raw", cases=cases, progress=interrupt)
    assert eventually(lambda: not any(str(tmp_path) in " ".join(_line(p)) for p in _children(os.getpid())))


def _children(pid: int) -> list[Any]:
    return list(psutil.Process(pid).children(recursive=True))


def _line(process: Any) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def test_json_has_the_form_of_the_schema(mixed: Report) -> None:
    """With and without points; and the schema is one that can be broken."""
    jsonschema.validate(json.loads(mixed.json()), SCHEMA)
    record = mixed.record({"delivery": 2, "isolation.silent": 3, "lifecycle": 5})
    jsonschema.validate(record, SCHEMA)
    assert record["counts"] == {"pass": 1, "fail": 1, "skipped": 2, "error": 0}
    assert record["points"] == {"earned": 2.0, "possible": 5.0, "unjudged": 5.0}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(record | {"counts": {}}, SCHEMA)


def test_junit_has_a_case_for_each_verdict(mixed: Report) -> None:
    """As graders and CI systems read it."""
    suite = ElementTree.fromstring(mixed.junit({"delivery.answer": 1}))
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["4", "1", "0", "2"]
    failed = suite.find("testcase[@name='isolation.silent']/failure")
    assert failed is not None and "alice gets an answer" in str(failed.get("message"))
    assert "lesson" in str(failed.text)
    assert suite.find("properties/property[@name='earned']") is not None


@step("it stumbles")
def stumble(session: Session) -> None:
    """A step with a mistake in it."""
    raise LookupError("no such thing")


def test_a_fault_of_the_checker_never_counts_as_the_servers() -> None:
    """It is an error, with what went wrong; a grader gives no points and takes none."""
    case = Case("checker.stumbles", "It stumbles", "A step fails.", (stumble(),), "None.", "00 Start here")
    dialect = dialect_of("shout", None, None, None)
    report = Report("textbook", dialect, tuple(judge(target_of(textbook), [case], dialect)))
    [verdict] = report.of(Outcome.ERROR)
    assert "LookupError: no such thing" in verdict.reason and not report.passed and not report.failed
    assert report.summary == "1 could not be judged (the checker's own fault)"
    assert report.points({"checker": 2}) == {"earned": 0, "possible": 0, "unjudged": 2}


def test_html_shows_hostile_text_as_text(mixed: Report) -> None:
    """What came from a server is shown, never run."""
    hostile = Report("<script>alert(1)</script>", mixed.dialect, mixed.verdicts)
    page = hostile._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "isolation.silent" in page and "hint" in page


def test_a_report_prints_the_same_each_time() -> None:
    """No times, no ports: a notebook can be compared with its last run."""

    class Twice(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                self.wfile.write(2 * line.upper())

    def server(address: tuple[str, int]) -> socketserver.TCPServer:
        return socketserver.ThreadingTCPServer(address, Twice)

    reports = [chatlib.check(server, "shout", cases=["delivery"]) for _ in range(2)]
    assert reports[0].failed == ("delivery.order", "delivery.talkers")
    assert str(reports[0]) == str(reports[1])
    assert reports[0]._repr_html_() == reports[1]._repr_html_()


def test_a_table_of_points_is_read(tmp_path: Path) -> None:
    """A heading, comments, empty lines; what has another form is told with its line."""
    path = tmp_path / "points.csv"
    path.write_text("case,points\n# the easy ones\n\nframing.split,2\ndelivery,1.5\n", "utf-8")
    assert points_of(path) == {"framing.split": 2.0, "delivery": 1.5}
    path.write_text("framing.split two\n", "utf-8")
    with pytest.raises(ValueError, match="line 1: it must have the form framing.split,2"):
        points_of(path)


def test_every_case_says_what_it_wants() -> None:
    """A sentence, a hint, a lesson; steps that can be read; ids that are unique."""
    ids = [case.id for case in checking.CASES]
    assert len(set(ids)) == len(ids)
    for case in checking.CASES:
        assert case.requirement.endswith(".") and case.hint.rstrip(")").endswith((".", "?")), case.id
        assert case.lesson[:2].isdigit() and case.steps, case.id
        assert all(str(step) and "object at" not in str(step) for step in (*case.given, *case.steps)), case.id


def test_a_lesson_that_is_not_there_yet_is_said_to_be_written() -> None:
    """Just those that have no notebook; the others go by its title."""
    lessons = Path(__file__).parent.parent / "notebooks"
    for case in checking.CASES:
        for lesson in case.reading.split(", "):
            slug = lesson.removesuffix(" (being written)").lower().replace(" ", "_")
            assert (lessons / f"{slug}.ipynb").exists() != lesson.endswith(" (being written)"), lesson


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"hello\n", '"hello\\n"'),
        ("café".encode(), '"café"'),
        (b"\xff\x1b[2J", '"\\xff\\x1b[2J"'),
        (b"x" * 200, f'"{"x" * 45}" ... "{"x" * 45}" (200 bytes)'),
    ],
)
def test_bytes_are_shown_so_that_a_beginner_sees_their_ends(data: bytes, text: str) -> None:
    """Newlines, control characters and what is no UTF-8 are spelled out; long ones are cut."""
    assert show(data) == text


def test_a_remote_server_that_has_gone_is_said_so() -> None:
    """It cannot be started again, and nobody can look inside."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    [verdict] = judge(Remote(address), checking.chosen_cases(["delivery.reach"]), DIALECTS["lines"])
    assert verdict.failure is not None and "connection refused" in verdict.failure.actual


if os.name == "posix":

    def test_a_limit_on_descriptors_is_one() -> None:
        """The promise on few descriptors is kept by a program that has them limited, not by luck."""
        held = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], flush=True)\n"
        program_text = held + RELAY
        process = program.ProgramTarget([sys.executable, "-c", program_text, "{port}"]).start(descriptors=64)
        try:
            assert eventually(lambda: process.said() == ("64",))
        finally:
            process.discard()


def command(*arguments: str) -> tuple[int, str, str]:
    """Runs the command `check` in this process. Returns exit status, output and errors."""
    output, errors, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            status = main(["check", *arguments])
        except SystemExit as end:
            status = int(end.code or 0)
    return status, output.getvalue(), errors.getvalue()


def test_the_command_exits_with_what_a_grader_needs(tmp_path: Path) -> None:
    """0 all well, 1 something broken, 2 nothing to check; reports on the output, sentences beside it."""
    path = script(tmp_path, RELAY)
    status, output, errors = command(path, "--dialect", "raw", "--case", "delivery.reach")
    assert (status, errors) == (0, "") and output.endswith("1 passed\n")
    status, output, _ = command(path, "--case", "framing.split", "--case", "delivery.order")
    assert status == 1 and "FAIL framing.split" in output


@pytest.mark.parametrize(
    "words",
    [["."], ["8.8.8.8:53"], ["server.py", "--case", "x"], ["server.py", "--dialect", "x"], []],
    ids=["a directory", "a public address", "no such case", "no such dialect", "nothing"],
)
def test_a_mistake_in_the_call_is_one_line_and_exit_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """No traceback, and nothing on the output, which a grader may parse."""
    script(tmp_path, RELAY)
    monkeypatch.chdir(tmp_path)
    status, output, errors = command(*words)
    assert (status, output) == (2, "")
    assert errors.startswith("chatlib") and errors.count("\n") == 1, errors


def test_the_command_writes_json_junit_and_points(tmp_path: Path) -> None:
    """Each can be read by a machine; points stand in each of them."""
    path, table = script(tmp_path, RELAY), tmp_path / "points.csv"
    table.write_text("delivery.reach,2\nframing.split,3\n", "utf-8")
    options = ("--points", str(table), "--case", "framing.split", "--case", "delivery.reach")
    record = json.loads(command("--format", "json", *options, path)[1])
    jsonschema.validate(record, SCHEMA)
    assert record["points"] == {"earned": 2.0, "possible": 5.0, "unjudged": 0.0}
    suite = ElementTree.fromstring(command("--format", "junit", *options, path)[1])
    assert suite.get("failures") == "1"
    assert command(*options, path)[1].endswith("2 of 5 points; 0 could not be judged\n")


def test_promises_with_a_plus_between_are_earned_together(tmp_path: Path) -> None:
    """Or not at all; and each of their names is looked up before the check."""
    path, table = script(tmp_path, RELAY), tmp_path / "points.csv"
    table.write_text("delivery.reach+framing.split,3\ndelivery.reach+delivery.sender,4\n", "utf-8")
    options = ("--points", str(table), "--case", "framing.split", "--case", "delivery")
    assert command(*options, path)[1].endswith("4 of 7 points; 0 could not be judged\n")
    table.write_text("delivery+framng,3\n", "utf-8")
    status, output, errors = command(*options, path)
    assert (status, output) == (2, "") and "did you mean framing?" in errors


def test_a_command_in_any_language_stands_behind_two_dashes(tmp_path: Path) -> None:
    """Where `{port}` stands, the port is put; options stand before."""
    path = script(tmp_path, RELAY)
    words = ["check", "--dialect", "auto", "--case", "delivery.reach", "--", sys.executable, path, "{port}"]
    line = [sys.executable, "-m", "chatlib", *words]
    found = subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=120)
    assert found.returncode == 0 and "found: raw" in found.stdout, found


def test_a_server_that_has_died_passes_nothing(tmp_path: Path) -> None:
    """The end of a connection is no answer if it is the end of the server."""
    dying = RELAY.replace("    finally:\n", "    finally:\n        import os; os._exit(3)\n")
    report = chatlib.check(script(tmp_path, dying), "raw", cases=["departures.fin", "departures.idle"])
    [fin, idle] = report.verdicts
    assert fin.failure is not None and "has ended, with exit code 3" in fin.failure.actual
    assert (idle.outcome, idle.blocked) == (Outcome.SKIPPED, True)
    assert report.points({"departures.fin": 1, "departures.idle": 1}) == {
        "earned": 0,
        "possible": 2,
        "unjudged": 0,
    }


class DiesLate(socketserver.TCPServer):
    """Its thread hangs up, and is still alive until another thread waits for its end."""

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Takes what one client says, then ends the server."""
        request.recv(1024)

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Serves one client."""
        self.handle_request()
        awaited.wait(SOON)
        raise LookupError("of what it heard")

    def shutdown(self) -> None:
        """Returns at once. The one of `socketserver` waits for ever for a loop that is not its own."""


awaited = threading.Event()


def test_a_server_that_is_dying_is_said_to_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client sees the end of its connection a moment before its server's thread ends."""
    join = threading.Thread.join

    def join_the_late(thread: threading.Thread, timeout: float | None = None) -> None:
        if thread.name == "the server":
            awaited.set()
            timeout = SOON
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", join_the_late)
    target = target_of(lambda address: DiesLate(address, socketserver.BaseRequestHandler))
    instance, over = target.start(), time.monotonic() + SOON
    session = Session(target, instance, DIALECTS["shout"], measured(), 0, threading.Event(), over)
    alice = session.connect("alice")
    session.say(alice)
    assert session.wait(lambda: alice.end, SOON)
    assert "the server has ended: LookupError: of what it heard" in session.fate(alice)
    session.clients.close(politely=True)
    instance.discard()


@pytest.mark.parametrize(
    "text", ["delivery,nan", "delivery,-1", "delivery,1,5", "delivery", "delivery,1\ndelivery,2"]
)
def test_points_that_make_no_sense_are_refused(tmp_path: Path, text: str) -> None:
    """Before anybody loses any by a slip."""
    path = tmp_path / "points.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"points\.csv, line \d"):
        points_of(path)


def test_a_second_check_of_a_class_has_to_wait() -> None:
    """Whose a thread is could not be told otherwise: the second is refused, the first goes on."""
    refused: list[BaseException] = []

    def second(*_: object) -> None:
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join(SOON)

    def attempt() -> None:
        try:
            chatlib.check(textbook, "shout", cases=["delivery.answer"])
        except chatlib.TargetError as error:
            refused.append(error)

    assert chatlib.check(textbook, "shout", cases=["delivery.answer"], progress=second).passed
    assert "another check of a class is under way" in str(refused[0])


def test_what_a_server_prints_cannot_steer_a_terminal(tmp_path: Path) -> None:
    """Escapes are spelled out; letters that a console lacks do not cost the report."""
    text = RELAY.replace(
        "clients = []\n", "clients = []\nsys.stdout.buffer.write('\\x1b[2J \\u2603\\n'.encode())\n", 1
    )
    line = [sys.executable, "-m", "chatlib", "check", script(tmp_path, text), "--case", "framing.split"]
    surroundings = environment() | {"PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(line, env=surroundings, capture_output=True, timeout=120)
    assert done.returncode == 1
    assert rb"\x1b[2J \u2603" in done.stdout and b"\x1b" not in done.stdout


def test_a_server_that_serves_nobody_else_for_one_that_sleeps_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time limit on each send is no cure: all others still wait for it, line by line."""
    monkeypatch.setattr(flood, "LONGEST", 2.5)
    buffer = "    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)\n"
    text = RELAY.replace("    clients.append", buffer + "    clients.append")
    text = text.replace("import socket", "import select, socket").replace(
        "if other is not client:", "if other is not client and select.select([], [other], [], 0.05)[1]:"
    )
    report = chatlib.check(script(tmp_path, text), "raw", cases=["slow.others"])
    assert report.failed == ("slow.others",), str(report)
