"""What a notebook cell has opened is closed when the same cell runs again."""

import importlib.util
import sys
import weakref
from collections.abc import Callable
from typing import NamedTuple, TypeVar

Thing = TypeVar("Thing")


class Run(NamedTuple):
    """One run of one cell."""

    cell: str
    number: int


_opened: dict[str, tuple[int, list[Callable[[], object]]]] = {}


def running_cell() -> Run | None:
    """Returns which notebook cell runs now, and which run of it this is; None outside a notebook."""
    ipython = sys.modules.get("IPython")  # not imported here: only a notebook needs it, and has it
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "get_parent"):  # a plain script, or IPython in a terminal
        return None
    cell = shell.get_parent().get("metadata", {}).get("cellId")
    return Run(cell or shell.user_ns["In"][-1], shell.execution_count)  # some front ends send no id


def title() -> str:
    """Returns how a reader finds the running cell: its number and its first line. Empty if none runs."""
    if (run := running_cell()) is None:
        return ""
    lines = (line.strip() for line in sys.modules["IPython"].get_ipython().user_ns["In"][-1].splitlines())
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return f"[{run.number}], {first}"


def before_next_cell(act: Callable[[], object]) -> None:
    """Does something once, when the next cell begins. Outside a notebook, never."""
    if running_cell():
        events = sys.modules["IPython"].get_ipython().events

        def once(*_: object) -> None:
            events.unregister("pre_run_cell", once)
            act()

        events.register("pre_run_cell", once)


def shows_widgets() -> bool:
    """Returns whether a notebook cell runs whose page can show a widget of ours."""
    return running_cell() is not None and importlib.util.find_spec("anywidget") is not None


def close_earlier() -> None:
    """Closes what earlier runs of the running cell have opened."""
    run = running_cell()
    if run and _opened.get(run.cell, (run.number,))[0] != run.number:
        for close in _opened.pop(run.cell)[1]:
            close()


def remember(thing: Thing, close: Callable[[Thing], object]) -> None:
    """Notes that the running cell has opened `thing`, and how to close it when the cell runs again."""
    if run := running_cell():
        reference = weakref.ref(thing)  # weak: this memory must not keep alive what the cell has dropped
        opened = _opened.setdefault(run.cell, (run.number, []))[1]
        opened.append(lambda: (there := reference()) is not None and close(there))
