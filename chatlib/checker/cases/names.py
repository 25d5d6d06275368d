"""Names, in the public Budget Chat protocol: Protohackers, problem 3."""

from collections.abc import Callable
from dataclasses import dataclass

from chatlib.checker.case import Case
from chatlib.checker.errors import Broken
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.dialect import show
from chatlib.checker.harness.session import Stage
from chatlib.checker.steps.basic import Join, Talk, listed
from chatlib.checker.steps.joining import acquaint, admit

LESSON = "14 Capstone"
RACE = "08 Shared state"

TWINS = 25
"""How often two clients say the same name at the same moment."""


def notices(heard: bytes) -> list[bytes]:
    """Returns the lines in which the server itself says something: they begin with a star."""
    return [line for line in heard.split(b"\n") if line.startswith(b"*")]


def marks(peers: list[Peer]) -> dict[Peer, int]:
    """Returns how many bytes each client has heard."""
    return {peer: len(peer.heard) for peer in peers}


def greeted(stage: Stage, name: str) -> Peer:
    """Connects a client. Waits for the question for its name, and goes on without one."""
    peer = stage.connect(name)
    stage.wait(lambda: b"\n" in peer.heard or peer.end)
    return peer


@dataclass(frozen=True)
class Greeted:
    """Whoever connects is asked for a name."""

    who: str

    def __str__(self) -> str:
        return f"{self.who} connects, and says nothing yet"

    def run(self, stage: Stage) -> None:
        peer = greeted(stage, self.who)
        if not (b"\n" in peer.heard or peer.end):
            expected = f"{self.who} receives a line that asks for a name"
            raise Broken(expected, stage.fate(peer, peer.since(0)), certain=bool(peer.heard))


@dataclass(frozen=True)
class RoomList:
    """Whoever comes in is told who is there, and is not in that list."""

    who: str
    present: str

    def __str__(self) -> str:
        return f"{self.who} joins, while {listed(self.present)} are there"

    def run(self, stage: Stage) -> None:
        peer = greeted(stage, self.who)
        mark = len(peer.heard)
        stage.send(peer, peer.nick.encode() + b"\n")
        stage.wait(lambda: b"\n" in peer.heard[mark:] or peer.end)
        line = peer.since(mark).partition(b"\n")[0]
        nicks = [stage.peers[name].nick for name in self.present.split()]
        expected = f'{self.who} receives a line that begins with "*" and names {" and ".join(nicks)}'
        if not line.startswith(b"*") or not all(nick.encode() in line for nick in nicks):
            raise Broken(expected, stage.fate(peer, line), certain=bool(line))
        if peer.nick.encode() in line:
            raise Broken(f"{expected}, but not {peer.nick}", stage.fate(peer, line))
        acquaint(stage, [*self.present.split(), self.who])


@dataclass(frozen=True)
class Presence:
    """The others are told that somebody comes and goes; that client itself is not."""

    who: str
    others: str

    def __str__(self) -> str:
        return f"{self.who} joins and leaves, joins again and vanishes"

    def run(self, stage: Stage) -> None:
        for leave in (stage.room.leave, stage.room.reset):  # the second time, its name is free again
            self._visit(stage, leave)

    def _visit(self, stage: Stage, leave: Callable[[Peer], None]) -> None:
        others = [stage.peers[name] for name in self.others.split()]
        before = marks(others)
        peer = admit(stage, self.who)
        for other in others:
            self._told(stage, peer, other, before[other], "has come")
        if any(peer.nick.encode() in line for line in notices(peer.since(0))):
            raise Broken(f"{self.who} is not told of its own coming", stage.fate(peer, peer.since(0)))
        before = marks(others)
        leave(stage.peers.pop(self.who))
        for other in others:
            self._told(stage, peer, other, before[other], "has left")

    def _told(self, stage: Stage, peer: Peer, other: Peer, mark: int, what: str) -> None:
        def whole() -> bytes:
            return other.since(mark).rpartition(b"\n")[0]

        def told() -> bool:
            return any(peer.nick.encode() in line for line in notices(whole()))

        if not stage.wait(lambda: told() or other.end):
            expected = f'{other.name} receives a line like "* {peer.nick} {what}"'
            raise Broken(expected, stage.fate(other, whole()), certain=bool(whole() or other.end))


@dataclass(frozen=True)
class Refused:
    """A name is refused: its client sees the end, and the others hear nothing of it."""

    who: str
    name: bytes
    words: str

    def __str__(self) -> str:
        return f"{self.who} says {self.words} as its name"

    def run(self, stage: Stage) -> None:
        others = stage.present()
        peer = greeted(stage, self.who)
        before = marks(others)
        text = self._intrude(stage, peer, self.name.replace(b"%", others[0].nick.encode()))
        stage.must_hear(others[0], others[1:], stage.say(others[0]))
        stage.peers.pop(self.who)
        if hearer := stage.silent(others, text):
            actual = f"{self.who} was let in: {hearer.name} received {show(hearer.since(before[hearer]))}"
            raise Broken(f"{self.who} is refused", actual)
        if not stage.wait(lambda: peer.end):
            actual = stage.silence(f"the connection of {self.who} stayed open")
            raise Broken(f"{self.who} is told why, and sees the end of its connection", actual, certain=False)
        for other in others:
            if told := notices(other.since(before[other])):
                expected = f"{other.name} hears nothing of {self.who}, who was never in the room"
                raise Broken(expected, f"{other.name} received {show(told[0])}")

    def _intrude(self, stage: Stage, peer: Peer, name: bytes) -> bytes:
        """Says the name, and then a line, which is returned: whoever was let in would be heard."""
        mark = len(peer.heard)
        stage.room.send(peer, name + b"\n", stage.pace.patience)
        stage.wait(lambda: b"\n" in peer.heard[mark:] or peer.end)
        text = stage.text("intruder")
        stage.room.send(peer, text + b"\n", stage.pace.patience)
        return text


