"""Exercise 12: a choice that measured numbers justify."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from answers import failure, passes, solved

import chatlib
from chatlib.bench import Row
from chatlib.checker.case import Outcome
from chatlib.teach.exercises import ex12_choice
from chatlib.teach.exercises.sandbox import SLIP


def choosing(**differs: Any) -> Callable[..., Any]:
    """Returns a right answer to exercise 12, in parts that can be spoiled."""
    part: dict[str, Any] = {
        "skips": lambda row, clients: row.server == "floor" or row.clients != clients,
        "trusts": lambda figures: figures and not figures.disturbed and figures.kib_per_client is not None,
        "late": lambda figures, p99_ms: figures.p99_us > p99_ms * 1000,
        "mib": lambda figures, clients: figures.kib_per_client * clients / 1024,
        "noise": 1.5,
        "simple": ("threading", "asyncio", "selectors"),
    }
    part |= differs

    def choose(rows: list[Row], clients: int, p99_ms: float, memory_mib: float) -> str | None:
        rows = [row for row in rows if not part["skips"](row, clients) and part["trusts"](row.figures)]
        rows = [row for row in rows if not part["late"](row.figures, p99_ms)]
        fit = {row.server: part["mib"](row.figures, clients) for row in rows}
        fit = {server: mib for server, mib in fit.items() if mib <= memory_mib}
        near = [server for server in fit if fit[server] <= part["noise"] * min(fit.values())]
        return next((server for server in part["simple"] if server in near), None)

    return choose


NONE = ex12_choice.made_up("threading", 20, 1.0, 30.0)


@pytest.fixture
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured: here are the rows."""
    floor = ex12_choice.made_up("floor", 20, 0.5, 0.4)
    slow = ex12_choice.made_up("selectors", 20, 3.0, 1.0)
    monkeypatch.setattr(ex12_choice, "measured", lambda: (floor, NONE, slow, Row("asyncio", 20, None, "-")))
    monkeypatch.setattr(chatlib.bench, "measure", lambda *_, **__: SimpleNamespace(passed=True))


@pytest.mark.parametrize(
    ("differs", "failed"),
    [
        ({"late": lambda figures, p99_ms: figures.p99_us > p99_ms}, "choice.latency"),
        ({"late": lambda figures, p99_ms: figures.p50_us > p99_ms * 1000}, "choice.latency"),
        ({"mib": lambda figures, clients: figures.kib_per_client}, "choice.memory"),
        ({"mib": lambda figures, clients: figures.kib_per_client / 1024}, "choice.memory"),
        ({"skips": lambda row, clients: row.server == "floor"}, "choice.clients"),
        ({"trusts": lambda figures: figures and figures.kib_per_client is not None}, "choice.figures"),
        ({"trusts": lambda figures: not figures.disturbed}, "choice.figures"),
        ({"trusts": lambda figures: figures and not figures.disturbed}, "choice.figures"),
        ({"noise": 1.0}, "choice.noise"),
        ({"noise": 3.0}, "choice.noise"),
        ({"simple": ("selectors", "asyncio", "threading")}, "choice.noise"),
    ],
)
def test_wrong_choices_are_told_apart(differs: dict[str, Any], failed: str, _measured: None) -> None:
    """Each mistake is found by the case that is about it."""
    failure("12", choosing(**differs), failed)


def test_right_choices_pass(_measured: None) -> None:
    """What is spoiled above is right, and so is the solution."""
    passes("12", choosing())
    passes("12", solved("12")["choose"])


def test_an_answer_that_knows_the_made_up_rows_by_heart_fails(_measured: None) -> None:
    """The last case takes others."""

    def by_rote(rows: list[Row], clients: int, p99_ms: float, memory_mib: float) -> str | None:
        return choosing()(rows, clients, p99_ms, memory_mib) if clients != 20 else "asyncio"

    wrong = failure("12", by_rote, "choice.here")
    assert wrong.expected.startswith("choose(rows, 20, 0.000, 1000) returns None, of floor (20 clients")


def test_a_hint_says_what_may_be_none(_measured: None) -> None:
    """Better than Python's own words do; all else Python says best."""
    untrusting = choosing(trusts=lambda figures: not figures.disturbed)
    [verdict] = chatlib.exercise("12", untrusting).of(Outcome.FAIL)
    assert verdict.case.hint.startswith("row.figures may be None")
    [verdict] = chatlib.exercise("12", lambda rows: None).of(Outcome.FAIL)
    assert verdict.case.hint == SLIP


def test_memory_too_little_to_be_measured_makes_no_answer_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sometimes measured as less than nothing: then each server that keeps the limits may be chosen."""
    rows = tuple(ex12_choice.made_up(name, 20, 1.0, -0.5) for name in ex12_choice.SIMPLE)
    monkeypatch.setattr(ex12_choice, "measured", lambda: rows)
    passes("12", choosing())


def test_the_choice_is_tried_on_this_computer() -> None:
    """Whatever is measured here, a right answer is right."""
    ex12_choice.measured.cache_clear()
    passes("12", choosing())
    assert {row.server for row in ex12_choice.measured()} >= set(ex12_choice.SIMPLE)
