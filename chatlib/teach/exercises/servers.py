"""For the exercises in which a server is written: 02, 03, 05, 09, 10, 11 and 14. The checker judges them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from chatlib.checker.case import Case, Failure, Outcome, Verdict
from chatlib.checker.check import chosen_cases
from chatlib.checker.errors import TargetError
from chatlib.checker.harness.dialect import Dialect
from chatlib.checker.harness.launcher import Launcher
from chatlib.checker.harness.session import Session
from chatlib.checker.runner import Runner
from chatlib.checker.targets.resolve import target_of
from chatlib.sockets import LOOPBACK
from chatlib.teach.exercises.sandbox import in_turn, told

Make = Callable[[Any], Any]
"""Makes a server from an address."""

UNMADE = "It ends before any client can connect: look at what was raised, and in which method."


@runtime_checkable
class Server(Protocol):
    """A class with the verbs of socketserver, which every server of a learner has."""

    def serve_forever(self) -> None:
        """Serves until it is shut down."""

    def shutdown(self) -> None:
        """Lets `serve_forever` return."""

    def server_close(self) -> None:
        """Closes the listener."""


class NotMade(Exception):
    """A server cannot be made; the message says what was raised, and in which line."""


def as_it_is(server: Make) -> Make:
    """Returns the class itself: a server that needs no more than an address."""
    return server


def prepared(server: Any, prepare: Callable[[Any], object]) -> Make:
    """Returns what makes a server and prepares it, before it serves.

    An exception of the learner's becomes a `NotMade`: the checker would take a TypeError for an address
    that does not fit.
    """

    def make(address: Any = LOOPBACK) -> Any:
        try:
            made = server(address)
        except Exception as error:
            raise NotMade(told(error).removeprefix("it raised ")) from error
        prepare(made)
        return made

    make.__name__ = server.__name__  # so that a failure names the learner's class
    return make


def chosen(*names: str) -> tuple[Case[Session], ...]:
    """Returns cases of the checker in this order, which is that in which a learner gets there."""
    return tuple(case for name in names for case in chosen_cases([name]))


def served(make: Make, name: str, cases: Sequence[Case[Session]], dialect: Dialect) -> tuple[Verdict, ...]:
    """Takes the cases one by one, as far as the first that fails, each on a server of its own.

    Blocks for at most a second, and for about three more if a case fails: a silence has to be waited for.
    """
    target = target_of(make)

    def taken(case: Case[Session]) -> Verdict:
        try:
            with Launcher(target) as launcher:
                return Runner(launcher, dialect).run([case])[0]
        except TargetError as error:
            return unmade(case, name, error)

    with target:
        return in_turn(cases, taken)


def unmade(case: Case[Session], name: str, error: TargetError) -> Verdict:
    """Returns what is said of a server that could not be made, or does not start."""
    failure = Failure((), f"a server is made: {name}(address)", "it listens at the address", str(error))
    return Verdict(replace(case, hint=UNMADE), Outcome.FAIL, failure)
