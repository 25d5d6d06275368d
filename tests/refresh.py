"""Runs every lesson in a clean kernel and saves what it printed: `python tests/refresh.py [NAME ...]`."""

import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parent.parent
LESSONS = ROOT / "notebooks"
PICTURED = "02_one_at_a_time"
"""The lesson whose first film the README shows."""
WIDGET = "application/vnd.jupyter.widget-view+json"
"""What a live view is in an output: nothing without its kernel."""
CELL_TIMEOUT = 20
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class Runner(NotebookClient):
    """Keeps what a cell showed first, as nbval compares it: a live view is later replaced."""

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """Takes one message of the kernel."""
        later = msg["msg_type"] == "update_display_data"
        return None if later else super().process_message(msg, cell, cell_index)


def main(names: list[str]) -> None:
    """Refreshes the lessons whose file names contain one of `names`; all of them, if there is none."""
    for path in sorted(LESSONS.glob("*.ipynb")):
        if not names or any(name in path.name for name in names):
            refresh(path)
            print(path.name)


def refresh(path: Path) -> None:
    """Runs one lesson from top to bottom. If a cell fails, raises and leaves the file as it was."""
    lesson = nbformat.read(path, as_version=4)
    client = Runner(
        lesson,
        timeout=CELL_TIMEOUT,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    nbformat.write(tidy(lesson), path)
    if path.stem == PICTURED:
        (ROOT / "docs" / "xray.svg").write_text(films(lesson)[0] + "\n", encoding="utf-8")


def films(lesson: NotebookNode) -> list[str]:
    """Returns the pictures of the films that a lesson shows, as SVG."""
    data = [output.get("data", {}) for cell in lesson.cells for output in cell.get("outputs", ())]
    return [each["image/svg+xml"] for each in data if "image/svg+xml" in each]


def tidy(lesson: NotebookNode) -> NotebookNode:
    """Removes all that differs from run to run, so that a change of the file is a change of the lesson."""
    lesson.nbformat_minor = 5
    lesson.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(lesson.cells):
        cell.id = f"cell-{number:02}"
        cell.metadata = nbformat.from_dict({})
        cell.source = cell.source.strip()
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop(WIDGET, None)
    return lesson


if __name__ == "__main__":
    main(sys.argv[1:])
