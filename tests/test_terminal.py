"""The chat in a terminal: one that the test stands in for, and a real one, with a prompt and without."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from faults import POSIX, SOON, eventually

import chatlib
from chatlib.terminal import Plain, Terminal, chat
from chatlib.wire import printable

ROOT = Path(__file__).parent.parent


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[chatlib.Client]:
    """A client of a server that shouts, and that is waited for, however slow the computer is."""
    for patience in ("FAREWELL", "PATIENCE"):
        monkeypatch.setattr(f"chatlib.terminal.{patience}", SOON)
    with chatlib.running(chatlib.ThreadingServer) as server, chatlib.connect(server, "alice") as client:
        yield client


@contextmanager
def typed(text: bytes) -> Iterator[Terminal]:
    """Gives a terminal in which this has been typed, and then Ctrl-D."""
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(text)
        file.seek(0)
        yield Plain(file)


@pytest.mark.parametrize(
    ("received", "shown"),
    [
        ("grüß dich, 你好", "grüß dich, 你好"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("a\0b\tc\u202ed", "a\\x00b\\tc\\u202ed"),
    ],
)
def test_control_characters_are_spelled_out(received: str, shown: str) -> None:
    """What comes from a network can be read, but does not steer the terminal."""
    assert printable(received) == shown


def test_answers_are_shown_until_the_last(client: chatlib.Client, capsys: pytest.CaptureFixture[str]) -> None:
    """After Ctrl-D the server still has time to answer all that was typed."""
    with typed(b"one\r\ntwo\nthree") as terminal:
        chat(client, terminal)
    assert capsys.readouterr().out == "ONE\nTWO\nTHREE\n"


def test_hostile_lines_are_shown_as_text(client: chatlib.Client, capsys: pytest.CaptureFixture[str]) -> None:
    """An escape sequence of another client arrives spelled out."""
    with typed(b"\x1b[31mred\n") as terminal:
        chat(client, terminal)
    assert capsys.readouterr().out == "\\x1b[31MRED\n"


def test_a_line_is_shown_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or what another thread says at the end would stand between the line and its newline."""
    pieces: list[str] = []
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(write=pieces.append, flush=lambda: None))
    with typed(b"") as terminal:
        terminal.show("hello")
    assert pieces == ["hello\n"]


def test_it_says_why_it_is_over(client: chatlib.Client, capsys: pytest.CaptureFixture[str]) -> None:
    """The server refuses a line that is too long: the typist sees why, and that it is over."""
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as keyboard, open(writer, "wb") as hand:
        typist = threading.Thread(target=hand.write, args=(b"x" * 100_000 + b"\n",))
        typist.start()
        reason = chat(client, Plain(keyboard))
        typist.join(SOON)
    assert "a line may have 65536 bytes" in capsys.readouterr().out
    assert reason == "the server has ended the connection of alice"


def test_after_ctrl_d_it_was_not_the_server_that_left(client: chatlib.Client) -> None:
    """Although the server then ends the connection, too."""
    with typed(b"one\n") as terminal:
        assert chat(client, terminal) == ""


def test_a_server_that_reads_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that it leaves unread for too long ends the chat."""
    monkeypatch.setattr("chatlib.terminal.PATIENCE", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as deaf,
        chatlib.connect(deaf.getsockname(), "alice") as client,
        typed(20 * (b"x" * 1_000_000 + b"\n")) as terminal,
    ):
        assert chat(client, terminal) == "the server does not read what alice says"


# In a real terminal

ATTACHED = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from chatlib.cli import main
sys.exit(main())
"""
"""Runs a command after it has made its terminal the one from which Ctrl-C reaches it."""

KINDS = {"prompt": ([], "The room contains.*alice>"), "plain": (["-S"], "The room contains")}
"""How Python is started, with what is installed beside it and without; and what shows that one can type."""


