"""Floods: many lines towards a client that does not read. A few prove nothing: the kernel keeps megabytes.

Nobody is ahead of the others by more than a window, so a reader that reads is never slow by our fault.
"""

import re
import time
from dataclasses import dataclass

from chatlib.checker.case import Broken, Unjudged
from chatlib.checker.room import Peer
from chatlib.checker.stage import Stage

WINDOW = 65_536
"""Bytes that are under way towards those who read."""

MEGABYTE = 1_000_000

LENGTH = 997
"""Bytes in a line: a prime, so that its ends fall anywhere in the pieces that a server reads."""

_LINE = re.compile(rb"(\d{7})(\.+)(\d{7})\r?$")


def line(number: int) -> bytes:
    """Returns one line of a flood, with its newline: whether it is torn can be seen at both ends."""
    ends = f"{number:07}".encode()
    return ends + b"." * (LENGTH - 15) + ends + b"\n"


class Lines:
    """Follows the lines of a flood as one client receives them."""

    def __init__(self) -> None:
        self.dots = 0
        """How much of the flood has come: its lines are made of dots."""
        self.torn = b""
        """The first line that was not whole."""
        self.numbers: list[int] = []
        self.told = 0
        """How many lines came that are not of the flood."""
        self._rest = b""

    def __call__(self, data: bytes) -> None:
        self.dots += data.count(b".")
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-4 * LENGTH :]
        for one in lines:
            self._take(one)

    def _take(self, one: bytes) -> None:
        found = _LINE.search(one)
        if found and found[1] == found[3] and len(found[2]) == LENGTH - 15:
            self.numbers.append(int(found[1]))
        elif one.count(b".") > 8:
            self.torn = self.torn or one
        else:
            self.told += 1


class Flow:
    """A flood from one client to another, or in `shout` to itself.

    Args:
        stage: Where.
        speaker: Who sends.
        listener: Who has to receive all.
    """

    def __init__(self, stage: Stage, speaker: Peer, listener: Peer) -> None:
        self.stage, self.speaker, self.listener = stage, speaker, listener
        self.lines = Lines()
        self.pacing = [self.lines]
        """What those hear who must not fall behind."""
        self.sent = 0
        self.kept = 1.0
        """Which part arrives: some servers lose a byte here and there, which is not what is looked for."""
        self.number = 0
        """How many lines have been made."""
        self._owed = b""

    def run(self, size: int, seconds: float) -> float:
        """Sends so many bytes; ends early after so many seconds. Returns the seconds that it took.

        Raises:
            Broken: The listener hears no more.
            Unjudged: It hears more than was said to it: then nobody knows how much is under way.
        """
        listener, goal = self.listener, self.sent + size
        listener.listener = self.lines
        start = moved = time.monotonic()
        while self._arrived() < goal - WINDOW // 2 and time.monotonic() - start < seconds:
            before = self._arrived()
            self._push(goal)
            self.stage.room.pump(0.01)
            if self._arrived() > before:
                moved = time.monotonic()
            elif listener.end or self.speaker.end or time.monotonic() - moved > self.stage.pace.patience:
                self._compare_numbers()
                ended = next((peer for peer in (listener, self.speaker) if peer.end), None)
                passed = f"after {self._arrived() / MEGABYTE:.0f} MB "
                what = (
                    self.stage.fate(ended)
                    if ended
                    else self.stage.explain(f"{listener.name} heard nothing more")
                )
                expected = f"{listener.name} hears all that {self.speaker.name} says, without a pause"
                raise Broken(expected, passed + what, certain=bool(ended))
        self._compare_numbers()
        return time.monotonic() - start

    @property
    def part(self) -> float:
        """Which part of what was sent has arrived."""
        return min(lines.dots for lines in self.pacing) * LENGTH / (LENGTH - 15) / max(1, self.sent)

    @property
    def complete(self) -> bool:
        """Whether all has arrived."""
        return self.part >= 1.0

    def rest(self) -> bytes:
        """Returns what is still to be sent of the last lines."""
        rest, self._owed = self._owed, b""
        return rest

    def _arrived(self) -> int:
        return int(min(lines.dots for lines in self.pacing) * LENGTH / (LENGTH - 15) / self.kept)

    def _compare_numbers(self) -> None:
        if len(set(self.lines.numbers)) < len(self.lines.numbers):
            raise Unjudged("lines arrive more than once: see delivery", blocked=True)

    def _push(self, goal: int) -> None:
        """Sends what fits into the window. Never waits."""
        while self._owed or (self.sent < goal and self.sent - self._arrived() < WINDOW):
            if not self._owed:
                self._owed = b"".join(line(self.number + number) for number in range(16))
                self.number += 16
            try:
                took = self.speaker.sock.send(self._owed)
            except OSError:  # full, or gone: whoever reads will see which
                return
            self.sent += took
            self._owed = self._owed[took:]


