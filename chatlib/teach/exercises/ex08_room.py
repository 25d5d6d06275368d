"""Exercise 08: a room that is right in all orders. Threads take turns at it in every order there is."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from chatlib.checker.case import Case
from chatlib.teach.exercises.ex08_turns import Ended, alone, call, give_away, have_own_locks, race
from chatlib.teach.exercises.exercise import Exercise, is_subclass_of

LESSON = "08 Shared state"


@runtime_checkable
class Guarded(Protocol):
    """A class with the methods that are asked for."""

    def enter(self, name: str) -> bool:
        """Lets a name in; False if it is there already, or no seat is free."""

    def leave(self, name: str) -> None:
        """Lets a name go; nothing happens if it is not there."""

    def rename(self, old: str, new: str) -> bool:
        """Gives a name another one; False if the old one is not there, or the new one is."""

    def everyone(self) -> list[str]:
        """Returns a list of its own."""


# When two threads have ended


def one_admitted(ended: Ended) -> bool:
    """Exactly one of two calls has said True."""
    return sorted(ended.returned) == [False, True]


def one_is_there(ended: Ended) -> bool:
    """One was admitted, and one is in the room."""
    return one_admitted(ended) and len(ended.names) == 1


def is_empty(ended: Ended) -> bool:
    """All have left."""
    return not ended.names


def is_renamed_or_both(ended: Ended) -> bool:
    """Carol came first, and alice has kept her name; or alice is carol now, and no other carol came."""
    names = {(True, False): ["carol"], (False, True): ["alice", "carol"]}
    return names.get(ended.returned) == ended.names


def has_kept_its_seat(ended: Ended) -> bool:
    """Alice is carol now, and bob has not taken her seat meanwhile."""
    return ended.returned == (True, False) and ended.names == ["carol"]


def saw_a_moment(ended: Ended) -> bool:
    """What was returned is what was so before, or after."""
    seen: Sequence[str] = sorted(ended.returned[0])
    return seen in (["alice", "bob", "carol"], ["bob", "carol"])


ALICE, BOB, CAROL = call("enter", "alice"), call("enter", "bob"), call("enter", "carol")
EVERYONE = call("everyone")

CASES = (
    Case(
        "room.alone",
        "One thread",
        "A name is let in once, and as long as a seat is free. A name that has left may come again.",
        steps=(
            have_own_locks(),
            alone(2, (ALICE, True), (ALICE, False), (EVERYONE, ["alice"])),
            alone(2, (ALICE, True), (BOB, True), (CAROL, False), (EVERYONE, ["alice", "bob"])),
            alone(1, (ALICE, True), (call("leave", "alice"), None), (BOB, True)),
            alone(2, (call("leave", "alice"), None), (ALICE, True)),
            alone(1, (ALICE, True), (call("rename", "alice", "bob"), True), (EVERYONE, ["bob"])),
            alone(2, (ALICE, True), (BOB, True), (call("rename", "alice", "bob"), False), (CAROL, False)),
            alone(2, (ALICE, True), (call("rename", "bob", "carol"), False), (EVERYONE, ["alice"])),
            give_away(),
        ),
        hint="Does everyone() return a list of its own, list(self.names)? And if no thread can "
        "go on: a Lock cannot be taken twice, not even by the thread that holds it. with gives it back.",
        lesson=LESSON,
    ),
    Case(
        "room.same",
        "Two of the same name",
        "If two threads let in the same name, one of them is refused, in every order.",
        steps=(race(ALICE, ALICE, one_is_there, "one call returns True, the other one False", 2),),
        hint="Is the lock held from the look to the act? And is it the same lock for both, self.lock?",
        lesson=LESSON,
    ),
    Case(
        "room.seats",
        "The last seat",
        "If two threads want the last seat, one of them is refused, in every order.",
        steps=(race(ALICE, BOB, one_is_there, "one call returns True, the other one False", 1),),
        hint="Counting is a look, too. Hold the lock from there until the name has been added.",
        lesson=LESSON,
    ),
    Case(
        "room.leave",
        "Leaving twice",
        "If two threads let the same name go, it is gone, and neither of them gets an error.",
        steps=(
            race(
                call("leave", "alice"),
                call("leave", "alice"),
                is_empty,
                "alice has left, and neither thread gets an error",
                2,
                "alice",
            ),
        ),
        hint="Between `if name in self.names` and `remove`, the other thread may have removed it.",
        lesson=LESSON,
    ),
    Case(
        "room.rename",
        "Another name",
        "Between the old name and the new one, no other thread gets in.",
        steps=(
            race(
                call("rename", "alice", "carol"),
                CAROL,
                is_renamed_or_both,
                "there is one carol; and if it is not alice, alice has kept her name",
                2,
                "alice",
            ),
            race(
                call("rename", "alice", "carol"),
                BOB,
                has_kept_its_seat,
                "alice becomes carol, and bob is refused: the only seat was taken all the time",
                1,
                "alice",
            ),
        ),
        hint="Two calls that are right do not make one that is right: leave, then enter, has a gap. "
        "Take the lock once, and look and change inside, without the other methods.",
        lesson=LESSON,
    ),
    Case(
        "room.everyone",
        "A look at all",
        "What everyone() returns is so at one moment.",
        steps=(
            race(
                EVERYONE,
                call("leave", "alice"),
                saw_a_moment,
                "everyone() returns all who were there before, or all who are there afterwards",
                3,
                "alice",
                "bob",
                "carol",
            ),
        ),
        hint="A list that changes while it is walked: copy it, and hold the lock meanwhile.",
        lesson=LESSON,
    ),
)

EXERCISE = Exercise(
    title="a room that is right in all orders",
    name="Room",
    takes="the class itself, with the methods enter, leave, rename and everyone, without brackets",
    fits=is_subclass_of(Guarded),
    cases=CASES,
    lesson=LESSON,
)
