"""Runs lessons and solutions in clean kernels, saves what they printed: `python tests/refresh.py [NAME ...]`.

From each solution it makes the exercise that students get: the same notebook without the solution.
"""

import copy
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parent.parent
LESSONS = ROOT / "notebooks"
SOLUTIONS = LESSONS / "solutions"
EXERCISES = LESSONS / "exercises"
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION$", re.MULTILINE | re.DOTALL)
"""What students do not get, between the marks that users of nbgrader know."""
GRADED = "### BEGIN HIDDEN TESTS"
"""The mark of a cell for nbgrader alone: it runs there, after the student's, and earns the points."""
POINTS = 10
UNCOMPARED = "nbval-ignore-output"
"""The tag of a cell whose output differs from run to run. There are very few."""
PICTURED = "11_processes"
"""The lesson whose first film the README shows."""
WIDGET = "application/vnd.jupyter.widget-view+json"
"""What a live view is in an output: nothing without its kernel."""
CELL_TIMEOUT = 120
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class Runner(NotebookClient):
    """Keeps what a cell showed first, as nbval compares it: a live view is later replaced."""

    async def async_execute_cell(self, cell: NotebookNode, *args: Any, **kwargs: Any) -> NotebookNode:
        """Runs a cell, if it is not for nbgrader alone."""
        return cell if GRADED in cell.source else await super().async_execute_cell(cell, *args, **kwargs)

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """Takes one message of the kernel."""
        later = msg["msg_type"] == "update_display_data"
        return None if later else super().process_message(msg, cell, cell_index)


def main(names: list[str]) -> None:
    """Refreshes the lessons and solutions whose file names contain one of `names`; all, if that is empty."""
    for path in (*sorted(LESSONS.glob("*.ipynb")), *sorted(SOLUTIONS.glob("*.ipynb"))):
        if not names or any(name in path.name for name in names):
            refresh(path)
            print(path.relative_to(LESSONS))


def refresh(path: Path) -> None:
    """Runs one notebook from top to bottom. If a cell fails, raises and leaves its file as it was."""
    lesson = nbformat.read(path, as_version=4)
    run(lesson, path.parent)
    nbformat.write(tidy(lesson), path)
    if path.parent == SOLUTIONS:
        EXERCISES.mkdir(exist_ok=True)
        nbformat.write(exercise_of(lesson), EXERCISES / path.name)
    if path.stem == PICTURED:
        (ROOT / "docs" / "xray.svg").write_text(films(lesson)[0] + "\n", encoding="utf-8")


def run(notebook: NotebookNode, folder: Path) -> None:
    """Runs a notebook in a clean kernel, in a folder. If a cell fails, raises."""
    client = Runner(
        notebook,
        timeout=CELL_TIMEOUT,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()


def exercise_of(solution: NotebookNode) -> NotebookNode:
    """Returns the notebook that students get: nothing has been run, and the solution is theirs to find."""
    exercise = copy.deepcopy(solution)
    exercise.cells = [cell for cell in exercise.cells if GRADED not in cell.source]
    for cell in exercise.cells:
        if cell.cell_type == "code":
            cell.source = SOLUTION.sub(_stub, cell.source)
            cell.outputs, cell.execution_count = [], None
    return tidy(exercise)


def _stub(found: re.Match[str]) -> str:
    """Returns what stands in place of a solution. In a function, the check can see that it is still there."""
    indent = found[1]
    return f"{indent}# YOUR CODE HERE" + (f"\n{indent}raise NotImplementedError" if indent else "")


def films(lesson: NotebookNode) -> list[str]:
    """Returns the pictures of the films a lesson shows, as SVG; not its curves or orders of threads."""
    data = [output.get("data", {}) for cell in lesson.cells for output in cell.get("outputs", ())]
    pictures = [each.get("image/svg+xml", "") for each in data]
    return [picture for picture in pictures if "chatfilm" in picture and "co-code" not in picture]


def tidy(lesson: NotebookNode) -> NotebookNode:
    """Removes all that differs from run to run, so that a change of the file is a change of the lesson."""
    lesson.nbformat_minor = 5
    lesson.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(lesson.cells):
        cell.id = f"cell-{number:02}"
        tags = [UNCOMPARED] if UNCOMPARED in cell.metadata.get("tags", ()) else []
        cell.metadata = nbformat.from_dict(({"tags": tags} if tags else {}) | grading(cell, number))
        cell.source = cell.source.strip()
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop(WIDGET, None)
    return lesson


def grading(cell: NotebookNode, number: int) -> dict[str, Any]:
    """Returns what nbgrader has to know of a cell: that the answer stands there, or that it earns points."""
    solution, graded = bool(SOLUTION.search(cell.source)), GRADED in cell.source
    if not solution and not graded:
        return {}
    known = {"grade": graded, "solution": solution, "locked": graded, "task": False, "schema_version": 3}
    points = {"points": POINTS} if graded else {}
    return {"nbgrader": known | points | {"grade_id": f"cell-{number:02}"}}


if __name__ == "__main__":
    main(sys.argv[1:])
