"""The checker, checked: a faulty server fails what its table says and nothing else, and no case is idle."""

import inspect
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from faults import SOON, ended, environment

import chatlib.checker.specimens
from chatlib.checker.check import CASES
from chatlib.checker.runner import GATES
from chatlib.checker.specimens import SOUND, SPECIMENS, Specimen

AT_ONCE = 6
"""How many are checked side by side: most of the time, each waits for something that does not happen."""

PATIENCE = 240.0
"""Seconds for one of them. Only a check that hangs takes so long."""

PROGRAMS = tuple(one._replace(as_program=True) for one in SOUND)
"""The sound ones again: whether they can be stopped is another question for a program."""

ALL = (*SPECIMENS, *SOUND, *PROGRAMS)

CLASSES = tuple(one for one in SPECIMENS if not one.as_program)
"""Those that run in the checker's process. The programs keep a processor busy: that takes too long."""

DIALECTS_OF = {case.id: case.dialects for case in CASES}

# In a process of its own: there, an exception that ends a server's thread is no error of the test.
CHILD = """
import json, sys
import chatlib
from chatlib.checker import specimens
name, dialect, as_program, *cases = sys.argv[1:]
one = next(one for one in specimens.SPECIMENS + specimens.SOUND if one[0] == name and one.dialect == dialect)
program = [sys.executable, "-m", specimens.__name__, name, "{port}", dialect]
report = chatlib.check(program if as_program else one.load(), dialect, cases=cases)
print(json.dumps([verdict.record() for verdict in report.verdicts]))
"""

Records = dict[str, dict[str, Any]]


def title(one: Specimen) -> str:
    """Returns what a test is called."""
    return f"{one.name}-{one.dialect}" + ("-program" if one.as_program else "")


def cases_for(one: Specimen, exhaustive: bool) -> list[str]:
    """Returns what is tried on it: what it fails; exhaustively, what it does not, and of a program all."""
    if one in PROGRAMS:
        return ["lifecycle"]  # for the other cases, it does not matter where a server runs
    own = [case.id for case in CASES if one.as_program or (case.id in one.fails) is not exhaustive]
    return [name for name in dict.fromkeys([*GATES, *own]) if one.dialect in DIALECTS_OF[name]]


