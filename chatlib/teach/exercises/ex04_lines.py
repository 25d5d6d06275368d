"""Exercise 04: pieces of a stream into lines, whatever the pieces are."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chatlib.checker.case import Case
from chatlib.checker.errors import Broken
from chatlib.teach.exercises.sandbox import shown

LESSON = "04 The stream lies"
LIMIT = 100

STREAM = "é\r\n\nab\r\nc\n".encode()
"""A letter of two bytes, both kinds of line end, an empty line: 11 bytes, which can be cut in 1024 ways."""
LINES = ["é", "", "ab", "c"]


def cuts(stream: bytes) -> Iterator[list[bytes]]:
    """Yields every way to cut a stream into pieces."""
    for count in range(len(stream)):
        for places in itertools.combinations(range(1, len(stream)), count):
            ends = [0, *places, len(stream)]
            yield [stream[start:end] for start, end in itertools.pairwise(ends)]


def written(pieces: list[bytes] | tuple[bytes, ...]) -> str:
    """Returns pieces as they would be fed."""
    return ", then ".join(f"feed({shown(piece)})" for piece in pieces)


@dataclass(frozen=True)
class Feed:
    """Feeds pieces to a new object, and compares what each completes."""

    pieces: tuple[bytes, ...]
    expected: tuple[list[str], ...]
    limit: int = LIMIT

    def __str__(self) -> str:
        return written(self.pieces)

    def run(self, trial: Any) -> None:
        wanted = f"they return {' and '.join(map(repr, self.expected))}"
        made: Any = trial.attempt(lambda: trial.answer(self.limit), f"Lines({self.limit}) makes an object")

        def fed(piece: bytes) -> Any:
            return trial.attempt(lambda: made.feed(piece), wanted)

        found = [fed(piece) for piece in self.pieces]
        if found != list(self.expected):
            raise Broken(wanted, f"they returned {' and '.join(map(shown, found))}")


@dataclass(frozen=True)
class FeedTwo:
    """Two objects get halves of different lines: neither knows anything of the other."""

    def __str__(self) -> str:
        return "two objects: the first is fed b'al', the second b'bob\\n', the first b'ice\\n'"

    def run(self, trial: Any) -> None:
        wanted = "the second returns ['bob'], and the first ['alice']: each keeps what it was fed itself"

        def feed() -> tuple[Any, Any]:
            first, second = trial.answer(LIMIT), trial.answer(LIMIT)
            first.feed(b"al")
            return second.feed(b"bob\n"), first.feed(b"ice\n")

        second, first = trial.attempt(feed, wanted)
        if (second, first) != (["bob"], ["alice"]):
            raise Broken(wanted, f"the second returned {shown(second)}, and the first {shown(first)}")


@dataclass(frozen=True)
class FeedAll:
    """Cuts a text in every way there is: its lines are always the same."""

    def __str__(self) -> str:
        return f"{shown(STREAM)} is cut into pieces, in every way there is"

    def run(self, trial: Any) -> None:
        wanted = f"however it is cut, its lines are {LINES!r}"
        wrong = trial.attempt(lambda: self._first_wrong(trial.answer), wanted)
        if wrong:
            pieces, found = wrong
            raise Broken(wanted, f"{written(pieces)} returned {shown(found)} altogether")

    def _first_wrong(self, answer: Any) -> tuple[list[bytes], list[str]] | None:
        for pieces in cuts(STREAM):
            lines = answer(LIMIT)
            found = [line for piece in pieces for line in lines.feed(piece)]
            if found != LINES:
                return pieces, found
        return None


@dataclass(frozen=True)
class Overfeed:
    """Feeds a line that is longer than the limit."""

    pieces: tuple[bytes, ...]
    words: str
    limit: int = 10

    def __str__(self) -> str:
        return f"Lines({self.limit}) is fed {self.words}"

    def run(self, trial: Any) -> None:
        wanted = f"feed raises ValueError: a line may have {self.limit} bytes"

        def feed() -> str:
            lines = trial.answer(self.limit)
            try:
                found = [lines.feed(piece) for piece in self.pieces]
            except ValueError:
                return ""
            return f"it raised nothing, and returned {shown(found[-1])}"

        if actual := trial.attempt(feed, wanted):
            raise Broken(wanted, actual)


CASES = (
    Case(
        "lines.whole",
        "A whole line is returned",
        "A line is returned as text, without its newline.",
        steps=(Feed((b"hello\n",), (["hello"],)), Feed((b"one\n", b"two\n"), (["one"], ["two"]))),
        hint="feed returns a list of texts: split the bytes at the newline, then decode each line.",
        lesson=LESSON,
    ),
    Case(
        "lines.joined",
        "Several lines in one piece",
        "All lines that a piece completes are returned, in order.",
        steps=(Feed((b"one\ntwo\nthree\n",), (["one", "two", "three"],)),),
        hint='What does b"one\\ntwo\\n".split(b"\\n") return? What is its last element?',
        lesson=LESSON,
    ),
    Case(
        "lines.split",
        "A line in several pieces",
        "What has no newline yet is kept, until the rest of the line comes.",
        steps=(
            Feed((b"hel", b"lo\n"), ([], ["hello"])),
            Feed((b"o", b"ne\ntw", b"o\n"), ([], ["one"], ["two"])),
        ),
        hint="Keep what stands behind the last newline in self.rest, and put the next piece behind it.",
        lesson=LESSON,
    ),
    Case(
        "lines.letter",
        "A letter that is cut in half",
        "A letter of two bytes arrives intact, even when they come in two pieces.",
        steps=(Feed((b"caf\xc3", b"\xa9\n"), ([], ["café"])),),
        hint="Keep bytes, not text: decode a line when it is whole, never a piece.",
        lesson=LESSON,
    ),
    Case(
        "lines.ends",
        "CR LF and empty lines",
        "One carriage return before the newline is dropped. An empty line is a line, too.",
        steps=(
            Feed((b"hello\r\n",), (["hello"],)),
            Feed((b"one\n\ntwo\n",), (["one", "", "two"],)),
            Feed((b"  two spaces  \n",), (["  two spaces  "],)),
        ),
        hint='removesuffix(b"\\r") drops just that; strip takes spaces, too. Is an empty line left out?',
        lesson=LESSON,
    ),
    Case(
        "lines.every",
        "Every way to cut a text",
        "However a text is cut into pieces, its lines are the same.",
        steps=(FeedAll(),),
        hint="Do not look at single pieces: put what you kept and the new piece together, then split.",
        lesson=LESSON,
    ),
    Case(
        "lines.apart",
        "Each object for itself",
        "What one object has kept does not show up in another: each client has its own.",
        steps=(FeedTwo(),),
        hint="Set self.rest in __init__. A variable of the class, or a global one, is shared by all.",
        lesson=LESSON,
    ),
    Case(
        "lines.limit",
        "A line that never ends",
        "A line may have limit bytes, its end not counted. When there are more, feed raises ValueError.",
        steps=(
            Feed((b"0123456789\n", b"01234", b"56789\n"), (["0123456789"], [], ["0123456789"]), limit=10),
            Feed((b"0123456789\r", b"\n"), ([], ["0123456789"]), limit=10),
            Overfeed((b"0123456789x\n",), "a line of 11 bytes"),
            Overfeed((b"01234", b"56789x"), "11 bytes in two pieces, and no newline"),
        ),
        hint="Look at the length of each line, and of what you keep: in both, a last \\r does not count.",
        lesson=LESSON,
    ),
)
