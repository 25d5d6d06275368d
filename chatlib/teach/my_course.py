"""A learner's own copy of the course: it gives nothing away, and nothing of the learner's is overwritten.

`run.py lab` makes it, keeps it up to date, and opens its first page. What has been done is read from its
notebooks: so there is nothing else that could be lost, or say something else.
"""

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from chatlib.teach.notebook_file import Notebook, read, shown, source_of, title

MADE = ".made.json"
"""In the copy: the form of each notebook as it was made. Who works in one changes its form."""

START = "start.ipynb"
"""In the copy: the page that lists all, and says where to go on. JupyterLab opens other text as text."""

PAGE = """\
# What it means for a server to wait

This is your copy of the course: change in it what you like. In a notebook, Shift + Enter runs a cell.
What you have done is noted here when you open the course the next time.

{there}

| | done | |
|---|---|---|
{rows}
"""
RENEWED = """
There is a newer version of {}. Yours is kept, as you have worked in it.
To get the new one, rename or delete yours.
"""


class Done(NamedTuple):
    """What has been done in a notebook."""

    run: int
    """Code cells that were run."""
    cells: int
    """How many there are."""
    predicted: int
    """Predictions that were made, and then measured."""
    predictions: int
    passed: int
    """Checks that an answer has passed."""
    checks: int

    @property
    def complete(self) -> bool:
        """Whether one may go on: a lesson was run, an exercise has passed. (A second check is a stretch.)"""
        return self.passed > 0 if self.checks else self.run == self.cells

    def __str__(self) -> str:
        if not self.run:
            return ""
        parts = ["✓ done"] if self.complete else [f"{self.run} of {self.cells} cells run"]
        parts += [f"{self.predicted} of {self.predictions} predicted"] if self.predictions else []
        parts += [f"{self.passed} of {self.checks} checks passed"] if self.checks else []
        return ", ".join(parts)


def kernel_metadata() -> dict[str, Any]:
    """Returns what JupyterLab writes into a notebook when its kernel has started.

    If it stood there in another form, each notebook would ask to be saved as soon as it is opened.
    """
    from ipykernel.ipkernel import IPythonKernel  # these two take a second, and only the copy needs them
    from jupyter_client.kernelspec import KernelSpecManager

    spec = KernelSpecManager().get_kernel_spec("python3")
    return {
        "kernelspec": {"display_name": spec.display_name, "language": spec.language, "name": "python3"},
        "language_info": IPythonKernel.language_info,
    }


def update(source: Path, copy: Path, metadata: dict[str, Any]) -> list[str]:
    """Brings a copy up to date: makes what is missing, renews what nobody has worked in.

    Args:
        source: The folder of the lessons, with one of exercises in it.
        copy: The learner's.
        metadata: Of each notebook.

    Returns:
        The notebooks of which there is a newer version, and which are kept, as somebody has worked in them.

    Raises:
        OSError: A file cannot be read or written.
    """
    made, kept = read(copy / MADE), []
    for path in notebooks(source):
        name = path.relative_to(source).as_posix()
        fresh, own = _emptied(read(path)) | {"metadata": metadata}, copy / name
        form, there, known = _form(fresh), read(own), made.get(name)
        if own.exists() and _form(there) not in (known, form):
            kept += [name] if form != known else []
        elif (there, known) != (fresh, form):  # or a notebook that is open would seem to change on the disk
            own.parent.mkdir(parents=True, exist_ok=True)
            made[name] = form
            _write(own, fresh)
            _write(copy / MADE, made)
    return kept


def notebooks(folder: Path) -> list[Path]:
    """Returns what a course consists of: each lesson, followed by its exercises; then what is no lesson."""
    exercises = sorted(folder.glob("exercises/*.ipynb"))
    return [
        path
        for lesson in sorted(folder.glob("[0-9]*.ipynb"))
        for path in (lesson, *(each for each in exercises if each.name[:2] == lesson.name[:2]))
    ] + [path for name in ("playground.ipynb", "glossary.ipynb") if (path := folder / name).exists()]


def done(notebook: Notebook) -> Done:
    """Reads what has been done in a notebook."""
    code = [cell for cell in notebook.get("cells", ()) if cell["cell_type"] == "code"]
    asked = [shown(cell) for cell in code if "chatlib.predict(" in source_of(cell)]
    told = [shown(cell) for cell in code if "chatlib.exercise(" in source_of(cell)]
    passed = re.compile(r"^(All \d+ passed|Level reached: (?!none))", re.MULTILINE)
    return Done(
        run=sum(cell.get("execution_count") is not None for cell in code),
        cells=len(code),
        predicted=sum("(you said" in answer for answer in asked),
        predictions=len(asked),
        passed=sum(bool(passed.search(report)) for report in told),
        checks=len(told),
    )


def start_page(source: Path, copy: Path, kept: list[str]) -> str:
    """Returns the page from which the learner goes on, as Markdown."""
    rows, begun, following = [], False, ""
    for path in notebooks(copy):
        notebook, name = read(path), path.relative_to(copy).as_posix()
        state, link = done(notebook), f"[{title(notebook) or name}]({name})"
        begun = begun or state.run > 0
        following = following or ("" if state.complete else link)
        saved = f"[with its pictures](../{source.name}/{name})" if name[0].isdigit() else ""
        rows.append(f"| {link if path.parent == copy else f'&emsp; {link}'} | {state} | {saved} |")
    there = (
        f"{'Go on' if begun else 'Begin'} with **{following}**." if following else "You have done all of it."
    )
    there += f"\n{RENEWED.format(', '.join(kept))}" if kept else ""
    return PAGE.format(there=there, rows="\n".join(rows))


def trust(source: Path) -> None:
    """Vouches for the saved lessons, in the learner's account: JupyterLab hides a stranger's pictures."""
    import nbformat  # as above, only the copy needs these
    from nbformat.sign import NotebookNotary

    with NotebookNotary() as notary:
        for lesson in source.glob("[0-9]*.ipynb"):
            notary.sign(nbformat.read(lesson, as_version=4))


def main(source: Path, copy: Path) -> None:
    """Makes the copy or brings it up to date, and writes its first page, which leads to the saved lessons."""
    trust(source)
    copy.mkdir(exist_ok=True)
    metadata = kernel_metadata()
    kept = update(source, copy, metadata)
    cell = {"cell_type": "markdown", "id": "start", "metadata": {}, "source": start_page(source, copy, kept)}
    _write(copy / START, {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def _emptied(notebook: Notebook) -> Notebook:
    """Returns a notebook without what its cells have shown."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return notebook


def _form(notebook: Notebook) -> str:
    """Returns what changes when somebody works in a notebook. To open and save it changes only metadata."""
    parts = [
        (cell["cell_type"], source_of(cell), cell.get("execution_count"), cell.get("outputs"))
        for cell in notebook.get("cells", ())
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _write(path: Path, content: dict[str, Any]) -> None:
    """Writes a JSON file, whole or not at all."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
