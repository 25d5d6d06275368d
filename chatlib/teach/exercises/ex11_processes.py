"""Exercise 11: a server that lets other processes compute. It works wherever Python can start a fresh one."""

import functools
import gc
import os
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from chatlib.checker.case import Case, step
from chatlib.checker.errors import Broken
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.dialect import show
from chatlib.checker.harness.session import Session
from chatlib.checker.steps.basic import half_close, join, see_the_end
from chatlib.sockets import Address
from chatlib.teach.exercises.ex11_gate import Gate
from chatlib.teach.exercises.ex11_worker import HELD
from chatlib.teach.exercises.exercise import Exercise, is_subclass_of
from chatlib.teach.exercises.sandbox import told
from chatlib.teach.exercises.servers import Make, Server, chosen, prepared

LESSON = "11 Processes"
POOL = "11 Processes, 10 async and await"

WORKERS = 2
"""Processes that compute."""

PATIENCE = 20.0
"""Seconds in which a process has to begin and to compute, or to end: on a busy computer, or with a virus
scanner, a fresh Python takes its time. It is spent only on a process that runs, or was told to end."""

DEADLINE = 90.0
"""Seconds for a case: in each there are several such waits."""

SMALL = 1000

PRIMES = {SMALL: 168, HELD: 590}
"""How many prime numbers are below."""


@runtime_checkable
class PoolServer(Server, Protocol):
    """A server with a method that ends its pool."""

    def close_pool(self) -> None:
        """Ends the processes of the pool."""


def with_a_gate(server: Any) -> Make:
    """Returns what makes a server of this class whose workers come to a gate of ours."""

    @functools.wraps(server, updated=())
    def made(address: Address) -> Any:
        # What is left of an earlier pool: collected while the next is made, it would call multiprocessing's
        # resource tracker from within, which warns of it (CPython issue 109593).
        gc.collect()
        return server(address)

    return prepared(made, Gate)


def _gate(session: Session) -> Gate:
    gate: Gate = session.instance.server.gate
    return gate


def _ask(session: Session, peer: Peer, number: int) -> int:
    """Asks for a number; returns how much the client had heard before."""
    mark = len(peer.heard)
    session.send(peer, f"{number}\n".encode())
    return mark


def _wait(session: Session, condition: Callable[[], object], processes: int = 1) -> None:
    """Waits until something is so; for longer if the pool has its processes, which may only be starting."""
    if not session.wait(condition) and len(_gate(session).processes()) >= processes:
        session.wait(condition, PATIENCE)


def _answered(session: Session, peer: Peer, mark: int, number: int) -> None:
    """Waits until the number is answered, rightly."""
    count = b"%d" % PRIMES[number]
    _wait(session, lambda: b"\n" in peer.since(mark) or peer.end)
    if (heard := peer.since(mark)).strip() != count:
        wanted = f"{peer.name} receives {show(count)}: as many prime numbers are below {number}"
        raise Broken(wanted, session.fate(peer, heard), certain=bool(heard or peer.end))


def _come(session: Session, peer: Peer, mark: int, count: int, expected: str) -> None:
    """Waits until as many workers compute, and are held at the gate."""
    gate = _gate(session)
    _wait(session, lambda: gate.admit() >= count or b"\n" in peer.since(mark) or peer.end, count)
    if len(gate.waiting) >= count:
        return
    if (heard := peer.since(mark)) or peer.end:
        raise Broken(expected, f"self.work was not called; {session.fate(peer, heard)}")
    many = "only one process computes" if gate.waiting else "self.work was not called"
    raise Broken(expected, session.silence(many), certain=False)


@step(f"{{who}} says {SMALL}, and is told how many prime numbers are below it")
def count(session: Session, who: str) -> None:
    """A client asks how many prime numbers are below a number."""
    peer = session.peers[who]
    _answered(session, peer, _ask(session, peer, SMALL), SMALL)


