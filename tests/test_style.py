"""The house rules that a machine can see: ruff over all, `mypy --strict` over all."""

import subprocess
import sys
from pathlib import Path

import pytest
from faults import SOON

ROOT = Path(__file__).parent.parent


MYPY = pytest.param(["mypy"], marks=pytest.mark.exhaustive)  # it takes half a minute


@pytest.mark.parametrize("tool", [["ruff", "check"], ["ruff", "format", "--check"], MYPY], ids=" ".join)
def test_the_code_is_clean(tool: list[str]) -> None:
    """As pyproject.toml configures it, the tool finds nothing."""
    command = [sys.executable, "-m", *tool]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=20 * SOON)
    assert result.returncode == 0, result.stdout
