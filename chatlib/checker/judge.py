"""Takes the steps of one case on a server of its own, and says what that look has shown."""

import contextlib
from typing import NamedTuple

from chatlib.checker.case import Case, Failure, Outcome
from chatlib.checker.cases.lifecycle import DESCRIPTORS
from chatlib.checker.errors import Broken, TargetError, Unjudged
from chatlib.checker.harness.dialect import Dialect
from chatlib.checker.harness.launcher import Launcher
from chatlib.checker.harness.session import Session
from chatlib.checker.harness.timeouts import Timeouts
from chatlib.checker.targets.capture import forgotten_await, last_lines
from chatlib.checker.targets.target import Need
from chatlib.film.film import Film


class Ruling(NamedTuple):
    """What one look at a server has shown."""

    outcome: Outcome
    failure: Failure | None = None
    reason: str = ""
    blocked: bool = False
    """True if another fault of the server is the reason why nothing can be said."""
    certain: bool = True
    """False if it is only that nothing came in time."""
    joined: bool = True
    """False if not even its clients were served."""
    hint: str = ""
    """What to look at, where what the server did or printed says it better than the case."""


LEFT_OVER = " (is a list outside the class left over from an earlier case?)"
"""A guess, where a class served earlier cases in this process, and now does not even let clients join."""


def judged(
    case: Case[Session],
    launcher: Launcher,
    dialect: Dialect,
    timeouts: Timeouts,
    is_first: bool,
    films: bool = False,
) -> Ruling:
    """Starts a server and takes the steps of one case. Blocks for at most the case's deadline, as scaled.

    Args:
        case: Which.
        launcher: Starts the server.
        dialect: What is spoken.
        timeouts: How long to wait for what.
        is_first: False if other cases have had their servers before.
        films: Whether a server in this process is filmed from its beginning. It makes all calls slower.

    Raises:
        Halted: The check was interrupted.
    """
    descriptors = DESCRIPTORS if Need.LIMITS in case.needs else 0
    film, deadline = Film(), case.deadline * timeouts.factor
    try:
        with (
            film if films and launcher.target.in_process else contextlib.nullcontext(),
            launcher.session(dialect, timeouts, deadline, descriptors) as session,
        ):
            try:
                return _steps_taken(case, session, is_first, film)
            finally:  # before its threads are ended by force: what dies in a note would keep the film's lock
                film.stop()
    except TargetError as error:
        return Ruling(Outcome.SKIPPED, reason=f"it could not be started: {error}", blocked=True)
    except Unjudged as unjudged:
        reason, blocked = str(unjudged), unjudged.blocked
        return Ruling(Outcome.SKIPPED, reason=reason, blocked=blocked, certain=unjudged.certain)


def _steps_taken(case: Case[Session], session: Session, is_first: bool, film: Film) -> Ruling:
    done: list[str] = []
    for step in (*case.given, *case.steps):
        try:
            step.run(session)
        except Broken as broken:
            if limit := session.instance.limit():
                return Ruling(Outcome.SKIPPED, reason=f"a limit of the checker, no fault of it: {limit}")
            if len(done) < len(case.given):
                left_over = "" if is_first or done or not session.target.in_process else LEFT_OVER
                reason = f"before that, {broken.actual}{left_over}"
                return Ruling(Outcome.SKIPPED, None, reason, True, broken.certain, joined=bool(done))
            failure = _failure(session, done, str(step), broken, film)
            hint = forgotten_await(session.instance.printed()) or broken.hint
            return Ruling(Outcome.FAIL, failure, certain=broken.certain, hint=hint)
        done.append(str(step))
    if case.ends or not (ended := _end_of_server(session)):
        return Ruling(Outcome.PASS)
    *done, last = done
    failure = Failure(tuple(done), last, "the server still runs", ended, (), _said(session))
    return Ruling(Outcome.FAIL, failure)


def _end_of_server(session: Session) -> str:
    """Says how the server has ended; nothing if it still runs.

    A client that sees the end of its connection may have seen that. Then all see it, and of its process the
    system tells a little later: on a busy computer, much later.
    """
    peers = session.clients.peers
    if not any(peer.end for peer in peers):
        return session.instance.ended()
    with contextlib.suppress(Broken, Unjudged):
        session.pause(session.timeouts.quiet)
    here = [peer for peer in peers if peer.reads and not peer.gone]
    all_see_it = len(here) > 1 and all(peer.end for peer in here)
    return session.instance.ended(session.timeouts.patience if all_see_it else 0.0)


def _failure(session: Session, done: list[str], step: str, broken: Broken, film: Film) -> Failure:
    actual = session.explain(broken.actual)
    waiting: tuple[str, ...] = ()
    if session.target.in_process:
        # A thread that is only on its way to its next wait should not be seen in this one.
        with contextlib.suppress(Broken, Unjudged):  # what this wait finds is no news
            session.pause(session.timeouts.quiet)
        waiting = session.instance.waiting(film)
    return Failure(tuple(done), step, broken.expected, actual, waiting, _said(session))


def _said(session: Session) -> tuple[str, ...]:
    return last_lines(session.instance.printed())