@step("{who} says a number that takes long; {other} says a line meanwhile")
def count_slowly(session: Session, who: str, other: str) -> None:
    """A client asks for something that takes long; meanwhile another is served."""
    peer, talker = session.peers[who], session.peers[other]
    _come(session, peer, _ask(session, peer, HELD), 1, "self.work is called with the number")
    text = session.say(talker)
    worker, server = _gate(session).waiting[0], session.instance.thread
    blocked = server and (worker.pid, worker.thread) == (os.getpid(), server.ident)
    if blocked and not session.silent([talker], text.upper()):  # it is seen: a long wait would add nothing
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
        _come(session, *marks[-1], number, expected)
    gate = _gate(session)
    if any(worker.pid == os.getpid() for worker in gate.waiting):
        actual = "both are computed in the server's own process, by two threads, which share one GIL"
        raise Broken(expected, actual)
    gate.release()
    for peer, mark in marks:
        _answered(session, peer, mark, HELD)


@step(lambda who, times: f"{who} says a number that takes long" + f", {times} times" * (times > 1))
def count_again(session: Session, who: str, times: int) -> None:
    """A client asks again and again: the processes that computed before do so again."""
    peer, gate = session.peers[who], _gate(session)
    expected = f"the same {WORKERS} processes compute for all clients"
    for _ in range(times):
        mark = _ask(session, peer, HELD)
        _come(session, peer, mark, 1, expected)
        gate.release()
        _answered(session, peer, mark, HELD)
    if len(gate.pids) > WORKERS:
        raise Broken(expected, f"{len(gate.pids)} different processes have computed so far")


@step("the server is shut down and closed")
def end_with_the_pool(session: Session) -> None:
    """The server ends, and its processes do."""
    gate, why = _gate(session), ""
    gate.kills = False
    try:
        session.instance.stop(PATIENCE)
    finally:  # also after Ctrl-C
        gate.kills = True
    if gate.was_told_to_end():  # else it is seen at once that its processes run on
        session.wait(lambda: not gate.processes(), PATIENCE)
    if left := len(gate.processes()):
        try:
            session.instance.server.close_pool()
        except Exception as error:  # the one that was lost when the server was closed
            why = f" (close_pool failed: {told(error)})"
        count = "1 process" if left == 1 else f"{left} processes"
        actual = f"serve_forever has returned, and the pool still has {count}{why}"
        raise Broken("the processes of the pool end, too", actual)


CASES = (
    *chosen("delivery.answer"),
    Case(
        "pool.count",
        "A number is answered",
        "A line that is a number is answered with what self.work returns for it.",
        steps=(join("alice"), count("alice")),
        hint="Is b'1000\\n' a number? A lambda, or a function of a cell, cannot be sent to the pool.",
        lesson=POOL,
        deadline=DEADLINE,
    ),
    Case(
        "pool.meanwhile",
        "A long computation delays nobody",
        "While a number is computed, all others are served.",
        given=(join("alice", "bob"),),
        steps=(count_slowly("alice", "bob"),),
        hint="await loop.run_in_executor(...) gives the thread back. self.work(...) and .result() keep it.",
        lesson=POOL,
        deadline=DEADLINE,
    ),
    Case(
        "pool.elsewhere",
        "Another process computes",
        "Numbers are computed by other processes, two at the same time, and the same two for all who ask.",
        given=(join("alice", "bob"),),
        steps=(count_together("alice", "bob"), count_again("alice", 4)),
        hint="make_pool makes one pool, with max_workers=2. run_in_executor gets self.pool, and not None.",
        lesson=LESSON,
        deadline=DEADLINE,
    ),
    Case(
        "pool.copies",
        "A process of the pool holds no connection",
        "When a client has ended its side, its connection ends: no process of the pool has a copy of it.",
        steps=(join("alice"), count("alice"), half_close("alice"), see_the_end("alice")),
        hint="A forked process has copies of all sockets. Give the pool an mp_context: see hint 3.",
        lesson=LESSON,
        deadline=DEADLINE,
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
        deadline=DEADLINE,
    ),
)

EXERCISE = Exercise(
    title="a pool of processes",
    name="Counting",
    takes="the server class itself, without brackets",
    fits=is_subclass_of(PoolServer),
    cases=CASES,
    lesson=LESSON,
    serves=with_a_gate,
    dialect="shout",
)