@dataclass(frozen=True)
class Twins:
    """Two clients say the same name at the same moment, again and again: one of them is refused."""

    def __str__(self) -> str:
        return f"two clients say the same name at the same moment, {TWINS} times"

    def run(self, stage: Stage) -> None:
        for number in range(TWINS):
            self._race(stage, f"twin{number}x{stage.number}".encode())

    def _race(self, stage: Stage, name: bytes) -> None:
        witness = stage.present()[0]
        pair = {stage.connect("one"): stage.text("twin"), stage.connect("two"): stage.text("twin")}
        stage.wait(lambda: all(peer.heard or peer.end for peer in pair))
        before = marks(list(pair))
        for peer in pair:
            stage.room.send(peer, name + b"\n", stage.pace.patience)
        stage.wait(lambda: all(len(peer.heard) > before[peer] or peer.end for peer in pair))
        for peer, text in pair.items():
            stage.room.send(peer, text + b"\n", stage.pace.patience)
        stage.wait(lambda: all(stage.hears(witness, text) or peer.end for peer, text in pair.items()))
        if all(stage.hears(witness, text) for text in pair.values()):
            expected = f"only one client is called {name.decode()}"
            raise Broken(expected, f"two are: {witness.name} received a line of each")
        for who in ("one", "two"):
            stage.room.leave(stage.peers.pop(who))


@dataclass(frozen=True)
class Unnamed:
    """Somebody connects and says no name: it hears nothing, and nobody hears of it."""

    who: str
    speaker: str

    def __str__(self) -> str:
        return f"{self.who} connects and says no name; {self.speaker} says a line; {self.who} leaves"

    def run(self, stage: Stage) -> None:
        peer, speaker = greeted(stage, self.who), stage.peers[self.speaker]
        stage.peers.pop(self.who)
        others = stage.present()
        before = marks(others)
        text = stage.say(speaker)
        stage.must_hear(speaker, stage.listeners(speaker), text)
        if stage.silent([peer], text):
            expected = f"{self.who} hears nobody before it has said a name"
            raise Broken(expected, stage.fate(peer, peer.since(0)))
        stage.room.leave(peer)
        stage.must_hear(speaker, stage.listeners(speaker), stage.say(speaker))
        stage.pause(stage.pace.quiet)
        for other in others:
            if told := notices(other.since(before[other])):
                raise Broken(f"{other.name} is told nothing of {self.who}", f"it received {show(told[0])}")


BUDGET = ("budget-chat",)
ROOM = (Join("alice bob"), Talk("alice bob"))

CASES = (
    Case(
        "names.greeting",
        "A greeting asks for a name",
        "A client that connects receives a line that asks for its name.",
        steps=(Greeted("alice"),),
        hint="Send the question as soon as a client connects, and end it with a newline.",
        lesson=LESSON,
        dialects=BUDGET,
    ),
    Case(
        "names.list",
        "A newcomer is told who is there",
        'A client that has said its name receives a line that begins with "*" and names all the others.',
        given=ROOM,
        steps=(RoomList("carol", "alice bob"),),
        hint="Send the list before you add the newcomer to it.",
        lesson=LESSON,
        dialects=BUDGET,
    ),
    Case(
        "names.presence",
        "The others are told who comes and goes",
        'When a client comes or goes, all others receive a line that begins with "*" and has its name.',
        given=ROOM,
        steps=(Presence("carol", "alice bob"), Talk("alice bob")),
        hint="Tell the others, not the newcomer itself; and tell them in whatever way a client leaves.",
        lesson=LESSON,
        dialects=BUDGET,
    ),
    Case(
        "names.illegal",
        "An illegal name is refused",
        "A name with anything but letters and digits is refused, and its client's connection is closed.",
        given=ROOM,
        steps=(
            Refused("mallory", b"no good!", "no good!"),
            Refused("mallory", b"a_b", "a_b"),
            Talk("alice bob"),
        ),
        hint="name.isascii() and name.isalnum() says whether it is legal. If not, tell the client; close.",
        lesson=LESSON,
        dialects=BUDGET,
    ),
    Case(
        "names.empty",
        "An empty name is refused",
        "A name has at least one letter or digit.",
        given=ROOM,
        steps=(Refused("mallory", b"", "an empty line"), Talk("alice bob")),
        hint='"".isalnum() is False.',
        lesson=LESSON,
        dialects=BUDGET,
    ),
    Case(
        "names.taken",
        "A name that is taken is refused",
        "No two clients in the room have the same name.",
        given=ROOM,
        steps=(Refused("mallory", b"%", "the name of somebody in the room"), Talk("alice bob")),
        hint="Look whether the name is in the list before you add it.",
        lesson=RACE,
        dialects=BUDGET,
    ),
    Case(
        "names.race",
        "Two cannot take a name at once",
        "Of two clients that say the same name at the same moment, one is refused.",
        given=(*ROOM, Refused("mallory", b"%", "the name of somebody in the room")),
        steps=(Twins(), Talk("alice bob")),
        hint="Between looking for a name and adding it, another thread may add it: hold one lock for both.",
        lesson=RACE,
        dialects=BUDGET,
    ),
    Case(
        "names.unnamed",
        "A client without a name is not in the room",
        "A client that has not said its name hears nobody, and nobody is told of it.",
        given=ROOM,
        steps=(Unnamed("mallory", "alice"), Talk("alice bob")),
        hint="Add a client to the list only when it has said its name. Announce only those in it.",
        lesson=LESSON,
        dialects=BUDGET,
    ),
)
