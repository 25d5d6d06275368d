"""Exercise 12: numbers that were measured, and a choice that they justify."""

import functools
from collections.abc import Iterable
from typing import Any

from chatlib.bench import Figures, Row, measure
from chatlib.bench.records import FLOOR
from chatlib.checker.case import Case, step
from chatlib.checker.errors import Broken
from chatlib.teach.exercises.exercise import Exercise, is_function
from chatlib.teach.exercises.sandbox import Trial, shown

LESSON = "12 Measure and choose"

NOISE = 1.5
"""A server within this factor of the best is as good: one short run cannot tell them apart."""

SIMPLE = ("threading", "asyncio", "selectors")
"""In which order one takes those that are equally good."""

CLIENTS = 20
"""Of the servers that are really measured."""


def made_up(server: str, clients: int, p99_ms: float, kib: float | None, busy: float = 0.6) -> Row:
    """Returns a row as a measurement would."""
    figures = Figures(
        deliveries_per_s=1e6,
        p50_us=p99_ms * 500,
        p99_us=p99_ms * 1000,
        cpu_us=0.5,
        kib_per_client=kib,
        joins_per_s=5000.0,
        server_busy=busy,
        load_busy=busy / 2,
    )
    return Row(server, clients, figures)


def good(rows: Iterable[Row], clients: int, p99_ms: float, memory_mib: float) -> dict[str, float]:
    """Returns the servers that keep both limits, with the memory of all their clients together, in MiB."""
    found = {}
    for row in rows:
        figures = row.figures
        if row.server == FLOOR or row.clients != clients or not figures or figures.disturbed:
            continue
        if figures.kib_per_client is not None and figures.p99_us / 1000 <= p99_ms:
            found[row.server] = figures.kib_per_client * clients / 1024
    return {server: memory for server, memory in found.items() if memory <= memory_mib}


def chosen(fit: dict[str, float], noise: float = NOISE) -> str | None:
    """Returns the simplest of those that take little more memory than the best; None if there is none."""
    least = min(fit.values(), default=0.0)
    return next((server for server in SIMPLE if fit.get(server, float("inf")) <= noise * least), None)


def in_words(row: Row) -> str:
    """Returns a row as one would tell it."""
    if not (figures := row.figures):
        return f"{row.server} ({row.clients} clients, no figures: {row.reason})"
    kib = figures.kib_per_client
    memory = "memory not known" if kib is None else f"{kib:g} KiB each"
    disturbed = ", disturbed" * figures.disturbed
    return f"{row.server} ({row.clients} clients, p99 {figures.p99_us:g} us, {memory}{disturbed})"


def answered(trial: Trial, rows: Iterable[Row], limits: tuple[float, ...], expected: str) -> Any:
    """Returns what is chosen.

    Raises:
        Broken: Nothing is returned.
    """
    try:
        return trial.attempt(lambda: trial.answer(list(rows), *limits), expected)
    except Broken as broken:
        if "NoneType" not in broken.actual:
            raise
        # Without Python's hint: that there may be nothing, the hint of the case says best.
        raise Broken(expected, broken.actual) from None


def _choosing(
    rows: tuple[Row, ...],
    right: str | None,
    why: str,
    clients: int = 100,
    p99_ms: float = 10,
    memory_mib: float = 100,
) -> str:
    table = ", ".join(map(in_words, rows)) or "empty"
    limits = f"clients={clients}, p99_ms={p99_ms:g}, memory_mib={memory_mib:g}"
    return f"choose(rows, {limits}); the rows are {table}"


@step(_choosing)
def choose(
    trial: Trial,
    rows: tuple[Row, ...],
    right: str | None,
    why: str,
    clients: int = 100,
    p99_ms: float = 10,
    memory_mib: float = 100,
) -> None:
    """Gives rows, made up, and a requirement, and compares what is chosen with what is right."""
    expected = f"it returns {right!r}: {why}"
    limits = clients, p99_ms, memory_mib
    found = answered(trial, rows, limits, expected)
    if found != right:
        raise Broken(expected, f"it returned {shown(found)}")


@functools.cache
def measured() -> tuple[Row, ...]:
    """Measures this computer, once. Blocks for one or two seconds, on a busy computer for some more."""
    return measure(SIMPLE, [CLIENTS], seconds=0.05, within=6).rows


@step(f"the servers are measured on this computer, with {CLIENTS} clients; then choose(rows, ...)")
def choose_here(trial: Trial) -> None:
    """The same with numbers of this computer, from which the limits are taken, too."""
    rows = measured()
    trusted = good(rows, CLIENTS, 1e9, 1e9)
    latest = [row.figures.p99_us / 1000 for row in rows if row.figures and row.server in trusted]
    for p99_ms in sorted({0.0, *(1.001 * one for one in latest)}):  # a little more: nothing is rounded away
        _compare(trial, rows, p99_ms)


