"""The commands: what serves or talks as a real process; what only says something in this one."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

import chatlib
from chatlib.checker.check import CASES
from chatlib.cli import main

ROOT = Path(__file__).parent.parent
DEADLINE = 60.0
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals between processes")


def run(*arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    """Runs one command to its end."""
    command = [sys.executable, "-m", "chatlib", *arguments]
    return subprocess.run(command, input=typed, capture_output=True, encoding="utf-8", timeout=DEADLINE)


class Said(NamedTuple):
    """What a command has printed, and its status."""

    returncode: int
    stdout: str
    stderr: str


Call = Callable[..., Said]


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Call]:
    """Runs one command in this process, which takes less time than one of its own, and is left as it was."""
    keyboard = tmp_path / "keyboard"

    def run_here(*arguments: str, typed: str = "") -> Said:
        keyboard.write_text(typed, "utf-8")
        with open(keyboard, encoding="utf-8") as stdin, monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", stdin)
            try:
                status = main(arguments)
            except SystemExit as end:
                status = int(end.code or 0)
        return Said(status, *capsys.readouterr())

    monkeypatch.setattr("chatlib.cli.serve.make_room", lambda clients: None)  # it would stay
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield run_here
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def address_of(server: chatlib.Server) -> str:
    """Returns it as the command line takes it."""
    return "{}:{}".format(*server.server_address)


@contextmanager
def serving(*arguments: str, stderr: int = subprocess.PIPE) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Runs `serve` as a process; gives it and the address that it printed, and ends it."""
    command = [sys.executable, "-m", "chatlib", "serve", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        assert process.stdout
        too_late = threading.Timer(DEADLINE, process.kill)  # ends every wait below
        too_late.start()
        try:
            first = process.stdout.readline()
            assert first.startswith("listening on ")
            yield process, first.removeprefix("listening on ").strip()
        finally:
            process.terminate()
            process.wait()
            too_late.cancel()


@pytest.mark.parametrize("model", chatlib.MODELS)
def test_serve_prints_where_it_listens_and_serves(model: str) -> None:
    """One line says the address, and a client that connects there is served."""
    with serving(model) as (_, address), chatlib.connect(address) as client:
        client.send("hello")
        assert client.receive(DEADLINE) == "HELLO"


@POSIX
def test_serve_says_in_a_terminal_how_to_talk_to_it() -> None:
    """On standard error: programs that read its output find the one line with the address."""
    screen, line = os.openpty()
    with open(screen, "rb") as shown, serving("threading", stderr=line) as (process, address):
        os.close(line)
        told = shown.readline().decode()
        assert re.fullmatch(rf"from another terminal: \S+ -m chatlib chat {address} --name alice\r\n", told)
        assert shutil.which(told.split()[3])
        process.terminate()
        assert process.communicate(timeout=DEADLINE)[0] == ""


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_on_a_signal_with_clients_connected(number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end it with status 0 and no further word, and its clients see the end."""
    with serving("threading") as (process, address), chatlib.connect(address) as client:
        client.send("hello")
        client.receive(DEADLINE)
        process.send_signal(number)
        with pytest.raises(chatlib.Disconnected):
            client.receive(DEADLINE)
        assert process.communicate(timeout=DEADLINE) == ("", "")
        assert process.returncode == 0


@POSIX
def test_serve_heeds_ctrl_c_although_a_background_shell_told_it_to_ignore_that() -> None:
    """A child of a background shell inherits that SIGINT is ignored; `serve` ends all the same."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with serving("sync") as (process, _):
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE) == 0
    finally:
        signal.signal(signal.SIGINT, before)


@POSIX
def test_the_port_of_serve_can_be_bound_again_at_once() -> None:
    """A second run on the same port starts, although the first had a client when it ended."""
    with serving("raw-threads") as (process, address), chatlib.connect(address) as client:
        client.send("hello")
        client.receive(DEADLINE)
        process.terminate()
        process.wait(DEADLINE)
        with serving("raw-threads", "--port", address.rpartition(":")[2]) as (_, again):
            assert again == address


@POSIX
def test_serve_takes_more_clients_than_a_shell_allows_by_default() -> None:
    """It raises the limit of descriptors for itself: macOS begins with 256."""
    import resource

    limit = resource.RLIMIT_NOFILE
    soft, hard = resource.getrlimit(limit)
    with contextlib.ExitStack() as stack:
        resource.setrlimit(limit, (100, hard))
        try:
            _, address = stack.enter_context(serving("selectors"))
        finally:
            resource.setrlimit(limit, (soft, hard))
        crowd = [stack.enter_context(chatlib.connect(address)) for _ in range(120)]
        crowd[-1].send("hello")
        assert crowd[-1].receive(DEADLINE) == "HELLO"


def test_a_terminal_talks_with_another_through_broadcast() -> None:
    """What is typed into `chat` reaches the other clients, as it was typed."""
    with serving("raw-threads", "--service", "broadcast") as (_, address), chatlib.connect(address) as bob:
        talker = threading.Thread(target=run, args=("chat", address), kwargs={"typed": "grüß dich\nbye"})
        talker.start()
        assert [bob.receive(DEADLINE), bob.receive(DEADLINE)] == ["grüß dich", "bye"]
        talker.join(DEADLINE)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a conversation is waited for, however slow the computer is."""
    monkeypatch.setattr("chatlib.terminal.FAREWELL", DEADLINE)


def test_a_name_is_given_to_a_server_that_asks_for_one(
    call: Call, patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--name` answers the first question of the service `chat`."""
    monkeypatch.setattr("chatlib.terminal.GREETING", DEADLINE)
    with chatlib.running(chatlib.ThreadingServer, service=chatlib.Chat()) as server:
        result = call("chat", address_of(server), "--name", "alice", typed="hello\n")
    assert "* The room contains:" in result.stdout
    assert result.returncode == 0


def test_a_name_is_not_sent_to_a_server_that_asks_for_none(call: Call, patient: None) -> None:
    """The service `shout` would answer the name; it only answers what was typed."""
    with chatlib.running(chatlib.ThreadingServer) as server:
        assert call("chat", address_of(server), "--name", "alice", typed="hello\n").stdout == "HELLO\n"


def test_chat_ends_when_the_server_does_while_it_waits_for_a_key() -> None:
    """The thread that waits for the keyboard is left behind, without a word from Python about it."""
    server = chatlib.start(chatlib.ThreadingServer)
    command = [sys.executable, "-m", "chatlib", "chat", address_of(server)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert server.service.journal.wait_for("came", timeout=DEADLINE)
        chatlib.stop(server)
        assert process.wait(DEADLINE) == 0
        assert process.stderr
        said = ["connected; Ctrl-C leaves", "the server has ended the connection of this terminal"]
        assert process.stderr.read().splitlines() == said


def struck(*_: object) -> None:
    """Is interrupted as `Condition.wait` may be, which each `Thread.start` calls: its lock is free."""
    with (condition := threading.Condition()):
        condition.release()
        raise KeyboardInterrupt


def test_ctrl_c_that_strikes_in_threading_ends_a_command(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of it has become a RuntimeError, which is no mistake of the program."""
    monkeypatch.setattr("chatlib.cli.doctor.run", struck)
    assert call("doctor") == (130, "", "chatlib: stopped\n")
    monkeypatch.setattr("chatlib.cli.chat.chat", struck)
    with chatlib.running(chatlib.ThreadingServer) as server:
        said = "connected; Ctrl-C leaves\nthis terminal has left\n"
        assert call("chat", address_of(server)) == (0, "", said)


@pytest.mark.parametrize("command", ["doctor", "chat"])
def test_a_mistake_of_the_program_is_no_ctrl_c(
    command: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is raised."""

    def mistaken(*_: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("chatlib.cli.doctor.run", mistaken)
    monkeypatch.setattr("chatlib.cli.chat.chat", mistaken)
    with (
        chatlib.running(chatlib.ThreadingServer) as server,
        pytest.raises(RuntimeError, match="a mistake"),
    ):
        call(command, *([address_of(server)] if command == "chat" else []))


def test_check_lists_its_cases(call: Call) -> None:
    """All, or those of a topic; the help says so."""
    names = [line.split()[0] for line in call("check", "--list").stdout.splitlines()]
    assert names == [case.id for case in CASES]
    assert call("check", "--list", "--case", "slow").stdout.startswith("slow.others ")
    assert "--list" in call("check", "--help").stdout


def test_the_help_names_every_command(call: Call) -> None:
    """With a line for each, also for those that are not loaded."""
    status, text, errors = call("--help")
    assert (status, errors) == (0, "")
    for name in ("serve", "chat", "check", "xray", "bench", "doctor"):
        assert f"\n    {name}  " in text
        assert call(name, "--help").stdout.startswith(f"usage: chatlib {name} ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "required"),
        (["sing"], "invalid choice: 'sing'"),
        (["sync", "serve"], "invalid choice: 'sync'"),
        (["serve"], "required: model"),
        (["serve", "twice"], "invalid choice: 'twice'"),
        (["serve", "sync", "--port", "99999"], "'99999' is not a port: ports are numbers from 0 to 65535"),
        (["serve", "sync", "--port", "http"], "'http' is not a port"),
        (["serve", "sync", "--host", "no-such-host.invalid"], "cannot listen on no-such-host.invalid"),
        (["check", "--format", "csv", "a.py"], "invalid choice: 'csv'"),
        (["bench", "--clients", "many"], "'many' is no list of numbers like 10,100,1000"),
        (["xray"], "required: script"),
        (["doctor", "me"], "unrecognized arguments: me"),
        (["check"], "say what to check: a script, HOST:PORT, or after -- a command"),
        (["chat", "nonsense"], "'nonsense' is not of the form HOST:PORT"),
        (["chat", "127.0.0.1:99999"], "99999 is not a port"),
        (["chat", "no-such-host.invalid:1"], "cannot connect to no-such-host.invalid:1"),
    ],
)
def test_a_mistake_in_the_call_is_one_clear_line(arguments: list[str], sentence: str, call: Call) -> None:
    """Status 2, one line that says what is wrong, and never a traceback."""
    result = call(*arguments)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_mistake_is_told_by_a_process_as_well() -> None:
    """As `python -m chatlib`, to the very byte."""
    result = run("serve", "twice")
    sentence = "argument model: invalid choice: 'twice' (choose from "
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"chatlib serve: {sentence}")
    assert result.stderr.count("\n") == 1


def test_a_port_in_use_is_one_clear_line(call: Call) -> None:
    """The line names the address that was asked for."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = call("serve", "sync", "--port", port)
    assert result.returncode == 2
    assert result.stderr.startswith(f"chatlib: cannot listen on 127.0.0.1:{port}: ")
    assert result.stderr.count("\n") == 1


def unprivileged_ports_begin() -> int:
    """Returns the first port that any user may listen on; systems that have no such rule say 0."""
    rule = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    return int(rule.read_text()) if rule.exists() else 0


@pytest.mark.skipif(unprivileged_ports_begin() < 81, reason="on this system any user may listen on port 80")
def test_a_privileged_port_is_one_clear_line() -> None:
    """A user without the right to port 80 is told so. (Root has it, and gives it up once all is there.)"""
    program = """
import contextlib, encodings.idna, fcntl, io, os, resource, sys
from chatlib import SyncServer
from chatlib.cli import main
with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):
    main(["serve"])  # loads what is only loaded when it is needed
if os.getuid() == 0:
    os.setuid(65534)
sys.exit(main(["serve", "sync", "--port", "80"]))
"""
    command = [sys.executable, "-c", program]
    measured = "COV"  # not by coverage: the user `nobody` may not write its data either
    env = {name: value for name, value in os.environ.items() if not name.startswith(measured)}
    result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, env=env)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "cannot listen on 127.0.0.1:80: Permission denied" in result.stderr


def test_to_let_a_whole_network_in_is_warned_of() -> None:
    """There is no code; on this computer alone, none is needed."""
    with serving("threading", "--host", "0.0.0.0") as (process, _):
        assert process.stderr
        assert process.stderr.readline().startswith("warning: no code: everybody on this network can come in")
    with serving("threading", "--host", "localhost") as (process, _):
        process.terminate()
        assert process.communicate() == ("", "")


def test_a_port_without_a_listener_is_one_clear_line(call: Call) -> None:
    """The line names the address that was asked for."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    result = call("chat", f"127.0.0.1:{port}")
    assert result.returncode == 2
    assert result.stderr.startswith(f"chatlib: cannot connect to 127.0.0.1:{port}: ")


def test_doctor_finds_this_computer_well(call: Call) -> None:
    """Where the tests run, nothing is missing."""
    result = call("doctor")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith("Everything is there.\n")


def test_a_reader_that_has_seen_enough_changes_neither_status_nor_words() -> None:
    """As in `check ... | head -1`: the reader of the output is gone before the end."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as broken_pipe, chatlib.running(chatlib.SyncServer) as server:
        broken = ["check", address_of(server), "--case", "lifecycle.stop"]
        for status, arguments in (0, ["doctor"]), (1, broken):
            command = [sys.executable, "-m", "chatlib", *arguments]
            result = subprocess.run(command, stdout=broken_pipe, stderr=subprocess.PIPE, timeout=DEADLINE)
            assert (result.returncode, result.stderr) == (status, b"")


def test_doctor_says_with_its_status_that_something_is_missing() -> None:
    """Without site packages there is no JupyterLab; the line says how to get it."""
    command = [sys.executable, "-S", "-m", "chatlib", "doctor"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, cwd=ROOT)
    assert result.returncode == 1
    assert "MISSING the package jupyterlab: use the Python of .venv" in result.stdout
