"""The commands: `python -m chatlib serve`, `chat` and `doctor`, each as a real process."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import chatlib
from chatlib.checker.check import CASES

ROOT = Path(__file__).parent.parent
DEADLINE = 20.0
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals between processes")


def run(*arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    """Runs one command to its end."""
    command = [sys.executable, "-m", "chatlib", *arguments]
    return subprocess.run(command, input=typed, capture_output=True, encoding="utf-8", timeout=DEADLINE)


@contextmanager
def serving(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Runs `serve` as a process; gives it and the address that it printed, and ends it."""
    command = [sys.executable, "-m", "chatlib", "serve", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        first = process.stdout.readline()
        assert first.startswith("listening on ")
        try:
            yield process, first.removeprefix("listening on ").strip()
        finally:
            process.terminate()
            process.wait(DEADLINE)


@pytest.mark.parametrize("model", chatlib.MODELS)
def test_serve_prints_where_it_listens_and_serves(model: str) -> None:
    """One line says the address, and whoever connects there is served."""
    with serving(model) as (_, address), chatlib.connect(address) as client:
        client.send("hello")
        assert client.receive(DEADLINE) == "HELLO"


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_on_a_signal_with_clients_connected(number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end it with status 0 and no other word, and its clients see the end."""
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


def test_a_name_is_given_to_a_server_that_asks_for_one() -> None:
    """`--name` answers the first question of the service `chat`."""
    with serving("threading", "--service", "chat") as (_, address):
        result = run("chat", address, "--name", "alice", typed="hello\n")
    assert "* The room contains:" in result.stdout
    assert result.returncode == 0


def test_a_name_is_not_sent_to_a_server_that_asks_for_none() -> None:
    """The service `shout` would answer the name; it only answers what was typed."""
    with serving("threading") as (_, address):
        assert run("chat", address, "--name", "alice", typed="hello\n").stdout == "HELLO\n"


def test_chat_ends_when_the_server_does_while_it_waits_for_a_key() -> None:
    """The thread that waits for the keyboard is left behind, without a word from Python about it."""
    server = chatlib.start(chatlib.ThreadingServer)
    command = [sys.executable, "-m", "chatlib", "chat", "{}:{}".format(*server.server_address)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert server.service.journal.wait_for("came", timeout=DEADLINE)
        chatlib.stop(server)
        assert process.wait(DEADLINE) == 0
        assert process.stderr
        said = ["connected; Ctrl-C leaves", "the server has ended the connection of client 1"]
        assert process.stderr.read().splitlines() == said


def test_check_lists_its_cases() -> None:
    """All, or those of a topic; the help says so."""
    names = [line.split()[0] for line in run("check", "--list").stdout.splitlines()]
    assert names == [case.id for case in CASES]
    assert run("check", "--list", "--case", "slow").stdout.startswith("slow.others ")
    assert "--list" in run("check", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "required"),
        (["sing"], "invalid choice: 'sing'"),
        (["serve"], "required: model"),
        (["serve", "twice"], "invalid choice: 'twice'"),
        (["serve", "sync", "--port", "99999"], "'99999' is not a port: ports are numbers from 0 to 65535"),
        (["serve", "sync", "--port", "http"], "'http' is not a port"),
        (["serve", "sync", "--host", "no-such-host.invalid"], "cannot listen on no-such-host.invalid"),
        (["check"], "say what to check: a script, HOST:PORT, or after -- a command"),
        (["chat", "nonsense"], "'nonsense' is not of the form HOST:PORT"),
        (["chat", "127.0.0.1:99999"], "99999 is not a port"),
        (["chat", "no-such-host.invalid:1"], "cannot connect to no-such-host.invalid:1"),
    ],
)
def test_a_mistake_in_the_call_is_one_clear_line(arguments: list[str], sentence: str) -> None:
    """Status 2, one line that says what is wrong, and never a traceback."""
    result = run(*arguments)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_port_in_use_is_one_clear_line() -> None:
    """The line names the address that was asked for."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("serve", "sync", "--port", port)
    assert result.returncode == 2
    assert result.stderr.startswith(f"chatlib: cannot listen on 127.0.0.1:{port}: ")
    assert result.stderr.count("\n") == 1


def unprivileged_ports_begin() -> int:
    """Returns the first port that anybody may listen on; systems that have no such rule say 0."""
    rule = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    return int(rule.read_text()) if rule.exists() else 0


@pytest.mark.skipif(unprivileged_ports_begin() < 81, reason="on this system anybody may listen on port 80")
def test_a_privileged_port_is_one_clear_line() -> None:
    """Who may not listen on port 80 is told so. (Root may: the child becomes nobody, once all is loaded.)"""
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
    measured = "COV"  # not by coverage: nobody may not write its data either
    env = {name: value for name, value in os.environ.items() if not name.startswith(measured)}
    result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, env=env)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "cannot listen on 127.0.0.1:80: Permission denied" in result.stderr


def test_nobody_listens_is_one_clear_line() -> None:
    """The line names the address that was asked for."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    result = run("chat", f"127.0.0.1:{port}")
    assert result.returncode == 2
    assert result.stderr.startswith(f"chatlib: cannot connect to 127.0.0.1:{port}: ")


def test_doctor_finds_this_computer_well() -> None:
    """Where the tests run, nothing is missing."""
    result = run("doctor")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith("Everything is there.\n")


def test_a_reader_that_has_seen_enough_changes_neither_status_nor_words() -> None:
    """As in `check ... | head -1`: whoever reads the output is gone before the end."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as nobody, chatlib.running(chatlib.SyncServer) as server:
        address = "{}:{}".format(*server.server_address)
        for status, arguments in (0, ["doctor"]), (1, ["check", address, "--case", "lifecycle.stop"]):
            command = [sys.executable, "-m", "chatlib", *arguments]
            result = subprocess.run(command, stdout=nobody, stderr=subprocess.PIPE, timeout=DEADLINE)
            assert (result.returncode, result.stderr) == (status, b"")


def test_doctor_says_with_its_status_that_something_is_missing() -> None:
    """Without site packages there is no JupyterLab; the line says how to get it."""
    command = [sys.executable, "-S", "-m", "chatlib", "doctor"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, cwd=ROOT)
    assert result.returncode == 1
    assert "MISSING the package jupyterlab: use the Python of .venv" in result.stdout