def _compare(trial: Trial, rows: tuple[Row, ...], p99_ms: float) -> None:
    fit = good(rows, CLIENTS, p99_ms, 1000)
    # What is at the very border of the noise may be rounded to either side; and very little memory is
    # sometimes measured as less than nothing: then every server that keeps the limits is right.
    right = {chosen(fit, NOISE + 1e-6), chosen(fit, NOISE - 1e-6)}
    right |= set(fit) if min(fit.values(), default=1.0) <= 0 else set()
    words = " or ".join(map(repr, sorted(right, key=str)))
    expected = f"choose(rows, {CLIENTS}, {p99_ms:.3f}, 1000) returns {words}"
    found = answered(trial, rows, (CLIENTS, p99_ms, 1000), expected)
    if found not in right:
        raise Broken(f"{expected}, of {', '.join(map(in_words, rows))}", f"it returned {shown(found)}")


_THREADS = made_up("threading", 100, 2, 30)
_LOOP = made_up("selectors", 100, 4, 2)
_TASKS = made_up("asyncio", 100, 5, 5)

CASES = (
    Case(
        "choice.latency",
        "Too late is too late",
        "A server is chosen only if 99 of 100 lines arrive within p99_ms milliseconds.",
        steps=(
            choose(
                (_THREADS, made_up("asyncio", 100, 12, 5)),
                "threading",
                "of asyncio's lines, some take longer",
            ),
            choose((_THREADS, _TASKS), "asyncio", "both are in time, and it takes less memory"),
        ),
        hint="figures.p99_us is in microseconds, and there are 1000 of them in a millisecond.",
        lesson=LESSON,
    ),
    Case(
        "choice.memory",
        "The memory of all clients together",
        "A server is chosen only if all clients together take at most memory_mib MiB.",
        steps=(
            choose((_THREADS,), None, "100 clients at 30 KiB are 2.9 MiB", memory_mib=2),
            choose((_THREADS,), "threading", "100 clients at 30 KiB are 2.9 MiB", memory_mib=3),
        ),
        hint="kib_per_client is in KiB and for one client: times clients, and 1024 KiB are a MiB.",
        lesson=LESSON,
    ),
    Case(
        "choice.nobody",
        "Nobody is an answer, too",
        "If no server will do, choose returns None.",
        steps=(
            choose((_THREADS, _LOOP, _TASKS), None, "each of them takes longer", p99_ms=1),
            choose((), None, "nothing was measured"),
        ),
        hint="min of an empty list is an error: return None before, if no server is left.",
        lesson=LESSON,
    ),
    Case(
        "choice.clients",
        "Only what was measured counts",
        "Only rows with just that number of clients count: what 10 clients cost says nothing of 100.",
        steps=(
            choose((made_up("selectors", 10, 1, 1), _THREADS), "threading", "only it was measured with 100"),
            choose((_THREADS, _LOOP), None, "nothing was measured with 1000", clients=1000, memory_mib=1e6),
        ),
        hint="Compare row.clients with clients, before you look at the figures.",
        lesson=LESSON,
    ),
    Case(
        "choice.figures",
        "Not every row has figures to trust",
        "The floor is no server; a row may have no figures, or no memory; disturbed figures are noise.",
        steps=(
            choose((made_up(FLOOR, 100, 1, 0.3), _THREADS), "threading", "the floor serves no client"),
            choose(
                (Row("asyncio", 100, reason="the time was up"), _THREADS),
                "threading",
                "asyncio has no figures",
            ),
            choose(
                (made_up("asyncio", 100, 1, 1, busy=0.1), _THREADS), "threading", "asyncio's are disturbed"
            ),
            choose(
                (made_up("asyncio", 100, 1, None), _THREADS), "threading", "asyncio's memory is not known"
            ),
        ),
        hint="row.figures may be None, and so may its kib_per_client. Its disturbed is True or False.",
        lesson=LESSON,
    ),
    Case(
        "choice.noise",
        "Nearly equal is equal",
        "A server with at most 1.5 times the memory of the best is as good: the first in SIMPLE is chosen.",
        steps=(
            choose((_LOOP, _TASKS), "selectors", "5 KiB are more than 1.5 times 2 KiB"),
            choose((_LOOP, made_up("asyncio", 100, 5, 2.8)), "asyncio", "2.8 KiB are hardly more than 2"),
            choose((made_up("asyncio", 100, 5, 2.8), _LOOP), "asyncio", "the order of the rows says nothing"),
            choose(
                (
                    made_up("selectors", 100, 20, 1),
                    made_up("asyncio", 100, 5, 4),
                    made_up("threading", 100, 5, 5),
                ),
                "threading",
                "selectors is too late, so the best takes 4 KiB",
            ),
        ),
        hint="First find all that will do. Then the least memory among them. Then walk through SIMPLE.",
        lesson=LESSON,
    ),
    Case(
        "choice.here",
        "On this computer",
        "It chooses from what is measured on this computer as well.",
        steps=(choose_here(),),
        hint="In what do these rows differ from the made-up ones? print(results.rows) shows all of them.",
        lesson=LESSON,
    ),
)

EXERCISE = Exercise(
    title="which one should it be?",
    name="choose",
    takes="the function itself, without brackets",
    fits=is_function,
    cases=CASES,
    lesson=LESSON,
)
