"""What a coroutine of `AsyncioServer` awaits: the next chunk of its client."""

import asyncio
import functools
import socket
from collections.abc import Awaitable, Callable

import pytest
from faults import SOON

from chatlib.servers.core.asyncio_clients import Receiver

Scene = Callable[[Receiver, socket.socket, socket.socket], Awaitable[None]]


def played(patience: float = SOON) -> Callable[[Scene], Callable[[], None]]:
    """Makes a test of a coroutine that is given a receiver, its socket, and the other end."""

    def decorate(scene: Scene) -> Callable[[], None]:
        async def play() -> None:
            near, far = socket.socketpair()
            with near, far:
                near.setblocking(False)
                receiver = Receiver(asyncio.get_running_loop(), near, patience)
                try:
                    await scene(receiver, near, far)
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
async def test_chunks_come_one_by_one_and_then_the_end(
    receiver: Receiver, _: socket.socket, far: socket.socket
) -> None:
    """Those that were sent before, and those that are waited for."""
    far.send(b"one")
    assert await receiver.receive() == b"one"
    coming = receiver.receive()
    far.send(b"two")
    assert await coming == b"two"
    far.close()
    assert await receiver.receive() == b""


@played()
async def test_what_comes_while_the_coroutine_is_busy_stays_in_the_kernel(
    receiver: Receiver, near: socket.socket, far: socket.socket
) -> None:
    """The loop does not turn for it: after a look it watches that client no more, until it is waited for."""
    far.send(b"one")
    assert await receiver.receive() == b"one"
    far.send(b"two")
    while asyncio.get_running_loop()._selector.get_map().get(near.fileno()):  # type: ignore[attr-defined]
        await asyncio.sleep(0)
    assert await receiver.receive() == b"two"


@played()
async def test_who_is_given_up_takes_no_bytes_along(
    receiver: Receiver, _: socket.socket, far: socket.socket
) -> None:
    """The wait is cancelled; what comes then is for the next."""
    receiver.receive().cancel()
    far.send(b"one")
    await asyncio.sleep(0)
    assert await receiver.receive() == b"one"


@played()
async def test_a_loop_that_is_woken_for_nothing_goes_on_waiting(
    receiver: Receiver, _: socket.socket, far: socket.socket
) -> None:
    """As a kernel may do."""
    coming = receiver.receive()
    receiver._hear()
    assert not coming.done()
    far.send(b"one")
    assert await coming == b"one"


@played(patience=0.05)
async def test_only_silence_that_is_waited_for_counts(
    receiver: Receiver, _: socket.socket, far: socket.socket
) -> None:
    """While the coroutine is busy, nobody is late. Then nothing comes."""
    receiver._look_at_the_clock()
    far.send(b"one")
    assert await receiver.receive() == b"one"
    with pytest.raises(TimeoutError):
        await receiver.receive()
