"""What is said under load. It repeats, so what every receiver should get can be compared in large blocks."""

from dataclasses import dataclass

LINE = 64
"""Bytes in each line."""

PERIOD = 1024
"""A sender's lines are numbered, and begin again after so many: more than can ever be under way."""

BUFFER = 1 << 16
"""Bytes that are read at once."""

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""Each sender's lines begin with its letter."""


class Failed(Exception):
    """A server did not do what was asked of it, or not in time; the text says what."""


class Stream:
    """Frames, all of one length, that repeat for ever. A place in it is the number of frames before it.

    Args:
        frames: The first `PERIOD` of them.
    """

    def __init__(self, frames: tuple[bytes, ...]) -> None:
        self.frames = frames
        self.size = len(frames[0])
        once = b"".join(frames)
        self._text = once * (2 + BUFFER // len(once))

    def part(self, place: int, count: int) -> bytes:
        """Returns so many frames from there on: at most `PERIOD`."""
        start = place % PERIOD * self.size
        return self._text[start : start + count * self.size]

    def goes_on_with(self, place: int, data: bytes | memoryview) -> bool:
        """True if these are the frames from there on, byte for byte. Copies nothing."""
        return self._text.startswith(data, place % PERIOD * self.size)

    def explain(self, place: int, data: bytes) -> str:
        """Says what is wrong with the first frame that is not the one due."""
        for start in range(0, len(data), self.size):
            frame, due = data[start : start + self.size], (place + start // self.size) % PERIOD
            if frame != self.frames[due]:
                return self._explain(due, frame)
        return "nothing"

    def _explain(self, due: int, frame: bytes) -> str:
        if frame not in self.frames:
            return f"line {due} was due, but what came is torn: {frame!r}"
        came = self.frames.index(frame)
        again = (due - came - 1) % PERIOD < PERIOD // 2
        what = "doubled, or out of order" if again else "lost, or out of order"
        return f"line {due} was due, but line {came} came: {what}"


@dataclass(frozen=True)
class Dialect:
    """What a server wants to hear for a line, and what its receivers hear: bytes around the line."""

    service: str
    """Who hears a line: everybody else (`broadcast`), or the sender, in upper case (`shout`)."""
    said: tuple[bytes, bytes] = (b"", b"")
    heard: tuple[bytes, bytes] = (b"", b"")
    hello: bytes = b""
    """What a receiver says first, if it has to."""
    welcome: bytes = b""
    """What it hears then, at last."""
    receipt: bytes = b""
    """What a sender hears instead of the lines of others: how many have heard its own."""
    aside: bytes = b""
    """What a server may ask in between; it is not answered, and a server waits minutes for that."""

    def receivers(self, clients: int, senders: int) -> int:
        """Returns how many of the clients hear a line."""
        if self.service == "shout":
            return 1
        return clients - (senders if self.receipt else 1)

    def out(self, sender: int) -> Stream:
        """Returns what a sender says."""
        return Stream(tuple(line.join(self.said) for line in lines(sender)))

    def back(self, sender: int) -> Stream:
        """Returns what is heard of it."""
        said = lines(sender)
        if self.service == "shout":
            said = [line.upper() for line in said]
        return Stream(tuple(line.join(self.heard) for line in said))


def lines(sender: int) -> list[bytes]:
    """Returns the lines of a sender until they repeat."""
    texts = (f"{LETTERS[sender]} {n:04} the quick brown fox jumps over the lazy dog" for n in range(PERIOD))
    return [text.ljust(LINE - 1, ".").encode() + b"\n" for text in texts]


def _bulk(*words: bytes) -> bytes:
    """Returns words in the form in which Redis takes and gives them."""
    return b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


_LAST = b"$%d\r\n" % LINE

DIALECTS = {
    "broadcast": Dialect("broadcast"),
    "shout": Dialect("shout", hello=b"hello\n", welcome=b"HELLO\n"),
    "redis": Dialect(
        "broadcast",
        said=(b"*3\r\n" + _bulk(b"PUBLISH", b"room") + _LAST, b"\r\n"),
        heard=(b"*3\r\n" + _bulk(b"message", b"room") + _LAST, b"\r\n"),
        hello=b"*2\r\n" + _bulk(b"SUBSCRIBE", b"room"),
        welcome=b"*3\r\n" + _bulk(b"subscribe", b"room") + b":1\r\n",
        receipt=b":%d\r\n",
    ),
    "nats": Dialect(
        "broadcast",
        said=(b"PUB room %d\r\n" % LINE, b"\r\n"),
        heard=(b"MSG room 1 %d\r\n" % LINE, b"\r\n"),
        hello=b'CONNECT {"verbose":false,"pedantic":false,"echo":false}\r\nSUB room 1\r\nPING\r\n',
        welcome=b"PONG\r\n",
        aside=b"PING\r\n",
    ),
}
"""What is spoken, by name."""
