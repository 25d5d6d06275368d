"""A program of two or three threads: runs any order of it, and finds out how all of them end."""

import reprlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from chatlib.schedules.all_orders import DIFFERENT, all_orders, following, some_orders
from chatlib.schedules.errors import Unrepeatable
from chatlib.schedules.locks import Lock
from chatlib.schedules.order import Ending, Order
from chatlib.schedules.result import TOLD, Orders
from chatlib.schedules.run import Choose, Run
from chatlib.schedules.stops import Grain
from chatlib.schedules.surroundings import MADE_OF_LOCKS, attributes
from chatlib.schedules.turns import Turns

Right = Callable[[Any], object]

ENDLESS = 100
"""As how many orders one without end counts, for the limit: it takes as long as that."""


class Program:
    """Functions that run at the same time, each in a thread, and share something.

    Args:
        make: Makes what they share, afresh for each order.
        functions: What each thread does with it.
        right: Says whether what they share is right at the end; all that ends is, if None.
        grain: How small a step is.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        functions: Sequence[Callable[[Any], object]],
        right: Right | None,
        grain: Grain,
    ) -> None:
        self._make, self._functions, self._right, self._grain = make, functions, right, grain
        self.threads = names_of(functions)

    def orders(self, limit: int, seed: int) -> Orders:
        """Runs every order; from the limit on, as many again at random. Blocks for milliseconds per order.

        Raises:
            Unrepeatable: An order ended otherwise when it was run again.
        """
        counts, examples, seen = Counter[Ending](), dict[Ending, Order](), set[object]()

        def note(runs: Iterator[Run]) -> None:
            spent = 0
            for run in runs:
                if run.choices not in seen:
                    seen.add(run.choices)
                    order = self._order(run)
                    if not counts:
                        self._repeat(order)
                    counts[order.ending] += 1
                    best = examples.get(order.ending)
                    if best is None or len(order.steps) < len(best.steps):
                        examples[order.ending] = order
                spent += ENDLESS if run.is_cut else 1
                if spent >= limit:
                    return

        in_turn = all_orders(self._run)
        note(in_turn)
        is_all = next(in_turn, None) is None
        if not is_all:  # those in turn differ only in their last steps: chance also changes the first ones
            note(some_orders(self._run, seed))
        for order in examples.values():
            self._repeat(order)
        known = {ending: counts[ending] for ending in TOLD if ending in counts}
        return Orders(self.threads, known, examples, is_all, seed, self.played)

    def _repeat(self, order: Order) -> None:
        """Runs an order again: if all that the threads share is made afresh, it ends as before."""
        again = self.played(order.choices)
        if (again.steps, again.ending) != (order.steps, order.ending):
            raise Unrepeatable(DIFFERENT)

    def played(self, choices: Sequence[tuple[int, int]]) -> Order:
        """Runs an order as far as these choices go."""
        return self._order(self._run(following(choices, None)))

    def _run(self, choose: Choose) -> Run:
        return Turns(self._make, self._functions, self.threads, self._grain).run(choose)

    def _order(self, run: Run) -> Order:
        ending, why = self._judged(run)
        lines = {thread: spot.source for thread, spot in run.next_spots.items()}
        return Order(self.threads, run.steps, run.choices, ending, why, run.ready, run.waits, lines)

    def _judged(self, run: Run) -> tuple[Ending, str]:
        """Says how an order ended."""
        if run.ready:
            cut = f"After {len(run.steps):,} steps it has not ended."
            return ("endless", cut) if run.is_cut else ("open", "")
        if run.waits:
            held = run.steps[-1].held if run.steps else {}
            waiting = [
                f"{thread} waits for {lock}" + (f", which {held[lock]} holds" if held.get(lock) else "")
                for thread, lock in run.waits.items()
            ]
            return "deadlock", f"No thread can go on: {'; '.join(waiting)}."
        if run.errors:
            told = [
                f"{thread} ended with {type(error).__name__}: {error}" for thread, error in run.errors.items()
            ]
            return "error", f"{'; '.join(told)}."
        state = shown(run.shared)
        is_right = self._right(run.shared) if self._right else True
        if is_right is None:
            raise ValueError("right returned None: it has to return True or False")
        return "right" if is_right else "wrong", f"At the end: {state}." if state else "All have ended."


def names_of(functions: Sequence[Callable[..., object]]) -> tuple[str, ...]:
    """Returns what their threads are called: as the functions, numbered where two have the same name."""
    names = [getattr(function, "__name__", "thread") for function in functions]
    names = ["thread" if name == "<lambda>" else name for name in names]
    numbered = (f"{name} {names[: place + 1].count(name)}" for place, name in enumerate(names))
    return tuple(new if names.count(name) > 1 else name for name, new in zip(names, numbered, strict=True))


def shown(shared: object) -> str:
    """Returns what is in something shared, in words; locks and what is made of them left out."""
    if not isinstance(shared, dict) and not hasattr(shared, "__dict__"):
        return reprlib.repr(shared)
    hidden = (Lock, *MADE_OF_LOCKS)
    values = [(name, value) for name, value, _ in attributes(shared) if not isinstance(value, hidden)]
    return ", ".join(f"{name} = {reprlib.repr(value)}" for name, value in values)