def records(one: Specimen, exhaustive: bool) -> Records:
    """Returns what came of each case."""
    words = [one.name, one.dialect, "program" if one.as_program else "", *cases_for(one, exhaustive)]
    command = [sys.executable, "-c", CHILD, *words]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return {record["id"]: record for record in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def verdicts(request: pytest.FixtureRequest) -> Iterator[Callable[[Specimen], Records]]:
    """Waits for what came of one of them; all are checked side by side from the beginning."""
    exhaustive = request.config.getoption("exhaustive")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        coming = {one: pool.submit(records, one, exhaustive) for one in (ALL if exhaustive else CLASSES)}
        yield lambda one: coming[one].result()
        pool.shutdown(cancel_futures=True)


def of(found: Records, outcome: str) -> set[str]:
    """Returns the ids of the cases of which this came."""
    return {name for name, record in found.items() if record["outcome"] == outcome}


@pytest.mark.parametrize(
    "one",
    [pytest.param(one, marks=pytest.mark.exhaustive if one.as_program else ()) for one in SPECIMENS],
    ids=title,
)
def test_it_fails_what_its_table_says(verdicts: Callable[[Specimen], Records], one: Specimen) -> None:
    """All of that. What was skipped does not count."""
    found = verdicts(one)
    assert of(found, "fail") - one.may == one.fails, found
    assert not of(found, "error"), found


STUCK = {
    "one_at_a_time": "says nothing",
    "waits_for_the_end_of_a_line": "says nothing",
    "one_slow_reader_mutes_all": "has not read for",
}
"""Those that are stuck because of a client, and what that client does."""


@pytest.mark.parametrize("one", CLASSES, ids=title)
def test_the_verdict_is_right(verdicts: Callable[[Specimen], Records], one: Specimen) -> None:
    """Who is stuck because of a client is said to be; of those that do something else wrong, nothing is."""
    failures = [record["failure"] for record in verdicts(one).values() if record.get("failure")]
    lines = [line for failure in failures for line in failure["waiting"]]
    told = [line for line in lines if not re.search(" waits in | is busy| is in a call that ", line)]
    assert all(f", which {STUCK[one.name]}" in line for line in told if one.name in STUCK), told
    assert bool(told) == (one.name in STUCK), told


@pytest.mark.exhaustive
@pytest.mark.parametrize("one", SPECIMENS, ids=title)
def test_it_fails_nothing_else(verdicts: Callable[[Specimen], Records], one: Specimen) -> None:
    """What it does not fail, it keeps. (Where no line arrives, nothing else is judged.)"""
    found = verdicts(one)
    assert of(found, "fail") - one.may == one.fails & found.keys(), found
    assert not of(found, "error"), found


@pytest.mark.exhaustive
@pytest.mark.parametrize("one", [*SOUND, *PROGRAMS], ids=title)
def test_a_sound_server_fails_nothing(verdicts: Callable[[Specimen], Records], one: Specimen) -> None:
    """Every case of its dialect is judged; in this process, all but the one that limits descriptors."""
    found = verdicts(one)
    assert not of(found, "fail") | of(found, "error"), found
    assert of(found, "skipped") == (set() if one.as_program else {"lifecycle.descriptors"}), found


def test_every_case_is_failed_by_some_specimen() -> None:
    """A check that cannot fail is a defect."""
    assert set().union(*(one.fails for one in SPECIMENS)) == {case.id for case in CASES}


def test_a_specimen_fails_only_cases_of_its_dialect() -> None:
    """Others would never be taken."""
    assert not [
        (one.name, case) for one in SPECIMENS for case in one.fails if one.dialect not in DIALECTS_OF[case]
    ]


def test_every_file_is_in_the_table() -> None:
    """Once; those that are sound are there for each dialect."""
    files = {path.stem for path in Path(chatlib.checker.specimens.__file__).parent.glob("[!_]*.py")}
    names = [one.name for one in SPECIMENS]
    assert len(names) == len(set(names))
    assert {*names, *(one.name for one in SOUND)} == files


@pytest.mark.parametrize("one", SPECIMENS, ids=title)
def test_the_difference_is_the_defect(one: Specimen) -> None:
    """One class, of a sound one, with a few methods; the first line says what is wrong."""
    model = one.load()
    source = inspect.getsource(inspect.getmodule(model) or model)
    assert model.__mro__[1] in [sound.load() for sound in SOUND]
    assert source.count("\nclass ") == 1
    assert len(source.splitlines()) <= 30
    assert one.sentence.endswith(".")
    assert source.startswith(f'"""{one.sentence}"""\n')


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
@pytest.mark.parametrize("one", [SOUND[0], SOUND[-1]], ids=title)
def test_one_runs_as_a_program_until_ctrl_c(one: Specimen) -> None:
    """It says where it listens, and ends without a traceback."""
    command = [sys.executable, "-m", "chatlib.checker.specimens", one.name, "0"]
    pipe = subprocess.PIPE
    with ended(subprocess.Popen(command, env=environment(), stdout=pipe, stderr=pipe, text=True)) as program:
        assert program.stdout
        assert program.stdout.readline().startswith("listening on 127.0.0.1:")
        program.send_signal(signal.SIGINT)
        assert program.communicate(timeout=SOON) == ("", "")
        assert program.returncode == 0


def test_a_name_that_does_not_exist() -> None:
    """It says which ones do."""
    command = [sys.executable, "-m", "chatlib.checker.specimens", "nobody", "0"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=SOON)
    assert done.returncode == 1
    assert "there is no nobody: there are spins_on_goodbye," in done.stderr
