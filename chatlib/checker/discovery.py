"""Finds out which dialect a server speaks, by talking to it."""

import contextlib
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

from chatlib.checker.errors import Broken
from chatlib.checker.harness.dialect import DIALECTS, Dialect
from chatlib.checker.harness.session import Stage
from chatlib.checker.steps.joining import GREETING, acquaint, admit

Stages = Callable[[Dialect], AbstractContextManager[Stage]]

TRIES = 3
"""How often two clients try to hear each other, before that is left to the cases."""

_ASKS = re.compile(rb"name|nick|user|handle|who are you|call you", re.IGNORECASE)


def discover(stages: Stages) -> Dialect | None:
    """Returns the dialect, with its options; None if the server says nothing at all. Blocks for seconds.

    Args:
        stages: Makes a stage, with a server of its own where servers can be started.
    """
    for newline in (b"\n", b"\r\n"):
        with stages(replace(DIALECTS["lines"], newline=newline)) as stage:
            found = _introductions(stage)
        if found:
            break
    else:
        return None
    if found.name in ("shout", "budget-chat"):
        return found
    for _ in range(TRIES):
        with stages(found) as stage, contextlib.suppress(Broken):
            framed = _waits_for_the_end_of_a_line(stage)
            return replace(found, name="lines" if framed else "raw", framed=framed)
    return found


def _introductions(stage: Stage) -> Dialect | None:
    """Talks as two clients, who first say their names. Returns what that shows; None if no line arrives."""
    try:
        alice = stage.connect("alice")
        stage.pause(stage.pace.quiet)  # whoever confuses two that come together is found out later
        bob = stage.connect("bob")
        stage.wait(lambda: alice.heard and bob.heard, GREETING)
        greeting = bytes(alice.heard)
        first = alice.nick.encode()
        stage.say(alice, first)
        stage.wait(lambda: first.upper() in alice.heard or first in bob.heard, GREETING)
        if first.upper() in alice.heard and first not in alice.heard:
            return DIALECTS["shout"]
        stage.say(bob, bob.nick.encode())
        stage.wait(lambda: bob.nick.encode() in alice.heard, GREETING)
        second = stage.say(alice)
        stage.wait(lambda: second in bob.heard)
        third = stage.say(alice)
        stage.wait(lambda: third in bob.heard)
        stage.wait(lambda: third in alice.heard, stage.pace.quiet)
    except Broken:
        return None
    return _shown_by(stage, greeting, first, second, third) if third in bob.heard else None


def _shown_by(stage: Stage, greeting: bytes, first: bytes, second: bytes, third: bytes) -> Dialect:
    """Returns what three lines of alice show: if the first was a name, it stands before the others."""
    alice, heard = stage.peers["alice"], stage.peers["bob"].since(0)
    before = heard[heard.find(second) + len(second) : heard.find(third)] if second in heard else b""
    prefix = before.strip(b"\r\n")
    listed = re.search(rb"^\*", alice.since(len(greeting)), re.MULTILINE)
    if prefix == b"[" + first + b"] " and greeting.endswith(b"\n") and listed:
        return DIALECTS["budget-chat"]
    asked = bool(_ASKS.search(greeting)) and not _passed_on(first, prefix, heard)
    return replace(
        DIALECTS["lines"],
        echo=third in alice.heard,
        name_first=first in prefix or asked,
        prefix=True if prefix else None,  # a prompt may stand there now and then
        newline=stage.dialect.newline,
    )


def _passed_on(first: bytes, prefix: bytes, heard: bytes) -> bool:
    """Whether the first thing that was said has come as a line: then it was no name."""
    end = rb"\r?(\n|$|" + re.escape(prefix or b"\n") + rb")"
    return bool(re.search(re.escape(prefix + first) + end, heard))


def _waits_for_the_end_of_a_line(stage: Stage) -> bool:
    """Half a line that is passed on before its end has come: this server knows no lines.

    Raises:
        Broken: The two do not even hear each other.
    """
    alice = admit(stage, "alice")
    stage.pause(stage.pace.quiet)
    bob = admit(stage, "bob")
    acquaint(stage, ["alice", "bob"])
    half = stage.text("half")
    stage.send(alice, half + b"...")  # some take the last byte for the newline
    return not stage.wait(lambda: half in bob.heard, max(GREETING, 2 * stage.pace.quiet))
