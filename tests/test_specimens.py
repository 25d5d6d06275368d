"""The checker, checked: a faulty server fails what its table says and nothing else, and no case is idle."""

import inspect
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from faults import SOON, environment

import chatlib.checker.specimens
from chatlib.checker.check import CASES
from chatlib.checker.specimens import SOUND, SPECIMENS, Specimen

AT_ONCE = 5
"""How many are checked at the same time: most of the time, each waits for something that does not happen."""

PATIENCE = 240.0
"""Seconds for one of them."""

PROGRAMS = tuple(one._replace(as_program=True) for one in SOUND)
"""The sound ones again: whether they can be stopped is another question for a program."""

RUNS = (*SPECIMENS, *SOUND, *PROGRAMS)

# In a process of its own: there, an exception that ends a server's thread is no error of the test.
CHILD = """
import json, sys
import chatlib
from chatlib.checker import specimens
name, dialect, *cases = sys.argv[1:]
one = next(one for one in specimens.SPECIMENS + specimens.SOUND if one[0] == name and one.dialect == dialect)
program = [sys.executable, "-m", specimens.__name__, name, "{port}", dialect]
report = chatlib.check(program if cases or one.as_program else one.load(), dialect, cases=cases)
print(json.dumps([verdict.record() for verdict in report.verdicts]))
"""

Records = dict[str, dict[str, Any]]


def title(one: Specimen) -> str:
    """Returns what a test is called."""
    return f"{one.name}-{one.dialect}" + ("-program" if one.as_program else "")


def records(one: Specimen) -> Records:
    """Returns what came of each case."""
    cases = ["lifecycle"] if one in PROGRAMS else []  # for all others, it does not matter where it runs
    command = [sys.executable, "-c", CHILD, one.name, one.dialect, *cases]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return {record["id"]: record for record in json.loads(done.stdout)}


@pytest.fixture(scope="session")
def verdicts() -> dict[Specimen, Records]:
    """What came of all cases, on all specimens."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(RUNS, pool.map(records, RUNS), strict=True))


def of(found: Records, outcome: str) -> Records:
    """Returns the cases of which this came."""
    return {name: record for name, record in found.items() if record["outcome"] == outcome}


@pytest.mark.slow
@pytest.mark.parametrize("one", RUNS, ids=title)
def test_it_fails_what_its_table_says(verdicts: dict[Specimen, Records], one: Specimen) -> None:
    """All of that, and nothing else; the sound ones fail nothing. What was skipped does not count."""
    assert set(of(verdicts[one], "fail")) == one.fails, verdicts[one]
    assert not of(verdicts[one], "error")


@pytest.mark.slow
@pytest.mark.parametrize("one", [*SOUND, *PROGRAMS], ids=title)
def test_a_sound_server_is_judged(verdicts: dict[Specimen, Records], one: Specimen) -> None:
    """Every case of its dialect; in this process, all but the one that limits descriptors."""
    skipped = of(verdicts[one], "skipped")
    assert set(skipped) == (set() if one.as_program else {"lifecycle.descriptors"}), skipped


def test_every_case_is_failed_by_some_specimen() -> None:
    """A check that cannot fail is a defect."""
    assert set().union(*(one.fails for one in SPECIMENS)) == {case.id for case in CASES}


def test_a_specimen_fails_only_cases_of_its_dialect() -> None:
    """Others would never be taken."""
    dialects = {case.id: case.dialects for case in CASES}
    assert not [
        (one.name, case) for one in SPECIMENS for case in one.fails if one.dialect not in dialects[case]
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
    with subprocess.Popen(command, env=environment(), stdout=pipe, stderr=pipe, text=True) as program:
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
