"""Exercise 10: a chat of coroutines, in which one call blocks."""

import asyncio
import logging
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from answers import failure, passes, solved, variant, wrong

import chatlib
from chatlib.checker.case import Outcome

ASKED = "alice asks ?something, and is answered; bob hears nothing of it"
"""The step in which a question is asked."""


@pytest.mark.exhaustive
def test_the_solution_of_10_passes() -> None:
    """In its own notebook it passes in the quick suite, too."""
    passes("10", solved("10")["AsyncChat"])


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
    answer = await asyncio.to_thread(self.look_up, line)
    for writer in sorted(self.writers, key=lambda writer: writer is sender):
        writer.write(answer)  # to the sender last: what it hears, the others have heard before


async def made_up(self: Any, line: bytes, sender: Any) -> None:
    """Does not look it up."""
    sender.write(b"* 42\n")


@pytest.mark.parametrize(
    ("look_up", "failed", "silent", "sentence"),
    [
        (
            called,
            "questions.meanwhile",
            "",
            "carol heard nothing of it: the server's only thread was in self.look_up",
        ),
        (awaited, "questions.answer", "", "the server closed the connection of alice"),
        (called_first, "questions.answer", "", "the server closed the connection of alice"),
        (told_to_all, "questions.answer", "", "bob received "),
        (made_up, "questions.answer", ASKED, "self.look_up was not called"),
    ],
)
def test_wrong_questions_are_told_apart(
    look_up: Callable[..., Any], failed: str, silent: str, sentence: str
) -> None:
    """Each mistake is found by the case that is about it; a loop that is blocked is seen without a wait."""
    assert sentence in failure("10", questions(look_up), failed, silent).actual


def test_the_x_ray_shows_which_line_blocks_the_loop() -> None:
    """The thread of the server waits for what the archive waits for."""
    [waiting] = failure("10", questions(called), "questions.meanwhile").waiting
    assert waiting.startswith("the server waits in wait for an event")
    assert waiting.endswith("in the line: sender.write(self.look_up(line))")


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings are printed, as by Python itself: pytest keeps them, and with what is logged a coroutine."""

    def show(message: Warning, kind: type[Warning], file: str, line: int, *_: Any) -> None:
        print(warnings.formatwarning(message, kind, file, line), file=sys.stderr)

    monkeypatch.setattr(warnings, "showwarning", show)
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", True)


async def talk_without_await(self: Any, reader: Any, writer: Any) -> None:
    """Calls heard like a function."""
    while line := await reader.readline():
        self.heard(line, writer)
    writer.close()


async def listen_without_await(self: Any, reader: Any, writer: Any) -> None:
    """Takes the coroutine for the line."""
    while line := reader.readline():
        await self.heard(line, writer)


async def look_up_without_await(self: Any, line: bytes, sender: Any) -> None:
    """Takes the coroutine for the answer."""
    answer = asyncio.to_thread(self.look_up, line)
    sender.write(answer)


GREET = "alice, bob and carol join and greet each other"


@pytest.mark.parametrize(
    ("answer", "failed", "silent", "code"),
    [
        (variant("10", talk=talk_without_await), "delivery.reach", GREET, "self.heard(line, writer)"),
        (variant("10", talk=listen_without_await), "delivery.reach", "", "while line := reader.readline():"),
        (
            questions(look_up_without_await),
            "questions.answer",
            "",
            "answer = asyncio.to_thread(self.look_up, line)",
        ),
    ],
)
def test_a_forgotten_await_is_told_with_its_line(
    answer: Any, failed: str, silent: str, code: str, printed: None
) -> None:
    """Python says which coroutine was never awaited; the hint says so, instead of what else may be wrong."""
    hint = wrong("10", answer, failed, silent).case.hint
    assert re.fullmatch(rf"`await` is missing in line \d+: {re.escape(code)}", hint)


def test_a_forgotten_await_is_told_each_time(printed: None) -> None:
    """By itself, Python says it once of each line; a class that is checked again has it still."""
    answer = variant("10", talk=talk_without_await)
    for report in chatlib.exercise("10", answer), chatlib.check(answer, cases=["delivery.reach"]):
        [failed] = report.of(Outcome.FAIL)
        assert failed.case.hint.endswith(": self.heard(line, writer)")
