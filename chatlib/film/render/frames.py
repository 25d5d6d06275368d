"""Frames around the lanes of each process, where several are filmed."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from chatlib.film.recording import Recording
from chatlib.film.units import clean


class Frame(NamedTuple):
    """A process, around the lanes of its threads."""

    name: str
    """Written above them; empty if its only lane has that name."""
    top: float
    bottom: float


def short_names(recording: Recording) -> dict[int, str]:
    """Returns what to call each lane within the frame of its process, which says the process's name."""
    names, inside = dict[int, str](), Counter(recording.process_of[ident] for ident in recording.lanes)
    for ident, label in recording.lanes.items():
        process = recording.process_of[ident]
        owner = recording.processes.get(process, "")
        main = owner and label == owner and inside[process] > 1
        names[ident] = "main thread" if main else label.removeprefix(f"{owner}: ") if owner else label
    return names


class Frames:
    """Puts frames around the lanes of each process, as the lanes are stacked.

    Args:
        owners: The process of each thread, by its ident, in the order of the lanes; empty if there is one.
        names: What the processes are called.
    """

    def __init__(self, owners: Mapping[int, int], names: Mapping[int, str]) -> None:
        self._owners, self._names, self.drawn = owners, names, list[Frame]()
        self._first = {process: ident for ident, process in reversed(list(owners.items()))}
        self._last = {process: ident for ident, process in owners.items()}
        self._top = 0.0

    def begin(self, ident: int, top: float) -> float:
        """Returns where a lane begins: the first of a process below its name."""
        process = self._owners.get(ident)
        if process is None or self._first[process] != ident:
            return top
        self._top = top + 4
        return self._top + (22 if self._named(process) else 0)

    def end(self, ident: int, bottom: float) -> float:
        """Returns where the next lane begins."""
        process = self._owners.get(ident)
        if process is None or self._last[process] != ident:
            return bottom
        self.drawn.append(Frame(self._named(process), self._top, bottom - 2))
        return bottom + 4

    def _named(self, process: int) -> str:
        return clean(self._names.get(process, "")) if self._first[process] != self._last[process] else ""
