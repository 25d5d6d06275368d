"""Steps with lines that are long, or never end."""

import time
from dataclasses import dataclass

from chatlib.checker.errors import Broken, Unjudged
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.session import Stage

LONG = 65_535
"""Bytes in a long line, without its end. A server may refuse it, but not mutilate it."""

GROWTH = 8 << 20
"""Bytes that an endless line may cost."""

SLOW = 12.0
"""Seconds after which we stop sending it."""

ENDLESS = 32 << 20
"""Bytes that are sent of an endless line, if nobody stops us."""

BLOCK = b"x" * (1 << 18)


@dataclass(frozen=True)
class LongLine:
    """Somebody sends a line of 64 KiB. It arrives whole, or its sender is told or sees the end."""

    who: str

    def __str__(self) -> str:
        return f"{self.who} sends a line of 64 KiB"

    def run(self, stage: Stage) -> None:
        speaker = stage.peers[self.who]
        first, last = stage.text("first"), stage.text("last")
        text = first + b"." * (LONG - len(first) - len(last)) + last
        mark = {peer: len(peer.heard) for peer in stage.present()}
        listeners = stage.listeners(speaker)
        stage.room.send(speaker, text + stage.dialect.newline, 2 * stage.pace.patience)

        def refused() -> bool:
            heard = speaker.since(mark[speaker])
            told = b"\n" in heard and not any(
                b"...." in peer.since(mark[peer]) for peer in (speaker, *listeners)
            )
            return bool(speaker.end or told)

        def lost() -> list[Peer]:
            return [peer for peer in listeners if stage.dialect.spoken(text) not in peer.since(mark[peer])]

        done = stage.wait(lambda: not lost() or refused(), 2 * stage.pace.patience)
        if hurt := next((peer for peer in lost() if peer.end and peer is not speaker), None):
            raise Broken(f"{hurt.name} is still served", stage.fate(hurt))
        if not done:
            listener = lost()[0]
            raise self._mutilated(stage, listener, len(listener.since(mark[listener])))

    def _mutilated(self, stage: Stage, listener: Peer, got: int) -> Broken:
        expected = f"{listener.name} receives the line whole, or {self.who} is told that it is too long"
        what = f"received {got} bytes of it, in pieces" if got else "received nothing"
        actual = stage.explain(f"{listener.name} {what}, and {self.who} was told nothing")
        return Broken(expected, actual, certain=got > 0)


class Counted:
    """How many bytes a client has heard."""

    def __init__(self) -> None:
        self.bytes = 0

    def __call__(self, data: bytes) -> None:
        self.bytes += len(data)


@dataclass(frozen=True)
class EndlessLine:
    """Somebody sends without ever ending the line. It is refused before it fills the memory."""

    who: str

    def __str__(self) -> str:
        return f"{self.who} sends a line without an end, up to {ENDLESS >> 20} MiB"

    def run(self, stage: Stage) -> None:
        speaker, gauge = stage.peers.pop(self.who), stage.gauge()
        heard = {peer: Counted() for peer in stage.peers.values()}
        for peer, counted in heard.items():
            peer.listener = counted
        speaker.listener = Counted()
        before, sent, start = gauge.memory(), 0, time.monotonic()
        while sent < ENDLESS and not speaker.end:
            took = stage.room.send(speaker, BLOCK, stage.pace.patience)
            sent += took
            self._let_others_read(stage, list(heard.values()), sent, is_first=sent == took)
            if gauge.memory() - before > GROWTH:
                grown = f"its memory grew by more than {GROWTH >> 20} MiB, and it still listened"
                expected = f"the server ends {self.who}'s connection, or forgets the line"
                raise Broken(expected, stage.explain(grown))
            if took == 0:  # it reads no more: then it does not grow either
                break
            if time.monotonic() - start > SLOW:
                raise Unjudged(f"it is too slow: it took only {sent >> 20} MiB in {SLOW:.0f} s")
        if ended := stage.instance.ended():
            raise Broken("the server goes on for all others", ended)

    def _let_others_read(self, stage: Stage, heard: list[Counted], sent: int, is_first: bool) -> None:
        """Where bytes are passed on as they come, who does not read them in time would be a slow reader."""
        if is_first:  # it shows whether they are
            stage.wait(lambda: all(one.bytes for one in heard), 4 * stage.pace.quiet)
        elif any(one.bytes for one in heard):
            stage.wait(lambda: all(one.bytes > 0.9 * sent for one in heard))
