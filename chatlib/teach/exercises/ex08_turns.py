"""What is done to the room of exercise 08: calls of one thread, and of two that take turns in every order."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from chatlib.checker.case import listed, step
from chatlib.checker.errors import Broken
from chatlib.schedules.errors import Unrepeatable, Unseen
from chatlib.schedules.locks import REAL_LOCK, REAL_RLOCK
from chatlib.schedules.picture import turns_of
from chatlib.schedules.program import Program
from chatlib.schedules.result import Orders
from chatlib.schedules.surroundings import MADE_OF_LOCKS, mentions, outer_variables
from chatlib.teach.exercises.sandbox import SLIP, SLIPS, Trial, shown, told

LIMIT = 300
"""Orders that are run in turn, and as many again by chance. A room with a lock around all has some ten."""


class Call(NamedTuple):
    """A call of one of the methods."""

    method: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method}({', '.join(map(repr, self.names))})"

    def on(self, room: Any) -> Any:
        """Makes it."""
        return getattr(room, self.method)(*self.names)


def call(method: str, *names: str) -> Call:
    """Returns a call, of whose names there are as many as it takes."""
    return Call(method, names)


class Ended(NamedTuple):
    """What came of two calls at the same time."""

    returned: tuple[Any, Any]
    names: list[str]
    """Who is in the room, sorted."""


Right = Callable[[Ended], bool]


@step("two rooms are made; what do they share?")
def have_own_locks(trial: Trial) -> None:
    """A lock belongs to the data of one room. (One of the class, or global, could not be seen here.)"""
    kinds = (REAL_LOCK, REAL_RLOCK, *MADE_OF_LOCKS)
    functions = [value for kind in trial.answer.__mro__ for value in vars(kind).values() if callable(value)]
    outer = [
        name
        for function in functions
        for name, value, _ in outer_variables([function])
        if isinstance(value, kinds) and mentions(function, name)
    ]
    of_class = [
        name
        for kind in trial.answer.__mro__
        for name, value in vars(kind).items()
        if isinstance(value, kinds)
    ]
    if found := [*of_class, *outer]:
        raise Broken(
            "each room has a lock of its own: self.lock, made in __init__",
            f"{found[0]} is one lock for all rooms",
            hint="Two rooms have nothing in common. So no thread in one of them should wait for the other.",
        )


# One thread


def in_order(found: Any) -> Any:
    """Returns names in a fixed order: `everyone` may choose one."""
    return sorted(found) if isinstance(found, list) else found


@step(lambda seats, *lines: f"Room({seats}), one thread: {', then '.join(str(each) for each, _ in lines)}")
def alone(trial: Trial, seats: int, *lines: tuple[Call, Any]) -> None:
    """Makes one call after the other. As the locks are seen, one that waits for itself is found at once."""
    returned: list[Any] = []

    def use(room: Any) -> None:
        for each, _ in lines:
            returned.append(in_order(each.on(room)))

    use.__name__ = "the thread"

    def make() -> Any:
        returned.clear()
        return trial.answer(seats)

    wanted = f"{lines[-1][0]} returns {shown(lines[-1][1])}"
    found = orders_of(wanted, make, [use], lambda room: True)
    for (each, right), value in zip(lines, returned, strict=False):
        if value != right or type(value) is not type(right):
            raise Broken(f"{each} returns {shown(right)}", f"it returned {shown(value)}")
    if order := found.shortest:
        each, right = lines[len(returned)]
        why = f"{order.why} Its last line: {order.steps[-1].spot.source}" if order.steps else order.why
        hint = SLIP if any(kind.__name__ in why for kind in SLIPS) else ""
        raise Broken(f"{each} returns {shown(right)}", why, hint=hint)


@step("Room(2): the list that everyone() has returned is emptied")
def give_away(trial: Trial) -> None:
    """What is given away is a copy: what is done to it is not done to the room."""
    room = trial.answer(2)
    room.enter("alice")
    room.everyone().clear()
    if (found := room.everyone()) != ["alice"]:
        raise Broken("it is a copy: alice is still in the room", f"everyone() returned {shown(found)} then")


def orders_of(
    wanted: str,
    make: Callable[[], Any],
    functions: Sequence[Callable[[Any], Any]],
    right: Callable[[Any], Any],
) -> Orders:
    """Runs all orders.

    Raises:
        Broken: The room cannot be made, does what the scheduler cannot see, or fails in the test of the end.
    """
    try:
        return Program(make, functions, right, "lines").orders(LIMIT, seed=0)
    except (Unseen, Unrepeatable) as error:
        raise Broken(wanted, str(error)) from error
    except Exception as error:
        raise Broken(wanted, told(error), hint=SLIP if isinstance(error, SLIPS) else "") from error


# Two threads


@step(
    lambda first, second, right, wanted, seats, *present: (
        f"Room({seats}){f' with {listed(*present)}' if present else ''}, in all orders: "
        f"one thread calls {first}, the other one {second}"
    )
)
def race(
    trial: Trial, first: Call, second: Call, right: Right, wanted: str, seats: int, *present: str
) -> None:
    """Lets two threads take turns at a room, in every order there is."""
    returned = dict[int, Any]()

    def make() -> Any:
        returned.clear()
        room = trial.answer(seats)
        for name in present:
            room.enter(name)
        return room

    def is_right(room: Any) -> bool:
        return right(Ended((returned[0], returned[1]), sorted(room.everyone())))

    functions = [calling(each, returned, place) for place, each in enumerate((first, second))]
    found = orders_of(wanted, make, functions, is_right)
    if found.shortest:
        found.play(found.shortest.choices)  # `returned` is of the order that ran last
        raise Broken(wanted, said_of(found, returned))


def calling(wanted: Call, returned: dict[int, Any], place: int) -> Callable[[Any], None]:
    """Returns what a thread does: it makes a call, and notes what that returns."""

    def work(room: Any) -> None:
        returned[place] = wanted.on(room)

    work.__name__ = str(wanted)  # what its thread is called
    return work


def said_of(found: Orders, returned: Mapping[int, Any]) -> str:
    """Tells how many orders are wrong, and the shortest of these line by line."""
    order = found.shortest
    assert order
    bad = found.count - found.right
    begin = f"in {bad} of {found.count} orders it is not so. The shortest of these:"
    turns = [
        f"{number}. {turn.thread}: {turn.code}{f' ({turn.note})' if turn.note else ''}"
        for number, turn in enumerate(turns_of(order.steps), 1)
    ]
    ends = [f"{order.threads[place]} returned {shown(value)}." for place, value in sorted(returned.items())]
    return "\n".join([begin, *turns, *ends, order.why])
