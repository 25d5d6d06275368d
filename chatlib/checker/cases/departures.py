"""Departures: clients leave, politely or not, and the others must not pay for it."""

from dataclasses import dataclass

from chatlib.checker.case import Case
from chatlib.checker.errors import Broken, Unjudged
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.dialect import show
from chatlib.checker.harness.session import Stage
from chatlib.checker.steps.basic import HalfClose, Idle, Join, Leave, Reset, SeesTheEnd, Talk, farewell
from chatlib.checker.steps.flood import Flood
from chatlib.checker.steps.joining import newcomers
from chatlib.checker.targets.target import Need

GOODBYES = "07 Goodbyes"
BY_HAND = "05 Group chat by hand"

VISITORS = 200

AT_ONCE = 40
"""How many of them are there at the same time."""

KEPT = 32
"""Threads or descriptors that may be left of all visitors: a pool may keep some, a leak keeps them all."""


@dataclass(frozen=True)
class LastLine:
    """Somebody says a line and ends its side at once. The line still arrives."""

    who: str

    def __str__(self) -> str:
        return f"{self.who} says a last line, and at once sends no more (FIN)"

    def run(self, stage: Stage) -> None:
        speaker = stage.peers[self.who]
        text = stage.say(speaker)
        stage.room.half_close(speaker)
        listeners = stage.listeners(speaker)
        stage.wait(lambda: stage.settled(listeners, text))
        for listener in listeners:
            if not stage.hears(listener, text):
                expected = f"{listener.name} hears {show(stage.dialect.spoken(text))}"
                raise Broken(expected, stage.fate(listener), certain=bool(listener.end))


@dataclass(frozen=True)
class ComeAndGo:
    """Many clients come, say a line and leave; nothing of them is kept."""

    witness: str

    def __str__(self) -> str:
        return f"{VISITORS} clients come, say a line and leave again"

    def run(self, stage: Stage) -> None:
        gauge = stage.gauge()
        # What the server makes once, on the first occasion, does not count.
        closes = farewell(stage, *self._visitors(stage, range(1)))
        before = gauge.threads(), gauge.descriptors()
        for first in range(0, VISITORS, AT_ONCE):
            visitors = self._visitors(stage, range(first, first + AT_ONCE))
            for visitor in visitors:  # nobody speaks meanwhile: to be spoken to wakes many a thread
                closes = closes and farewell(stage, visitor)
                stage.room.leave(visitor)
            if first == 0:  # a pool has all its threads by now, and uses them again; a leak goes on
                stage.pause(4 * stage.pace.quiet)
                before = gauge.threads(), before[1]

        def kept() -> tuple[int, int]:
            return gauge.threads() - before[0], gauge.descriptors() - before[1]

        if not stage.wait(lambda: max(kept()) <= KEPT, 2 * stage.pace.patience):
            threads, descriptors = kept()
            left = [f"{threads} threads"] if threads > KEPT else []
            left += [f"{descriptors} descriptors (open sockets)"] if descriptors > KEPT else []
            actual = f"{' and '.join(left)} more than before were still there"
            raise Broken("its threads and descriptors return to where they were", actual, certain=False)

    def _visitors(self, stage: Stage, numbers: range) -> list[Peer]:
        witness = stage.peers[self.witness]
        try:
            visitors = newcomers(stage, [f"guest{number}" for number in numbers], lambda: [witness])
        except Broken as broken:
            if numbers.start > 0:
                raise
            reason = f"a client that comes after another has left is not served: {broken.actual}"
            raise Unjudged(reason, blocked=True, certain=broken.certain) from None
        for peer in (witness, *visitors):
            peer.heard.clear()
        return visitors


ROOM = (Join("alice bob carol"), Talk("alice bob carol"))
FOUR = (Join("alice bob carol dave"), Talk("alice bob carol dave"))

# If the leaver is taken out of a list that is being walked, the one behind it misses the first line:
# so another one speaks first. Where nobody catches an error, it is the second line that does not arrive.
AFTERWARDS = (Talk("dave carol alice", 2),)

CASES = (
    Case(
        "departures.fin",
        "The server closes its side, too",
        "When a client has ended its side (FIN), the server closes the connection.",
        given=ROOM,
        steps=(HalfClose("alice"), SeesTheEnd("alice")),
        hint='recv returns b"" when a client has left. End the loop then, and close the socket in a finally.',
        lesson=f"{BY_HAND}, {GOODBYES}",
    ),
    Case(
        "departures.idle",
        "A client that has left costs nothing",
        "When a client has left, the server uses no processor time for it.",
        given=ROOM,
        steps=(HalfClose("alice"), Idle(), Reset("bob"), Idle()),
        hint='When a client has left, recv returns b"" at once, again and again: a loop must end then.',
        lesson=BY_HAND,
        needs=frozenset({Need.GAUGE}),
    ),
    Case(
        "departures.others",
        "Who leaves is forgotten",
        "When a client has left politely, all others still hear each other.",
        given=FOUR,
        steps=(Leave("bob"), *AFTERWARDS),
        hint="Take a client out of the list when it leaves. A send that fails must not stop the speaker.",
        lesson=BY_HAND,
    ),
    Case(
        "departures.reset",
        "Who vanishes is forgotten",
        "When a client's program has crashed (RST), all others still hear each other.",
        given=FOUR,
        steps=(Reset("bob"), *AFTERWARDS),
        hint="recv and send raise ConnectionResetError or BrokenPipeError: catch OSError, drop that client.",
        lesson=f"{BY_HAND}, {GOODBYES}",
    ),
    Case(
        "departures.broadcast",
        "A client vanishes in the middle of a broadcast",
        "When a client vanishes (RST) while lines are being sent to it, all others get theirs.",
        given=(Join("alice bob napper sleeper"), Talk("alice bob napper sleeper")),
        steps=(Flood("alice", "bob", 6, resets=True), Talk("alice bob", 2)),
        hint="A send to a client that has gone raises an error: catch it inside the loop over the clients.",
        lesson=BY_HAND,
        deadline=15.0,
    ),
    Case(
        "departures.half",
        "A last line still counts",
        "The last line of a client that ends its side at once still arrives.",
        given=ROOM,
        steps=(LastLine("alice"),),
        hint='Deliver what has come before you act on b"", and close the socket afterwards.',
        lesson=GOODBYES,
    ),
    Case(
        "departures.many",
        "200 clients come and go",
        "When 200 clients have come and gone, the server has let go of their threads and descriptors.",
        given=(Join("alice bob"), Talk("alice bob")),
        steps=(ComeAndGo("alice"), Talk("alice bob")),
        hint="Close each socket in a finally, and let the thread that served it end.",
        lesson=f"{BY_HAND}, {GOODBYES}",
        needs=frozenset({Need.GAUGE}),
        deadline=25.0,
    ),
)
