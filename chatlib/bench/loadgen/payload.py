"""What is said under load. It repeats, so what each receiver should get can be compared in large blocks."""

from dataclasses import dataclass

LINE_SIZE = 64
"""Bytes in each line."""

PERIOD = 1024
"""A sender's lines are numbered, and begin again after this many: more than can ever be under way."""

READ_SIZE = 1 << 16
"""Bytes that one `recv` may bring: a system call costs the same for one line as for a thousand."""

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""Each sender's lines begin with its letter."""


class Payload:
    """Frames, all of one length, that repeat for ever. A place in it is the number of frames before it.

    Whatever a receiver reads at once is found in it as one piece, wherever in the payload that begins.

    Args:
        frames: The first `PERIOD` of them.
    """

    def __init__(self, frames: tuple[bytes, ...]) -> None:
        self.frames = frames
        self.size = len(frames[0])
        once = b"".join(frames)
        self._text = once * (2 + READ_SIZE // len(once))

    def part(self, place: int, count: int) -> bytes:
        """Returns this many frames from there on: at most `PERIOD`."""
        start = place % PERIOD * self.size
        return self._text[start : start + count * self.size]

    def goes_on_with(self, place: int, data: bytes | memoryview) -> bool:
        """True if these are the frames from there on, byte for byte. Copies nothing."""
        return self._text.startswith(data, place % PERIOD * self.size)

    def explain(self, place: int, data: bytes) -> str:
        """Says what is wrong with the first frame that is not the one due."""
        for start in range(0, len(data), self.size):
            frame, due = data[start : start + self.size], (place + start // self.size) % PERIOD
            if frame not in self.frames:
                return f"line {due} was due, but what came is torn: {frame!r}"
            if frame != self.frames[due]:
                came = self.frames.index(frame)
                again = (due - came - 1) % PERIOD < PERIOD // 2  # of two places on a ring, the nearer one
                what = "doubled, or out of order" if again else "lost, or out of order"
                return f"line {due} was due, but line {came} came: {what}"
        return "nothing"


@dataclass(frozen=True)
class WireProtocol:
    """How a line is written on the wire: the bytes before and after it, and what is said besides."""

    service: str
    """Which clients hear a line: all others (`broadcast`), or its sender, in upper case (`shout`)."""
    sent: tuple[bytes, bytes] = (b"", b"")
    """What stands before and after a line on its way to the server."""
    received: tuple[bytes, bytes] = (b"", b"")
    """What stands before and after a line on its way back."""
    hello: bytes = b""
    """What a receiver says first, if it has to."""
    welcome: bytes = b""
    """What the server answers to that, once it serves the client."""
    receipt: bytes = b""
    """What a sender hears instead of the lines of others: how many have heard its own."""
    ping: bytes = b""
    """What a server may ask in between. It is not answered: a server waits minutes for that."""

    def receivers(self, clients: int, senders: int) -> int:
        """Returns how many of the clients hear a line."""
        if self.service == "shout":
            return 1
        return clients - (senders if self.receipt else 1)

    def outgoing(self, sender: int) -> Payload:
        """Returns what a sender says."""
        return Payload(tuple(line.join(self.sent) for line in lines(sender)))

    def incoming(self, sender: int) -> Payload:
        """Returns what is heard of it."""
        said = [line.upper() if self.service == "shout" else line for line in lines(sender)]
        return Payload(tuple(line.join(self.received) for line in said))


def lines(sender: int) -> list[bytes]:
    """Returns the lines of a sender until they repeat."""
    texts = (f"{LETTERS[sender]} {n:04} the quick brown fox jumps over the lazy dog" for n in range(PERIOD))
    return [text.ljust(LINE_SIZE - 1, ".").encode() + b"\n" for text in texts]


def _bulk(*words: bytes) -> bytes:
    """Returns words as Redis reads and writes them (RESP, bulk strings)."""
    return b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


_LAST = b"$%d\r\n" % LINE_SIZE

PROTOCOLS = {
    "broadcast": WireProtocol("broadcast"),
    "shout": WireProtocol("shout", hello=b"hello\n", welcome=b"HELLO\n"),
    "redis": WireProtocol(
        "broadcast",
        sent=(b"*3\r\n" + _bulk(b"PUBLISH", b"room") + _LAST, b"\r\n"),
        received=(b"*3\r\n" + _bulk(b"message", b"room") + _LAST, b"\r\n"),
        hello=b"*2\r\n" + _bulk(b"SUBSCRIBE", b"room"),
        welcome=b"*3\r\n" + _bulk(b"subscribe", b"room") + b":1\r\n",
        receipt=b":%d\r\n",
    ),
    "nats": WireProtocol(
        "broadcast",
        sent=(b"PUB room %d\r\n" % LINE_SIZE, b"\r\n"),
        received=(b"MSG room 1 %d\r\n" % LINE_SIZE, b"\r\n"),
        hello=b'CONNECT {"verbose":false,"pedantic":false,"echo":false}\r\nSUB room 1\r\nPING\r\n',
        welcome=b"PONG\r\n",
        ping=b"PING\r\n",
    ),
}
"""How lines are written on the wire, by the name of the service or of the rival."""
