"""Exercise 11: a server that lets other processes compute. It works wherever Python can start a fresh one."""

import os
import time
from typing import Any

from chatlib.checker.case import Case, step
from chatlib.checker.errors import Broken
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.dialect import show
from chatlib.checker.harness.session import Session
from chatlib.checker.steps.basic import half_close, join, see_the_end
from chatlib.sockets import LOOPBACK
from chatlib.teach.exercises.ex02_servers import Make, built, chosen
from chatlib.teach.exercises.ex11_gate import PATIENCE, Hall
from chatlib.teach.exercises.ex11_worker import HELD
from chatlib.teach.exercises.sandbox import told

LESSON = "11 Processes"
POOL = "11 Processes, 10 async and await"

WORKERS = 2
"""Processes that compute."""

ENDS_WITHIN = 5.0
"""Seconds that a process has to end when it is told so. Only a pool that is left running costs so much."""

SMALL = 1000

PRIMES = {SMALL: 168, HELD: 590}
"""How many prime numbers are below."""


def with_hall(server: Any) -> Make:
    """Exercise 11: a server whose work passes through a hall of ours."""

    def make(address: Any = LOOPBACK) -> Any:
        made = built(server, address)
        Hall(made)
        return made

    make.__name__ = server.__name__  # as it is called where it cannot be made
    return make


def _hall(session: Session) -> Hall:
    hall: Hall = session.instance.server.hall
    return hall


def _ask(session: Session, peer: Peer, number: int) -> int:
    """Asks for a number; returns how much the client had heard before."""
    mark = len(peer.heard)
    session.send(peer, f"{number}\n".encode())
    return mark


def _answered(session: Session, peer: Peer, mark: int, number: int) -> None:
    """Waits until the number is answered, rightly."""
    count = PRIMES[number]
    wanted = f"{peer.name} receives {show(b'%d' % count)}: so many prime numbers are below {number}"
    session.wait(lambda: b"\n" in peer.since(mark) or peer.end, PATIENCE)
    if (heard := peer.since(mark)).strip() != b"%d" % count:
        raise Broken(wanted, session.fate(peer, heard))


def _visited(session: Session, peer: Peer, mark: int, count: int, expected: str) -> None:
    """Waits until so many compute, and are held."""
    hall = _hall(session)

    def seen() -> bool:
        return hall.look() >= count or b"\n" in peer.since(mark) or bool(peer.end)

    if not session.wait(seen) and len(hall.pool()) >= count:
        session.wait(seen, PATIENCE)  # a process has been started, and is on its way
    if len(hall.visitors) < count and ((heard := peer.since(mark)) or peer.end):
        raise Broken(expected, f"self.work was not called; {session.fate(peer, heard)}")
    if len(hall.visitors) < count:
        many = "only one process computes" if hall.visitors else "self.work was not called"
        raise Broken(expected, session.silence(many))


@step(f"{{who}} says {SMALL}, and is told how many prime numbers are below it")
def count(session: Session, who: str) -> None:
    """A client asks how many prime numbers are below a number."""
    peer = session.peers[who]
    _answered(session, peer, _ask(session, peer, SMALL), SMALL)


@step("{who} says a number that takes long; {other} says a line meanwhile")
def count_slowly(session: Session, who: str, other: str) -> None:
    """A client asks for something that takes long; meanwhile another is served."""
    peer, talker, hall = session.peers[who], session.peers[other], _hall(session)
    _visited(session, peer, _ask(session, peer, HELD), 1, "self.work is called with the number")
    served_by = session.instance.thread
    text = session.say(talker)
    visitor = hall.visitors[0]
    blocked = served_by and (visitor.pid, visitor.thread) == (os.getpid(), served_by.ident)
    if blocked and not session.silent([talker], text.upper()):  # this need not be found out by waiting
        actual = f"{other} heard nothing: the server's only thread computed"
        raise Broken(f"{other} hears {show(text.upper())} while it is computed", actual)
    session.must_hear(talker, [talker], text)


