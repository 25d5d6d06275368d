"""The step in which one client floods, while another does not read."""

import re
from dataclasses import dataclass
from functools import partial

from chatlib.checker.errors import Broken, Unjudged
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.session import Stage
from chatlib.checker.steps.traffic import LENGTH, MEGABYTE, Flow, Lines, control, line

SLOWER = 10
"""How many times slower a server may be for the others because of one that does not read."""

LONGEST = 12.0
"""Seconds. What has not arrived by then is not waited for: how fast it went so far is enough."""


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
        speaker, sleeper = stage.peers[self.speaker], stage.peers["sleeper"]
        for peer in stage.present():
            peer.listener = lambda _: None
        seen = Lines()
        sleeper.listener = seen
        flow = Flow(stage, speaker, speaker if stage.dialect.answers else stage.peers[self.listener])
        flow.pacing = [flow.lines] if stage.dialect.answers else [flow.lines, seen]
        control(stage, flow, self.warmup * MEGABYTE)
        flow.pacing = [flow.lines]
        torn_before = bool(seen.torn)
        self._fall_asleep(stage, speaker, sleeper)
        before = stage.gauge().memory() if self.growth else 0
        self._flood(stage, flow, sleeper)
        if self.growth:
            self._compare_memory(stage, before)
        if self.whole:
            self._wake(stage, flow, sleeper, seen, torn_before)
        for peer in stage.present():
            peer.listener = peer.heard.extend
        stage.peers.pop("sleeper")

    def _fall_asleep(self, stage: Stage, speaker: Peer, sleeper: Peer) -> None:
        stage.room.sleep(sleeper)
        if stage.dialect.answers:
            _jam(stage, sleeper)
            if b"...." in speaker.heard:
                raise Unjudged("others hear the sleeper's answers: see delivery.private", blocked=True)

    def _flood(self, stage: Stage, flow: Flow, sleeper: Peer) -> None:
        if self.resets:
            self._flood_and_reset(stage, flow, sleeper)
            return
        size, before = self.megabytes * MEGABYTE, flow.sent
        try:
            seconds = flow.run(size, LONGEST)
            self._compare_rates((flow.sent - before) / seconds, flow.rate)
        except Broken as broken:
            if self.growth or self.whole:
                raise Unjudged(f"before that, {broken.actual}: see slow.others", blocked=True) from None
            raise
        if flow.sent - before < min(size, 6 * MEGABYTE) * 0.9:
            raise Unjudged("it is too slow for a flood")

    def _compare_rates(self, rate: float, normal: float) -> None:
        if rate < normal / SLOWER:
            before = f"{normal / MEGABYTE:.1f} MB while everybody read"
            actual = f"{rate / MEGABYTE:.1f} MB came in a second, and {before}"
            raise Broken(f"{self.listener} hears {self.speaker} as fast as before", actual, certain=False)

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
            actual = f"it grew by {round(grown, -1)} MiB: what the sleeper did not read is kept"
            raise Broken(expected, actual)

    def _wake(self, stage: Stage, flow: Flow, sleeper: Peer, seen: Lines, torn_before: bool) -> None:
        if torn_before:
            raise Unjudged("lines arrive torn even at clients that read: see framing", blocked=True)
        stage.room.wake(sleeper)

        def goes_on(dots: int) -> bool:
            return bool(sleeper.end) or seen.dots > dots

        while stage.wait(partial(goes_on, seen.dots)) and not sleeper.end:
            pass  # it reads on as long as something comes
        _compare_ends(seen)
        self._compare_numbers(stage, flow, sleeper, seen)

    def _compare_numbers(self, stage: Stage, flow: Flow, sleeper: Peer, seen: Lines) -> None:
        if sleeper.end or seen.told:
            return
        gap = next((a for a, b in zip(seen.numbers, seen.numbers[1:], strict=False) if b != a + 1), None)
        expected = "the sleeper receives every line, or is told that some are missing, or is dropped"
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
        if not stage.wait(lambda: stage.hears(sleeper, text) or sleeper.end):
            actual = stage.silence("it stayed connected, and hears nothing any more")
            raise Broken(expected, actual, certain=False)
        if sleeper.end:
            return
        stage.wait(lambda: stage.line(sleeper, text) is not None)
        _compare_ends(seen)
        last = max(seen.numbers, default=-1)
        if last < flow.number - 1 and seen.told <= 1:
            raise Broken(expected, f"after line {last} others are missing, and it was not told")


def _compare_ends(seen: Lines) -> None:
    if seen.torn:
        expected = "the sleeper receives whole lines, or is dropped"
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
