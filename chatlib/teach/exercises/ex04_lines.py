"""Exercise 04: pieces of a stream into lines, whatever the pieces are."""

import itertools
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from chatlib.checker.case import Case, step
from chatlib.checker.errors import Broken
from chatlib.teach.exercises.exercise import Exercise, is_subclass_of
from chatlib.teach.exercises.sandbox import Trial, shown

LESSON = "04 The stream lies"
LIMIT = 100

STREAM = "é\r\n\nab\r\nc\n".encode()
"""A letter of two bytes, both kinds of line end, an empty line: 11 bytes, which can be cut in 1024 ways."""
LINES = ["é", "", "ab", "c"]


@runtime_checkable
class Feedable(Protocol):
    """A class with a method that takes pieces of a stream."""

    def feed(self, piece: bytes) -> list[str]:
        """Takes a piece; returns the lines that it completes."""


def cuts(stream: bytes) -> Iterator[list[bytes]]:
    """Yields every way to cut a stream into pieces."""
    for count in range(len(stream)):
        for places in itertools.combinations(range(1, len(stream)), count):
            ends = [0, *places, len(stream)]
            yield [stream[start:end] for start, end in itertools.pairwise(ends)]


def written(pieces: list[bytes] | tuple[bytes, ...]) -> str:
    """Returns pieces as they would be fed."""
    return ", then ".join(f"feed({shown(piece)})" for piece in pieces)


@step(lambda pieces, *_, **__: written(pieces))
def feed(
    trial: Trial, pieces: tuple[bytes, ...], expected: tuple[list[str], ...], limit: int = LIMIT
) -> None:
    """Feeds pieces to a new object, and compares what each completes."""
    wanted = f"they return {' and '.join(map(repr, expected))}"
    made: Any = trial.attempt(lambda: trial.answer(limit), f"Lines({limit}) makes an object")

    def fed(piece: bytes) -> Any:
        return trial.attempt(lambda: made.feed(piece), wanted)

    found = [fed(piece) for piece in pieces]
    if found != list(expected):
        raise Broken(wanted, f"they returned {' and '.join(map(shown, found))}")


@step("two objects: the first is fed b'al', the second b'bob\\n', the first b'ice\\n'")
def feed_two(trial: Trial) -> None:
    """Two objects get halves of different lines: neither knows anything of the other."""
    wanted = "the second returns ['bob'], and the first ['alice']: each keeps what it was fed itself"

    def both() -> tuple[Any, Any]:
        first, second = trial.answer(LIMIT), trial.answer(LIMIT)
        first.feed(b"al")
        return second.feed(b"bob\n"), first.feed(b"ice\n")

    second, first = trial.attempt(both, wanted)
    if (second, first) != (["bob"], ["alice"]):
        raise Broken(wanted, f"the second returned {shown(second)}, and the first {shown(first)}")


@step(f"{shown(STREAM)} is cut into pieces, in every way there is")
def feed_all(trial: Trial) -> None:
    """Cuts a text in every way there is: its lines are always the same."""
    wanted = f"however it is cut, its lines are {LINES!r}"
    wrong = trial.attempt(lambda: _first_wrong(trial.answer), wanted)
    if wrong:
        pieces, found = wrong
        raise Broken(wanted, f"{written(pieces)} returned {shown(found)} altogether")


def _first_wrong(answer: Any) -> tuple[list[bytes], list[str]] | None:
    for pieces in cuts(STREAM):
        lines = answer(LIMIT)
        found = [line for piece in pieces for line in lines.feed(piece)]
        if found != LINES:
            return pieces, found
    return None


@step("Lines({limit}) is fed {words}")
def overfeed(trial: Trial, pieces: tuple[bytes, ...], words: str, limit: int = 10) -> None:
    """Feeds a line that is longer than the limit."""
    wanted = f"feed raises ValueError: a line may have {limit} bytes"

    def complaint() -> str:
        lines = trial.answer(limit)
        try:
            found = [lines.feed(piece) for piece in pieces]
        except ValueError:
            return ""
        return f"it raised nothing, and returned {shown(found[-1])}"

    if actual := trial.attempt(complaint, wanted):
        raise Broken(wanted, actual)


CASES = (
    Case(
        "lines.whole",
        "A whole line is returned",
        "A line is returned as text, without its newline.",
        steps=(feed((b"hello\n",), (["hello"],)), feed((b"one\n", b"two\n"), (["one"], ["two"]))),
        hint="feed returns a list of texts: split the bytes at the newline, then decode each line.",
        lesson=LESSON,
    ),
    Case(
        "lines.joined",
        "Several lines in one piece",
        "All lines that a piece completes are returned, in order.",
        steps=(feed((b"one\ntwo\nthree\n",), (["one", "two", "three"],)),),
        hint='What does b"one\\ntwo\\n".split(b"\\n") return? What is its last element?',
        lesson=LESSON,
    ),
    Case(
        "lines.split",
        "A line in several pieces",
        "What has no newline yet is kept, until the rest of the line comes.",
        steps=(
            feed((b"hel", b"lo\n"), ([], ["hello"])),
            feed((b"o", b"ne\ntw", b"o\n"), ([], ["one"], ["two"])),
        ),
        hint="Keep what stands behind the last newline in self.rest, and put the next piece behind it.",
        lesson=LESSON,
    ),
    Case(
        "lines.letter",
        "A letter that is cut in half",
        "A letter of two bytes arrives intact, even when they come in two pieces.",
        steps=(feed((b"caf\xc3", b"\xa9\n"), ([], ["café"])),),
        hint="Keep bytes, not text: decode a line when it is whole, never a piece.",
        lesson=LESSON,
    ),
    Case(
        "lines.ends",
        "CR LF and empty lines",
        "One carriage return before the newline is dropped. An empty line is a line, too.",
        steps=(
            feed((b"hello\r\n",), (["hello"],)),
            feed((b"one\n\ntwo\n",), (["one", "", "two"],)),
            feed((b"  two spaces  \n",), (["  two spaces  "],)),
        ),
        hint='removesuffix(b"\\r") drops just that; strip takes spaces, too. Is an empty line left out?',
        lesson=LESSON,
    ),
    Case(
        "lines.every",
        "Every way to cut a text",
        "However a text is cut into pieces, its lines are the same.",
        steps=(feed_all(),),
        hint="Do not look at single pieces: put what you kept and the new piece together, then split.",
        lesson=LESSON,
    ),
    Case(
        "lines.apart",
        "Each object for itself",
        "What one object has kept does not show up in another: each client has its own.",
        steps=(feed_two(),),
        hint="Set self.rest in __init__. A variable of the class, or a global one, is shared by all.",
        lesson=LESSON,
    ),
    Case(
        "lines.limit",
        "A line that never ends",
        "A line may have limit bytes, its end not counted. When there are more, feed raises ValueError.",
        steps=(
            feed((b"0123456789\n", b"01234", b"56789\n"), (["0123456789"], [], ["0123456789"]), limit=10),
            feed((b"0123456789\r", b"\n"), ([], ["0123456789"]), limit=10),
            overfeed((b"0123456789x\n",), "a line of 11 bytes"),
            overfeed((b"01234", b"56789x"), "11 bytes in two pieces, and no newline"),
        ),
        hint="Look at the length of each line, and of what you keep: in both, a last \\r does not count.",
        lesson=LESSON,
    ),
)

EXERCISE = Exercise(
    title="lines from a stream",
    name="Lines",
    takes="the class itself, with a method feed, without brackets",
    fits=is_subclass_of(Feedable),
    cases=CASES,
    lesson=LESSON,
)
