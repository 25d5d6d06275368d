"""What can be checked, and what cannot: classes, programs, addresses. Nothing of them is left running."""

import _thread
import contextlib
import io
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from checked import RELAY, judge, script, textbook
from faults import POSIX, SOON, environment, eventually, together, untraced

import chatlib
from chatlib.checker import check as checking
from chatlib.checker.case import Outcome
from chatlib.checker.harness.dialect import DIALECTS
from chatlib.checker.harness.session import Session
from chatlib.checker.harness.timeouts import measured
from chatlib.checker.targets import program, program_run
from chatlib.checker.targets.capture import forgotten_await, last_lines, overheard
from chatlib.checker.targets.remote import Remote
from chatlib.checker.targets.resolve import target_of
from chatlib.film.film import Film


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


class Restless(SpinningServer):
    """Works for a while whenever it has looked whether a client connects."""

    works = threading.Event()

    def service_actions(self) -> None:
        self.works.set()
        for _ in range(3_000_000):
            pass


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


LOST = "{}:{}: RuntimeWarning: coroutine '{}' was never awaited\n  {}\n"
"""As Python prints it: where a coroutine was lost."""


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        (LOST.format("server.py", 7, "Chat.heard", "self.heard(line)"), "in line 7: self.heard(line)"),
        (
            LOST.format("events.py", 9, "to_thread", "handle = None"),
            ": the coroutine to_thread was never awaited.",
        ),
        (LOST.format("server.py", 7, "talk", "talk('\x1b[2J')"), "in line 7: talk('\\x1b[2J')"),
    ],
    ids=["in its own line", "in a line of Python's", "beside a control character"],
)
def test_a_lost_coroutine_says_where_await_is_missing(printed: str, told: str) -> None:
    """Only if the line is the one in which it was made: it may be lost anywhere."""
    assert forgotten_await(f"hello\n{printed}bye\n").removeprefix("`await` is missing").lstrip() == told
    assert forgotten_await("hello\nbye\n") == ""


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


def test_a_thread_that_works_just_now_is_seen_where_it_waits_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at a server finds the same, whatever it does at that moment."""
    monkeypatch.setattr("chatlib.checker.targets.in_process.LOOKS", SOON)
    target = target_of(lambda address: Restless(address, Spinning))
    with target, contextlib.closing(contextlib.ExitStack()) as stack:
        instance = target.start()
        stack.callback(instance.discard)
        assert Restless.works.wait(SOON)
        assert instance.waiting(Film()) == ("the server waits in select for a connection",)


class Unseen(SpinningServer):
    """Looks for no client, but waits in C."""

    def __init__(self, address: Any) -> None:
        super().__init__(address, Spinning)
        self.lock = _thread.allocate_lock()
        self.lock.acquire()

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        self.lock.acquire()

    def shutdown(self) -> None:
        self.lock.release()


def test_a_thread_that_cannot_be_seen_is_told_in_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for something, though no call of it is watched."""
    monkeypatch.setattr("chatlib.checker.targets.in_process.LOOKS", 0.0)
    with target_of(Unseen) as target, contextlib.closing(contextlib.ExitStack()) as stack:
        instance = target.start()
        stack.callback(instance.discard)
        words = "the server is in a call that the X-ray cannot see, line "
        assert eventually(lambda: "".join(instance.waiting(Film())).startswith(words))


UDP = """
import socket, sys
listener = socket.socket(type=socket.SOCK_DGRAM)
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.recv(1)
"""

UNIX = """
import socket
listener = socket.socket(socket.AF_UNIX)
listener.bind("chat.sock")
listener.listen()
listener.accept()
"""


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
        (UDP, "it has a UDP socket on port .*: only TCP is checked", SOON),
        pytest.param(UNIX, "it has the Unix socket chat.sock: only TCP is checked", SOON, marks=POSIX),
    ],
    ids=["crashes", "ends", "never listens", "another port", "UDP", "Unix"],
)
def test_a_program_that_does_not_start_is_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str, within: float
) -> None:
    """A traceback's last lines are the student's error."""
    monkeypatch.setattr(program.ProgramTarget.start, "__defaults__", (0, 0, within))
    monkeypatch.setattr(program_run, "ELSEWHERE", 0.2)
    with pytest.raises(chatlib.TargetError, match=sentence.replace(".*", r"\d+")):
        chatlib.check(script(tmp_path, text))


