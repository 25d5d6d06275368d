"""Bytes into lines: TCP carries a stream, a conversation needs lines. No I/O here."""

import itertools
from collections.abc import Iterable

LINE_LIMIT = 65_536
"""Bytes that one line may hold, its newline not counted."""


class LineReader:
    """Collects what `recv` brings and hands back each line once it is complete.

    A line ends with a newline; one carriage return before it is dropped. Whole lines are decoded, never
    single chunks, so a letter that was cut in half arrives intact. Bytes that are not UTF-8 become U+FFFD:
    the line is still delivered, as valid text.

    Args:
        limit: The longest line that is accepted, in bytes.
    """

    __slots__ = ("_rest", "limit", "overlong")

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self.limit = limit
        self._rest: bytes | bytearray = b""  # most readers wait between two lines: an array costs 56 bytes
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
        head, newline, tail = data.rpartition(b"\n")
        if newline:
            lines = self._split(bytes(self._rest) + head)
            self._rest = tail
        else:  # most of a long line, perhaps: nothing to split yet, and an array grows without being copied
            lines = []
            if isinstance(self._rest, bytes):
                self._rest = bytearray(self._rest)
            self._rest += data
        if self.overlong or (len(self._rest) > self.limit and not self._fits(self._rest)):
            self.overlong = True
            self._rest = b""
        return lines

    def _split(self, whole: bytes) -> list[str]:
        if len(whole) > self.limit:  # then one of its lines may be too long
            lines = whole.split(b"\n")
            fitting = list(itertools.takewhile(self._fits, lines))
            self.overlong = len(fitting) < len(lines)
            return [str(line.removesuffix(b"\r"), "utf-8", "replace") for line in fitting]
        text = whole.decode("utf-8", "replace")
        return [line.removesuffix("\r") for line in text.split("\n")] if "\r" in text else text.split("\n")

    def _fits(self, line: bytes | bytearray) -> bool:
        return len(line.removesuffix(b"\r")) <= self.limit


def printable(text: str) -> str:
    """Spells out control characters: what comes from a network must not steer a terminal."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def encode(lines: Iterable[str]) -> bytes:
    """Returns the bytes that carry these lines: UTF-8, a newline after each."""
    return "\n".join([*lines, ""]).encode("utf-8", "replace")
