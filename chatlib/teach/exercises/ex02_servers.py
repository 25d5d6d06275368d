"""Exercises 02, 03, 05 and 09 to 11: servers, which the checker takes through its cases."""

import socketserver
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from chatlib.checker.case import Case, Failure, Outcome, Verdict, step
from chatlib.checker.cases.delivery import talk_in_a_row
from chatlib.checker.cases.framing import say_in_pieces
from chatlib.checker.check import chosen_cases
from chatlib.checker.errors import Broken, TargetError
from chatlib.checker.harness.dialect import Dialect
from chatlib.checker.harness.launcher import Launcher
from chatlib.checker.harness.session import Session
from chatlib.checker.runner import Runner
from chatlib.checker.steps.basic import join, leave, talk
from chatlib.checker.targets.resolve import target_of
from chatlib.checker.targets.target import Need, Target
from chatlib.sockets import LOOPBACK
from chatlib.teach.exercises.sandbox import in_turn, told

Make = Callable[[Any], Any]
"""Makes a server from an address."""

LESSON = "02 One at a time"

UNMADE = "It ends before anybody can connect: look at what was raised, and in which method."


class Shouting(socketserver.StreamRequestHandler):
    """What the server of exercise 03 says: who waits for whom is the learner's."""

    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line.upper())


class NotMade(Exception):
    """A server cannot be made; the message says what was raised, and in which line."""


def built(server: Any, address: Any) -> Any:
    """Makes a server that calls methods of the learner's while it is made.

    Raises:
        NotMade: One of them has raised something.
    """
    try:
        return server(address)
    except Exception as error:  # a TypeError would be taken for an address that does not fit
        raise NotMade(told(error).removeprefix("it raised ")) from error


def handler_served(handler: Any) -> Make:
    """Exercise 02: a handler, in a server for one client at a time."""

    def make(address: Any = LOOPBACK) -> Any:
        return socketserver.TCPServer(address, handler)

    return make


def shouting(server: Any) -> Make:
    """Exercise 03: a server, with a handler of ours."""

    def make(address: Any = LOOPBACK) -> Any:
        return server(address, Shouting)

    return make


def as_it_is(server: Any) -> Make:
    """Exercises 05 and 09: a server that needs no more than its class."""
    return server  # type: ignore[no-any-return]


def chosen(*names: str) -> tuple[Case[Session], ...]:
    """Returns cases of the checker in this order, which is that in which a learner gets there."""
    return tuple(case for name in names for case in chosen_cases([name]))


IN_TURN = (
    *chosen("delivery.answer"),
    Case(
        "turns.lines",
        "All that a client says is answered, in order",
        "Each line of a client is answered, as long as it stays.",
        steps=(join("alice"), talk_in_a_row("alice")),
        hint="handle is called once for each client: it needs a loop that goes on until the client leaves.",
        lesson=LESSON,
    ),
    Case(
        "turns.split",
        "A line cut in two is answered as one",
        "A line is answered when it is whole, even if its bytes come in two pieces.",
        steps=(
            join("alice"),
            say_in_pieces(
                "alice", (b"cut-", b"%|"), "", "alice sends half a line, and a moment later the rest"
            ),
        ),
        hint="self.rfile gives whole lines: for line in self.rfile. A recv gives what is there.",
        lesson=f"{LESSON}, 04 The stream lies",
    ),
    Case(
        "turns.next",
        "When a client has left, the next is served",
        "When a client has left, its handler ends, and the next client is served.",
        steps=(join("alice"), leave("alice"), join("bob"), talk("bob", times=2)),
        hint="Does your loop end when the client has left? Until handle returns, nobody else is served.",
        lesson=LESSON,
    ),
)

AT_ONCE = chosen("delivery.answer", "isolation.silent", "delivery.private", "departures.fin")

TOGETHER = chosen(
    "delivery.reach",
    "delivery.sender",
    "departures.fin",
    "departures.idle",
    "departures.others",
    "departures.reset",
)


@step("{names} join, and the server starts no thread for them")
def join_the_same_thread(session: Session, *names: str) -> None:
    """More clients come, and no thread comes with them."""
    usage = session.usage()
    before = usage.threads()
    join(*names).run(session)
    if (more := usage.threads() - before) > 0:
        raise Broken("one thread serves everybody", f"{more} more threads run since they have come")


BY_ONE = (
    *chosen("delivery.answer", "isolation.silent"),
    Case(
        "loop.thread",
        "One thread serves all",
        "Whoever comes is served by the thread that serves all the others.",
        given=(join("alice"),),
        steps=(join_the_same_thread("bob", "carol"),),
        hint="No thread is started: the loop calls accept and serve itself, when the selector says so.",
        lesson="09 Nobody waits",
        needs=frozenset({Need.USAGE}),
    ),
    *chosen("delivery.private", "departures.fin", "departures.idle", "departures.reset"),
)


def served(make: Make, name: str, cases: Sequence[Case[Session]], dialect: Dialect) -> tuple[Verdict, ...]:
    """Takes the cases one by one, as far as the first that fails, each on a server of its own.

    Blocks for at most a second, and for about three more if a case fails: a silence has to be waited for.
    """
    target = target_of(make)
    with target, warnings.catch_warnings():
        warnings.simplefilter(
            "always", RuntimeWarning
        )  # "was never awaited", also when it is looked at again
        return in_turn(cases, lambda case: _taken(target, name, case, dialect))


def _taken(target: Target, name: str, case: Case[Session], dialect: Dialect) -> Verdict:
    try:
        with Launcher(target) as launcher:
            return Runner(launcher, dialect).run([case])[0]
    except TargetError as error:
        failure = Failure((), f"a server is made: {name}(address)", "it listens at the address", str(error))
        return Verdict(replace(case, hint=UNMADE), Outcome.FAIL, failure)
