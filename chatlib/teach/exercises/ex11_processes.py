"""Exercise 11: a server that lets other processes compute. It works wherever Python can start a fresh one."""

import os
import time
from dataclasses import dataclass
from typing import Any

from chatlib.checker.case import Case
from chatlib.checker.errors import Broken
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.dialect import show
from chatlib.checker.harness.session import Stage
from chatlib.checker.steps.basic import HalfClose, Join, SeesTheEnd
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


def _hall(stage: Stage) -> Hall:
    hall: Hall = stage.instance.server.hall  # type: ignore[attr-defined]
    return hall


def _ask(stage: Stage, peer: Peer, number: int) -> int:
    """Asks for a number; returns how much the client had heard before."""
    mark = len(peer.heard)
    stage.send(peer, f"{number}\n".encode())
    return mark


def _answered(stage: Stage, peer: Peer, mark: int, number: int) -> None:
    """Waits until the number is answered, rightly."""
    count = PRIMES[number]
    wanted = f"{peer.name} receives {show(b'%d' % count)}: so many prime numbers are below {number}"
    stage.wait(lambda: b"\n" in peer.since(mark) or peer.end, PATIENCE)
    if (heard := peer.since(mark)).strip() != b"%d" % count:
        raise Broken(wanted, stage.fate(peer, heard))


def _visited(stage: Stage, peer: Peer, mark: int, count: int, expected: str) -> None:
    """Waits until so many compute, and are held."""
    hall = _hall(stage)

    def seen() -> bool:
        return hall.look() >= count or b"\n" in peer.since(mark) or bool(peer.end)

    if not stage.wait(seen) and len(hall.pool()) >= count:
        stage.wait(seen, PATIENCE)  # a process has been started, and is on its way
    if len(hall.visitors) < count and ((heard := peer.since(mark)) or peer.end):
        raise Broken(expected, f"self.work was not called; {stage.fate(peer, heard)}")
    if len(hall.visitors) < count:
        many = "only one process computes" if hall.visitors else "self.work was not called"
        raise Broken(expected, stage.silence(many))


@dataclass(frozen=True)
class Count:
    """Somebody asks how many prime numbers are below a number."""

    who: str

    def __str__(self) -> str:
        return f"{self.who} says {SMALL}, and is told how many prime numbers are below it"

    def run(self, stage: Stage) -> None:
        peer = stage.peers[self.who]
        _answered(stage, peer, _ask(stage, peer, SMALL), SMALL)


@dataclass(frozen=True)
class CountSlowly:
    """Somebody asks for something that takes long; meanwhile another is served."""

    who: str
    other: str

    def __str__(self) -> str:
        return f"{self.who} says a number that takes long; {self.other} says a line meanwhile"

    def run(self, stage: Stage) -> None:
        peer, other, hall = stage.peers[self.who], stage.peers[self.other], _hall(stage)
        _visited(stage, peer, _ask(stage, peer, HELD), 1, "self.work is called with the number")
        served_by = stage.instance.thread.ident  # type: ignore[attr-defined]
        text = stage.say(other)
        visitor = hall.visitors[0]
        blocked = (visitor.pid, visitor.thread) == (os.getpid(), served_by)
        if blocked and not stage.silent([other], text.upper()):  # this need not be found out by waiting
            actual = f"{self.other} heard nothing: the server's only thread computed"
            raise Broken(f"{self.other} hears {show(text.upper())} while it is computed", actual)
        stage.must_hear(other, [other], text)


@dataclass(frozen=True)
class CountTogether:
    """Several ask at the same time, and are computed for at the same time, by a process each."""

    names: tuple[str, str]

    def __str__(self) -> str:
        return f"{' and '.join(self.names)} say numbers that take long, both at the same time"

    def run(self, stage: Stage) -> None:
        expected = f"{WORKERS} processes compute at the same time"
        marks = []
        for count, peer in enumerate((stage.peers[name] for name in self.names), 1):
            marks.append((peer, _ask(stage, peer, HELD)))
            _visited(stage, *marks[-1], count, expected)
        hall = _hall(stage)
        if any(visitor.pid == os.getpid() for visitor in hall.visitors):
            actual = "both are computed in the server's own process, by two threads, which share one GIL"
            raise Broken(expected, actual)
        hall.release()
        for peer, mark in marks:
            _answered(stage, peer, mark, HELD)


@dataclass(frozen=True)
class CountAgain:
    """Somebody asks again and again: those who computed before do so again."""

    who: str
    times: int

    def __str__(self) -> str:
        return f"{self.who} says a number that takes long" + f", {self.times} times" * (self.times > 1)

    def run(self, stage: Stage) -> None:
        peer, hall = stage.peers[self.who], _hall(stage)
        expected = f"the same {WORKERS} processes compute for everybody"
        for _ in range(self.times):
            mark = _ask(stage, peer, HELD)
            _visited(stage, peer, mark, 1, expected)
            hall.release()
            _answered(stage, peer, mark, HELD)
        if len(hall.pids) > WORKERS:
            raise Broken(expected, f"{len(hall.pids)} different processes have computed so far")


@dataclass(frozen=True)
class NoProcessIsLeft:
    """The server ends, and its processes do."""

    def __str__(self) -> str:
        return "the server is shut down and closed"

    def run(self, stage: Stage) -> None:
        hall, server = _hall(stage), stage.instance.server  # type: ignore[attr-defined]
        hall.ends = False
        stage.instance.stop(PATIENCE)
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
        steps=(Join("alice"), Count("alice")),
        hint="Is b'1000\\n' a number? A lambda, or a function of a cell, cannot be sent to the pool.",
        lesson=POOL,
    ),
    Case(
        "pool.meanwhile",
        "Who asks for much delays nobody",
        "While a number is computed, all others are served.",
        given=(Join("alice bob"),),
        steps=(CountSlowly("alice", "bob"),),
        hint="await loop.run_in_executor(...) gives the thread back. self.work(...) and .result() keep it.",
        lesson=POOL,
    ),
    Case(
        "pool.elsewhere",
        "Another process computes",
        "Numbers are computed by other processes, two at the same time, and the same two for all who ask.",
        given=(Join("alice bob"),),
        steps=(CountTogether(("alice", "bob")), CountAgain("alice", 4)),
        hint="make_pool makes one pool, with max_workers=2. run_in_executor gets self.pool, and not None.",
        lesson=LESSON,
    ),
    Case(
        "pool.copies",
        "A process of the pool holds no connection",
        "When a client has ended its side, its connection ends: no process of the pool has a copy of it.",
        steps=(Join("alice"), Count("alice"), HalfClose("alice"), SeesTheEnd("alice")),
        hint="A forked process has copies of all sockets. Give the pool an mp_context: see hint 3.",
        lesson=LESSON,
    ),
    Case(
        "pool.end",
        "The processes end with the server",
        "When the server is shut down and closed, the processes of its pool end.",
        given=(Join("alice"),),
        steps=(CountAgain("alice", 1), NoProcessIsLeft()),
        hint="self.pool.shutdown() ends them. It belongs into close_pool.",
        lesson=LESSON,
        ends=True,
    ),
)
