"""Lifecycle: starting, stopping, starting again, and having too little."""

import contextlib
import time
from dataclasses import dataclass

from chatlib.checker.case import Case
from chatlib.checker.errors import Broken, TargetError
from chatlib.checker.harness.session import Stage
from chatlib.checker.steps.basic import Idle, Join, Talk
from chatlib.checker.targets.target import Need

GOODBYES = "07 Goodbyes"

STOPS_WITHIN = 2.0
"""Seconds."""

SECOND_WITHIN = 4.0
"""Seconds for a second server to say that the port is taken."""

DESCRIPTORS = 64
CONNECTIONS = 100
GUEST_PATIENCE = 0.05
"""Seconds that each of those waits for its connection."""


@dataclass(frozen=True)
class Stop:
    """The server is asked to stop: by Ctrl-C, or with shutdown and server_close. Its clients see the end."""

    def __str__(self) -> str:
        return "the server is asked to stop, while clients are connected"

    def run(self, stage: Stage) -> None:
        # In the middle of its work, Ctrl-C may land in an `except` that was meant for something else.
        stage.pause(2 * stage.pace.quiet)
        start = time.monotonic()
        if problem := stage.instance.stop(STOPS_WITHIN):
            raise Broken(f"it ends within {STOPS_WITHIN:.0f} s", problem, certain=False)
        left = STOPS_WITHIN - (time.monotonic() - start)
        peers = list(stage.peers.values())
        if not stage.wait(lambda: all(peer.end for peer in peers), max(left, stage.pace.patience)):
            name = next(peer.name for peer in peers if not peer.end)
            actual = f"it stopped, but the connection of {name} stayed open"
            raise Broken(f"{name} sees the end of its connection", actual, certain=False)


@dataclass(frozen=True)
class StartAgain:
    """The server ends while clients are connected, and is started again on the same port at once."""

    def __str__(self) -> str:
        return "the server ends while clients are connected, and is started again on the same port at once"

    def run(self, stage: Stage) -> None:
        stage.instance.stop(STOPS_WITHIN)
        stage.instance.discard()
        stage.wait(lambda: all(peer.end for peer in stage.peers.values()), stage.pace.quiet)
        # They leave last: then it is the server's side of each connection that is remembered (TIME_WAIT).
        for peer in stage.peers.values():
            stage.room.leave(peer)
        try:
            again = stage.target.start(port=stage.room.address[1])
        except TargetError as error:
            raise Broken("it listens on the port that it had a moment ago", str(error)) from None
        stage.peers.clear()
        stage.instance = again


@dataclass(frozen=True)
class StartSecond:
    """A second one is started on the same port. It says that it cannot, and ends."""

    def __str__(self) -> str:
        return "a second server is started on the same port"

    def run(self, stage: Stage) -> None:
        expected = "the second says that the port is taken, and ends"
        try:
            second = stage.target.start(port=stage.room.address[1], within=SECOND_WITHIN)
        except TargetError as error:
            if error.runs or error.silent:
                raise Broken(expected, str(error)) from None
            return
        second.discard()
        raise Broken(expected, "both listen on the same port")


@dataclass(frozen=True)
class Overcrowd:
    """More clients connect than the server has descriptors for."""

    def __str__(self) -> str:
        return f"{CONNECTIONS} clients connect to a server with {DESCRIPTORS} descriptors"

    def run(self, stage: Stage) -> None:
        for number in range(CONNECTIONS):
            with contextlib.suppress(OSError):  # no answer: the kernel's queue is full, which is no fault
                peer = stage.room.connect(f"guest{number}", "", GUEST_PATIENCE)
                peer.listener = lambda _: None


@dataclass(frozen=True)
class Newcomer:
    """Somebody joins once the server has recovered: it may still refuse at first."""

    name: str

    def __str__(self) -> str:
        return f"{self.name} joins"

    def run(self, stage: Stage) -> None:
        deadline = time.monotonic() + 2 * stage.pace.patience
        while True:
            try:
                Join(self.name).run(stage)
                return
            except Broken:
                newcomer = stage.peers.pop(self.name, None)
                if time.monotonic() > deadline or any(peer.end for peer in stage.present()):
                    raise
                if newcomer:
                    stage.room.reset(newcomer)
                stage.pause(2 * stage.pace.quiet)


@dataclass(frozen=True)
class CrowdLeaves:
    """All those leave again."""

    def __str__(self) -> str:
        return f"the {CONNECTIONS} clients leave"

    def run(self, stage: Stage) -> None:
        for peer in stage.room.peers:
            if peer.name.startswith("guest") and not peer.gone:
                stage.room.leave(peer)


ROOM = (Join("alice bob"), Talk("alice bob"))

CASES = (
    Case(
        "lifecycle.stop",
        "It stops, and its clients see that",
        "The server ends within 2 s of Ctrl-C (a class: of shutdown, server_close); all connections end.",
        given=ROOM,
        ends=True,
        steps=(Stop(),),
        hint="Close every connection. Let no thread keep the program alive: daemon=True, or close and join.",
        lesson=GOODBYES,
        needs=frozenset({Need.START}),
    ),
    Case(
        "lifecycle.again",
        "It can be started again at once",
        "A server that has just ended can be started again on the same port.",
        given=ROOM,
        steps=(StartAgain(),),
        hint="Set SO_REUSEADDR before bind (socketserver: allow_reuse_address), or use socket.create_server.",
        lesson=GOODBYES,
        needs=frozenset({Need.START, Need.PORT}),
        deadline=20.0,
    ),
    Case(
        "lifecycle.busy",
        "A second server says that the port is taken",
        "A second server on a port that is in use says so, and ends; the first goes on.",
        given=ROOM,
        steps=(StartSecond(), Talk("alice bob")),
        hint="Do not set SO_REUSEPORT (nor, on Windows, SO_REUSEADDR), and do not catch the error of bind.",
        lesson=GOODBYES,
        needs=frozenset({Need.START, Need.PORT}),
        deadline=25.0,
    ),
    Case(
        "lifecycle.descriptors",
        "It survives having too few descriptors",
        "A server with 64 descriptors survives 100 connections, idle meanwhile, and serves again afterwards.",
        steps=(
            Join("alice bob"),
            Talk("alice bob"),
            Overcrowd(),
            Talk("alice bob"),
            Idle(survives=True),
            CrowdLeaves(),
            Newcomer("carol"),
            Talk("alice bob carol"),
        ),
        hint="accept raises OSError when no descriptor is left: wait a little then, and try again.",
        lesson=GOODBYES,
        needs=frozenset({Need.START, Need.LIMITS, Need.GAUGE}),
        deadline=25.0,
    ),
)