def control(stage: Stage, flow: Flow, size: int) -> None:
    """Takes a flood while everybody reads.

    Raises:
        Unjudged: That fails already, so a slow reader would prove nothing.
    """
    try:
        seconds = flow.run(size, 4.0)
    except Broken as broken:
        raise Unjudged(
            f"a flood fails already while everybody reads: {broken.actual}", blocked=True
        ) from None
    if flow.sent < size * 0.9:
        raise Unjudged(f"it is too slow for a flood: {flow.sent / MEGABYTE / seconds:.1f} MB in a second")
    stage.wait(lambda: flow.complete, stage.pace.quiet)
    flow.kept = min(1.0, max(flow.part, 0.5))


@dataclass(frozen=True)
class Flood:
    """Somebody floods; the sleeper does not read. First a part while everybody reads: that has to work.

    Attributes:
        speaker: Who sends.
        listener: Who hears all of it.
        megabytes: How much, while the sleeper sleeps.
        warmup: How much before, in MB.
        growth: How many MiB the server's memory may grow; 0 if that is not looked at.
        resets: True if the sleeper vanishes (RST) in between, and before it another, the napper.
        whole: True if the sleeper must not receive torn lines when it wakes up.
    """

    speaker: str
    listener: str
    megabytes: int
    warmup: int = 1
    growth: int = 0
    resets: bool = False
    whole: bool = False

    def __str__(self) -> str:
        what = f"{self.speaker} says {self.megabytes} MB of lines; the sleeper "
        if self.resets:
            return what + "does not read; it and another vanish (RST) meanwhile"
        return what + ("does not read, then wakes up and reads" if self.whole else "does not read")

    def run(self, stage: Stage) -> None:
        speaker = stage.peers[self.speaker]
        listener = speaker if stage.dialect.answers else stage.peers[self.listener]
        sleeper = stage.peers["sleeper"]
        for peer in stage.present():
            peer.listener = lambda _: None
        seen = Lines()
        sleeper.listener = seen
        flow = Flow(stage, speaker, listener)
        flow.pacing = [flow.lines] if stage.dialect.answers else [flow.lines, seen]
        control(stage, flow, self.warmup * MEGABYTE)
        flow.pacing = [flow.lines]
        torn_before = seen.torn
        stage.room.sleep(sleeper)
        if stage.dialect.answers:
            _jam(stage, sleeper)
            if b"...." in speaker.heard:
                raise Unjudged("others hear the sleeper's answers: see delivery.private", blocked=True)
        before = stage.gauge().memory() if self.growth else 0
        self._flood(stage, flow, sleeper)
        if self.growth:
            self._compare_memory(stage, before)
        if self.whole:
            self._wake(stage, flow, sleeper, seen, bool(torn_before))
        for peer in stage.present():
            peer.listener = peer.heard.extend
        stage.peers.pop("sleeper")

    def _flood(self, stage: Stage, flow: Flow, sleeper: Peer) -> None:
        size = self.megabytes * MEGABYTE
        before = flow.sent
        if self.resets:
            self._flood_and_reset(stage, flow, sleeper)
            return
        try:
            flow.run(size, 12.0)
        except Broken as broken:
            if self.growth or self.whole:
                raise Unjudged(f"before that, {broken.actual}: see slow.others", blocked=True) from None
            raise
        if flow.sent - before < min(size, 6 * MEGABYTE) * 0.9:
            raise Unjudged("it is too slow for a flood")

    def _flood_and_reset(self, stage: Stage, flow: Flow, sleeper: Peer) -> None:
        """One vanishes early; another when the server waits for it in `send`, if it does."""
        size = self.megabytes * MEGABYTE // 4
        flow.run(size, 4.0)
        stage.room.reset(stage.peers.pop("napper"))
        try:
            flow.run(2 * size, 6.0)
        except Broken:
            if flow.listener.end or flow.speaker.end:
                raise
        stage.room.reset(sleeper)
        flow.run(size, 6.0)

    def _compare_memory(self, stage: Stage, before: int) -> None:
        grown = (stage.gauge().memory() - before) >> 20
        if grown > self.growth:
            expected = f"its memory grows by no more than {self.growth} MiB"
            raise Broken(
                expected, f"it grew by {round(grown, -1)} MiB: what the sleeper did not read is kept"
            )

    def _wake(self, stage: Stage, flow: Flow, sleeper: Peer, seen: Lines, torn_before: bool) -> None:
        if torn_before:
            raise Unjudged("lines arrive torn also at clients that read: see framing", blocked=True)
        dots = -1
        stage.room.wake(sleeper)
        while not sleeper.end and seen.dots > dots:  # it reads on as long as something comes
            dots = seen.dots
            stage.wait(lambda: sleeper.end or seen.dots > dots, stage.pace.patience)  # noqa: B023
        _compare_ends(seen)
        self._compare_numbers(stage, flow, sleeper, seen)

    def _compare_numbers(self, stage: Stage, flow: Flow, sleeper: Peer, seen: Lines) -> None:
        if sleeper.end or seen.told:
            return
        gap = next((a for a, b in zip(seen.numbers, seen.numbers[1:], strict=False) if b != a + 1), None)
        expected = "the sleeper receives every line, or is told that some are missing, or sees the end"
        if gap is not None:
            raise Broken(expected, f"after line {gap} others are missing, and it was not told")
        if not stage.dialect.answers:  # there, the last thing that it said was half a line
            self._compare_last(stage, flow, sleeper, seen, expected)

    def _compare_last(self, stage: Stage, flow: Flow, sleeper: Peer, seen: Lines, expected: str) -> None:
        """One more line: what has not come before it will never come."""
        speaker = stage.peers[self.speaker]
        stage.send(speaker, flow.rest())
        text = stage.say(speaker)

        def hear(data: bytes) -> None:
            seen(data)
            sleeper.heard.extend(data)

        sleeper.listener = hear
        listener = sleeper if not stage.dialect.answers else speaker
        if not stage.wait(lambda: stage.hears(listener, text) or sleeper.end):
            actual = stage.silence("it stayed connected, and hears nothing any more")
            raise Broken(expected, actual, certain=False)
        if stage.dialect.answers or sleeper.end:
            return
        stage.wait(lambda: stage.line(sleeper, text) is not None)
        _compare_ends(seen)
        last = max(seen.numbers, default=-1)
        if last < flow.number - 1 and seen.told <= 1:
            raise Broken(expected, f"after line {last} others are missing, and it was not told")


def _compare_ends(seen: Lines) -> None:
    if seen.torn:
        expected = "the sleeper receives whole lines, or the end"
        raise Broken(expected, f"it received the torn line {_cut(seen.torn)}")


def _jam(stage: Stage, sleeper: Peer) -> None:
    """In `shout`, who does not read its answers goes on sending until nothing more fits."""
    for first in range(0, 8 * MEGABYTE // LENGTH, 64):
        block = b"".join(line(number) for number in range(first, first + 64))
        if stage.room.send(sleeper, block, 0.2) < len(block):
            return
        stage.room.pump(0)  # nobody else may become a slow reader by our fault


def _cut(torn: bytes) -> str:
    return '"' + re.sub(r"\.{9,}", "...", torn[:1500].decode("ascii", "replace")) + '"'
