"""The checker on the servers of chatlib, in every dialect: a good server keeps every promise."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from faults import POSIX, SOON, environment

import chatlib

AT_ONCE = 2
"""How many are checked side by side: most of the time, each waits for something that does not happen."""

CHILD = """
import sys, chatlib
dialect, model, service = sys.argv[1:]
make = lambda address: chatlib.MODELS[model](address, getattr(chatlib, service)())
print(chatlib.check(make, dialect).json())
"""

SERVICES = {"lines": "Broadcast", "shout": "Shout", "budget-chat": "Chat"}
SINGLE = ["sync", "forking"]
"""Models whose clients cannot hear each other: one serves them in turn, one in processes of their own."""

Reference = tuple[str, str, bool]
"""A model, a dialect, and whether it is checked as a program."""

EVERY: list[Reference] = [
    (model, dialect, as_program)
    for as_program in (False, True)
    for model in chatlib.MODELS
    for dialect in SERVICES
    if dialect == "shout" or model not in SINGLE
]
EVERY_DAY = "raw-threads", "lines"
ELSEWHERE = ["delivery", "isolation.silent", "lifecycle"]
"""What is asked of the programs of the other models: for the rest, it does not matter where a server runs."""


def parameters(as_program: bool) -> list[Any]:
    """Returns them for pytest: all but one of each kind are exhaustive."""
    return [
        pytest.param(one, id="-".join(one[:2]), marks=[pytest.mark.exhaustive] * (one[:2] != EVERY_DAY))
        for one in EVERY
        if one[2] == as_program
    ]


def checked(one: Reference) -> Any:
    """Returns the record of a check in a process of its own."""
    model, dialect, as_program = one
    command = ["-c", CHILD, dialect, model, SERVICES[dialect]]
    if as_program:
        serve = [sys.executable, "-m", "chatlib", "serve", model, "--service", SERVICES[dialect].lower()]
        cases = [] if model == EVERY_DAY[0] else [f"--case={case}" for case in ELSEWHERE]
        check = ["-m", "chatlib", "check", "--dialect", "auto", "--format", "json", *cases, "--"]
        command = [*check, *serve, "--port", "{port}"]
    done = subprocess.run(
        [sys.executable, *command], env=environment(), capture_output=True, timeout=20 * SOON
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def record(request: pytest.FixtureRequest) -> Iterator[Callable[[Reference], Any]]:
    """Waits for the record of one of them; all that this run asks for are checked from the beginning."""
    exhaustive = request.config.getoption("exhaustive")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        coming = {one: pool.submit(checked, one) for one in EVERY if (one[:2] == EVERY_DAY) is not exhaustive}
        yield lambda one: coming[one].result()
        pool.shutdown(cancel_futures=True)


def not_passed(record: Any) -> dict[str, Any]:
    """Returns the cases that have not passed, by id."""
    return {case["id"]: case for case in record["cases"] if case["outcome"] != "pass"}


@pytest.mark.parametrize("one", parameters(as_program=False))
def test_a_reference_server_keeps_every_promise_as_a_class(
    record: Callable[[Reference], Any], one: Reference
) -> None:
    """Only what needs a process of its own is skipped. The one that serves in turn delays whom it must."""
    others = not_passed(record(one))
    if one[0] == "sync":
        assert {name for name, case in others.items() if case["outcome"] != "skipped"} == {"isolation.silent"}
        assert "delivery.answer" not in others
    else:
        assert set(others) == {"lifecycle.descriptors"}, others


@POSIX
@pytest.mark.parametrize("one", parameters(as_program=True))
def test_a_reference_server_keeps_every_promise_as_a_program(
    record: Callable[[Reference], Any], one: Reference
) -> None:
    """Nothing is skipped, also not what needs few descriptors; and the dialect is found by talking to it."""
    found = record(one)
    others = not_passed(found)
    if one[0] == "sync":
        assert others["isolation.silent"]["outcome"] == "fail" and "delivery.answer" not in others
    else:
        assert not others, others
        assert (found["dialect"]["name"], found["dialect"]["found"]) == (one[1], True)
