"""Which orders are run: all of them, depth first, or some at random."""

import random
from collections.abc import Callable, Iterator, Sequence

from chatlib.schedules.errors import Unrepeatable
from chatlib.schedules.run import Choose, Run, Step

DIFFERENT = (
    "the same order ran differently the second time: something outlives an order, or depends on chance or on "
    "time. Make all that the threads share afresh, in the first argument"
)


def all_orders(run: Callable[[Choose], Run]) -> Iterator[Run]:
    """Runs every order once: each differs from the one before in the last choice that had another one left.

    Raises:
        Unrepeatable: An order did not begin as the one before, whose choices it repeats.
    """
    prefix: list[tuple[int, int]] = []
    last: tuple[Step, ...] = ()
    while True:
        done = run(following(prefix))
        same = len(prefix[:-1])
        if done.steps[:same] != last[:same]:
            raise Unrepeatable(DIFFERENT)
        last = done.steps
        yield done
        choices = list(done.choices)
        while choices and choices[-1][0] + 1 == choices[-1][1]:
            choices.pop()
        if not choices:
            return
        *before, (chosen, ready) = choices
        prefix = [*before, (chosen + 1, ready)]


def some_orders(run: Callable[[Choose], Run], seed: int) -> Iterator[Run]:
    """Runs orders at random, for ever: the same ones, one after the other, for the same seed."""
    chance = random.Random(seed)
    while True:
        yield run(lambda names: chance.randrange(len(names)))


def following(prefix: Sequence[tuple[int, int]], then: int | None = 0) -> Choose:
    """Returns what makes these choices first.

    Args:
        prefix: For each step the place of the thread, and how many can go on.
        then: The place of the thread that goes on afterwards; None if none does.
    """
    left = iter(prefix)

    def choose(names: Sequence[str]) -> int | None:
        chosen, ready = next(left, (then, len(names)))
        if ready != len(names):
            raise Unrepeatable(DIFFERENT)
        return chosen

    return choose
