"""What tests start is found again, and ended."""

import subprocess
import sys

import children
from faults import ended

PARENT = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; print(end='.', flush=True); time.sleep(600)"])
"""


def test_a_process_whose_parent_has_ended_is_found_and_ended() -> None:
    """It holds the pipe open until then; and the test that has started it is named."""
    with ended(subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)) as parent:
        assert parent.stdout and parent.stdout.read(1) == "."
        assert parent.wait() == 0
        [told] = children.end(children.started_by(children.WORKER))
        assert parent.stdout.read() == ""
    assert "test_a_process_whose_parent_has_ended" in told
    assert not children.started_by(children.WORKER)
