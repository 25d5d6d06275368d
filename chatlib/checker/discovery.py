"""Finds out which dialect a server speaks, by talking to it."""

import contextlib
import re
from dataclasses import replace

from chatlib.checker.errors import Broken
from chatlib.checker.harness.dialect import DIALECTS, Dialect
from chatlib.checker.harness.launcher import Launcher
from chatlib.checker.harness.session import Session
from chatlib.checker.harness.timeouts import measured
from chatlib.checker.steps.joining import GREETING, acquaint, admit

DISCOVERED_WITHIN = 60.0
"""Seconds: far more than two clients need, also on a computer that is busy."""

TRIES = 3
"""How often two clients try to hear each other, before that is left to the cases."""

_ASKS = re.compile(rb"name|nick|user|handle|who are you|call you", re.IGNORECASE)


def discover(launcher: Launcher) -> Dialect | None:
    """Returns the dialect, with its options; None if the server says nothing at all. Blocks for seconds.

    Raises:
        TargetError: The server does not start.
    """
    for newline in (b"\n", b"\r\n"):
        dialect = replace(DIALECTS["lines"], newline=newline)
        with launcher.session(dialect, measured(), DISCOVERED_WITHIN) as session:
            found = _introductions(session)
        if found:
            break
    else:
        return None
    if found.name in ("shout", "budget-chat"):
        return found
    for _ in range(TRIES):
        timeouts = measured()
        with launcher.session(found, timeouts, DISCOVERED_WITHIN) as session, contextlib.suppress(Broken):
            framed = _waits_for_the_end_of_a_line(session)
            return replace(found, name="lines" if framed else "raw", framed=framed)
    return found


def _introductions(session: Session) -> Dialect | None:
    """Talks as two clients, who first say their names. Returns what that shows; None if no line arrives."""
    try:
        alice = session.connect("alice")
        session.pause(session.timeouts.quiet)  # one that confuses two that come together fails later
        bob = session.connect("bob")
        session.wait(lambda: alice.heard and bob.heard, GREETING)
        greeting = bytes(alice.heard)
        first = alice.nick.encode()
        session.say(alice, first)
        session.wait(lambda: first.upper() in alice.heard or first in bob.heard, GREETING)
        if first.upper() in alice.heard and first not in alice.heard:
            return DIALECTS["shout"]
        session.say(bob, bob.nick.encode())
        session.wait(lambda: bob.nick.encode() in alice.heard, GREETING)
        second = session.say(alice)
        session.wait(lambda: second in bob.heard)
        third = session.say(alice)
        session.wait(lambda: third in bob.heard)
        session.wait(lambda: third in alice.heard, session.timeouts.quiet)
    except Broken:
        return None
    return _shown_by(session, greeting, first, second, third) if third in bob.heard else None


def _shown_by(session: Session, greeting: bytes, first: bytes, second: bytes, third: bytes) -> Dialect:
    """Returns what three lines of alice show: if the first was a name, it stands before the others."""
    alice, heard = session.peers["alice"], session.peers["bob"].since(0)
    before = heard[heard.find(second) + len(second) : heard.find(third)] if second in heard else b""
    prefix = before.strip(b"\r\n")
    listed = re.search(rb"^\*", alice.since(len(greeting)), re.MULTILINE)
    if prefix == b"[" + first + b"] " and greeting.endswith(b"\n") and listed:
        return DIALECTS["budget-chat"]
    # What has come as a line of its own was no name, whatever was asked.
    line = re.escape(prefix + first) + rb"\r?(\n|$|" + re.escape(prefix or b"\n") + rb")"
    asked = bool(_ASKS.search(greeting)) and not re.search(line, heard)
    return replace(
        DIALECTS["lines"],
        echo=third in alice.heard,
        name_first=first in prefix or asked,
        prefix=True if prefix else None,  # a prompt may stand there now and then
        newline=session.dialect.newline,
    )


def _waits_for_the_end_of_a_line(session: Session) -> bool:
    """Half a line that is passed on before its end has come: this server knows no lines.

    Raises:
        Broken: The two do not even hear each other.
    """
    alice = admit(session, "alice")
    session.pause(session.timeouts.quiet)
    bob = admit(session, "bob")
    acquaint(session, ["alice", "bob"])
    half = session.text("half")
    session.send(alice, half + b"...")  # some take the last byte for the newline
    return not session.wait(lambda: half in bob.heard, max(GREETING, 2 * session.timeouts.quiet))
