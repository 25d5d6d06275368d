"""Bytes into lines: TCP carries a stream, a conversation needs lines. No I/O here."""

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

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()
        self.overlong = False
        """True once a line has passed the limit. Nothing is read any more: where it ends is unknown."""

    def feed(self, data: bytes) -> list[str]:
        """Takes one chunk of the stream; returns the lines that it completed, without their newlines."""
        if self.overlong:
            return []
        self._rest += data
        lines = self._split() if b"\n" in data else []
        self.overlong = self.overlong or len(self._rest) > self._limit + self._rest.endswith(b"\r")
        if self.overlong:
            self._rest.clear()
        return lines

    def _split(self) -> list[str]:
        *complete, self._rest = self._rest.split(b"\n")
        lines = []
        for line in (line.removesuffix(b"\r") for line in complete):
            if len(line) > self._limit:
                self.overlong = True
                break
            lines.append(line.decode("utf-8", "replace"))
        return lines


def printable(text: str) -> str:
    """Spells out control characters: what comes from a network must not steer a terminal."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def encode(lines: Iterable[str]) -> bytes:
    """Returns the bytes that carry these lines: UTF-8, a newline after each."""
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