def test_a_traceback_names_the_file_as_its_author_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not where the copy of its folder was."""
    name = Path(script(tmp_path, "import no_such_module")).name
    monkeypatch.chdir(tmp_path)
    with pytest.raises(chatlib.TargetError, match=f'  File "{name}", line 1, in <module>'):
        chatlib.check(name)


@pytest.mark.parametrize(
    ("hosts", "reached"),
    [
        ("0.0.0.0", "127.0.0.1"),
        ("::", "::1"),
        ("0.0.0.0 ::", "127.0.0.1"),
        ("127.0.1.1", "127.0.1.1"),
        ("192.168.1.7 ::1", "::1"),
    ],
)
def test_a_program_is_reached_where_it_listens(hosts: str, reached: str) -> None:
    """By an address of this computer alone, whatever it binds."""
    assert program_run.reachable(set(hosts.split()), 80) == reached


def test_a_program_that_listens_to_a_network_only_is_not_attacked() -> None:
    """The message has the address, and what to bind instead."""
    with pytest.raises(chatlib.TargetError, match=r"it listens on 192\.168\.1\.7:80, .* bind 127\.0\.0\.1"):
        program_run.reachable({"192.168.1.7"}, 80)


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python knows no IPv6")
def test_a_program_that_listens_by_ipv6_only_is_checked(tmp_path: Path) -> None:
    """Its clients connect to ::1."""
    text = RELAY.replace(
        'create_server(("127.0.0.1", int(sys.argv[1])))',
        'create_server(("::1", int(sys.argv[1])), family=socket.AF_INET6)',
    )
    report = chatlib.check(script(tmp_path, text), "raw", cases=["delivery.reach", "lifecycle.busy"])
    assert report.passed and not report.of(Outcome.FAIL), str(report)


@pytest.mark.parametrize(
    ("server", "kind"),
    [
        (socketserver.UDPServer, "UDP"),
        pytest.param(getattr(socketserver, "UnixStreamServer", None), "Unix", marks=POSIX),
    ],
)
def test_a_class_with_another_kind_of_socket_is_told_so(tmp_path: Path, server: Any, kind: str) -> None:
    """At once, and no client waits for it."""
    address = ("127.0.0.1", 0) if kind == "UDP" else str(tmp_path / "chat.sock")
    with pytest.raises(chatlib.TargetError, match=f"has a {kind} socket: only TCP is checked"):
        chatlib.check(lambda: server(address, socketserver.BaseRequestHandler))


class OnlyClosesItsListener:
    """On Linux, its thread goes on waiting in `accept`."""

    def __init__(self, address: Any) -> None:
        self.listener = socket.create_server(address)
        self.server_address = self.listener.getsockname()

    def serve_forever(self) -> None:
        """Serves nobody."""
        with contextlib.suppress(OSError):
            while True:
                self.listener.accept()[0].close()

    def shutdown(self) -> None:
        """As a student may write it."""
        self.listener.close()

    server_close = shutdown


def test_a_thread_that_waits_in_accept_for_a_closed_listener_is_woken() -> None:
    """None of them is left, to be seen in the X-ray of the next case."""
    before = set(threading.enumerate())
    report = chatlib.check(OnlyClosesItsListener, "raw", cases=["delivery.reach"])
    assert eventually(lambda: set(threading.enumerate()) <= before)
    [failure] = [verdict.failure for verdict in report.of(Outcome.FAIL)]
    assert failure is not None
    assert sum("accept" in line for line in failure.waiting) <= 1, failure.waiting


def test_the_last_exception_is_quoted_before_what_was_printed_after_it() -> None:
    """Where it was raised, and what it says: a crowd of greetings must not push it out."""
    raised = 'Traceback (most recent call last):\n  File "s.py", line 3, in <module>\n    f()\n    ~^^\n'
    raised += '  File "s.py", line 1, in f\n    1 / 0\n    ~~^~~\nZeroDivisionError: division by zero\n'
    place = ('  File "s.py", line 1, in f', "    1 / 0", "ZeroDivisionError: division by zero")
    greetings = "".join(f"guest {number} has come\n" for number in range(200))
    assert last_lines(raised)[-3:] == place
    assert last_lines(raised + greetings) == (*place, "...", "guest 198 has come", "guest 199 has come")
    assert last_lines(greetings)[-1] == "guest 199 has come"


@POSIX
def test_that_the_checker_ended_a_program_is_not_told_as_its_fate(tmp_path: Path) -> None:
    """`lifecycle.again` kills one that takes no Ctrl-C: only why the next one does not start is news."""
    stubborn = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + RELAY.replace(
        'create_server(("127.0.0.1", int(sys.argv[1])))',
        'socket(); listener.bind(("127.0.0.1", int(sys.argv[1]))); listener.listen()',
    )
    report = chatlib.check(script(tmp_path, stubborn), "raw", cases=["lifecycle.again"])
    assert report.failed == ("lifecycle.again",), str(report)
    assert "Address already in use" in str(report) and "SIGKILL" not in str(report)


def test_a_directory_and_a_file_that_cannot_run_are_no_targets(tmp_path: Path) -> None:
    """Each is told what to give instead."""
    with pytest.raises(chatlib.TargetError, match="is a directory: give the script in it"):
        target_of(tmp_path)
    with pytest.raises(chatlib.TargetError, match="say how it is run, as in -- node"):
        target_of(script(tmp_path, "", "server.js"))


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
    monkeypatch.setattr(program_run, "MEMORY", 64 << 20)
    greedy = RELAY.replace("        while data", "        hoard = bytearray(400 << 20)\n        while data")
    report = chatlib.check(script(tmp_path, greedy), "raw", cases=["delivery.reach"])
    failure = report.verdicts[0].failure
    assert failure is not None and "more than 64 MiB of memory" in failure.actual, report


@POSIX
def test_a_program_that_becomes_too_many_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork bomb ends before the computer does."""
    monkeypatch.setattr(program_run, "PROCESSES", 0)
    report = chatlib.check(script(tmp_path, RELAY), "raw", cases=["departures.idle"])
    assert "it became more than 0 processes" in str(report)


LEAVES = """
import subprocess, sys
apart = {"start_new_session": True, "env": ENV, "stdout": subprocess.DEVNULL}
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], **apart)
print(child.pid, file=open(PIDS, "a"))
subprocess.Popen(["true"], **apart)
"""
"""Ends, and leaves two behind, in sessions of their own: one that stays, and one that ends at once."""


@POSIX
@pytest.mark.parametrize("surroundings", ["None", "{}"], ids=["inherits", "empties"])
def test_what_a_program_leaves_behind_is_ended(tmp_path: Path, surroundings: str) -> None:
    """Also an orphan in a session of its own, which is no child of the program; on Linux always."""
    if surroundings == "{}" and sys.platform != "linux":
        pytest.skip("this system does not say whose descendant it was")
    pids = tmp_path / "pids"
    leaves = LEAVES.replace("ENV", surroundings).replace("PIDS", repr(str(pids)))
    text = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {leaves!r}])\n{RELAY}"
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
            assert eventually(lambda: process.printed() == "64\n")
        finally:
            process.discard()


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
