"""The receiver that a coroutine of `AsyncioServer` awaits: it brings the next chunk of its client."""

import asyncio
import functools
import socket
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest
from faults import SOON

from chatlib.servers.core.asyncio_clients import Receiver


class Line(NamedTuple):
    """A connection: what receives at this end, its socket, and the other end."""

    receiver: Receiver
    near: socket.socket
    far: socket.socket


Scene = Callable[[Line], Awaitable[None]]


def played(patience: float = SOON) -> Callable[[Scene], Callable[[], None]]:
    """Makes a test of a coroutine that is given such a connection."""

    def decorate(scene: Scene) -> Callable[[], None]:
        async def play() -> None:
            near, far = socket.socketpair()
            with near, far:
                near.setblocking(False)
                receiver = Receiver(asyncio.get_running_loop(), near, patience)
                try:
                    await scene(Line(receiver, near, far))
                finally:
                    receiver.close()

        @functools.wraps(scene)
        def test() -> None:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(play())

        del test.__wrapped__  # or pytest looks for its arguments
        return test

    return decorate


@played()
async def test_chunks_come_one_by_one_and_then_the_end(line: Line) -> None:
    """Those that were sent before, and those that are waited for."""
    line.far.send(b"one")
    assert await line.receiver.receive() == b"one"
    coming = line.receiver.receive()
    line.far.send(b"two")
    assert await coming == b"two"
    line.far.close()
    assert await line.receiver.receive() == b""


@played()
async def test_what_comes_while_the_coroutine_is_busy_stays_in_the_kernel(line: Line) -> None:
    """The loop does not turn for it: after a look it watches that client no more, until it is waited for."""
    line.far.send(b"one")
    assert await line.receiver.receive() == b"one"
    line.far.send(b"two")
    while asyncio.get_running_loop()._selector.get_map().get(line.near.fileno()):  # type: ignore[attr-defined]
        await asyncio.sleep(0)
    assert await line.receiver.receive() == b"two"


@played()
async def test_who_is_given_up_takes_no_bytes_along(line: Line) -> None:
    """The wait is cancelled; what comes then is for the next."""
    line.receiver.receive().cancel()
    line.far.send(b"one")
    await asyncio.sleep(0)
    assert await line.receiver.receive() == b"one"


@played()
async def test_a_loop_that_is_woken_for_nothing_goes_on_waiting(line: Line) -> None:
    """As a kernel may do."""
    coming = line.receiver.receive()
    line.receiver._hear()
    assert not coming.done()
    line.far.send(b"one")
    assert await coming == b"one"


@played(patience=0.05)
async def test_only_silence_that_is_waited_for_counts(line: Line) -> None:
    """While the coroutine is busy, nobody is late. Then nothing comes."""
    line.receiver._look_at_the_clock()
    line.far.send(b"one")
    assert await line.receiver.receive() == b"one"
    with pytest.raises(TimeoutError):
        await line.receiver.receive()


@played(patience=3600.0)
async def test_the_one_timer_is_never_late(line: Line) -> None:
    """It looks again at the moment when a client that has spoken meanwhile is late."""
    line.receiver.receive()
    line.receiver._deadline -= 3000.0
    line.receiver._look_at_the_clock()
    assert line.receiver._timer.when() == line.receiver._deadline
