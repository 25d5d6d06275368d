"""The house rules that a machine can see: ruff and mypy find nothing, the code explains itself."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest
from faults import SOON

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "chatlib"
MYPY = pytest.param(["mypy"], marks=pytest.mark.exhaustive)  # it takes half a minute


@pytest.mark.parametrize("tool", [["ruff", "check"], ["ruff", "format", "--check"], MYPY], ids=" ".join)
def test_the_code_is_clean(tool: list[str]) -> None:
    """As pyproject.toml configures it, the tool finds nothing."""
    command = [sys.executable, "-m", *tool]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=20 * SOON)
    assert result.returncode == 0, result.stdout


def explaining(source: str) -> tuple[int, int]:
    """Returns how many lines of a file explain (comments, docstrings), and how many are not empty."""
    lines = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    written = {number for number, line in enumerate(source.splitlines(), 1) if line.strip()}
    return len(lines & written), len(written)


@pytest.mark.parametrize("place", ["servers", "outbox.py", "film/record"])
def test_the_hard_parts_are_explained(place: str) -> None:
    """Of what runs in several threads, a quarter of the lines say why."""
    files = [PACKAGE / place] if place.endswith(".py") else sorted((PACKAGE / place).rglob("*.py"))
    counts = [explaining(file.read_text("utf-8")) for file in files]
    assert sum(count for count, _ in counts) / sum(total for _, total in counts) >= 0.25


def test_few_functions_serve_one_caller_only() -> None:
    """Less than one in ten is private and used once: a reader should not have to jump for each sentence.

    Those that Jupyter and Python call by their names are not private.
    """
    functions, once = 0, []
    for file in sorted(PACKAGE.rglob("*.py")):
        source = file.read_text("utf-8")
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            functions += 1
            is_private = node.name.startswith("_") and not node.name.endswith("_")
            if is_private and len(re.findall(rf"\b{node.name}\b", source)) <= 2:
                once.append(f"{file.relative_to(PACKAGE)}: {node.name}")
    assert len(once) < functions / 10, "\n".join(once)
