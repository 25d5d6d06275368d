"""Names, in the public Budget Chat protocol: Protohackers, problem 3."""

from chatlib.checker.case import Case, step
from chatlib.checker.errors import Broken
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.dialect import show
from chatlib.checker.harness.session import Session
from chatlib.checker.steps.basic import join, talk
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


def greeted(session: Session, name: str) -> Peer:
    """Connects a client. Waits for the question for its name, and goes on without one."""
    peer = session.connect(name)
    session.wait(lambda: b"\n" in peer.heard or peer.end)
    return peer


@step("{who} connects, and says nothing yet")
def connect_and_wait(session: Session, who: str) -> None:
    """A client that connects is asked for a name."""
    peer = greeted(session, who)
    if not (b"\n" in peer.heard or peer.end):
        expected = f"{who} receives a line that asks for a name"
        raise Broken(expected, session.fate(peer, peer.since(0)), certain=bool(peer.heard))


@step("{who} joins, while {present} are there")
def expect_list(session: Session, who: str, *present: str) -> None:
    """A client that comes in is told which others are there, and is not in that list."""
    peer = greeted(session, who)
    mark = len(peer.heard)
    session.send(peer, peer.nick.encode() + b"\n")
    session.wait(lambda: b"\n" in peer.heard[mark:] or peer.end)
    line = peer.since(mark).partition(b"\n")[0]
    nicks = [session.peers[name].nick for name in present]
    expected = f'{who} receives a line that begins with "*" and names {" and ".join(nicks)}'
    if not line.startswith(b"*") or not all(nick.encode() in line for nick in nicks):
        raise Broken(expected, session.fate(peer, line), certain=bool(line))
    if peer.nick.encode() in line:
        raise Broken(f"{expected}, but not {peer.nick}", session.fate(peer, line))
    acquaint(session, who, *present)


@step("{who} joins and leaves, joins again and vanishes")
def expect_presence(session: Session, who: str, *others: str) -> None:
    """The others are told that a client comes and goes; that client itself is not."""
    witnesses = [session.peers[name] for name in others]
    clients = session.clients
    # The second time, its name is free again. A server that confuses it with the newest says another name.
    for leave, newest in ((clients.leave, "dave"), (clients.reset, "erin")):
        peer = _come(session, who, witnesses)
        if any(peer.nick.encode() in line for line in notices(peer.since(0))):
            raise Broken(f"{who} is not told of its own coming", session.fate(peer, peer.since(0)))
        _come(session, newest, witnesses)
        before = marks(witnesses)
        leave(session.peers.pop(who))
        for other in witnesses:
            _told(session, peer, other, before[other], "has left")


def _come(session: Session, who: str, witnesses: list[Peer]) -> Peer:
    before = marks(witnesses)
    peer = admit(session, who)
    for other in witnesses:
        _told(session, peer, other, before[other], "has come")
    return peer


def _told(session: Session, peer: Peer, other: Peer, mark: int, what: str) -> None:
    def whole() -> bytes:
        return other.since(mark).rpartition(b"\n")[0]

    def told() -> bool:
        return any(peer.nick.encode() in line for line in notices(whole()))

    if not session.wait(lambda: told() or other.end):
        expected = f'{other.name} receives a line like "* {peer.nick} {what}"'
        raise Broken(expected, session.fate(other, whole()), certain=bool(whole() or other.end))


@step("{who} says {words} as its name")
def expect_refusal(session: Session, who: str, name: bytes, words: str) -> None:
    """A name is refused: its client sees the end, and the others hear nothing of it."""
    others = session.present()
    peer = greeted(session, who)
    before = marks(others)
    text = _intrude(session, peer, name.replace(b"%", others[0].nick.encode()))
    session.must_hear(others[0], others[1:], session.say(others[0]))
    session.peers.pop(who)
    if hearer := session.silent(others, text):
        actual = f"{who} was let in: {hearer.name} received {show(hearer.since(before[hearer]))}"
        raise Broken(f"{who} is refused", actual)
    if not session.wait(lambda: peer.end):
        actual = session.silence(f"the connection of {who} stayed open")
        raise Broken(f"{who} is told why, and sees the end of its connection", actual, certain=False)
    for other in others:
        if told := notices(other.since(before[other])):
            expected = f"{other.name} hears nothing of {who}, who was never in the room"
            raise Broken(expected, f"{other.name} received {show(told[0])}")


def _intrude(session: Session, peer: Peer, name: bytes) -> bytes:
    """Says the name, and then a line, which is returned: a client that was let in would be heard."""
    mark = len(peer.heard)
    session.clients.send(peer, name + b"\n", session.timeouts.patience)
    session.wait(lambda: b"\n" in peer.heard[mark:] or peer.end)
    text = session.text("intruder")
    session.clients.send(peer, text + b"\n", session.timeouts.patience)
    return text


