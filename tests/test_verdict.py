"""Who is stuck because of whom: right in forty programs with a known cause, and silent about what is fine."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import stuck
from faults import SOON, environment

PROGRAM = Path(stuck.__file__)


def told_of(name: str) -> list[dict[str, Any]]:
    """Returns what is said of a program, which runs in a process of its own. Untraced: some never rest."""
    command = [sys.executable, str(PROGRAM), name]
    child = subprocess.run(
        command, env=environment(traced=False), capture_output=True, text=True, timeout=6 * SOON
    )
    assert child.returncode == 0, child.stderr
    return list(json.loads(child.stdout))


@pytest.mark.parametrize("name", [name for name, program in stuck.PROGRAMS.items() if program.kind])
def test_a_program_that_is_stuck(name: str) -> None:
    """The finding that names the cause is there, as certain as it is; and there is no other cause."""
    program, found = stuck.PROGRAMS[name], told_of(name)
    assert stuck.is_as_expected(program, found), found
    assert {each["kind"] for each in found} == {program.kind}


@pytest.mark.parametrize("name", [name for name, program in stuck.PROGRAMS.items() if not program.kind])
def test_a_program_that_is_fine(name: str) -> None:
    """No alarm, however often it is looked at."""
    assert told_of(name) == []


def test_there_are_forty_programs() -> None:
    """Thirty that are stuck, in as many ways, and ten that are not."""
    kinds = [bool(program.kind) for program in stuck.PROGRAMS.values()]
    assert (kinds.count(True), kinds.count(False)) == (30, 10)
