"""A case is data: what a server promises, the steps that find out, and what is said when it does not."""

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from chatlib.checker.targets.target import Need

if TYPE_CHECKING:
    from chatlib.checker.harness.session import Stage

ALL = ("raw", "lines", "shout", "budget-chat")
GROUP = ("raw", "lines", "budget-chat")
"""Dialects in which what one client says reaches the others."""
FRAMED = ("lines", "shout", "budget-chat")
"""Dialects that promise lines, whatever pieces the bytes come in."""

WRITTEN = frozenset({"00", "01", "02", "03", "04", "05", "09", "10", "11", "12"})
"""The lessons that have been written. (An installed chatlib has no lessons beside it to look at.)"""


class Step(Protocol):
    """One thing that is done, or has to happen. Its text says which, in words."""

    def run(self, stage: "Stage") -> None:
        """Does it. Waits no longer than the stage's patience.

        Raises:
            Broken: The server has broken its promise.
            Unjudged: It cannot be told whether it has.
        """


@dataclass(frozen=True)
class Case:
    """One promise."""

    id: str
    """Topic and name, as in `framing.split`."""
    title: str
    requirement: str
    """In one sentence."""
    steps: tuple[Step, ...]
    hint: str
    """What to look at in the server's code."""
    lesson: str
    """Which lessons to read, with a comma between."""
    given: tuple[Step, ...] = ()
    """What must work before. Where it does not, the case is skipped: the fault belongs to another one."""
    dialects: tuple[str, ...] = ALL
    needs: frozenset[Need] = frozenset()
    ends: bool = False
    """True if the server has to end in it. In all other cases it must not."""
    deadline: float = 12.0
    """Seconds for all steps. When they are over, nothing waits any longer, and the step has failed."""

    @property
    def seats(self) -> int:
        """How many clients have to be served at once before it can be judged."""
        return max((len(step.names.split()) for step in self.given if hasattr(step, "names")), default=0)

    @property
    def reading(self) -> str:
        """Which lessons to read, and which of them are not there yet."""
        lessons = self.lesson.split(", ")
        return ", ".join(one if one[:2] in WRITTEN else f"{one} (being written)" for one in lessons)

    @property
    def topic(self) -> str:
        """What the case is about."""
        return self.id.partition(".")[0]


class Outcome(Enum):
    """What came of a case."""

    PASS = "pass"
    FAIL = "fail"
    SKIPPED = "skipped"
    ERROR = "error"
    """The checker's own fault. It never counts as the server's."""


class Failure(NamedTuple):
    """How a promise was broken."""

    done: tuple[str, ...]
    """The steps that went well."""
    step: str
    """The one that did not."""
    expected: str
    actual: str
    waiting: tuple[str, ...] = ()
    """The X-ray: who waited for whom, if the server runs in this process."""
    said: tuple[str, ...] = ()
    """The last lines that the server printed, or of the exception that it raised."""


@dataclass(frozen=True)
class Verdict:
    """What came of one case, on one server."""

    case: Case
    outcome: Outcome
    failure: Failure | None = None
    reason: str = ""
    """Why it was skipped, or what went wrong in the checker."""
    blocked: bool = False
    """True if it was skipped because of another fault of the server: a grader gives no points then."""
    seconds: float = 0.0

    @property
    def counts(self) -> bool:
        """Whether a grader counts it: not if it says nothing about this server."""
        return self.blocked or self.outcome in (Outcome.PASS, Outcome.FAIL)

    def record(self) -> dict[str, Any]:
        """Returns it as plain data."""
        case = self.case
        record: dict[str, Any] = {
            "id": case.id,
            "title": case.title,
            "requirement": case.requirement,
            "outcome": self.outcome.value,
            "seconds": round(self.seconds, 3),
        }
        if self.reason:
            record |= {"reason": self.reason, "blocked": self.blocked}
        if self.failure:
            failure = {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in self.failure._asdict().items()
            }
            record |= {"failure": failure, "hint": case.hint, "lesson": case.reading}
        return record
