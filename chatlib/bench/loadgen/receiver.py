"""One client under load: it checks every byte that it receives, in blocks as large as they come."""

import re
import socket
import time
from collections.abc import Iterator

from chatlib.bench.loadgen.payload import BUFFER, Failed, Stream

ROOM = 1 << 19
"""Bytes that the kernel may hold for each client, so that no server has to wait until they are read."""

ENDED = "the server has ended the connection"

_buffer = bytearray(BUFFER)
_view = memoryview(_buffer)
_RUN = re.compile(rb"(.)\1*", re.DOTALL)


class Receiver:
    """A connection, and what is due on it.

    Args:
        number: Which client this is.
        sock: Its connection.
        aside: What may come between two frames; it is passed over.
    """

    def __init__(self, number: int, sock: socket.socket, aside: bytes = b"") -> None:
        self.number = number
        self.sock = sock
        self.places: dict[int, int] = {}
        """How much it has received of each sender's stream, in frames."""
        self.rest = b""
        """The beginning of a frame whose end has not come yet."""
        self._due: dict[int, tuple[int, Stream]] = {}  # by the byte that tells senders apart
        self._aside = aside
        self._size = 1
        self._tag = 0

    def expect(self, streams: dict[int, Stream], tag: int, place: int = 0) -> None:
        """Says whose streams it should receive, from which place on.

        Their frames are all of one length, and the byte at `tag` tells senders apart.
        """
        self._due = {stream.frames[0][tag]: (sender, stream) for sender, stream in streams.items()}
        self.places = dict.fromkeys(streams, place)
        self._size, self._tag = max((stream.size for stream in streams.values()), default=1), tag

    def hear(self) -> list[tuple[int, int]]:
        """Reads once, without waiting. Returns whose frames came, and how many: a pair for each run of them.

        Raises:
            Failed: They are not the frames that were due, or the server has ended the connection.
        """
        kept = len(self.rest)
        _buffer[:kept] = self.rest
        count = self._read_into(_view[kept:])
        end = self._without_asides(kept + count)
        whole = end // self._size
        self.rest = bytes(_view[whole * self._size : end])
        return [self._check(*run) for run in self._runs(whole)] if count else []

    def fail(self, why: str) -> Failed:
        """Returns an error that says who noticed."""
        return Failed(f"client {self.number}: {why}")

    def say(self, data: bytes) -> None:
        """Sends all of it. Blocks; for the time before the load begins."""
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise self.fail(f"it cannot send: {error.strerror or error}") from None

    def wait_for(self, answer: bytes, patience: float) -> None:
        """Reads until this answer has come. Blocks for at most `patience` seconds.

        Raises:
            TimeoutError: It does not come.
        """
        deadline = time.monotonic() + patience
        while answer not in self.rest:
            if (left := deadline - time.monotonic()) <= 0:  # a server may say other things for ever
                raise TimeoutError
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(BUFFER)
            except ConnectionError as error:
                raise self.fail(f"the connection broke: {error.strerror}") from None
            if not data:
                raise self.fail(ENDED)
            self.rest = self.rest[-len(answer) :] + data
        self.rest = self.rest.partition(answer)[2]

    def _read_into(self, room: memoryview) -> int:
        try:
            count = self.sock.recv_into(room)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self.fail(f"the connection broke: {error.strerror}") from None
        if not count:
            raise self.fail(ENDED)
        return count

    def _without_asides(self, end: int) -> int:
        """Takes out of the buffer what is no frame, but an aside. Returns where the buffer ends then."""
        while self._aside:  # no frame begins with its first letter, so a look at where frames begin finds it
            at = bytes(_view[: end : self._size]).find(self._aside[:1]) * self._size
            if at < 0 or not _buffer.startswith(self._aside, at, end):
                break
            after = at + len(self._aside)
            _buffer[at : at + end - after] = _buffer[after:end]
            end -= len(self._aside)
        return end

    def _runs(self, whole: int) -> Iterator[tuple[int, int, int]]:
        """Yields the runs of frames of one sender: who, from which frame, up to which."""
        senders = bytes(_view[self._tag : whole * self._size : self._size])
        if senders.count(senders[:1]) == len(senders) > 0:  # the usual case, in one step
            yield senders[0], 0, whole
            return
        for run in _RUN.finditer(senders):
            yield senders[run.start()], run.start(), run.end()

    def _check(self, tag: int, first: int, end: int) -> tuple[int, int]:
        data = _view[first * self._size : end * self._size]
        if tag not in self._due:
            raise self.fail(f"torn, or a line that was not meant for it: {bytes(data[: self._size])!r}")
        sender, stream = self._due[tag]
        if not stream.goes_on_with(self.places[sender], data):
            raise self.fail(stream.explain(self.places[sender], bytes(data)))
        self.places[sender] += end - first
        return sender, end - first
