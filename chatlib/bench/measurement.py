"""The benchmark: for each server and number of clients a fresh process, and another one that loads it."""

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from chatlib.bench.child import Child
from chatlib.bench.contenders import check_names, contender, schedule
from chatlib.bench.loadgen_process import LoadGenerator
from chatlib.bench.records import MeasurementError, Plan, Row, Workload
from chatlib.bench.results import Results, this_computer
from chatlib.descriptors import descriptors
from chatlib.servers import MODELS

Progress = Callable[[str, int, int, int], object]
"""Is called before each measurement: with the server, the number of clients, its place, and of how many."""

START_WITHIN = 15.0
"""Seconds until a server must say that it listens."""

TIME_IS_UP = "the time was up"
"""Why a server was left out when the time for all measurements had passed."""


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
        against: Other servers: `redis`, `nats`; `textbook-threads`, `textbook-asyncio`.
        within: Seconds after which no further measurement begins; the rest is left out. If None, nothing is.
        progress: Is called before each measurement, and says which one it is.

    Returns:
        What was measured. A server that lost, doubled, tore or reordered a line has no figures, but a reason.

    Raises:
        ValueError: That cannot be measured; the message says why.
    """
    chosen, others = tuple(MODELS if models is None else models), tuple(against)
    check_names(chosen, others)
    plan = Plan(chosen, tuple(clients), senders, window, service, seconds, others)
    rows = schedule(plan)
    if all(row.reason for row in rows):
        why = "; ".join(dict.fromkeys(f"{row.server}: {row.reason}" for row in rows)) or "no server is named"
        raise ValueError(f"there is nothing to measure: {why}")
    deadline = float("inf") if within is None else time.monotonic() + within
    # A client needs a descriptor, and the load generator inherits the limit of this process.
    with descriptors(max(plan.clients)), contextlib.closing(LoadGenerator()) as generator:
        for place, row in enumerate(rows):
            if not row.reason and time.monotonic() > deadline:
                rows[place] = replace(row, reason=TIME_IS_UP)
                continue
            if progress:
                progress(row.server, row.clients, place + 1, len(rows))
            if not row.reason:
                rows[place] = measured(row, plan, generator)
    return Results(plan, tuple(rows), this_computer())


def measured(row: Row, plan: Plan, generator: LoadGenerator) -> Row:
    """Starts a server, loads it and ends it. Returns its row, with figures or with what failed.

    Blocks for the time under load and the time that starting and joining take.
    """
    server = contender(row.server, plan.service)
    try:
        generator.start()  # before the server: each takes a moment to start, and so both start side by side
        with contextlib.closing(Child(server.command)) as child:
            child.start()
            host, port = server.address(child.line_with(server.sign, START_WITHIN))
            where, senders = (host, port, child.pid, server.protocol), plan.talkers(row.clients)
            workload = Workload(*where, row.clients, senders, plan.window, plan.seconds)
            figures = generator.measure(workload)
    except MeasurementError as error:
        return replace(row, reason=str(error), failed=True)
    return replace(row, figures=figures)
