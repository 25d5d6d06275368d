"""The chat in a terminal, with a keyboard that the test holds."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from faults import SOON

import chatlib
from chatlib.terminal import Keyboard, chat
from chatlib.wire import printable


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[chatlib.Client]:
    """A client of a server that shouts, and that is waited for, however slow the computer is."""
    for patience in ("FAREWELL", "PATIENCE"):
        monkeypatch.setattr(f"chatlib.terminal.{patience}", SOON)
    with chatlib.running(chatlib.ThreadingServer) as server, chatlib.connect(server, "alice") as client:
        yield client


@contextmanager
def typed(text: bytes) -> Iterator[Keyboard]:
    """Gives a keyboard on which this has been typed, and then Ctrl-D."""
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(text)
        file.seek(0)
        yield file


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
    with typed(b"one\r\ntwo\nthree") as keyboard:
        chat(client, keyboard)
    assert capsys.readouterr().out == "ONE\nTWO\nTHREE\n"


def test_hostile_lines_are_shown_as_text(client: chatlib.Client, capsys: pytest.CaptureFixture[str]) -> None:
    """An escape sequence of another client arrives spelled out."""
    with typed(b"\x1b[31mred\n") as keyboard:
        chat(client, keyboard)
    assert capsys.readouterr().out == "\\x1b[31MRED\n"


def test_it_says_why_it_is_over(client: chatlib.Client, capsys: pytest.CaptureFixture[str]) -> None:
    """The server refuses a line that is too long: the typist sees why, and that it is over."""
    with typed(b"x" * 100_000) as keyboard:
        reason = chat(client, keyboard)
    assert "a line may have 65536 bytes" in capsys.readouterr().out
    assert reason == "the server has ended the connection of alice"
