"""The steps in which one client floods, while another does not read."""

import contextlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from chatlib.checker.case import step
from chatlib.checker.errors import Broken, Unjudged
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.session import Session
from chatlib.checker.steps.traffic import LENGTH, LONGEST, MEGABYTE, Flow, Lines, control, line

SLOWER = 10
"""How many times slower a server may be for the others because of one that does not read."""

WARMUP = 8
"""MB before the memory is looked at: by then, the server has made its buffers."""


class Flood(NamedTuple):
    """A flood past a client that does not read."""

    session: Session
    flow: Flow
    """From the client that speaks to the one that has to hear all of it."""
    sleeper: Peer
    seen: Lines
    """What the sleeper has received."""

    def run(self, megabytes: int) -> None:
        """Sends so much.

        Raises:
            Broken: The listener hears it much more slowly than before, or not at all.
            Unjudged: The server takes hardly any of it in time.
        """
        flow, before, size = self.flow, self.flow.sent, megabytes * MEGABYTE
        seconds = flow.run(size, LONGEST * self.session.timeouts.factor)
        rate = (flow.sent - before) / seconds
        if rate < flow.rate / SLOWER:
            normal = f"{flow.rate / MEGABYTE:.1f} MB while everybody read"
            actual = f"{rate / MEGABYTE:.1f} MB came in a second, and {normal}"
            expected = f"{flow.listener.name} hears {flow.what} as fast as before"
            raise Broken(expected, actual, certain=False)
        if flow.sent - before < min(size, 6 * MEGABYTE) * 0.9:
            raise Unjudged("it is too slow for a flood", certain=False)

    def precede(self, megabytes: int) -> None:
        """Sends so much, where another promise than that of `slow.others` is looked at."""
        try:
            self.run(megabytes)
        except Broken as broken:
            reason = f"before that, {broken.actual}: see slow.others"
            raise Unjudged(reason, blocked=True, certain=broken.certain) from None


@step("{speaker} says {megabytes} MB of lines; the sleeper does not read")
def flood(session: Session, speaker: str, listener: str, megabytes: int) -> None:
    """The others hear each line as fast as while the sleeper read."""
    with _asleep(session, speaker, listener) as flooded:
        was_lossy = flooded.flow.lines.lost() is not None
        flooded.run(megabytes)
        lost = flooded.flow.lines.lost()
        if lost is not None and not was_lossy:
            expected = f"{listener} hears every line that {speaker} says"
            raise Broken(expected, f"after line {lost - 1}, another one than line {lost} came")


@step("{speaker} says {megabytes} MB of lines; the sleeper does not read")
def flood_and_measure(session: Session, speaker: str, listener: str, megabytes: int, growth: int) -> None:
    """The server's memory grows by no more than `growth` MiB."""
    with _asleep(session, speaker, listener, WARMUP) as flooded:
        before = session.usage().memory()
        came = flooded.flow.sent
        flooded.precede(megabytes)
        grown, flowed = (session.usage().memory() - before) >> 20, (flooded.flow.sent - came) >> 20
        if grown > growth:
            actual = f"it grew by {grown} MiB while the sleeper did not read"
            raise Broken(f"its memory grows by no more than {growth} MiB", actual)
        if flowed <= growth and grown > flowed // 2:  # all may be kept, and be less than what is allowed
            raise Unjudged(f"only {flowed} MiB flowed in time, and its memory grew by {grown}", certain=False)


@step(
    "{speaker} says {megabytes} MB of lines; the sleeper does not read; it and another vanish (RST) meanwhile"
)
def flood_and_reset(session: Session, speaker: str, listener: str, megabytes: int) -> None:
    """One, the napper, vanishes early; the sleeper when the server waits for it in `send`, if it does."""
    size, factor = megabytes * MEGABYTE // 4, session.timeouts.factor
    with _asleep(session, speaker, listener) as flooded:
        flow = flooded.flow
        flow.run(size, 4.0 * factor)
        was_lossy = flow.lines.lost() is not None
        session.clients.reset(session.peers.pop("napper"))
        try:
            flow.run(2 * size, 6.0 * factor)
        except Broken:  # the server waits for the sleeper, which is another case
            if flow.listener.end or flow.speaker.end:
                raise
        session.clients.reset(flooded.sleeper)
        flow.forget_what_is_lost()
        flow.run(size, 6.0 * factor)
        lost = flow.lines.lost()
        if lost is not None and not was_lossy:
            expected = f"{listener} hears every line that {speaker} says"
            raise Broken(expected, f"after line {lost - 1}, another one than line {lost} came")


