"""Floods: many lines towards a client that does not read. A few prove nothing: the kernel keeps megabytes.

No client is ahead of the others by more than a window, so one that reads is never slow by our fault.
"""

import re
import time

from chatlib.checker.errors import Broken, Unjudged
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.session import Session

WINDOW = 65_536
"""Bytes that are under way towards the clients that read."""

MEGABYTE = 1_000_000

LONGEST = 12.0
"""Seconds of a flood. What has not arrived by then is not waited for: how fast it went so far is enough."""

LENGTH = 997
"""Bytes in a line: a prime, so that its ends fall anywhere in the pieces that a server reads."""

_LINE = re.compile(rb"(\d{7})(\.+)(\d{7})\r?$")


def line(number: int, newline: bytes) -> bytes:
    """Returns one line of a flood, with its newline: whether it is torn can be seen at both ends."""
    ends = f"{number:07}".encode()
    return ends + b"." * (LENGTH - 15) + ends + newline


class Dots:
    """Counts how much of a flood has come: its lines are made of dots, an even number of them."""

    def __init__(self) -> None:
        self.dots = 0
        self._half = b""

    def count(self, data: bytes) -> None:
        """Counts them in pairs: a single dot belongs to an address, as in a notice of the server."""
        data = self._half + data
        self.dots += 2 * data.count(b"..")
        self._half = b"." * ((len(data) - len(data.rstrip(b"."))) % 2)  # the other may come next


class Lines(Dots):
    """Follows the lines of a flood as one client receives them."""

    def __init__(self) -> None:
        super().__init__()
        self.torn = b""
        """The first line that was not whole."""
        self.numbers: list[int] = []
        self.told = 0
        """How many lines came that are not of the flood."""
        self._rest = b""

    def __call__(self, data: bytes) -> None:
        self.count(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-4 * LENGTH :]
        for one in lines:
            found = _LINE.search(one)
            whole = found and found[1] == found[3] and len(found[2]) == LENGTH - 15
            if (
                found and whole and one.count(b".", 0, found.start()) <= 8
            ):  # else half a line stands before it
                self.numbers.append(int(found[1]))
            elif one.count(b".") > 8:
                self.torn = self.torn or one
            else:
                self.told += 1

    def lost(self) -> int | None:
        """Returns the number of the first line that is missing between others; None if none is."""
        pairs = zip(self.numbers, self.numbers[1:], strict=False)
        return next((a + 1 for a, b in pairs if b != a + 1), None)


class Echo(Dots):
    """Counts how much of a flood comes back to its speaker, if any does."""

    def __init__(self) -> None:
        super().__init__()
        self._moved = 0.0

    def __call__(self, data: bytes) -> None:
        self.count(data)
        self._moved = time.monotonic()

    def is_late(self, dots: int, patience: float) -> bool:
        """Whether much more has come to the listener, and what is missing may still come."""
        behind = self.dots and dots - self.dots > 4 * WINDOW
        return bool(behind) and time.monotonic() - self._moved < patience


