"""Exercise 09: one thread that serves all clients."""

from chatlib.checker.case import Case, step
from chatlib.checker.errors import Broken
from chatlib.checker.harness.session import Session
from chatlib.checker.steps.basic import join
from chatlib.checker.targets.target import Need
from chatlib.teach.exercises.exercise import Exercise, is_subclass_of
from chatlib.teach.exercises.servers import Server, as_it_is, chosen

LESSON = "09 Nobody waits"


@step("{names} join, and the server starts no thread for them")
def join_the_same_thread(session: Session, *names: str) -> None:
    """More clients come, and no thread comes with them."""
    usage = session.usage()
    before = usage.threads()
    join(*names).run(session)
    if (more := usage.threads() - before) > 0:
        raise Broken("one thread serves all clients", f"{more} more threads run since they have come")


CASES = (
    *chosen("delivery.answer", "isolation.silent"),
    Case(
        "loop.thread",
        "One thread serves all",
        "A client that comes is served by the thread that serves all the others.",
        given=(join("alice"),),
        steps=(join_the_same_thread("bob", "carol"),),
        hint="No thread is started: the loop calls accept and serve itself, when the selector says so.",
        lesson=LESSON,
        needs=frozenset({Need.USAGE}),
    ),
    *chosen("delivery.private", "departures.fin", "departures.idle", "departures.reset"),
)

EXERCISE = Exercise(
    title="one thread for all",
    name="OneThread",
    takes="the server class itself, without brackets",
    fits=is_subclass_of(Server),
    cases=CASES,
    lesson=LESSON,
    serves=as_it_is,
    dialect="shout",
)
