"""Exercise 13: what comes from a log at least once is shown once, and nothing is left out."""

import inspect
from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

from chatlib.checker.case import Case, step
from chatlib.checker.errors import Broken
from chatlib.teach.exercises.exercise import Exercise, is_subclass_of
from chatlib.teach.exercises.sandbox import Trial, shown

LESSON = "13 Beyond one machine"

Entry = tuple[str, dict[str, str]]

MANY = 5_000
"""Entries after which is looked how much a reader remembers."""

NO_TEXT = "What show takes is the text of the line: fields['line']."

LITTLE = 100
"""Things that it may remember then."""


@runtime_checkable
class Taking(Protocol):
    """A class with a method that takes entries."""

    def take(self, entries: list[Entry], show: Any) -> None:
        """Shows the lines that are new."""


class Away(ConnectionError):
    """What `show` raises when it cannot show a line."""


class Screen:
    """Shows lines; fails at one of them, once.

    Args:
        fails_at: The line.
    """

    def __init__(self, fails_at: str = "") -> None:
        self.lines: list[Any] = []
        self._fails_at = fails_at

    def show(self, line: Any) -> None:
        """Shows a line; or what else it is given."""
        if line == self._fails_at:
            self._fails_at = ""
            raise Away(f"{line!r} could not be shown")
        self.lines.append(line)

    def __str__(self) -> str:
        return ", ".join(line if isinstance(line, str) else shown(line) for line in self.lines) or "nothing"

    @property
    def hint(self) -> str:
        """What to look at if something else than text was shown."""
        return "" if all(isinstance(line, str) for line in self.lines) else NO_TEXT


def entry(id: str, by: str, number: int) -> Entry:
    """Returns an entry as Redis gives it: all is text."""
    return id, {"by": by, "number": str(number), "line": f"{by} {number}"}


def in_words(entries: Iterable[Entry]) -> str:
    """Returns entries as one would tell them."""
    return ", ".join(f"{fields['line']} (id {id})" for id, fields in entries) or "nothing"


def made(trial: Trial) -> Any:
    """Makes a reader."""
    reader: Any = trial.attempt(lambda: trial.answer(), "Reader() makes an object")
    if inspect.isgeneratorfunction(reader.take):
        hint = "A function with yield in it runs only when somebody asks for its values. Call show instead."
        raise Broken(
            "take shows lines when it is called", "take contains yield: nothing of it runs", hint=hint
        )
    return reader


def given(trial: Trial, reader: Any, entries: Iterable[Entry], screen: Screen, expected: str) -> None:
    """Gives entries to a reader. What `show` raises may come out."""

    def take() -> None:
        try:
            reader.take(list(entries), screen.show)
        except Away:
            return

    trial.attempt(take, expected)


@step(lambda batches, lines: "; then ".join(f"take is given {in_words(batch)}" for batch in batches))
def read(trial: Trial, batches: tuple[tuple[Entry, ...], ...], lines: tuple[str, ...]) -> None:
    """Gives entries to a new reader, one batch after the other, and compares what it shows."""
    expected, screen, reader = f"shown is {', '.join(lines)}", Screen(), made(trial)
    for batch in batches:
        given(trial, reader, batch, screen, expected)
    if screen.lines != list(lines):
        raise Broken(expected, f"shown was {screen}", hint=screen.hint)


@step(lambda entries: f"take is given {in_words(entries)}; then its position is looked at")
def look_at_position(trial: Trial, entries: tuple[Entry, ...]) -> None:
    """The position is that of the last entry, whether it was shown or dropped."""
    reader = made(trial)
    expected = f"its position is {entries[-1][0]!r}: what it has dealt with need not come again"
    given(trial, reader, entries, Screen(), expected)
    found = trial.attempt(lambda: reader.position, expected)
    if found != entries[-1][0]:
        raise Broken(expected, f"it is {shown(found)}")


@step(lambda entries, at: f"take is given {in_words(entries)}; show raises an error at {at}, once")
def fail(trial: Trial, entries: tuple[Entry, ...], at: str) -> None:
    """Showing fails. Then the log is read again after the reader's position, as after a restart."""
    screen, reader = Screen(at), made(trial)
    expected = f"read again after its position, shown is {', '.join(fields['line'] for _, fields in entries)}"
    given(trial, reader, entries, screen, expected)
    position = trial.attempt(lambda: reader.position, expected)
    ids = [id for id, _ in entries]
    rest = entries[ids.index(position) + 1 :] if position in ids else entries
    given(trial, reader, rest, screen, expected)
    if screen.lines != [fields["line"] for _, fields in entries]:
        told = f"its position was {shown(position)}, and shown was {screen}"
        raise Broken(expected, told, hint=screen.hint)


