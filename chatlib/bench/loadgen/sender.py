"""One client that sends: it keeps a window of lines under way, and notes how long each took."""

import array
from collections import deque

from chatlib.bench.loadgen.payload import Payload
from chatlib.bench.loadgen.receiver import Receiver


class Sender:
    """Keeps a number of lines under way on one connection.

    Args:
        client: The connection.
        payload: What it says.
        window: How many lines may be under way.
        place: Where in the payload it begins.
    """

    def __init__(self, client: Receiver, payload: Payload, window: int, place: int) -> None:
        self.client = client
        self.payload = payload
        self.window = window
        self.sent = self.arrived = place
        self._times: deque[tuple[int, float]] = deque()  # up to which place, sent when
        self._unsent = b""

    @property
    def stuck(self) -> bool:
        """True if the kernel did not take everything."""
        return bool(self._unsent)

    def fill(self, now: float) -> None:
        """Sends new lines until the window is full, in one piece. Never blocks."""
        if (count := self.window - (self.sent - self.arrived)) > 0:
            self._unsent += self.payload.part(self.sent, count)
            self.sent += count
            self._times.append((self.sent, now))
        self.push()

    def push(self) -> None:
        """Sends what is left, as far as the kernel takes it. Never blocks.

        Raises:
            MeasurementError: The connection has ended.
        """
        try:
            self._unsent = self._unsent[self.client.sock.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError as error:
            raise self.client.error(f"it cannot send: {error.strerror}") from None

    def arrive(self, count: int, now: float, latencies: "Latencies") -> None:
        """Notes that this many more lines have arrived."""
        self.arrived += count
        while count:
            upto, at = self._times[0]
            some = min(count, upto - (self.arrived - count))
            latencies.add(now - at, some)
            count -= some
            if self.arrived - count == upto:
                self._times.popleft()


class Latencies:
    """How long lines took, in seconds: one entry for all that were sent and arrived together.

    In arrays, without an object for each: the memory that a million of them takes would be found under load.
    """

    def __init__(self) -> None:
        self._seconds = array.array("d")
        self._lines = array.array("L")

    def add(self, seconds: float, lines: int) -> None:
        """Notes a time, and how many lines it was for."""
        self._seconds.append(seconds)
        self._lines.append(lines)

    def clear(self) -> None:
        """Forgets all."""
        del self._seconds[:], self._lines[:]

    def percentile(self, part: float) -> float:
        """Returns the seconds that this part of the lines did not exceed."""
        wanted = part * sum(self._lines)
        for seconds, lines in sorted(zip(self._seconds, self._lines, strict=True)):
            wanted -= lines
            if wanted <= 0:
                return seconds
        return 0.0
