"""One client under load: it checks every byte that it receives, in blocks as large as they come."""

import re
import socket
import time

from chatlib.bench.loadgen.payload import READ_SIZE, Payload
from chatlib.bench.records import MeasurementError

RECEIVE_BUFFER = 1 << 19
"""Bytes that the kernel may hold for each client, so that no server has to wait until they are read."""

ENDED = "the server has ended the connection"

# One buffer for all clients, which are read one after the other: with one for each, a thousand clients would
# push each other out of the processor's cache.
_buffer = bytearray(READ_SIZE)
_view = memoryview(_buffer)
_RUN = re.compile(rb"(.)\1*", re.DOTALL)


class Receiver:
    """A connection, and what is due on it.

    Args:
        number: Which client this is.
        sock: Its connection.
        ping: What may come between two frames; it is passed over.
    """

    def __init__(self, number: int, sock: socket.socket, ping: bytes = b"") -> None:
        self.number = number
        self.sock = sock
        self.places: dict[int, int] = {}
        """How much it has received of each sender's payload, in frames."""
        self.rest = b""
        """The beginning of a frame whose end has not come yet."""
        self._due: dict[int, tuple[int, Payload]] = {}  # by the byte that tells senders apart
        self._ping = ping
        self._size = 1
        self._tag = 0

    def expect(self, payloads: dict[int, Payload], tag: int, place: int = 0) -> None:
        """Tells it which payloads it should receive, by sender, and from which place on.

        Their frames are all of one length, and the byte at `tag` tells senders apart.
        """
        self._due = {payload.frames[0][tag]: (sender, payload) for sender, payload in payloads.items()}
        self.places = dict.fromkeys(payloads, place)
        self._size, self._tag = max((payload.size for payload in payloads.values()), default=1), tag

    def hear(self) -> list[tuple[int, int]]:
        """Reads once, without waiting. Returns the senders whose frames came, and how many frames of each.

        A pair stands for a run of frames of one sender: with several senders, one may stand there often.

        Raises:
            MeasurementError: They are not the frames that were due, or the server has ended the connection.
        """
        kept = len(self.rest)
        _buffer[:kept] = self.rest
        try:
            count = self.sock.recv_into(_view[kept:])
        except BlockingIOError:
            return []
        except OSError as error:
            raise self.error(f"the connection broke: {error.strerror}") from None
        if not count:
            raise self.error(ENDED)
        end = self._without_pings(kept + count)
        whole = end // self._size
        self.rest = bytes(_view[whole * self._size : end])
        tags = bytes(_view[self._tag : whole * self._size : self._size])
        if tags.count(tags[:1]) == len(tags) > 0:  # the usual case: all of one sender, found in one step
            return [self._check(0, whole)]
        return [self._check(*run.span()) for run in _RUN.finditer(tags)]

    def error(self, why: str) -> MeasurementError:
        """Returns an error that names the client that noticed."""
        return MeasurementError(f"client {self.number}: {why}")

    def say(self, data: bytes) -> None:
        """Sends all of it. Blocks; for the time before the load begins."""
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise self.error(f"it cannot send: {error.strerror or error}") from None

    def wait_for(self, answer: bytes, patience: float) -> None:
        """Reads until this answer has come. Blocks for at most `patience` seconds.

        Raises:
            TimeoutError: It does not come.
            MeasurementError: The connection ends before that.
        """
        deadline = time.monotonic() + patience
        while answer not in self.rest:
            if (left := deadline - time.monotonic()) <= 0:  # a server may say other things for ever
                raise TimeoutError
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(READ_SIZE)
            except ConnectionError as error:
                raise self.error(f"the connection broke: {error.strerror}") from None
            if not data:
                raise self.error(ENDED)
            self.rest = self.rest[-len(answer) :] + data
        self.rest = self.rest.partition(answer)[2]

    def _without_pings(self, end: int) -> int:
        """Takes out of the buffer what is no frame, but a ping. Returns where the buffer ends then."""
        while self._ping:  # no frame begins with its first letter, so a look at where frames begin finds it
            at = bytes(_view[: end : self._size]).find(self._ping[:1]) * self._size
            if at < 0 or not _buffer.startswith(self._ping, at, end):
                break
            after = at + len(self._ping)
            _buffer[at : at + end - after] = _buffer[after:end]
            end -= len(self._ping)
        return end

    def _check(self, first: int, end: int) -> tuple[int, int]:
        """Compares a run of frames in the buffer with those due. Returns their sender and their number."""
        tag, data = _buffer[first * self._size + self._tag], _view[first * self._size : end * self._size]
        if tag not in self._due:
            raise self.error(f"torn, or a line that was not meant for it: {bytes(data[: self._size])!r}")
        sender, payload = self._due[tag]
        if not payload.goes_on_with(self.places[sender], data):
            raise self.error(payload.explain(self.places[sender], bytes(data)))
        self.places[sender] += end - first
        return sender, end - first
