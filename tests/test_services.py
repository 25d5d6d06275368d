"""What is said: Shout, Broadcast and Chat, by the real servers and to real clients."""

import pytest
from conftest import Connect, Dial, Serve
from faults import SOON, read_exactly, read_to_the_end

import chatlib
from chatlib import Broadcast, Chat, Client, Disconnected, Member, Server, Service, Shout

Model = type[Server]

GREETING = "Welcome! What is your name?"


class Ear:
    """A member that keeps what it is told: a service needs no network.

    Args:
        name: What the journal calls it.
    """

    def __init__(self, name: str) -> None:
        self.name, self.heard, self.finished = name, b"", ""
        self.address = "127.0.0.1"

    def post(self, data: bytes) -> None:
        self.heard += data

    def finish(self, why: str) -> None:
        self.finished = why

    abort = finish


@pytest.fixture
def room(serve: Serve, several: Model) -> Server:
    """A chat, by every server that serves several at once."""
    return serve(several, service=Chat())


def enter(connect: Connect, room: Server, name: str) -> tuple[Client, str]:
    """Connects and says a name; returns the client and the list of the members."""
    client = connect(room, name)
    assert client.receive(SOON) == GREETING
    client.send(name)
    return client, client.receive(SOON)


# All services


@pytest.mark.parametrize("service", [Shout, Broadcast, Chat])
def test_members_and_journal_follow_joining_and_leaving(service: type[Service]) -> None:
    """Coming, speaking and leaving are noted, in order; in the end no member is left."""
    talk, ear = service(), Ear("client 1")
    talk.joined(ear)
    assert list(talk.members) == [ear]
    talk.heard(ear, ["alice"])
    talk.left(ear, "why")
    assert not talk.members
    noted = [(entry.what, entry.text) for entry in talk.journal if entry.what != "named"]
    assert noted == [("came", ""), ("said", "alice"), ("left", "why")]


@pytest.mark.parametrize("service", [Shout, Broadcast, Chat])
def test_a_chunk_without_a_line_says_nothing(service: type[Service]) -> None:
    """Half a line reaches no client."""
    talk, alice, bob = service(), Ear("client 1"), Ear("client 2")
    talk.joined(alice)
    talk.joined(bob)
    before = (alice.heard, bob.heard)
    talk.heard(alice, [])
    assert (alice.heard, bob.heard) == before


def test_leaving_without_having_come_is_harmless() -> None:
    """A member whose coming failed may still be said to have left."""
    for service in (Shout(), Broadcast(), Chat()):
        service.left(Ear("client 1"))
        assert [entry.what for entry in service.journal] == ["left"]


def test_a_service_of_ones_own_overrides_what_it_needs(
    serve: Serve, several: Model, connect: Connect
) -> None:
    """The base service says nothing; `welcome`, `answer` and `farewell` are there to be overridden."""

    class Doorman(Service):
        def welcome(self, member: Member) -> None:
            member.post(b"come in\n")

    server = serve(several, service=Doorman())
    alice = connect(server)
    assert alice.receive(SOON) == "come in"
    alice.send("hello?")
    assert server.service.journal.wait_for("said", timeout=SOON)
    alice.half_close()
    with pytest.raises(Disconnected):
        alice.receive(SOON)


# Shout and Broadcast


def test_shout_answers_the_sender_alone() -> None:
    """Each line comes back in upper case, and to no other client."""
    shout, alice, bob = Shout(), Ear("client 1"), Ear("client 2")
    shout.joined(alice)
    shout.joined(bob)
    shout.heard(alice, ["one", "straße", ""])
    assert (alice.heard.decode(), bob.heard) == ("ONE\nSTRASSE\n\n", b"")


