"""Departures: clients leave, politely or not, and the others must not pay for it."""

import contextlib
import time

from chatlib.checker.case import GROUP, Case, step
from chatlib.checker.errors import Broken, Unjudged
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.dialect import show
from chatlib.checker.harness.session import Session
from chatlib.checker.steps.basic import farewell, half_close, idle, join, leave, reset, see_the_end, talk
from chatlib.checker.steps.flood import flood_and_reset
from chatlib.checker.steps.joining import newcomers
from chatlib.checker.targets.target import Need, Usage

GOODBYES = "07 Goodbyes"
BY_HAND = "05 Group chat by hand"

VISITORS = 200

AT_ONCE = 40
"""How many of them are there at the same time."""

MEANWHILE = 120
"""How often all talk while others come and go: each time, a thread may find its list changed, or not."""

ENOUGH = 4.0
"""Seconds after which a slow server has been tried enough."""

KEPT = 32
"""Threads or descriptors that may be left of all visitors: a pool may keep some, a leak keeps them all."""


@step("{who} says a last line, and at once sends no more (FIN)")
def say_last_line(session: Session, who: str) -> None:
    """A client says a line and ends its side at once. The line still arrives."""
    speaker = session.peers[who]
    text = session.text()
    session.clients.say_and_half_close(speaker, text + session.dialect.newline)
    listeners = session.listeners(speaker)
    session.wait(lambda: session.settled(listeners, text))
    for listener in listeners:
        if not session.hears(listener, text):
            expected = f"{listener.name} hears {show(session.dialect.spoken(text))}"
            raise Broken(expected, session.fate(listener), certain=bool(listener.end))


@step(f"{VISITORS} clients come, say a line and leave again")
def come_and_go(session: Session, witness: str) -> None:
    """Many clients come, say a line and leave; nothing of them is kept."""
    usage = session.usage()
    # What the server makes once, on the first occasion, does not count.
    closes = farewell(session, *_visitors(session, session.peers[witness], range(1)))
    before = usage.threads(), usage.descriptors()
    for first in range(0, VISITORS, AT_ONCE):
        visitors = _visitors(session, session.peers[witness], range(first, first + AT_ONCE))
        for visitor in visitors:  # in silence: a line for a thread that waits would wake it
            closes = closes and farewell(session, visitor)
            session.clients.leave(visitor)
        if first == 0:  # a pool has all its threads by now, and uses them again; a leak goes on
            before = _threads_left(session, usage, before[0]), before[1]

    def kept() -> tuple[int, int]:
        return usage.threads() - before[0], usage.descriptors() - before[1]

    if not session.wait(lambda: max(kept()) <= KEPT, 2 * session.timeouts.patience):
        threads, descriptors = kept()
        left = [f"{threads} threads"] if threads > KEPT else []
        left += [f"{descriptors} descriptors (open sockets)"] if descriptors > KEPT else []
        actual = f"{' and '.join(left)} more than before were still there"
        raise Broken("its threads and descriptors return to where they were", actual, certain=False)


def _threads_left(session: Session, usage: Usage, before: int) -> int:
    """Returns how many threads there are, as soon as there are no more than before; or after a while."""
    session.wait(lambda: usage.threads() <= before, 4 * session.timeouts.quiet)
    return usage.threads()


@step(f"{{names}} talk at the same time, {MEANWHILE} times; meanwhile others come and leave again (FIN)")
def talk_meanwhile(session: Session, *names: str) -> None:
    """While clients come and go, what others say still reaches all that stay."""
    speakers, leaving = [session.peers[name] for name in names], list[Peer]()
    enough = time.monotonic() + ENOUGH * session.timeouts.factor
    for number in range(MEANWHILE):
        if time.monotonic() > enough:
            break
        said = {speaker: session.say(speaker) for speaker in speakers}
        coming = _passers_by(session, number)
        for visitor in leaving:
            session.clients.half_close(visitor)  # gone for good only later: nothing is answered with a reset
        for speaker, text in said.items():
            session.must_hear(speaker, [other for other in speakers if other is not speaker], text)
        for visitor in leaving:
            session.wait(lambda: visitor.end, session.timeouts.quiet)  # noqa: B023
            session.clients.leave(visitor)
        leaving = coming
        for peer in speakers:
            peer.heard.clear()


def _passers_by(session: Session, number: int) -> list[Peer]:
    """Connects a few clients without waiting until they are served, which is another case."""
    came = []
    for name in (f"passer{number}{letter}x{session.number}" for letter in "abc"):
        with contextlib.suppress(OSError):
            peer = session.clients.connect(name, name, session.timeouts.patience)
            peer.listener = lambda _: None
            if session.dialect.name_first:
                session.clients.send(peer, name.encode() + session.dialect.newline, session.timeouts.quiet)
            came.append(peer)
    return came


def _visitors(session: Session, witness: Peer, numbers: range) -> list[Peer]:
    try:
        visitors = newcomers(session, [f"guest{number}" for number in numbers], lambda: [witness])
    except Broken as broken:
        if numbers.start > 0:
            raise
        reason = f"a client that comes after another has left is not served: {broken.actual}"
        raise Unjudged(reason, blocked=True, certain=broken.certain) from None
    for peer in (witness, *visitors):
        peer.heard.clear()
    return visitors


