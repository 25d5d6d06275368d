"""What one order was, as records: each step of a thread, and how far all have come."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from chatlib.schedules.stops import Spot

Choose = Callable[[Sequence[str]], int | None]
"""Given the names of the threads that can go on, returns the place of one; None if none is to go on."""


class Step(NamedTuple):
    """One turn of one thread: what it did until it stopped again."""

    thread: str
    spot: Spot
    waits_for: str
    """The lock that it found taken; empty if it came to its next step."""
    held: Mapping[str, str]
    """After the step: who holds which lock, from the lock's name to the thread's."""


class Run(NamedTuple):
    """One order, run until its end or until no thread was chosen any more."""

    steps: tuple[Step, ...]
    choices: tuple[tuple[int, int], ...]
    """For each step: the place of the thread that was chosen, and how many could go on."""
    shared: Any
    """What the threads share, as it is now."""
    errors: Mapping[str, BaseException]
    """What threads have raised."""
    ready: tuple[str, ...]
    """The threads that could go on."""
    is_cut: bool
    """Whether it was cut after `LONGEST` steps."""
    waits: Mapping[str, str]
    """The lock for which each of the others waits that have not ended."""
    next_spots: Mapping[str, Spot]
    """Before which step each thread has stopped that has not ended."""
