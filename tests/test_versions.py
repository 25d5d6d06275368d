"""Where versions of Python differ, and what we say must not: each test runs the same on all of them."""

import _thread
import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from faults import SOON, eventually

from chatlib import xray
from chatlib.film.film import Film
from chatlib.film.record.asyncio_tasks import WatchedTask

LONG = 3 * SOON
"""Seconds for which a call waits that a test looks at meanwhile."""

over = threading.Event()


@pytest.fixture(autouse=True)
def _over() -> Iterator[None]:
    over.clear()
    yield
    over.set()


def waiting(film: Film) -> dict[str, tuple[str, str]]:
    """Returns the call in which each thread or task waits, and its line."""
    return {one.thread: (one.call, one.place.source if one.place else "") for one in film.waiting()}


@contextlib.contextmanager
def another(job: Callable[[], object]) -> Iterator[None]:
    """Runs a job in a thread of its own, which is let go at the end of the block."""
    thread = threading.Thread(target=job, name="waits", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(SOON)
        assert not thread.is_alive()


class Slow:
    """What waits at the end of a `with` block."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        over.wait(LONG)


def at_the_end_of_a_block() -> None:
    """The frame has gone back to the line of the `with`."""
    with ThreadPoolExecutor(1, "pool") as pool:
        pool.submit(over.wait, LONG)


def in_a_comprehension() -> None:
    """It has a frame of its own before Python 3.12, and none afterwards."""
    [event.wait(LONG) for event in [over]]


def in_several_lines() -> None:
    """The line is that in which the call begins."""
    over.wait(
        timeout=LONG,
    )


def in_a_handler() -> None:
    """The line is that of the call, and not of what was raised."""
    try:
        raise LookupError
    except LookupError:
        over.wait(LONG)


LINES = [
    (at_the_end_of_a_block, "join", 'with ThreadPoolExecutor(1, "pool") as pool:'),
    (in_a_comprehension, "wait", "[event.wait(LONG) for event in [over]]"),
    (in_several_lines, "wait", "over.wait("),
    (in_a_handler, "wait", "over.wait(LONG)"),
]
lines = pytest.mark.parametrize(("job", "call", "line"), LINES, ids=[job.__name__ for job, *_ in LINES])


@lines
def test_the_line_of_a_call_is_found(job: Callable[[], None], call: str, line: str) -> None:
    """Of a call that is made while a film watches."""
    with xray() as film, another(job):
        assert eventually(lambda: waiting(film).get("waits") == (call, line)), waiting(film)


@lines
def test_the_line_of_an_earlier_call_is_found(job: Callable[[], None], call: str, line: str) -> None:
    """Of a call that was made before: it is read off the frames of its thread."""

    def seen() -> Any:
        with xray() as film:
            return waiting(film).get("waits")

    with another(job):
        assert eventually(lambda: seen() == (call, line)), seen()


def test_a_block_that_waits_at_its_end_is_found_by_its_own_line() -> None:
    """A line in `__exit__` is the user's, too, and nearer than that of the `with`."""

    def leave() -> None:
        with Slow():
            pass

    with xray() as film, another(leave):
        assert eventually(lambda: waiting(film).get("waits") == ("wait", "over.wait(LONG)")), waiting(film)


def test_a_task_that_begins_at_once_is_seen_to_wait() -> None:
    """From Python 3.12 on a loop may run a task as far as its first `await`, before the task has a name."""
    seen = {}

    async def inner(event: asyncio.Event) -> None:
        await event.wait()

    async def outer(film: Film) -> None:
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        loop.set_task_factory(getattr(asyncio, "eager_task_factory", None))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(inner(event))
            await loop.run_in_executor(None, lambda: eventually(lambda: "task inner" in waiting(film)))
            seen.update(waiting(film))
            event.set()

    with xray() as film:
        asyncio.run(outer(film))
    assert seen["task inner"] == ("await", "await event.wait()")


def test_a_task_without_a_name_is_called_by_its_function() -> None:
    """What stands for no name differs: Python 3.13.0 calls such a task `None`, if it began at once."""

    async def knocks() -> None:
        tasks = [asyncio.create_task(knock(), name=name) for name in (None, "None", "postman")]
        assert [WatchedTask(task).name for task in tasks] == ["task knock", "task knock", "task postman"]

    async def knock() -> None:
        pass

    asyncio.run(knocks())


def test_a_thread_that_threading_has_not_started_is_seen_until_it_ends() -> None:
    """What stands for it in `threading` never learns of its end, and may raise when it is asked."""
    ended = threading.Event()

    def wait() -> None:
        over.wait(LONG)
        ended.set()

    with xray() as film:
        _thread.start_new_thread(wait, ())
        assert eventually(lambda: ("wait", "over.wait(LONG)") in waiting(film).values()), waiting(film)
        over.set()
        assert ended.wait(SOON)
        assert ("wait", "over.wait(LONG)") not in waiting(film).values()


class Ended(queue.Queue[int]):
    """A queue that ends a wait by an exception, as does `shutdown`, which there is from Python 3.13 on."""

    def _get(self) -> int:
        raise getattr(queue, "ShutDown", LookupError)


def test_a_queue_that_is_shut_down_ends_a_call_by_its_own_exception() -> None:
    """It reaches the program, and the film does not take it for a time limit."""
    items = Ended()
    items.put(1)
    with xray() as film, pytest.raises((LookupError, getattr(queue, "ShutDown", LookupError))):
        items.get(timeout=LONG)
    assert [span.outcome for span in film.spans if span.call == "get"] == ["failed"]
