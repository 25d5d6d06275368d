"""What stands in the file of a notebook. No notebook is run for it, and no package of Jupyter is needed."""

import json
from pathlib import Path
from typing import Any

Notebook = dict[str, Any]
Cell = dict[str, Any]


def read(path: Path) -> Notebook:
    """Returns what a JSON file says; nothing, if it is not there, or not whole."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def source_of(cell: Cell) -> str:
    """Returns the text of a cell."""
    return text_of(cell["source"])


def shown(cell: Cell, kind: str = "text/plain") -> str:
    """Returns what a cell has shown, in one of the forms that were kept; as text also what it printed."""
    outputs = cell.get("outputs", ())
    printed = "text" if kind == "text/plain" else ""
    return "\n".join(text_of(each.get(printed, each.get("data", {}).get(kind, ""))) for each in outputs)


def title(notebook: Notebook) -> str:
    """Returns its first heading."""
    first = source_of(notebook["cells"][0]) if notebook.get("cells") else ""
    return first.partition("\n")[0].removeprefix("# ")


def text_of(lines: str | list[str]) -> str:
    """Returns what is kept as one text, or as a list of its lines."""
    return lines if isinstance(lines, str) else "".join(lines)