def test_broadcast_tells_all_others() -> None:
    """Each line goes to all but its sender, as it came; not to members that have left or come later."""
    broadcast, ears = Broadcast(), [Ear(f"client {number}") for number in range(4)]
    for ear in ears[:3]:
        broadcast.joined(ear)
    broadcast.left(ears[2])
    broadcast.heard(ears[0], ["One", "two "])
    broadcast.joined(ears[3])
    assert [ear.heard for ear in ears] == [b"", b"One\ntwo \n", b"", b""]


# Chat: Protohackers, problem 3


def test_a_conversation_as_the_problem_shows_it(room: Server, connect: Connect) -> None:
    """Greeting, room list, presence, `[name] text` to the others only, and departures."""
    bob, here = enter(connect, room, "bob")
    assert here == "* The room contains: "
    charlie, here = enter(connect, room, "charlie")
    assert here == "* The room contains: bob"
    assert bob.receive(SOON) == "* charlie has entered the room"
    dave, here = enter(connect, room, "dave")
    assert here == "* The room contains: bob, charlie"
    alice, here = enter(connect, room, "alice")
    assert here == "* The room contains: bob, charlie, dave"
    alice.send("Hello everyone")
    assert bob.receive(SOON) == "* dave has entered the room"
    assert (
        bob.receive(SOON) == charlie.receive(SOON).replace("dave", "alice") == "* alice has entered the room"
    )
    assert bob.receive(SOON) == "[alice] Hello everyone"
    dave.close()
    assert bob.receive(SOON) == "* dave has left the room"
    alice.send("still here")
    assert bob.receive(SOON) == "[alice] still here"
    bob.send("so am I")
    assert alice.receive(SOON) == "* dave has left the room"
    assert alice.receive(SOON) == "[bob] so am I"  # and not what she said herself


@pytest.mark.parametrize(
    "name", ["", " ", "two words", "a-b", "zoë", "x" * 33, "\0", "名"], ids=["empty", *map(ascii, range(7))]
)
def test_an_illegal_name_is_refused(room: Server, connect: Connect, name: str) -> None:
    """The client is told why, and disconnected; the room does not notice."""
    alice, _ = enter(connect, room, "alice")
    mallory = connect(room)
    assert mallory.receive(SOON) == GREETING
    mallory.send(name)
    assert mallory.receive(SOON) == "* a name has 1 to 32 letters and digits"
    with pytest.raises(Disconnected):
        mallory.receive(SOON)
    _bob, here = enter(connect, room, "bob")
    assert here == "* The room contains: alice"
    assert alice.receive(SOON) == "* bob has entered the room"


@pytest.mark.parametrize("name", ["a", "x" * 32, "Bob42", "7"])
def test_a_legal_name_is_accepted(room: Server, connect: Connect, name: str) -> None:
    """1 to 32 letters and digits, of either case."""
    _, here = enter(connect, room, name)
    assert here == "* The room contains: "


def test_a_name_that_is_taken_is_refused(room: Server, connect: Connect) -> None:
    """Two of the same name cannot be told apart; once the first has left, it is free again."""
    alice, _ = enter(connect, room, "alice")
    other = connect(room)
    other.send("alice")
    assert [other.receive(SOON), other.receive(SOON)] == [GREETING, "* this name is taken"]
    with pytest.raises(Disconnected):
        other.receive(SOON)
    bob, _ = enter(connect, room, "bob")
    assert alice.receive(SOON) == "* bob has entered the room"
    alice.close()
    assert bob.receive(SOON) == "* alice has left the room"
    _, here = enter(connect, room, "alice")
    assert here == "* The room contains: bob"


def test_a_client_that_leaves_before_naming_itself_is_not_announced(room: Server, connect: Connect) -> None:
    """Neither coming nor leaving is announced."""
    alice, _ = enter(connect, room, "alice")
    with connect(room) as nobody:
        assert nobody.receive(SOON) == GREETING
    assert room.service.journal.wait_for("left", "client 2", timeout=SOON)
    _, here = enter(connect, room, "bob")
    assert here == "* The room contains: alice"
    assert alice.receive(SOON) == "* bob has entered the room"


