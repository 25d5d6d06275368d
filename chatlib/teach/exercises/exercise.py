"""What one exercise is, as data: its name, what it takes, and the cases that an answer has to pass."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chatlib.checker.case import Case
from chatlib.teach.exercises.levels import Levels
from chatlib.teach.exercises.servers import Make


@dataclass(frozen=True)
class Exercise:
    """One exercise."""

    title: str
    name: str
    """What the answer is called in the notebook."""
    takes: str
    """What kind of thing that is, in words."""
    fits: Callable[[Any], bool]
    """Whether something is of that kind."""
    cases: tuple[Case[Any], ...]
    lesson: str
    serves: Callable[[Any], Make] | None = None
    """Makes a target of the checker from an answer that is a server, or a part of one."""
    dialect: str = ""
    """What that server speaks."""
    independent: bool = False
    """True if all cases are judged, also after one has failed: none of them builds on another."""
    levels: Levels = field(default_factory=dict)
    """Which cases belong to which level, if the report is to say which one was reached."""
    stretch: "Exercise | None" = None
    """A second part, for those who want more: what is called by its name is tried out by its cases."""

    def part_for(self, answer: Any) -> "Exercise":
        """Returns the part that an answer belongs to: the stretch, if it has that name."""
        if self.stretch and getattr(answer, "__name__", "") == self.stretch.name:
            return self.stretch
        return self


def is_subclass_of(kind: type) -> Callable[[Any], bool]:
    """Returns what says whether an answer is such a class: one derived from `kind`, or with its methods."""
    return lambda answer: isinstance(answer, type) and issubclass(answer, kind)


def is_function(answer: Any) -> bool:
    """Whether an answer can be called, and is no class."""
    return callable(answer) and not isinstance(answer, type)
