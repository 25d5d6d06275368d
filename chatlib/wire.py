"""Bytes into lines: TCP carries a stream, a conversation needs lines. No I/O here."""

import itertools
from collections.abc import Iterable

LINE_LIMIT = 65_536
"""Bytes that one line may hold, its newline not counted."""


class LineReader:
    """Collects what `recv` brings and hands back each line once it is complete.

    A line ends with a newline; one carriage return before it is dropped. Whole lines are decoded, never
    single chunks, so a letter that was cut in half arrives intact. Bytes that are not UTF-8 become U+FFFD:
    the line is still delivered, and whoever reads it gets text that is valid.

    Args:
        limit: The longest line that is accepted, in bytes.
    """

    __slots__ = ("_limit", "_rest", "overlong")

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()
        self.overlong = False
        """True once a line has passed the limit. Nothing is read any more: where it ends is unknown."""

    @property
    def rest(self) -> bytes:
        """What has come of the next line."""
        return bytes(self._rest)

    def feed(self, data: bytes) -> list[str]:
        """Takes one chunk of the stream; returns the lines that it completed, without their newlines."""
        if self.overlong:
            return []
        self._rest += data
        if b"\n" not in data and len(self._rest) <= self._limit:  # most of a long line: nothing to split yet
            return []
        *complete, self._rest = self._rest.split(b"\n")
        texts = [line.removesuffix(b"\r") for line in complete]
        fitting = list(itertools.takewhile(lambda text: len(text) <= self._limit, texts))
        rest_limit = self._limit + self._rest.endswith(b"\r")
        self.overlong = len(fitting) < len(texts) or len(self._rest) > rest_limit
        if self.overlong:
            self._rest.clear()
        return [text.decode("utf-8", "replace") for text in fitting]


def printable(text: str) -> str:
    """Spells out control characters: what comes from a network must not steer a terminal."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def encode(lines: Iterable[str]) -> bytes:
    """Returns the bytes that carry these lines: UTF-8, a newline after each."""
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