@step(f"take is given {MANY:,} lines of alice and bob; then is looked how much the reader remembers")
def count_memory(trial: Trial) -> None:
    """What it remembers does not grow with what it has read."""
    reader, screen = made(trial), Screen()
    expected = f"it remembers less than {LITTLE} things, whatever it has read"
    for number in range(1, MANY // 2 + 1):
        both = entry(f"{number}-0", "alice", number), entry(f"{number}-1", "bob", number)
        if number % 100 == 1:
            batch: list[Entry] = []
        batch += both
        if number % 100 == 0:
            given(trial, reader, batch, screen, expected)
    if len(screen.lines) != MANY:
        raise Broken(f"shown are {MANY:,} lines", f"shown were {len(screen.lines):,}")
    if (count := things_in(vars(reader))) >= LITTLE:
        raise Broken(expected, f"it remembers about {count:,}")


def things_in(value: object, depth: int = 4) -> int:
    """Returns how many things are in a container, and in those within."""
    if isinstance(value, dict):
        return len(value) + sum(things_in(each, depth - 1) for each in value.values() if depth)
    if isinstance(value, (list, tuple, set, frozenset)):
        return len(value) + sum(things_in(each, depth - 1) for each in value if depth)
    return 0


_ALICE = tuple(entry(f"{5 + n}-0", "alice", n) for n in range(1, 4))

CASES = (
    Case(
        "once.shown",
        "What is new is shown",
        "Each line is shown, in the order of the log.",
        steps=(read((_ALICE[:2], _ALICE[2:]), ("alice 1", "alice 2", "alice 3")),),
        hint="Walk through the entries: for id, fields in entries. Then show(fields['line']).",
        lesson=LESSON,
    ),
    Case(
        "once.position",
        "The position",
        "After take, position is the id of the last entry, also if that one was a duplicate.",
        steps=(
            look_at_position(_ALICE),
            look_at_position((*_ALICE, entry("9-0", "alice", 3))),
        ),
        hint="Set self.position = id for each entry, when it has been dealt with: shown or dropped.",
        lesson=LESSON,
    ),
    Case(
        "once.again",
        "Read again",
        "Entries that come a second time are not shown again.",
        steps=(read((_ALICE, _ALICE[1:]), ("alice 1", "alice 2", "alice 3")),),
        hint="Remember the last number of the sender. What is not larger is known already.",
        lesson=LESSON,
    ),
    Case(
        "once.twice",
        "Written twice",
        "A line that stands in the log twice, with two ids, is shown once.",
        steps=(read(((*_ALICE, entry("9-0", "alice", 3)),), ("alice 1", "alice 2", "alice 3")),),
        hint="Its ids differ, so they do not help. What is the same in both is by, and number.",
        lesson=LESSON,
    ),
    Case(
        "once.numbers",
        "Nine, ten, eleven",
        "Numbers are compared as numbers.",
        steps=(
            read(
                (tuple(entry(f"7-{n}", "alice", n) for n in range(8, 12)),),
                ("alice 8", "alice 9", "alice 10", "alice 11"),
            ),
        ),
        hint='Redis gives text, and as text "10" comes before "9": int(fields["number"]).',
        lesson=LESSON,
    ),
    Case(
        "once.senders",
        "Each sender counts for itself",
        "What one sender has said says nothing of another's lines.",
        steps=(
            read(
                ((*_ALICE, entry("9-0", "bob", 1), entry("9-1", "alice", 3), entry("9-2", "bob", 2)),),
                ("alice 1", "alice 2", "alice 3", "bob 1", "bob 2"),
            ),
        ),
        hint="One number is not enough: a dict has one for each sender.",
        lesson=LESSON,
    ),
    Case(
        "once.failure",
        "Showing fails",
        "A line that could not be shown comes again, and is shown then.",
        steps=(fail(_ALICE, "alice 2"), fail((*_ALICE, entry("9-0", "bob", 1)), "bob 1")),
        hint="First show, then remember, both the number and the position. And let the error out of take.",
        lesson=LESSON,
    ),
    Case(
        "once.memory",
        "It does not remember everything",
        "What a reader remembers does not grow with each line.",
        steps=(count_memory(),),
        hint="As each sender counts upwards, its last number says it all. No set is needed.",
        lesson=LESSON,
    ),
)

EXERCISE = Exercise(
    title="no line twice",
    name="Reader",
    takes="the class itself, without brackets",
    fits=is_subclass_of(Taking),
    cases=CASES,
    lesson=LESSON,
)