@step("{speaker} says {megabytes} MB of lines; the sleeper does not read, then wakes up and reads")
def flood_and_wake(session: Session, speaker: str, listener: str, megabytes: int) -> None:
    """The sleeper receives whole lines, and is told if some are missing; or it has been dropped."""
    with _asleep(session, speaker, listener) as flooded:
        torn_before = flooded.seen.torn or not flooded.flow.lines.numbers
        flooded.precede(megabytes)
        if torn_before:
            reason = "lines arrive torn, or without a newline, even at clients that read: see framing"
            raise Unjudged(reason, blocked=True)
        _wake(flooded)


@contextlib.contextmanager
def _asleep(session: Session, speaker: str, listener: str, warmup: int = 1) -> Iterator[Flood]:
    """Sends `warmup` MB while all clients read, which has to work; then the sleeper reads no more."""
    talker, sleeper, seen = session.peers[speaker], session.peers["sleeper"], Lines()
    for peer in session.present():
        peer.listener = lambda _: None
    sleeper.listener = seen
    answers = session.dialect.answers
    flow = Flow(session, talker, talker if answers else session.peers[listener])
    if not answers:
        flow.pacing["the sleeper"] = seen
    control(session, flow, warmup * MEGABYTE)
    flow.pacing.pop("the sleeper", None)
    session.clients.sleep(sleeper)
    if answers:
        _jam(session, sleeper)
        if b"...." in talker.heard:
            raise Unjudged("others hear the sleeper's answers: see delivery.private", blocked=True)
    yield Flood(session, flow, sleeper, seen)
    for peer in session.present():
        peer.listener = peer.heard.extend
    session.peers.pop("sleeper")


def _jam(session: Session, sleeper: Peer) -> None:
    """Where the server answers: a client does not read, and sends on until nothing more fits."""
    for first in range(0, 8 * MEGABYTE // LENGTH, 64):
        block = b"".join(line(number, session.dialect.newline) for number in range(first, first + 64))
        if session.clients.send(sleeper, block, 0.2) < len(block):
            return
        session.clients.pump(0)  # the others must not become slow readers by our fault


def _wake(flooded: Flood) -> None:
    session, sleeper, seen = flooded.session, flooded.sleeper, flooded.seen
    session.clients.wake(sleeper)
    dots = -1
    while seen.dots > dots and not sleeper.end:  # it reads on as long as something comes
        dots = seen.dots
        session.wait(lambda: sleeper.end or seen.dots > dots)  # noqa: B023
    _compare_ends(seen)
    if sleeper.end or seen.told:
        return
    lost = seen.lost()
    expected = "the sleeper receives every line, or is told that some are missing, or is dropped"
    if lost is not None:
        raise Broken(
            expected, f"after line {lost - 1}, another one than line {lost} came, and it was not told"
        )
    if not session.dialect.answers:  # there, the last thing that it said was half a line
        _compare_last(flooded, expected)


def _compare_last(flooded: Flood, expected: str) -> None:
    """One more line: what has not come before it will never come."""
    session, flow, sleeper, seen = flooded
    session.send(flow.speaker, flow.rest())
    text = session.say(flow.speaker)

    def hear(data: bytes) -> None:
        seen(data)
        sleeper.heard.extend(data)

    sleeper.listener = hear
    if not session.wait(lambda: session.hears(sleeper, text) or sleeper.end):
        actual = session.silence("it stayed connected, and hears nothing any more")
        raise Broken(expected, actual, certain=False)
    if sleeper.end:
        return
    session.wait(lambda: session.line(sleeper, text) is not None)
    _compare_ends(seen)
    last = max(seen.numbers, default=-1)
    if last < flow.number - 1 and seen.told <= 1:
        raise Broken(expected, f"after line {last} others are missing, and it was not told")


def _compare_ends(seen: Lines) -> None:
    if seen.torn:
        torn = re.sub(r"\.{9,}", "...", seen.torn[:1500].decode("ascii", "replace"))
        expected = "the sleeper receives whole lines, or is dropped"
        raise Broken(expected, f'it received the torn line "{torn}"')
