"""Exercise 04: lines from a stream."""

from typing import Any

import pytest
from answers import failure, passes, solved

from chatlib.teach.exercises.ex04_lines import LINES, STREAM, cuts


def test_the_solution_of_04_passes() -> None:
    """And chatlib's own reader would, if it raised ValueError."""
    passes("04", solved("04")["Lines"])


def test_every_cut_is_tried() -> None:
    """11 bytes, 10 places: 1024 ways, each different, and each the same stream."""
    ways = list(cuts(STREAM))
    assert len(ways) == len({tuple(pieces) for pieces in ways}) == 1024
    assert all(b"".join(pieces) == STREAM for pieces in ways)
    assert [line.removesuffix("\r") for line in STREAM.decode().split("\n")[:-1]] == LINES


class Lines:
    """A right answer, in parts that can be spoiled."""

    def __init__(self, limit: int) -> None:
        self.limit, self.rest = limit, b""

    def feed(self, piece: bytes) -> Any:
        """Takes a piece, returns lines."""
        *complete, self.rest = (self.rest + piece).split(b"\n")
        return self.checked([line.removesuffix(b"\r") for line in complete])

    def checked(self, lines: list[bytes]) -> list[str]:
        """Decodes lines that are not too long."""
        if any(len(line) > self.limit for line in [*lines, self.rest.removesuffix(b"\r")]):
            raise ValueError
        return [line.decode() for line in lines]


class AsBytes(Lines):
    """Forgets to decode."""

    def checked(self, lines: list[bytes]) -> Any:
        return lines


class OnlyFirst(Lines):
    """Takes what comes for a single line."""

    def feed(self, piece: bytes) -> Any:
        line, _, self.rest = (self.rest + piece).partition(b"\n")
        return [line.decode()]


class Forgetful(Lines):
    """Keeps nothing."""

    def feed(self, piece: bytes) -> Any:
        return [line.decode() for line in piece.split(b"\n")[:-1]]


class Decoding(Lines):
    """Decodes pieces."""

    def __init__(self, limit: int) -> None:
        self.text = ""

    def feed(self, piece: bytes) -> Any:
        *lines, self.text = (self.text + piece.decode()).split("\n")
        return lines


class Stripping(Lines):
    """Strips too much."""

    def checked(self, lines: list[bytes]) -> list[str]:
        return [line.strip().decode() for line in lines]


class SkippingEmpty(Lines):
    """Takes empty lines for nothing."""

    def checked(self, lines: list[bytes]) -> list[str]:
        return [line.decode() for line in lines if line]


class CarriageByPiece(Lines):
    """Drops the carriage return of a piece, not of a line."""

    def feed(self, piece: bytes) -> Any:
        *complete, self.rest = (self.rest + piece.replace(b"\r\n", b"\n")).split(b"\n")
        return [line.decode() for line in complete]


class Shared(Lines):
    """Keeps everything in the class."""

    rest = b""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def feed(self, piece: bytes) -> Any:
        *complete, type(self).rest = (type(self).rest + piece).split(b"\n")
        return [line.removesuffix(b"\r").decode() for line in complete]


class Unlimited(Lines):
    """Has no limit."""

    def checked(self, lines: list[bytes]) -> list[str]:
        return [line.decode() for line in lines]


class LimitedLater(Lines):
    """Looks at the limit only when a line is complete."""

    def checked(self, lines: list[bytes]) -> list[str]:
        if any(len(line) > self.limit for line in lines):
            raise ValueError
        return [line.decode() for line in lines]


class OffByOne(Lines):
    """Counts the newline, too."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit - 1)


class HalfAnEnd(Lines):
    """Counts a carriage return whose newline has not come yet."""

    def feed(self, piece: bytes) -> Any:
        lines = super().feed(piece)
        if len(self.rest) > self.limit:
            raise ValueError
        return lines


@pytest.mark.parametrize(
    ("answer", "failed", "sentence"),
    [
        (AsBytes, "lines.whole", "they returned [b'hello']"),
        (OnlyFirst, "lines.joined", "they returned ['one']"),
        (Forgetful, "lines.split", "they returned [] and ['lo']"),
        (Decoding, "lines.letter", "it raised UnicodeDecodeError: "),
        (Stripping, "lines.ends", "they returned ['two spaces']"),
        (SkippingEmpty, "lines.ends", "they returned ['one', 'two']"),
        (CarriageByPiece, "lines.every", "feed("),
        (Shared, "lines.apart", "the second returned ['albob'], and the first ['ice']"),
        (Unlimited, "lines.limit", "it raised nothing, and returned ['0123456789x']"),
        (LimitedLater, "lines.limit", "it raised nothing, and returned []"),
        (OffByOne, "lines.limit", "it raised ValueError"),
        (HalfAnEnd, "lines.limit", "it raised ValueError"),
    ],
)
def test_wrong_lines_are_told_apart(answer: type, failed: str, sentence: str) -> None:
    """Each mistake is found by the case that is about it."""
    assert failure("04", answer, failed).actual.startswith(sentence)


def test_the_right_lines_pass() -> None:
    """What is spoiled above is right."""
    passes("04", Lines)