class Flow:
    """A flood from one client to another, or to itself where the server answers.

    Args:
        session: Where.
        speaker: The client that sends.
        listener: The client that has to receive all.
    """

    def __init__(self, session: Session, speaker: Peer, listener: Peer) -> None:
        self.session, self.speaker, self.listener = session, speaker, listener
        self.what = "all answers" if speaker is listener else f"all that {speaker.name} says"
        self.lines = Lines()
        self.pacing = {listener.name: self.lines}
        """What is heard by the clients that must not fall behind, by what they are called."""
        self.echo = Echo()
        self.sent = 0
        self.rate = 0.0
        """Bytes that arrived in a second, while all clients read."""
        self.kept = 1.0
        """Which part arrives: some servers lose a byte here and there, which is not what is looked for."""
        self.number = 0
        """How many lines have been made."""
        self._owed = b""
        """What is still to be sent of them."""

    def run(self, size: int, seconds: float) -> float:
        """Sends `size` bytes; ends early after `seconds`. Returns the seconds that it took.

        Raises:
            Broken: The listener hears no more.
            Unjudged: It hears more than was said to it: then it is unknown how much is under way.
        """
        goal = self.sent + size
        self.speaker.listener = self.echo  # a server that echoes may cut off a speaker that falls behind
        self.listener.listener = self.lines
        start = moved = time.monotonic()
        while self._arrived() < goal - WINDOW // 2 and time.monotonic() - start < seconds:
            before = self._arrived()
            if not self.echo.is_late(self.lines.dots, self.session.timeouts.patience):
                self._push(goal)
            self.session.clients.pump(0.01)
            if self._arrived() > before:
                moved = time.monotonic()
            elif self._ended() or time.monotonic() - moved > self.session.timeouts.patience:
                self._compare_numbers()
                raise self._stalled()
        self._compare_numbers()
        return time.monotonic() - start

    def forget_what_is_lost(self) -> None:
        """From now on, what has not come counts no longer as under way: it would fill the window for ever."""
        self.session.wait(lambda: self._arrived() >= self.sent, 4 * self.session.timeouts.quiet)
        self.sent = int(self._arrived())

    @property
    def part(self) -> float:
        """Which part of what was sent has arrived."""
        return self._heard() / max(1, self.sent)

    def rest(self) -> bytes:
        """Returns what is still to be sent of the last lines."""
        rest, self._owed = self._owed, b""
        return rest

    def _ended(self) -> Peer | None:
        return next((peer for peer in (self.listener, self.speaker) if peer.end), None)

    def _stalled(self) -> Broken:
        ended, last = self._ended(), min(self.pacing, key=lambda name: self.pacing[name].dots)
        what = self.session.fate(ended) if ended else self.session.silence(f"{last} heard nothing more")
        expected = f"{last} hears {self.what}, without a pause"
        return Broken(expected, f"after {self._arrived() / MEGABYTE:.1f} MB {what}", certain=bool(ended))

    def _arrived(self) -> int:
        return int(self._heard() / self.kept)

    def _heard(self) -> float:
        """Bytes of the flood, told by their dots, that have come to the client that is furthest behind."""
        return min(lines.dots for lines in self.pacing.values()) * LENGTH / (LENGTH - 15)

    def _compare_numbers(self) -> None:
        if len(set(self.lines.numbers)) < len(self.lines.numbers):
            raise Unjudged("lines arrive more than once: see delivery", blocked=True)

    def _push(self, goal: int) -> None:
        """Sends what fits into the window. Never waits."""
        while self._owed or (self.sent < goal and self.sent - self._arrived() < WINDOW):
            if not self._owed:
                newline = self.session.dialect.newline
                self._owed = b"".join(line(self.number + number, newline) for number in range(16))
                self.number += 16
            try:
                took = self.speaker.sock.send(self._owed)
            except OSError:  # full, or gone: the next read will show which
                return
            self.sent += took
            self._owed = self._owed[took:]


def control(session: Session, flow: Flow, size: int) -> None:
    """Takes a flood while all clients read.

    Raises:
        Unjudged: That fails already, so a slow reader would prove nothing.
    """
    try:
        seconds = flow.run(size, LONGEST * session.timeouts.factor)
    except Broken as broken:
        why = f"a flood fails already while everybody reads: {broken.actual}"
        raise Unjudged(why, blocked=True, certain=broken.certain) from None
    flow.rate = flow.sent / seconds
    if flow.sent < size * 0.9:
        slow = f"it is too slow for a flood: {flow.rate / MEGABYTE:.1f} MB in a second"
        raise Unjudged(slow, certain=False)
    session.wait(lambda: flow.part >= 1.0, session.timeouts.quiet)
    flow.kept = min(1.0, max(flow.part, 0.5))
