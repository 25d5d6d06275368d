"""Exercise 11: a server with a pool of processes. Whatever an answer does, none of them is left."""

import asyncio
import concurrent.futures
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from answers import failure, passes, solved, variant
from faults import SOON

from chatlib.teach.exercises.catalogue import EXERCISES

STARTED = 3.0
"""Seconds in which a process has been started, though it may not compute yet."""


@pytest.fixture(autouse=True)
def _no_worker_is_left() -> Iterator[None]:
    """After each test: all processes have ended that it has started, or are ended now, and it has failed."""
    before = set(multiprocessing.active_children())
    yield
    started = set(multiprocessing.active_children()) - before
    for process in started:
        process.join(SOON)
    left = [process for process in started if process.is_alive()]
    for process in left:
        process.kill()
        process.join(SOON)
    assert not left


def answering_by(compute: Callable[..., Any]) -> Any:
    """Returns the solution of exercise 11, which computes in another way."""

    async def answer(self: Any, line: bytes) -> bytes:
        if not line.strip().isdigit():
            return line.upper()
        return f"{await compute(self, int(line))}\n".encode()

    return variant("11", answer=answer)


async def by_itself(self: Any, number: int) -> Any:
    """Computes in the only thread there is."""
    return self.work(number)


async def by_a_thread(self: Any, number: int) -> Any:
    """Lets another thread compute."""
    return await asyncio.to_thread(self.work, number)


async def by_waiting(self: Any, number: int) -> Any:
    """Lets the pool compute, and blocks meanwhile."""
    return self.pool.submit(self.work, number).result()


async def by_a_lambda(self: Any, number: int) -> Any:
    """Gives the pool what cannot be sent."""
    return await asyncio.get_running_loop().run_in_executor(self.pool, lambda: self.work(number))


async def by_a_new_pool(self: Any, number: int) -> Any:
    """Makes a pool for each question."""
    return await asyncio.get_running_loop().run_in_executor(self.make_pool(), self.work, number)


async def by_heart(self: Any, number: int) -> Any:
    """Computes something else."""
    return {1000: 168}.get(number, 0)


def test_a_greeting_that_is_answered_late_is_no_answer_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is not heard at once greets again. All of that is answered before it asks."""

    async def answer(self: Any, line: bytes) -> bytes:
        if line.strip().isdigit():
            return f"{await by_itself(self, int(line))}\n".encode()
        self.answered = getattr(self, "answered", 0) + 1
        await asyncio.sleep(0.3 if self.answered < 3 else 0)
        return line.upper()

    number = next(case for case in EXERCISES["11"].cases if case.id == "pool.count")
    monkeypatch.setitem(EXERCISES, "11", replace(EXERCISES["11"], cases=(number,)))
    passes("11", variant("11", answer=answer))


SLOW = "alice says a number that takes long; bob says a line meanwhile"
"""The step in which one client waits for a number, and another does not."""


@pytest.mark.parametrize(
    ("compute", "failed", "silent", "sentence"),
    [
        (by_itself, "pool.meanwhile", "", "bob heard nothing: the server's only thread computed"),
        (by_heart, "pool.meanwhile", "", "self.work was not called"),
        (by_a_lambda, "pool.count", "", "the server closed the connection of alice"),
        pytest.param(
            *(by_a_thread, "pool.elsewhere", "", "both are computed in the server's own process"),
            marks=pytest.mark.exhaustive,
        ),
        pytest.param(
            *(by_waiting, "pool.meanwhile", SLOW, "bob heard nothing of it in time"),
            marks=pytest.mark.exhaustive,
        ),
        pytest.param(
            *(by_a_new_pool, "pool.elsewhere", "", "6 different processes have computed so far"),
            marks=pytest.mark.exhaustive,
        ),
    ],
)
def test_wrong_computations_are_told_apart(
    compute: Callable[..., Any], failed: str, silent: str, sentence: str
) -> None:
    """Each mistake is found by the case that is about it."""
    assert sentence in failure("11", answering_by(compute), failed, silent, silence=STARTED).actual


def pool(kind: str, workers: int = 2) -> Callable[..., Any]:
    """Returns a method that makes a pool of another kind."""

    def make_pool(self: Any) -> Any:
        context = multiprocessing.get_context(kind)
        return concurrent.futures.ProcessPoolExecutor(max_workers=workers, mp_context=context)

    return make_pool


@pytest.mark.exhaustive
def test_one_process_is_not_enough() -> None:
    """Clients that ask at the same time are computed for at the same time."""
    together = "alice and bob say numbers that take long, both at the same time"
    one = variant("11", make_pool=pool("spawn", 1))
    wrong = failure("11", one, "pool.elsewhere", together, silence=STARTED)
    assert wrong.actual == "only one process computes in time"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_pool_is_told() -> None:
    """Its processes hold copies of all connections: a client that leaves does not see the end."""
    forked = variant("11", make_pool=pool("fork"))
    wrong = failure("11", forked, "pool.copies", "alice sees the end of the connection")
    assert "it did not close its side" in wrong.actual


@pytest.mark.parametrize(
    ("close_pool", "sentence"),
    [
        (lambda self: None, "the pool still has 1 process"),
        pytest.param(
            *(lambda self: self.pool.close(), "has no attribute 'close', in line"),
            marks=pytest.mark.exhaustive,
        ),
    ],
)
def test_a_pool_that_is_left_running_is_told_and_ended(close_pool: Callable[..., Any], sentence: str) -> None:
    """And why, if closing it has failed."""
    assert sentence in failure("11", variant("11", close_pool=close_pool), "pool.end").actual


def test_a_slip_in_making_a_server_is_told_with_its_line() -> None:
    """And is not taken for an address that does not fit."""

    def make_pool(self: Any) -> Any:
        return concurrent.futures.ProcessPoolExecutor(worker=2)  # type: ignore[call-overload]

    wrong = failure("11", variant("11", make_pool=make_pool), "delivery.answer")
    assert "unexpected keyword argument 'worker', in line" in wrong.actual
    assert wrong.actual.startswith("Counting(('127.0.0.1', 0)) failed: ")
    assert "a function that needs only the address" not in wrong.actual


@pytest.mark.exhaustive
def test_the_solution_of_11_passes() -> None:
    """And what it has put on the path for its processes is taken off again."""
    before = list(sys.path)
    passes("11", solved("11")["Counting"])
    assert [path for path in sys.path if path not in before and "teach" in path] == []
