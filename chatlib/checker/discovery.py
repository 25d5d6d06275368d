"""Finds out which dialect a server speaks, by talking to it."""

import contextlib
import re
from dataclasses import replace

from chatlib.checker.errors import Broken, TargetError, Unjudged
from chatlib.checker.foreign import in_words
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.dialect import DIALECTS, Dialect
from chatlib.checker.harness.launcher import Launcher
from chatlib.checker.harness.session import Session
from chatlib.checker.harness.timeouts import measured
from chatlib.checker.steps.joining import GREETING, acquaint, admit

DISCOVERED_WITHIN = 60.0
"""Seconds: far more than two clients need, also on a computer that is busy."""

NEWLINES = (b"\n", b"\r\n", b"\n")
"""How lines are ended, try by try. Twice by a newline: two clients may meet a race in the server."""

TRIES = 3
"""How often two clients try to hear each other, before that is left to the cases."""


def discover(launcher: Launcher) -> Dialect:
    """Returns the dialect, with its options. Blocks for seconds.

    Raises:
        TargetError: The server does not start, or it speaks none of them: the message says what was seen.
    """
    for newline in NEWLINES:
        dialect = replace(DIALECTS["lines"], newline=newline)
        with launcher.session(dialect, measured(), DISCOVERED_WITHIN) as session:
            if found := _introductions(session):
                break
            seen = in_words(session)
    else:
        raise TargetError(
            f"not judged: {launcher.target.name} speaks none of the dialects. {seen}"
            " To see which promises of one of them it breaks, name that one, as in --dialect lines"
        )
    if found.answers or found.name == "budget-chat":
        return found
    for number in range(TRIES):  # each with more patience
        timeouts = measured(2.0**number)
        with launcher.session(found, timeouts, DISCOVERED_WITHIN) as session, contextlib.suppress(Broken):
            framed = _waits_for_the_end_of_a_line(session)
            return replace(found, name="lines" if framed else "raw", framed=framed)
    return found


def _introductions(session: Session) -> Dialect | None:
    """Talks as two clients, which first say their names. Returns what that shows; None if nothing."""
    said: list[bytes] = []
    greeting = b""
    with contextlib.suppress(Broken, Unjudged):
        alice = session.connect("alice")
        # What is asked late would be taken for a notice that bob has come.
        session.wait(lambda: alice.heard, max(GREETING, 4 * session.timeouts.quiet))
        session.pause(session.timeouts.quiet)  # one that confuses two that come together fails later
        alone = bytes(alice.heard)
        bob = session.connect("bob")
        session.wait(lambda: alice.heard and bob.heard, session.timeouts.patience if alone else GREETING)
        # Else a notice, that bob has come. Some ask the second client only when the first has answered.
        greeting = bytes(alice.heard) if bob.heard else alone
        within = session.timeouts.patience if greeting else GREETING  # what asks something may answer, too
        said.append(session.say(alice, alice.nick.encode()))
        session.wait(lambda: said[0] in bob.heard or len(alice.heard) > len(greeting), within)
        session.calm()
        session.say(bob, bob.nick.encode())
        session.wait(lambda: bob.nick.encode() in alice.heard, within)
        session.calm()
        for _ in range(2):
            said.append(session.say(alice))
            session.wait(lambda: said[-1] in bob.heard or session.hears(alice, said[-1].upper()))
        session.wait(lambda: said[-1] in alice.heard, session.timeouts.quiet)
        return _shown_by(session, greeting, *said)
    return None


def _shown_by(session: Session, greeting: bytes, first: bytes, second: bytes, third: bytes) -> Dialect | None:
    """Returns what three lines of alice show: if the first was a name, it stands before the others."""
    alice, bob = session.peers["alice"], session.peers["bob"]
    if third not in bob.heard:
        return answering(alice, third)
    heard = bytes(bob.heard)
    before = heard[heard.find(second) + len(second) : heard.find(third)] if second in heard else b""
    prefix = before.strip(b"\r\n")
    listed = re.search(rb"^\*", alice.since(len(greeting)), re.MULTILINE)
    if prefix == b"[" + first + b"] " and greeting.endswith(b"\n") and listed:
        return DIALECTS["budget-chat"]
    return replace(
        DIALECTS["lines"],
        echo=third in alice.heard,
        name_first=first in prefix or is_taken_in(session, greeting, first, prefix),
        prefix=True if prefix else None,  # a prompt may stand there now and then
        newline=session.dialect.newline,
    )


def answering(peer: Peer, text: bytes) -> Dialect | None:
    """Returns the dialect of a server that answers the sender only; None if it does not answer in one."""
    if text.upper() in peer.heard and text not in peer.heard:
        return DIALECTS["shout"]
    return DIALECTS["echo"] if re.search(rb"(^|\n)" + re.escape(text) + rb"\r?\n", peer.heard) else None


def is_taken_in(session: Session, greeting: bytes, first: bytes, prefix: bytes) -> bool:
    """Whether the first line was taken for a name: it has not come as a line, though something was asked.

    Where nothing was asked, neither client's first line may have come at all.
    """
    alice, bob = session.peers["alice"], session.peers["bob"]
    # A prompt may stand before it, or not; and a counter or the time in it is another each time.
    voice = re.sub(rb"\w*\d\w*", rb"\\w+", re.escape(prefix.lstrip(b"> \r\n")))
    line = voice + re.escape(first) + rb"\r?(\n|$|" + (voice or rb"\n") + rb")"
    if greeting:
        return not re.search(line, bytes(bob.heard))
    return first not in bob.heard and bob.nick.encode() not in alice.heard


def _waits_for_the_end_of_a_line(session: Session) -> bool:
    """Half a line that is not passed on although later lines are: this server waits for its end.

    Raises:
        Broken: The two do not even hear each other.
    """
    alice = admit(session, "alice")
    session.pause(session.timeouts.quiet)
    bob = admit(session, "bob")
    acquaint(session, "bob", "alice")
    half = session.text("half")
    session.send(alice, half + b"...")  # some take the last byte for the newline
    for _ in range(2):  # what a server collects before it sends it has been sent by then
        session.must_hear(bob, [alice], session.say(bob))
    return not session.wait(lambda: half in bob.heard, max(GREETING, 2 * session.timeouts.quiet))
