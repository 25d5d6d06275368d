"""The benchmark: for each server and number of clients a fresh process, and another one that loads it."""

import contextlib
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator

from chatlib.bench.child import Program
from chatlib.bench.contenders import Contender, check_names, contender, left_out, schedule
from chatlib.bench.loadgen.payload import Failed
from chatlib.bench.loadgen_process import Generator
from chatlib.bench.records import Figures, Order, Plan, Row
from chatlib.bench.results import Results
from chatlib.descriptors import descriptors
from chatlib.servers import MODELS

Progress = Callable[[str, int, int, int], object]
"""Is told before each measurement: which server, with how many clients, its place, of how many."""

START_WITHIN = 15.0
"""Seconds until a server must say that it listens."""

TIME_IS_UP = "the time was up"
"""Why it was left out, if it was to be measured within a time."""


def measure(
    models: Iterable[str] | None = None,
    clients: Iterable[int] = (10, 100, 1000),
    *,
    service: str = "broadcast",
    senders: int | None = None,
    window: int = 64,
    seconds: float = 1.0,
    against: Iterable[str] = (),
    within: float | None = None,
    progress: Progress | None = None,
) -> Results:
    """Measures servers, each in a process of its own, under a load that comes from another process.

    Blocks, for each server and each number of clients, for `seconds` and about one second more; never for
    longer than 80 s more. Every byte that a client receives is compared with what it should receive.

    Args:
        models: Which, by the names in `chatlib.MODELS`; all of them if None. Each is measured once.
        clients: How many are connected; several numbers for a curve.
        service: `broadcast`: each line goes to all others; or `shout`: it comes back in upper case.
        senders: How many of the clients send. If None, one in `broadcast`, and all in `shout`.
        window: How many lines each of them may have under way.
        seconds: How long each server is under load.
        against: Servers of others: `redis`, `nats`.
        within: Seconds after which no further measurement begins; the rest is left out. If None, nothing is.
        progress: Is told before each measurement which one it is.

    Returns:
        What was measured. A server that lost, doubled, tore or reordered a line has no figures, but a reason.

    Raises:
        ValueError: That cannot be measured; the message says why.
    """
    chosen, others = tuple(MODELS if models is None else models), tuple(against)
    check_names(chosen, others)
    plan = Plan(chosen, tuple(clients), senders, window, service, seconds, others)
    todo = schedule(plan)
    reasons = [f"{server}: {why}" for server, n in todo if (why := left_out(server, n, plan))]
    if len(reasons) == len(todo):
        why = "; ".join(dict.fromkeys(reasons)) or "no server is named"
        raise ValueError(f"there is nothing to measure: {why}")
    with descriptors(max(plan.clients)), contextlib.closing(Generator()) as generator:
        deadline = float("inf") if within is None else time.monotonic() + within
        return Results(plan, tuple(_rows(todo, plan, generator, deadline, progress)), _computer())


def _rows(
    todo: list[tuple[str, int]],
    plan: Plan,
    generator: Generator,
    deadline: float,
    progress: Progress | None,
) -> Iterator[Row]:
    for place, (server, clients) in enumerate(todo, 1):
        if time.monotonic() > deadline and not left_out(server, clients, plan):
            yield Row(server, clients, reason=TIME_IS_UP)
            continue
        if progress:
            progress(server, clients, place, len(todo))
        yield _row(server, clients, plan, generator)


def _row(server: str, clients: int, plan: Plan, generator: Generator) -> Row:
    if reason := left_out(server, clients, plan):
        return Row(server, clients, reason=reason)
    generator.start()  # before the server: both take a moment, and so they take it together
    try:
        return Row(server, clients, _measured(contender(server, plan.service), plan, clients, generator))
    except Failed as error:
        return Row(server, clients, reason=str(error), failed=True)


def _measured(server: Contender, plan: Plan, clients: int, generator: Generator) -> Figures:
    with contextlib.closing(Program(server.command)) as program:
        program.start()
        host, port = server.address(program.line_with(server.sign, START_WITHIN))
        senders, seconds = plan.talkers(clients), plan.seconds
        order = Order(host, port, program.pid, server.dialect, clients, senders, plan.window, seconds)
        return generator.measure(order)


def _computer() -> str:
    cores = os.cpu_count() or 1
    with contextlib.suppress(AttributeError):  # only Linux says which cores this process may use
        cores = len(os.sched_getaffinity(0))
    python_is = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{platform.system()} {platform.machine()}, {cores} core{'s' * (cores > 1)}, {python_is}"
