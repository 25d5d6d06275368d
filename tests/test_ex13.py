"""Exercise 13: each line once, though it may come twice."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from answers import failure, passes, solved, variant

Show = Callable[[str], None]
Entries = list[tuple[str, dict[str, str]]]


def test_the_solution_passes() -> None:
    """As it stands in the notebook."""
    passes("13", solved("13")["Reader"])


def test_another_right_answer_passes() -> None:
    """One that keeps the numbers elsewhere, and looks at ids first: as numbers."""

    class Reader:
        def __init__(self) -> None:
            self.position, self.numbers = "0-0", Counter[str]()

        def take(self, entries: Entries, show: Show) -> None:
            for id, fields in entries:
                if tuple(map(int, id.split("-"))) <= tuple(map(int, self.position.split("-"))):
                    continue
                if int(fields["number"]) > self.numbers[fields["by"]]:
                    show(fields["line"])
                    self.numbers[fields["by"]] = int(fields["number"])
                self.position = id

    passes("13", Reader)


def everything(self: Any, entries: Entries, show: Show) -> None:
    """Shows whatever comes."""
    for id, fields in entries:
        show(fields["line"])
        self.position = id


def by_id(self: Any, entries: Entries, show: Show) -> None:
    """Drops what is not after its position, and compares ids as text."""
    for id, fields in entries:
        if id > self.position:
            show(fields["line"])
            self.position = id


def as_text(self: Any, entries: Entries, show: Show) -> None:
    """Compares numbers as text."""
    for id, fields in entries:
        if fields["number"] > self.last.get(fields["by"], ""):
            show(fields["line"])
            self.last[fields["by"]] = fields["number"]
        self.position = id


def one_number(self: Any, entries: Entries, show: Show) -> None:
    """Has one number for all senders."""
    for id, fields in entries:
        if int(fields["number"]) > self.last.get("", 0):
            show(fields["line"])
            self.last[""] = int(fields["number"])
        self.position = id


def position_first(self: Any, entries: Entries, show: Show) -> None:
    """Moves its position before it shows."""
    for id, fields in entries:
        self.position = id
        if int(fields["number"]) > self.last.get(fields["by"], 0):
            show(fields["line"])
            self.last[fields["by"]] = int(fields["number"])


def number_first(self: Any, entries: Entries, show: Show) -> None:
    """Remembers the number before it shows."""
    for id, fields in entries:
        if int(fields["number"]) > self.last.get(fields["by"], 0):
            self.last[fields["by"]] = int(fields["number"])
            show(fields["line"])
        self.position = id


def swallowing(self: Any, entries: Entries, show: Show) -> None:
    """Goes on after an error."""
    for id, fields in entries:
        if int(fields["number"]) > self.last.get(fields["by"], 0):
            self.last[fields["by"]] = int(fields["number"])
            with contextlib.suppress(ConnectionError):
                show(fields["line"])
        self.position = id


def everything_remembered(self: Any, entries: Entries, show: Show) -> None:
    """Keeps a list of all that it has shown."""
    for id, fields in entries:
        if (fields["by"], fields["number"]) not in self.last:
            show(fields["line"])
            self.last[fields["by"], fields["number"]] = True
        self.position = id


def stuck(self: Any, entries: Entries, show: Show) -> None:
    """Leaves its position before a duplicate."""
    for id, fields in entries:
        if int(fields["number"]) > self.last.get(fields["by"], 0):
            show(fields["line"])
            self.last[fields["by"]] = int(fields["number"])
            self.position = id


def no_text(self: Any, entries: Entries, show: Callable[[object], None]) -> None:
    """Shows all that it has of a line."""
    for _, fields in entries:
        show(fields)


def asked_for(self: Any, entries: Entries, show: Show) -> Iterator[str]:
    """Yields lines, as the lesson's function does."""
    for _, fields in entries:
        yield fields["line"]


@pytest.mark.parametrize(
    ("take", "failed", "sentence"),
    [
        (no_text, "once.shown", "shown was {'by': 'alice', "),
        (asked_for, "once.shown", "take contains yield: nothing of it runs"),
        (everything, "once.again", "shown was alice 1, alice 2, alice 3, alice 2, alice 3"),
        (by_id, "once.twice", "shown was alice 1, alice 2, alice 3, alice 3"),
        (as_text, "once.numbers", "shown was alice 8, alice 9"),
        (one_number, "once.senders", "shown was alice 1, alice 2, alice 3"),
        (position_first, "once.failure", "shown was alice 1, alice 3"),
        (number_first, "once.failure", "its position was '6-0', and shown was alice 1, alice 3"),
        (swallowing, "once.failure", "its position was '8-0', and shown was alice 1, alice 3"),
        (everything_remembered, "once.memory", "it remembers about 5,0"),
        (stuck, "once.position", "it is '8-0'"),
    ],
)
def test_wrong_readers_are_told_apart(take: Callable[..., None], failed: str, sentence: str) -> None:
    """Each mistake is found by the case that is about it."""
    assert sentence in failure("13", variant("13", take=take), failed).actual


def test_what_python_says_best_is_left_to_python() -> None:
    """Here: that text and a number cannot be compared."""

    def take(self: Any, entries: Entries, show: Show) -> None:
        for _, fields in entries:
            if fields["number"] > self.last.get(fields["by"], 0):
                show(fields["line"])

    found = failure("13", variant("13", take=take), "once.shown")
    assert "TypeError: '>' not supported between" in found.actual
    assert found.expected == "shown is alice 1, alice 2, alice 3"