ROOM = (join("alice", "bob", "carol"), talk("alice", "bob", "carol"))
FOUR = (join("alice", "bob", "carol", "dave"), talk("alice", "bob", "carol", "dave"))

POLLS = (
    "(Or does a loop never wait, whoever is there: does it ask a queue, or select for writing, all the time?)"
)

# If the leaver is taken out of a list that is being walked, the one behind it misses the first line:
# so another one speaks first. Where only a failing send shows that it has left, it is the second line that
# does not arrive, or not at the one behind it: so yet another one speaks then.
# Some end only the last one's connection wrongly: so that one leaves as well.
AFTERWARDS = talk("dave", "alice", "carol", times=2)
AT_LAST = talk("carol", "alice", times=2)

CASES = (
    Case(
        "departures.fin",
        "The server closes its side, too",
        "When a client has ended its side (FIN), the server closes the connection.",
        given=ROOM,
        steps=(half_close("alice"), see_the_end("alice")),
        hint='recv returns b"" when a client has left. End the loop then, and close the socket in a finally.',
        lesson=f"{BY_HAND}, {GOODBYES}",
    ),
    Case(
        "departures.idle",
        "A client that sends no more costs nothing",
        "When a client has ended its side (FIN) and still reads, the server uses no processor time for it.",
        given=ROOM,
        steps=(half_close("alice"), idle()),
        hint=f'When a client sends no more, recv returns b"" at once, each time: end the loop then. {POLLS}',
        lesson=f"{BY_HAND}, {GOODBYES}",
        needs=frozenset({Need.USAGE}),
        deadline=30.0,
    ),
    Case(
        "departures.closed",
        "A client that has left costs nothing",
        "When a client has left, politely (FIN) or not (RST), the server uses no processor time for it.",
        given=ROOM,
        # One after the other: a send that fails for the second may end what spins for the first.
        steps=(leave("alice"), idle(), reset("bob"), idle()),
        hint=f'recv from one that has left returns b"" or raises, each time: end the loop then. {POLLS}',
        lesson=f"{BY_HAND}, {GOODBYES}",
        needs=frozenset({Need.USAGE}),
        deadline=30.0,
    ),
    Case(
        "departures.others",
        "A client that leaves is forgotten",
        "When a client has left politely, all others still hear each other.",
        given=FOUR,
        steps=(leave("bob"), AFTERWARDS, leave("dave"), AT_LAST),
        hint="Take a client out of the list when it leaves, and walk a copy: a loop over a list that shrinks"
        " skips one. A send that fails must not stop the speaker.",
        chance=True,
        lesson=BY_HAND,
    ),
    Case(
        "departures.reset",
        "A client that vanishes is forgotten",
        "When a client's program has crashed (RST), all others still hear each other.",
        given=FOUR,
        steps=(reset("bob"), AFTERWARDS, reset("dave"), AT_LAST),
        hint="recv and send raise ConnectionResetError or BrokenPipeError: catch OSError, drop that client.",
        chance=True,
        lesson=f"{BY_HAND}, {GOODBYES}",
    ),
    Case(
        "departures.broadcast",
        "A client vanishes in the middle of a broadcast",
        "When a client vanishes (RST) while lines are being sent to it, all others get theirs.",
        given=(join("alice", "napper", "sleeper", "bob"), talk("alice", "napper", "sleeper", "bob")),
        steps=(flood_and_reset("alice", "bob", 6), talk("alice", "bob", times=2)),
        hint="A send to a client that has gone raises an error: catch it inside the loop over the clients.",
        chance=True,
        lesson=BY_HAND,
        deadline=15.0,
    ),
    Case(
        "departures.meanwhile",
        "Clients come and go while others talk",
        "While clients come and go, every line still reaches all that stay.",
        given=(*FOUR, leave("dave"), talk("alice", "bob", "carol", times=2)),
        steps=(talk_meanwhile("alice", "bob", "carol"),),
        hint="A thread must not walk a list or set while another changes it: walk a copy, made under a lock.",
        lesson=f"{BY_HAND}, 08 Shared state",
        dialects=GROUP,
        chance=True,
        deadline=20.0,
    ),
    Case(
        "departures.half",
        "A last line still counts",
        "The last line of a client that ends its side at once still arrives.",
        given=ROOM,
        steps=(say_last_line("alice"),),
        hint='Deliver what has come before you act on b"", and close the socket afterwards.',
        lesson=GOODBYES,
    ),
    Case(
        "departures.many",
        "200 clients come and go",
        "When 200 clients have come and gone, the server has let go of their threads and descriptors.",
        given=(join("alice", "bob"), talk("alice", "bob")),
        steps=(come_and_go("alice"), talk("alice", "bob")),
        hint="Close each socket in a finally, and let the thread that served it end.",
        chance=True,
        crowded=True,
        lesson=f"{BY_HAND}, {GOODBYES}",
        needs=frozenset({Need.USAGE}),
        deadline=25.0,
    ),
)