@step("{names} say numbers that take long, both at the same time")
def count_together(session: Session, *names: str) -> None:
    """Several ask at the same time, and are computed for at the same time, by a process each."""
    expected = f"{WORKERS} processes compute at the same time"
    marks = []
    for number, peer in enumerate((session.peers[name] for name in names), 1):
        marks.append((peer, _ask(session, peer, HELD)))
        _visited(session, *marks[-1], number, expected)
    hall = _hall(session)
    if any(visitor.pid == os.getpid() for visitor in hall.visitors):
        actual = "both are computed in the server's own process, by two threads, which share one GIL"
        raise Broken(expected, actual)
    hall.release()
    for peer, mark in marks:
        _answered(session, peer, mark, HELD)


@step(lambda who, times: f"{who} says a number that takes long" + f", {times} times" * (times > 1))
def count_again(session: Session, who: str, times: int) -> None:
    """A client asks again and again: the processes that computed before do so again."""
    peer, hall = session.peers[who], _hall(session)
    expected = f"the same {WORKERS} processes compute for everybody"
    for _ in range(times):
        mark = _ask(session, peer, HELD)
        _visited(session, peer, mark, 1, expected)
        hall.release()
        _answered(session, peer, mark, HELD)
    if len(hall.pids) > WORKERS:
        raise Broken(expected, f"{len(hall.pids)} different processes have computed so far")


@step("the server is shut down and closed")
def end_with_the_pool(session: Session) -> None:
    """The server ends, and its processes do."""
    hall, server = _hall(session), session.instance.server
    hall.ends = False
    session.instance.stop(PATIENCE)
    hall.ends = True
    over = time.monotonic() + ENDS_WITHIN
    while (left := len(hall.pool())) and time.monotonic() < over:
        time.sleep(0.01)
    if left:
        actual = f"the server's serve_forever has returned, but of the pool still run: {left}"
        raise Broken("the processes of the pool end, too", actual + _why(server))


def _why(server: Any) -> str:
    """What went wrong in closing, which nobody was told."""
    try:
        server.close_pool()
    except Exception as error:
        return f" (close_pool failed: {told(error)})"
    return ""


CASES = (
    *chosen("delivery.answer"),
    Case(
        "pool.count",
        "A number is answered",
        "A line that is a number is answered with what self.work returns for it.",
        steps=(join("alice"), count("alice")),
        hint="Is b'1000\\n' a number? A lambda, or a function of a cell, cannot be sent to the pool.",
        lesson=POOL,
    ),
    Case(
        "pool.meanwhile",
        "Who asks for much delays nobody",
        "While a number is computed, all others are served.",
        given=(join("alice", "bob"),),
        steps=(count_slowly("alice", "bob"),),
        hint="await loop.run_in_executor(...) gives the thread back. self.work(...) and .result() keep it.",
        lesson=POOL,
    ),
    Case(
        "pool.elsewhere",
        "Another process computes",
        "Numbers are computed by other processes, two at the same time, and the same two for all who ask.",
        given=(join("alice", "bob"),),
        steps=(count_together("alice", "bob"), count_again("alice", 4)),
        hint="make_pool makes one pool, with max_workers=2. run_in_executor gets self.pool, and not None.",
        lesson=LESSON,
    ),
    Case(
        "pool.copies",
        "A process of the pool holds no connection",
        "When a client has ended its side, its connection ends: no process of the pool has a copy of it.",
        steps=(join("alice"), count("alice"), half_close("alice"), see_the_end("alice")),
        hint="A forked process has copies of all sockets. Give the pool an mp_context: see hint 3.",
        lesson=LESSON,
    ),
    Case(
        "pool.end",
        "The processes end with the server",
        "When the server is shut down and closed, the processes of its pool end.",
        given=(join("alice"),),
        steps=(count_again("alice", 1), end_with_the_pool()),
        hint="self.pool.shutdown() ends them. It belongs into close_pool.",
        lesson=LESSON,
        ends=True,
    ),
)
