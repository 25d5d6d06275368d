"""A case is data: what a server promises, the steps that find out, and what is said when it does not."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, TypeVar

from chatlib.checker.targets.target import Need

ALL = ("raw", "lines", "echo", "shout", "budget-chat")
ANSWERING = ("echo", "shout")
"""Dialects in which what one client says comes back to it, and reaches no other."""
GROUP = ("raw", "lines", "budget-chat")
"""Dialects in which what one client says reaches the others."""
FRAMED = ("lines", "echo", "shout", "budget-chat")
"""Dialects that promise lines, whatever pieces the bytes come in."""

Context = TypeVar("Context")
"""What a step is taken on: the `Session` of a server and its clients, or what an exercise tries out."""
Params = ParamSpec("Params")
StepFunction = Callable[Concatenate[Context, Params], None]


@dataclass(frozen=True)
class Step(Generic[Context]):
    """One thing that is done, or has to happen."""

    text: str
    """Which, in words."""
    run: Callable[[Context], None]
    """Does it. Waits no longer than the context's patience.

    Raises:
        Broken: The server has broken its promise.
        Unjudged: It cannot be told whether it has.
    """
    seats: int = 0
    """How many clients have to be served at once for it."""

    def __str__(self) -> str:
        return self.text


def step(
    text: str | Callable[..., str], seats: Callable[..., int] = lambda *_, **__: 0
) -> Callable[[StepFunction[Context, Params]], Callable[Params, Step[Context]]]:
    """Makes steps of a function: called without its first parameter, the context, it returns a `Step`.

        @step("{who} leaves politely (FIN)")
        def leave(session: Session, who: str) -> None: ...

        leave("alice")  # str() of it is "alice leaves politely (FIN)"

    Args:
        text: The step in words, with the function's parameters in braces (of several names, as a list in
            words); or a function that makes the words of them.
        seats: Returns how many clients have to be served at once, given the same arguments.
    """

    def decorate(function: StepFunction[Context, Params]) -> Callable[Params, Step[Context]]:
        signature = inspect.signature(function)
        kinds = {name: parameter.kind for name, parameter in signature.parameters.items()}

        @functools.wraps(function)
        def made(*args: Params.args, **kwargs: Params.kwargs) -> Step[Context]:
            if callable(text):
                words = text(*args, **kwargs)
            else:
                bound = signature.bind(None, *args, **kwargs)
                bound.apply_defaults()
                names = {
                    name: listed(*value) if kinds[name] is inspect.Parameter.VAR_POSITIONAL else value
                    for name, value in bound.arguments.items()
                }
                words = text.format_map(names)
            return Step(words, lambda context: function(context, *args, **kwargs), seats(*args, **kwargs))

        return made

    return decorate


def listed(*names: str) -> str:
    """Returns names as `alice, bob and carol`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


@dataclass(frozen=True)
class Case(Generic[Context]):
    """One promise."""

    id: str
    """Topic and name, as in `framing.split`."""
    title: str
    requirement: str
    """In one sentence."""
    steps: tuple[Step[Context], ...]
    hint: str
    """What to look at in the server's code."""
    lesson: str
    """Which lessons to read, with a comma between."""
    given: tuple[Step[Context], ...] = ()
    """What must work before. Where it does not, the case is skipped: the fault belongs to another one."""
    dialects: tuple[str, ...] = ALL
    needs: frozenset[Need] = frozenset()
    ends: bool = False
    """True if the server has to end in it. In all other cases it must not."""
    chance: bool = False
    """True if threads that run at the same time may decide it: one failure alone is looked at again."""
    crowded: bool = False
    """True if hundreds of clients come one after the other: at first, the server is not let come to rest
    between them, which takes a second. What fails so is looked at as all others are, and that counts."""
    deadline: float = 12.0
    """Seconds for all steps. When they are over, nothing waits any longer, and the step has failed."""

    @property
    def seats(self) -> int:
        """How many clients have to be served at once before it can be judged."""
        return max((step.seats for step in self.given), default=0)

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
    """The X-ray: which thread waited for what, if the server runs in this process."""
    said: tuple[str, ...] = ()
    """The last lines that the server printed, or of the exception that it raised."""


@dataclass(frozen=True)
class Verdict:
    """What came of one case, on one server."""

    case: Case[Any]
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
            record |= {"failure": failure, "hint": case.hint, "lesson": case.lesson}
        return record