@step(f"two clients say the same name at the same moment, {TWINS} times")
def race_for_a_name(session: Session) -> None:
    """Two clients say the same name at the same moment, again and again: one of them is refused."""
    for number in range(TWINS):
        _race(session, f"twin{number}x{session.number}".encode())


def _race(session: Session, name: bytes) -> None:
    witness = session.present()[0]
    pair = {session.connect("one"): session.text("twin"), session.connect("two"): session.text("twin")}
    session.wait(lambda: all(peer.heard or peer.end for peer in pair))
    before = marks(list(pair))
    for peer in pair:
        session.clients.send(peer, name + b"\n", session.timeouts.patience)
    session.wait(lambda: all(len(peer.heard) > before[peer] or peer.end for peer in pair))
    for peer, text in pair.items():
        session.clients.send(peer, text + b"\n", session.timeouts.patience)
    session.wait(lambda: all(session.hears(witness, text) or peer.end for peer, text in pair.items()))
    if all(session.hears(witness, text) for text in pair.values()):
        expected = f"only one client is called {name.decode()}"
        raise Broken(expected, f"two are: {witness.name} received a line of each")
    for who in ("one", "two"):
        session.clients.leave(session.peers.pop(who))


@step("{who} connects and says no name; {speaker} says a line; {who} leaves")
def stay_unnamed(session: Session, who: str, speaker: str) -> None:
    """A client connects and says no name: it hears nothing, and the others hear nothing of it."""
    peer, talker = greeted(session, who), session.peers[speaker]
    session.peers.pop(who)
    others = session.present()
    before = marks(others)
    text = session.say(talker)
    session.must_hear(talker, session.listeners(talker), text)
    if session.silent([peer], text):
        expected = f"{who} hears nobody before it has said a name"
        raise Broken(expected, session.fate(peer, peer.since(0)))
    session.clients.leave(peer)
    session.must_hear(talker, session.listeners(talker), session.say(talker))
    session.pause(session.timeouts.quiet)
    for other in others:
        if told := notices(other.since(before[other])):
            raise Broken(f"{other.name} is told nothing of {who}", f"it received {show(told[0])}")


BUDGET = ("budget-chat",)
ROOM = (join("alice", "bob"), talk("alice", "bob"))

CASES = (
    Case(
        "names.greeting",
        "A greeting asks for a name",
        "A client that connects receives a line that asks for its name.",
        steps=(connect_and_wait("alice"),),
        hint="Send the question as soon as a client connects, and end it with a newline.",
        lesson=LESSON,
        dialects=BUDGET,
    ),
    Case(
        "names.list",
        "A newcomer is told who is there",
        'A client that has said its name receives a line that begins with "*" and names all the others.',
        given=ROOM,
        steps=(expect_list("carol", "alice", "bob"),),
        hint="Send the list before you add the newcomer to it.",
        lesson=LESSON,
        dialects=BUDGET,
    ),
    Case(
        "names.presence",
        "The others are told who comes and goes",
        'When a client comes or goes, all others receive a line that begins with "*" and has its name.',
        given=ROOM,
        steps=(expect_presence("carol", "alice", "bob"), talk("alice", "bob")),
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
            expect_refusal("mallory", b"no good!", "no good!"),
            expect_refusal("mallory", b"a_b", "a_b"),
            talk("alice", "bob"),
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
        steps=(expect_refusal("mallory", b"", "an empty line"), talk("alice", "bob")),
        hint='"".isalnum() is False.',
        lesson=LESSON,
        dialects=BUDGET,
    ),
    Case(
        "names.taken",
        "A name that is taken is refused",
        "No two clients in the room have the same name.",
        given=ROOM,
        steps=(expect_refusal("mallory", b"%", "the name of a client in the room"), talk("alice", "bob")),
        hint="Look whether the name is in the list before you add it.",
        lesson=RACE,
        dialects=BUDGET,
    ),
    Case(
        "names.race",
        "Two cannot take a name at once",
        "Of two clients that say the same name at the same moment, one is refused.",
        given=(*ROOM, expect_refusal("mallory", b"%", "the name of a client in the room")),
        steps=(race_for_a_name(), talk("alice", "bob")),
        hint="Between looking for a name and adding it, another thread may add it: hold one lock for both.",
        lesson=RACE,
        dialects=BUDGET,
    ),
    Case(
        "names.unnamed",
        "A client without a name is not in the room",
        "A client that has not said its name hears nobody, and nobody is told of it.",
        given=ROOM,
        steps=(stay_unnamed("mallory", "alice"), talk("alice", "bob")),
        hint="Add a client to the list only when it has said its name. Announce only those in it.",
        lesson=LESSON,
        dialects=BUDGET,
    ),
)
