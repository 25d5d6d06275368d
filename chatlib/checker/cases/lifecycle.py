"""Lifecycle: starting, stopping, starting again, and having too little."""

import contextlib
import time

from chatlib.checker.case import Case, step
from chatlib.checker.errors import Broken, TargetError
from chatlib.checker.harness.session import Session
from chatlib.checker.steps.basic import idle, join, talk
from chatlib.checker.targets.target import Need

GOODBYES = "07 Goodbyes"

STOPS_WITHIN = 2.0
"""Seconds, on a machine that is not busy."""

SECOND_WITHIN = 4.0
"""Seconds for a second server to say that the port is taken."""

DESCRIPTORS = 64
CONNECTIONS = 100
GUEST_PATIENCE = 0.05
"""Seconds that each of those waits for its connection."""


@step("the server is asked to stop, while clients are connected")
def stop(session: Session) -> None:
    """The server is asked to stop: by Ctrl-C, or with shutdown and server_close. Its clients see the end."""
    # In the middle of its work, Ctrl-C may land in an `except` that was meant for something else.
    session.pause(2 * session.timeouts.quiet)
    start, within = time.monotonic(), STOPS_WITHIN * session.timeouts.factor
    if problem := session.instance.stop(within):
        raise Broken(f"it ends within {STOPS_WITHIN:.0f} s", problem, certain=False)
    left = within - (time.monotonic() - start)
    peers = list(session.peers.values())
    if not session.wait(lambda: all(peer.end for peer in peers), max(left, session.timeouts.patience)):
        name = next(peer.name for peer in peers if not peer.end)
        actual = f"it stopped, but the connection of {name} stayed open"
        raise Broken(f"{name} sees the end of its connection", actual, certain=False)


@step("the server ends while clients are connected, and is started again on the same port at once")
def start_again(session: Session) -> None:
    """The server ends while clients are connected, and is started again on the same port at once."""
    session.instance.stop(STOPS_WITHIN * session.timeouts.factor)
    session.instance.discard()
    session.wait(lambda: all(peer.end for peer in session.peers.values()), session.timeouts.quiet)
    # They leave last: then it is the server's side of each connection that is remembered (TIME_WAIT).
    for peer in session.peers.values():
        session.clients.leave(peer)
    try:
        again = session.target.start(port=session.clients.address[1])
    except TargetError as error:
        raise Broken("it listens on the port that it had a moment ago", str(error)) from None
    session.peers.clear()
    session.instance = again


@step("a second server is started on the same port")
def start_second(session: Session) -> None:
    """A second one is started on the same port. It says that it cannot, and ends."""
    expected = "the second says that the port is taken, and ends"
    try:
        within = SECOND_WITHIN * session.timeouts.factor
        second = session.target.start(port=session.clients.address[1], within=within)
    except TargetError as error:
        if error.runs or error.silent:  # one that still runs may yet say so, on a busy machine
            raise Broken(expected, str(error), certain=error.silent) from None
        return
    second.discard()
    raise Broken(expected, "both listen on the same port")


@step(f"{CONNECTIONS} clients connect to a server with {DESCRIPTORS} descriptors")
def overcrowd(session: Session) -> None:
    """More clients connect than the server has descriptors for."""
    for number in range(CONNECTIONS):
        with contextlib.suppress(OSError):  # no answer: the kernel's queue is full, which is no fault
            peer = session.clients.connect(f"guest{number}", "", GUEST_PATIENCE)
            peer.listener = lambda _: None


@step("{name} joins")
def join_once_recovered(session: Session, name: str) -> None:
    """A client joins once the server has recovered: it may still refuse at first."""
    deadline = time.monotonic() + 2 * session.timeouts.patience
    while True:
        try:
            join(name).run(session)
            return
        except Broken:
            newcomer = session.peers.pop(name, None)
            if time.monotonic() > deadline or any(peer.end for peer in session.present()):
                raise
            if newcomer:
                session.clients.reset(newcomer)
            session.pause(2 * session.timeouts.quiet)


@step(f"the {CONNECTIONS} clients leave")
def crowd_out(session: Session) -> None:
    """All those leave again."""
    for peer in session.clients.peers:
        if peer.name.startswith("guest") and not peer.gone:
            session.clients.leave(peer)


ROOM = (join("alice", "bob"), talk("alice", "bob"))

CASES = (
    Case(
        "lifecycle.stop",
        "It stops, and its clients see that",
        "The server ends within 2 s of Ctrl-C (a class: of shutdown, server_close); all connections end.",
        given=ROOM,
        ends=True,
        steps=(stop(),),
        hint="Close every connection. Let no thread keep the program alive: daemon=True, or close and join.",
        lesson=GOODBYES,
        needs=frozenset({Need.START}),
    ),
    Case(
        "lifecycle.again",
        "It can be started again at once",
        "A server that has just ended can be started again on the same port.",
        given=ROOM,
        steps=(start_again(),),
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
        steps=(start_second(), talk("alice", "bob")),
        hint="Do not set SO_REUSEPORT (nor, on Windows, SO_REUSEADDR), and do not catch the error of bind.",
        lesson=GOODBYES,
        needs=frozenset({Need.START, Need.PORT}),
        deadline=25.0,
    ),
    Case(
        "lifecycle.descriptors",
        "It survives having too few descriptors",
        "A server with 64 descriptors survives 100 connections, idle meanwhile, and serves again afterwards."
        " That asyncio by itself tries too often (CPython issue 151615) counts for nothing.",
        given=ROOM,
        steps=(
            overcrowd(),
            talk("alice", "bob"),
            idle(survives=True),
            crowd_out(),
            join_once_recovered("carol"),
            talk("alice", "bob", "carol"),
        ),
        hint="accept raises OSError when no descriptor is left: wait a little then, and try again.",
        chance=True,
        lesson=GOODBYES,
        needs=frozenset({Need.START, Need.LIMITS, Need.USAGE}),
        deadline=25.0,
    ),
)
