"""How many orders there are, how they end, and the shortest that does not end well."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from chatlib import notebook_cells
from chatlib.schedules.order import Ending, Order

TOLD: Mapping[Ending, tuple[str, str]] = {
    "right": ("ends right", "end right"),
    "wrong": ("ends wrong", "end wrong"),
    "error": ("ends with an error", "end with an error"),
    "deadlock": ("is a deadlock", "are deadlocks"),
    "endless": ("does not end", "do not end"),
}
"""How each is told, of one order and of several."""

Play = Callable[[Sequence[tuple[int, int]]], Order]


class Scheduler(Protocol):
    """A view in which the reader says whose turn it is."""

    def show(self) -> None:
        """Shows it below the running cell."""


@dataclass(frozen=True, repr=False)
class Orders:
    """How many orders there are, and how they end.

    As the last expression of a notebook cell it is a view in which the reader takes the scheduler's place.

    Args:
        threads: What the threads are called.
        counts: How many orders there are of each ending.
        examples: The shortest of each.
        is_all: Whether every order was run.
        seed: What chance began with, if it chose some of them.
        play: Runs an order as far as some choices go.
    """

    scheduler: "ClassVar[Callable[[Orders], Scheduler] | None]" = None
    """Makes the view that a notebook shows: `chatlib.api` hands it down."""

    threads: tuple[str, ...]
    counts: Mapping[Ending, int]
    examples: Mapping[Ending, Order]
    is_all: bool
    seed: int
    play: Play = field(compare=False)

    @property
    def count(self) -> int:
        """How many orders were run."""
        return sum(self.counts.values())

    @property
    def right(self) -> int:
        """How many end right."""
        return self.counts.get("right", 0)

    @property
    def deadlocks(self) -> int:
        """How many end with threads that wait for each other, or for what never comes."""
        return self.counts.get("deadlock", 0)

    @property
    def wrong(self) -> int:
        """How many end otherwise, or never: wrong, with an error, without an end. Deadlocks count apart."""
        return self.count - self.right - self.deadlocks

    @property
    def shortest(self) -> Order | None:
        """The shortest order that does not end right; None if all do."""
        bad = [order for ending, order in self.examples.items() if ending != "right"]
        return min(bad, key=lambda order: len(order.steps), default=None)

    @property
    def sentence(self) -> str:
        """How many orders there are, and how they end."""
        *others, last = self.threads
        threads = f"{', '.join(others)} and {last}" if others else last
        told = ", ".join(f"{count:,} {TOLD[ending][count != 1]}" for ending, count in self.counts.items())
        if self.is_all:
            are = "is 1 order" if self.count == 1 else f"are {self.count:,} orders"
            return f"There {are} of {threads}: {told}."
        begun = f"Stopped after {self.count:,} orders of {threads}, of more; some were chosen by chance"
        return f"{begun} (seed {self.seed}): {told}. How the others end is not known."

    def __str__(self) -> str:
        shortest = self.shortest
        if not shortest:
            return self.sentence
        return f"{self.sentence}\nThe shortest that {TOLD[shortest.ending][0]}:\n\n{shortest}"

    __repr__ = __str__

    def _ipython_display_(self) -> None:
        """Shows the view of a reader who is the scheduler."""
        if not (self.scheduler and notebook_cells.shows_widgets()):
            raise NotImplementedError  # then IPython asks for the bundle
        self.scheduler().show()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """What a notebook shows without a kernel: the picture of an order, and the text."""
        example = self.shortest or next(iter(self.examples.values()))
        return {"image/svg+xml": example.picture(), "text/plain": str(self)}