def test_a_client_without_a_name_hears_nothing(room: Server, connect: Connect) -> None:
    """Presence and talk are for those in the room."""
    outside = connect(room)
    assert outside.receive(SOON) == GREETING
    alice, _ = enter(connect, room, "alice")
    bob, _ = enter(connect, room, "bob")
    bob.send("hello")
    assert [alice.receive(SOON), alice.receive(SOON)] == ["* bob has entered the room", "[bob] hello"]
    outside.send("carol")
    assert outside.receive(SOON) == "* The room contains: alice, bob"


def test_name_and_lines_in_one_segment(room: Server, connect: Connect, plug: Dial) -> None:
    """The first line is the name, the others are said, in order."""
    alice, _ = enter(connect, room, "alice")
    bob = plug(room)
    bob.sendall(b"bob\r\nhello\r\nworld\nhalf")
    heard = [alice.receive(SOON) for _ in range(3)]
    assert heard == ["* bob has entered the room", "[bob] hello", "[bob] world"]
    bob.sendall(b" a line\n")
    assert alice.receive(SOON) == "[bob] half a line"


def test_lines_after_an_illegal_name_are_not_said(room: Server, connect: Connect, plug: Dial) -> None:
    """A client that was refused is not heard any more."""
    alice, _ = enter(connect, room, "alice")
    mallory = plug(room)
    mallory.sendall(b"not a name\nmallory\nhello\n")
    answer = read_to_the_end(mallory).decode().splitlines()
    assert answer == [GREETING, "* a name has 1 to 32 letters and digits"]
    _, here = enter(connect, room, "bob")
    assert here == "* The room contains: alice"
    assert alice.receive(SOON) == "* bob has entered the room"


def test_a_reset_is_announced_like_any_leaving(room: Server, connect: Connect) -> None:
    """Those that stay hear of it, however the client left."""
    alice, _ = enter(connect, room, "alice")
    bob, _ = enter(connect, room, "bob")
    assert alice.receive(SOON) == "* bob has entered the room"
    bob.reset()
    assert alice.receive(SOON) == "* bob has left the room"


def test_names_are_in_the_journal(room: Server, connect: Connect) -> None:
    """Which client goes by which name can be looked up."""
    enter(connect, room, "alice")
    assert [(entry.who, entry.text) for entry in room.service.journal.find("named")] == [
        ("client 1", "alice")
    ]


def test_chat_one_at_a_time(serve: Serve, connect: Connect) -> None:
    """The synchronous server keeps the protocol, too: one is alone in the room each time."""
    server = serve(chatlib.SyncServer, service=Chat())
    for name in ("alice", "bob"):
        client, here = enter(connect, server, name)
        assert here == "* The room contains: "
        client.close()


def test_long_lines_and_names_of_many(room: Server, plug: Dial) -> None:
    """At least 1,000 characters can be said, and at least ten can be in the room."""
    members = []
    for number in range(12):
        member = plug(room)
        member.sendall(b"m%d\n" % number)
        names = b", ".join(b"m%d" % other for other in range(number))
        expected = GREETING.encode() + b"\n* The room contains: " + names + b"\n"
        assert read_exactly(member, len(expected)) == expected
        members.append(member)
    members[-1].sendall(b"x" * 1000 + b"\n")
    expected = b"[m11] " + b"x" * 1000 + b"\n"
    assert read_exactly(members[-2], len(b"* m11 has entered the room\n") + len(expected)).endswith(expected)


def test_a_service_that_forgets_to_set_itself_up_is_named_at_once() -> None:
    """`super().__init__()` forgotten: the likeliest mistake; the server says so, and not its first client."""

    class Counter(chatlib.Shout):
        def __init__(self) -> None:
            self.count = 0

    with pytest.raises(TypeError, match=r"Counter.__init__ does not call super\(\).__init__\(\)"):
        chatlib.SyncServer(service=Counter())