class Screen:
    """A terminal in which alice chats.

    Args:
        server: With which server.
        kind: With a prompt, or plain.
    """

    def __init__(self, server: chatlib.Server, kind: str) -> None:
        options, self.ready = KINDS[kind]
        address = "{}:{}".format(*server.server_address)
        command = [sys.executable, *options, "-c", ATTACHED, "chat", address, "--name", "alice"]
        self._keyboard, self._line = os.openpty()
        # No test answers when it is asked where the cursor is.
        env = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdin=self._line,
            stdout=self._line,
            stderr=self._line,
            start_new_session=True,
        )
        self._bytes = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._line)  # now nothing more can come
        self._reader.join(SOON)
        os.close(self._keyboard)

    @property
    def raw(self) -> str:
        """All that was written to it."""
        return self._bytes.decode("utf-8", "replace")

    @property
    def text(self) -> str:
        """The same, without what moves the cursor and chooses colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw)

    def shows(self, pattern: str) -> bool:
        """Waits until it shows something."""
        return eventually(lambda: re.search(pattern, self.text, re.DOTALL))

    def type(self, keys: str) -> None:
        """Types."""
        os.write(self._keyboard, keys.encode())

    def echoes(self) -> bool:
        """Whether it is as a shell wants it: what is typed can be seen."""
        import termios  # Windows has none

        return bool(termios.tcgetattr(self._line)[3] & termios.ECHO)

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # that is how Linux says that nobody has the other end
            while chunk := os.read(self._keyboard, 4096):
                self._bytes += chunk


@pytest.fixture
def room() -> Iterator[chatlib.Server]:
    """A server that asks for a name, and tells the others."""
    with chatlib.running(chatlib.ThreadingServer, service=chatlib.Chat()) as server:
        yield server


@pytest.fixture(params=KINDS)
def screen(request: pytest.FixtureRequest, room: chatlib.Server) -> Iterator[Screen]:
    """Alice's terminal, of each kind, as soon as she is in the room."""
    if request.param == "prompt":
        pytest.importorskip("prompt_toolkit")
    with Screen(room, request.param) as screen:
        assert screen.shows(screen.ready), screen.text
        yield screen


@pytest.fixture
def bob(room: chatlib.Server) -> Iterator[chatlib.Client]:
    """Another client, which is in the room."""
    with chatlib.connect(room, "bob") as client:
        client.receive(SOON)
        client.send("bob")
        client.receive(SOON)
        yield client


def assert_it_has_ended_with(screen: Screen, sentence: str) -> None:
    """Well, with this sentence alone, and with a terminal in which one can go on."""
    assert screen.process.wait(SOON) == 0, screen.text
    # The terminal sends the signal first and echoes the key that did so second: the program may be quicker.
    assert screen.shows(rf"{sentence}\r\n(\^C)?$"), screen.text
    assert screen.echoes()
    assert "Traceback" not in screen.text


@POSIX
@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_a_key_ends_it(screen: Screen, key: str) -> None:
    """With a sentence, well, and with a terminal in which one can go on."""
    screen.type(key)
    assert_it_has_ended_with(screen, "alice has left")


@POSIX
def test_the_end_of_the_server_ends_it(screen: Screen, room: chatlib.Server) -> None:
    """No key is needed for it, also if a line is half typed."""
    screen.type("hel")
    assert screen.shows("hel")
    chatlib.stop(room)
    assert_it_has_ended_with(screen, "the server has ended the connection of alice")


@POSIX
def test_a_terminal_is_not_steered_by_what_others_say(screen: Screen, bob: chatlib.Client) -> None:
    """A title that a client sends is shown as text; then what is typed still arrives."""
    bob.send("\x1b]0;owned\x07")
    assert screen.shows(re.escape("[bob] \\x1b]0;owned\\x07"))
    assert "\x1b]0;" not in screen.raw and "\x07" not in screen.raw
    screen.type("hello\r")
    assert bob.receive(SOON) == "[alice] hello"


@POSIX
@pytest.mark.parametrize("screen", ["prompt"], indirect=True)
def test_a_line_that_comes_in_does_not_cut_into_one_half_typed(screen: Screen, bob: chatlib.Client) -> None:
    """It is shown above the prompt, and the rest of the line can be typed."""
    screen.type("hel")
    assert screen.shows("hel$")
    bob.send("ping")
    assert screen.shows("ping\r\n.*alice> hel$")
    screen.type("lo\r")
    assert bob.receive(SOON) == "[alice] hello"
