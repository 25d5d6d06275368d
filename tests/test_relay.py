"""One room on several servers: what reaches whom, what a fault costs, and what a client is told."""

import contextlib
import os
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import relay_faults
from conftest import Connect, Dial, Serve
from faults import LINUX, POSIX, SOON, eventually, read_to_the_end
from relay_faults import EXPECTED, Count, Person, Redis, alone
from two_hosts import NotHere

import chatlib
from chatlib.cli import main
from chatlib.relay import Cable, SharedChat, SharedRoom, redis_server, redis_stream, relay, rooms
from chatlib.relay.chat import GONE_AFTER
from chatlib.relay.redis_stream import START, Log, Position, Said
from chatlib.sockets import LOOPBACK

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    """One for the whole file."""
    started = Redis()
    yield started
    started.close()


@pytest.fixture
def place(redis: Redis, request: pytest.FixtureRequest) -> tuple[str, str]:
    """Where Redis is, and a room that no other test has."""
    return redis.url, request.node.name


@pytest.fixture(autouse=True)
def _all_have_left() -> Iterator[None]:
    """After each test, before its servers stop."""
    yield
    relay_faults.hang_up_all()


@pytest.fixture
def open_log(place: tuple[str, str]) -> Iterator[Callable[[], Log]]:
    """Opens the log of the room of a test."""
    with contextlib.ExitStack() as stack:

        def open_one() -> Log:
            opened = Log(*place)
            stack.callback(opened.disconnect)
            return opened

        yield open_one


@pytest.fixture
def pair(serve: Serve, place: tuple[str, str]) -> list[chatlib.Server]:
    """Two servers that share a room."""
    return [serve(model, service=SharedRoom(*place)) for model in relay_faults.TWO]


def hears(client: chatlib.Client, count: int) -> list[str]:
    """Returns so many lines."""
    return [client.receive(SOON) for _ in range(count)]


def here(server: chatlib.Server, count: int = 1) -> None:
    """Waits until so many clients have come."""
    assert server.service.journal.wait_for("came", count=count, timeout=SOON)


# Who hears what


@pytest.mark.parametrize("name", chatlib.MODELS)
def test_a_line_reaches_a_client_of_another_server(
    name: str, serve: Serve, connect: Connect, place: tuple[str, str]
) -> None:
    """And comes from there, whatever both servers wait in: also a process for each client."""
    if name == "forking":
        pytest.importorskip("fcntl", reason="this system cannot fork")
    one, two = (serve(chatlib.MODELS[each], service=SharedRoom(*place)) for each in (name, "threading"))
    alice, bob = connect(one), connect(two)
    here(one)
    here(two)
    alice.send("hello")
    assert bob.receive(SOON) == "hello"
    bob.send("hello yourself")
    assert alice.receive(SOON) == "hello yourself"


def test_all_servers_show_the_same_order(pair: list[chatlib.Server]) -> None:
    """Also of lines that were said at the same moment at two servers; and none hears its own but by wish."""
    people = [Person(server, f"person{number}") for number, server in enumerate(pair * 2)]
    for _ in range(20):
        for person in people:
            person.say(1)
    for person in people:
        assert person.listen(lambda person=person: len(person.heard) == 80)  # type: ignore[misc]
    assert all(person.heard == people[0].heard for person in people)
    assert all(person.positions == people[0].positions for person in people)


def test_a_plain_client_is_served_as_ever(
    pair: list[chatlib.Server], serve: Serve, connect: Connect, redis: Redis
) -> None:
    """Its own lines do not come back, no line has a position, and another room hears nothing."""
    third = serve(chatlib.ThreadingServer, service=SharedRoom(redis.url, "elsewhere"))
    elsewhere, apart = connect(third), connect(third)
    here(third, 2)
    alice, bob = connect(pair[0]), connect(pair[0])
    here(pair[0], 2)
    alice.send("one\ntwo\n\nthree")
    assert hears(bob, 4) == ["one", "two", "", "three"]
    bob.send("AFTER start")  # its first line, and a wish
    bob.send("AFTER start")  # any other is a line like others
    assert alice.receive(SOON) == "AFTER start"
    apart.send("end")
    assert elsewhere.receive(SOON) == "end"


def test_one_service_may_serve_two_servers(serve: Serve, connect: Connect, place: tuple[str, str]) -> None:
    """The relay ends when the second one has stopped."""
    service = SharedRoom(*place)
    one, two = serve(chatlib.ThreadingServer, service=service), serve(chatlib.SelectorServer, service=service)
    alice, bob, carol = connect(one), connect(two), connect(two)
    here(one, 3)
    alice.send("hello")
    assert (bob.receive(SOON), carol.receive(SOON)) == ("hello", "hello")
    chatlib.stop(one)
    bob.send("still here")
    assert carol.receive(SOON) == "still here"


def test_what_another_program_adds_is_read(
    pair: list[chatlib.Server], connect: Connect, open_log: Callable[[], Log]
) -> None:
    """With other fields, or no text, too: the reading thread goes on."""
    bob = connect(pair[0])
    here(pair[0])
    opened = open_log()
    opened._redis.xadd(opened._stream, {"what": "is this?"})
    opened._redis.xadd(opened._stream, {"by": "a script", "lines": b"\xff"})
    opened._redis.xadd(opened._stream, {"by": "a script", "lines": "hello\nall"})
    assert hears(bob, 4) == ["", "\ufffd", "hello", "all"]


# From which position


def test_a_client_goes_on_after_a_position(pair: list[chatlib.Server], connect: Connect) -> None:
    """It gets exactly what followed, at whichever server, also in the middle of what was said at once."""
    alice = Person(pair[0], "alice")
    alice.client.send("one\ntwo\nthree")
    assert alice.listen(lambda: len(alice.heard) == 3)
    bob = connect(pair[1])
    bob.send(f"AFTER {alice.positions[0]}")
    assert bob.receive(SOON) == f"* after {alice.positions[0]}"
    assert hears(bob, 2) == [f"{alice.positions[1]} two", f"{alice.positions[2]} three"]
    alice.say(1)
    assert bob.receive(SOON).endswith(" alice 0")
    everything = connect(pair[1])
    everything.send("AFTER start")
    assert [line.partition(" ")[2] for line in hears(everything, 5)] == [
        "after 0-0-0",
        "one",
        "two",
        "three",
        "alice 0",
    ]


def test_old_lines_and_new_ones_meet_without_a_gap(pair: list[chatlib.Server]) -> None:
    """While others talk on, a client comes back again and again: it has every line once, in order."""
    alice, bob = Person(pair[0], "alice"), Person(pair[1], "bob")
    for _ in range(30):
        alice.say(30)
        bob.client.close()
        bob.come()
        bob.listen(lambda: len(bob.heard) % 7 == 6)
    assert bob.listen(lambda: len(bob.heard) >= 900)
    assert bob.heard == alice.sent


def test_a_client_gets_old_lines_as_fast_as_it_reads(
    serve: Serve, connect: Connect, place: tuple[str, str], open_log: Callable[[], Log]
) -> None:
    """Three times as much as may wait for a client: it is not cut off for that."""
    service = SharedRoom(*place)
    writing = open_log()
    for first in range(1, 3001, 500):
        writing.append(first, [Said("x", [f"{first + n} " + "z" * 1000]) for n in range(500)])
    client = connect(serve(chatlib.ThreadingServer, service=service))
    client.send("AFTER start")
    numbers = [int(line.split()[1]) for line in hears(client, 3001)[1:]]
    assert numbers == list(range(1, 3001))


def test_a_burst_after_a_pause_costs_no_reader_its_connection(connect: Connect) -> None:
    """All that waited for Redis comes at once, six times what may wait for a client: each reads as it can."""
    with relay_faults.room(*relay_faults.TWO) as (_, [cable, _], [one, two]):
        alice, bob, carol = connect(one), connect(two), Person(two, "carol")
        here(one)
        here(two, 2)
        cable.hold()
        for number in range(6000):
            alice.send(f"{number} " + "z" * 1000)
        assert eventually(lambda: len(one.service.journal.find("said")) == 6000)
        cable.mend()
        assert [int(line.split()[0]) for line in hears(bob, 6000)] == list(range(6000))
        assert carol.listen(lambda: len(carol.heard) == 6000)
        assert [int(line.split()[0]) for line in carol.heard] == list(range(6000))
        carol.client.close()
        bob.close()


def test_a_client_that_reads_too_slowly_for_the_log_is_told(
    serve: Serve,
    plug: Dial,
    open_log: Callable[[], Log],
    place: tuple[str, str],
) -> None:
    """What it has not got is gone: it is cut off, as it would never know what it has missed."""
    server = serve(chatlib.ThreadingServer, service=SharedRoom(*place))
    sleeper, awake = plug(server, receive_buffer=4096), Person(server, "awake")
    opened = open_log()
    for first in range(1, 8001, 400):  # 8 MB: more than the kernel takes for it
        opened.append(first, [Said("x", ["z" * 1000])] * 400)
        assert awake.listen(lambda first=first: len(awake.heard) == first + 399)  # type: ignore[misc]
    opened._redis.xtrim(opened._stream, maxlen=10, approximate=False)
    sleeper.settimeout(SOON)
    assert b"is not kept any more" in read_to_the_end(sleeper)[-200:]
    sleeper.close()
    assert server.service.journal.wait_for("left", timeout=SOON)
    assert server.service.journal.find("left")[0].text == rooms.TOO_LATE


def test_a_server_that_was_cut_off_for_too_long_says_so(connect: Connect) -> None:
    """A client with positions is told that some may be missing, and gets the rest; others are cut off."""
    with relay_faults.room(*relay_faults.TWO) as (redis, [_, cable], [one, two]):
        alice, bob, carol = Person(one, "alice"), Person(two, "bob"), connect(two)
        alice.say(1)
        assert bob.listen(lambda: bob.heard)
        cable.cut()
        alice.say(30)
        alone(alice, 31)
        with redis_stream.connection(redis.url) as client:
            client.xtrim("chatlib:main", maxlen=1, approximate=False)
        cable.mend()
        assert bob.listen(lambda: "alice 30" in bob.heard)
        assert bob.notices == [f"* {bob.positions[0]} is not kept any more: lines after it may be missing"]
        assert carol.receive(SOON) == "alice 0"
        assert carol.receive(SOON).endswith("is not kept any more: lines after it may be missing")
        assert two.service.journal.find("failed", "the relay")
        carol.close()


def test_all_that_are_behind_have_their_turn(pair: list[chatlib.Server], connect: Connect) -> None:
    """More than are served in a row, and with lines of which a few fill a page."""
    alice = Person(pair[0], "alice")
    for _ in range(20):
        alice.client.send("z" * 20_000)
    assert alice.listen(lambda: len(alice.heard) == 20)
    crowd = [connect(pair[1]) for _ in range(rooms.AT_ONCE + 3)]
    for client in crowd:
        client.send("AFTER start")
    for client in crowd:
        while not client.receive(SOON).startswith("* after "):
            pass  # what comes before that is to be ignored
        assert [line.partition(" ")[0] for line in hears(client, 20)] == alice.positions


def test_lines_that_are_said_at_once_are_entries_of_bounded_length() -> None:
    """Of so many letters, or of one line; and of so many lines."""
    assert [len(some) for some in rooms.pieces(["z" * 30_000] * 5, len)] == [2, 2, 1]
    assert [len(some) for some in rooms.pieces(["z" * 100_000] * 2, len)] == [1, 1]
    assert [len(some) for some in rooms.pieces(["z"] * 1200, len)] == [500, 500, 200]
    assert list(rooms.pieces([], len)) == []


def test_a_position_that_is_gone_is_told(
    pair: list[chatlib.Server],
    connect: Connect,
    open_log: Callable[[], Log],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The log is trimmed; and a client that was away for longer knows that it may have missed something."""
    monkeypatch.setattr(redis_stream, "KEPT", 100)
    alice = Person(pair[0], "alice")
    for number in range(1, 401):
        alice.client.send("again")
        assert alice.listen(lambda number=number: len(alice.heard) == number)  # type: ignore[misc]
    opened = open_log()
    assert 100 <= opened._redis.xlen(opened._stream) <= 200
    # Or the last lines, which that server still has to give, would come before what it answers.
    room: Any = pair[1].service
    assert eventually(lambda: str(room._position) == alice.positions[-1])
    bob = connect(pair[1])
    bob.send(f"AFTER {alice.positions[0]}")
    gone = alice.positions[0]
    assert hears(bob, 2) == [
        f"* after {gone}",
        f"* {gone} is not kept any more: lines after it may be missing",
    ]
    assert bob.receive(SOON).partition(" ")[0] in alice.positions[200:301]


@pytest.mark.parametrize("text", ["1-2-3", "0-0-0", "1764500000000-0-12"])
def test_a_position_is_written_as_it_is_read(text: str) -> None:
    """Three numbers, compared as numbers."""
    assert str(Position.parse(text)) == text
    assert Position.parse("9-0-0") < Position.parse("10-0-0") < Position.parse("10-0-10")


def test_what_is_no_position_is_a_line(pair: list[chatlib.Server], connect: Connect) -> None:
    """It may be meant for the others."""
    alice, bob = connect(pair[0]), connect(pair[1])
    here(pair[1])
    alice.send("AFTER all")
    assert bob.receive(SOON) == "AFTER all"
    carol = connect(pair[0])
    carol.send(f"AFTER {10**19}-0-0")  # beyond 64 bits: Redis would not answer, and nobody would catch up
    assert bob.receive(SOON) == f"AFTER {10**19}-0-0"
    with pytest.raises(ValueError, match="is not a position"):
        Position.parse("1-2")


# A chat


def named(server: chatlib.Server, name: str, connect: Connect) -> chatlib.Client:
    """Returns a client that is in the room."""
    client = connect(server)
    assert client.receive(SOON) == "Welcome! What is your name?"
    client.send(name)
    assert client.receive(SOON).startswith("* The room contains: ")
    return client


@pytest.fixture
def chats(serve: Serve, place: tuple[str, str]) -> list[chatlib.Server]:
    """Two servers that share a chat."""
    return [serve(model, service=SharedChat(*place)) for model in relay_faults.TWO]


def test_a_chat_is_one_on_all_servers(chats: list[chatlib.Server], connect: Connect) -> None:
    """Who is there, who comes, speaks, leaves; what is said together with the name is heard, too."""
    alice = named(chats[0], "alice", connect)
    bob = connect(chats[1])
    bob.send("bob\nhello")
    assert hears(bob, 2) == ["Welcome! What is your name?", "* The room contains: alice"]
    assert hears(alice, 2) == ["* bob has entered the room", "[bob] hello"]
    bob.close()
    assert alice.receive(SOON) == "* bob has left the room"
    named(chats[0], "bob", connect)  # the name is free again


def test_a_name_is_there_once_on_all_servers(chats: list[chatlib.Server], connect: Connect) -> None:
    """Of twenty that come at once, half at each server, one is let in; the others' lines are not heard."""
    carol = named(chats[0], "carol", connect)
    crowd = [connect(chats[number % 2]) for number in range(20)]
    for number, client in enumerate(crowd):
        client.send(f"alice\nI am number {number}")
    told = [hears(client, 2)[1] for client in crowd]
    assert sorted(told) == ["* The room contains: carol", *["* this name is taken"] * 19]
    one = next(number for number, line in enumerate(told) if "carol" in line)
    crowd[one].send("end")
    assert hears(carol, 3) == ["* alice has entered the room", f"[alice] I am number {one}", "[alice] end"]


def test_a_bad_name_is_refused_at_once(chats: list[chatlib.Server], connect: Connect) -> None:
    """As on a server that stands alone."""
    client = connect(chats[0])
    client.send("* admin")
    assert hears(client, 2)[1] == "* a name has 1 to 32 letters and digits"
    with pytest.raises(chatlib.Disconnected):
        client.receive(SOON)


def test_a_chatter_comes_back_to_where_it_was(
    chats: list[chatlib.Server], connect: Connect, open_log: Callable[[], Log]
) -> None:
    """First the position, then the name; at another server, too."""
    alice, bob = named(chats[0], "alice", connect), connect(chats[0])
    bob.send("AFTER now\nbob")
    welcome, _, contains, entered = hears(bob, 4)
    position, _, text = entered.partition(" ")
    assert (contains, text) == ("* The room contains: alice", "* bob has entered the room")
    bob.close()
    alice.receive(SOON), alice.receive(SOON)
    alice.send("while you were away")
    written = open_log()
    assert eventually(lambda: "while" in written.read(START)[-1].lines[0])
    back = connect(chats[1])
    back.send(f"AFTER {position}\nbob")
    told = [line.partition(" ")[2] if line[0].isdigit() else line for line in hears(back, 6)]
    assert told[3:] == [
        "* bob has left the room",
        "[alice] while you were away",
        "* bob has entered the room",
    ]


def test_the_chatters_of_a_killed_server_are_said_to_have_left(
    serve: Serve, connect: Connect, place: tuple[str, str], open_log: Callable[[], Log]
) -> None:
    """When it has given no sign of life for a while; then their names are free."""
    killed, where = relay_faults.process(place[0], "threading", service="chat", room=place[1])
    bob = connect(where)
    bob.send("bob")
    hears(bob, 2)
    service: Any = SharedChat(*place)
    alice = named(serve(chatlib.ThreadingServer, service=service), "alice", connect)
    ours, theirs = open_log(), open_log()
    ours.server = service._relay.server
    [theirs.server] = ours.beat()[0].keys() - {ours.server}
    for _ in range(2 * GONE_AFTER):  # its signs of life, and ours: they come faster than by themselves
        theirs.beat()
        service.beat(ours)
    bob.send("still here")
    assert alice.receive(SOON) == "[bob] still here"
    relay_faults.end(killed)
    for _ in range(GONE_AFTER + 1):
        service.beat(ours)
    assert alice.receive(SOON) == "* bob has left the room"
    named(serve(chatlib.AsyncioServer, service=SharedChat(*place)), "bob", connect)
    assert alice.receive(SOON) == "* bob has entered the room"


def test_a_server_that_was_thought_gone_asks_for_its_names_again(
    chats: list[chatlib.Server], connect: Connect, open_log: Callable[[], Log]
) -> None:
    """It was cut off for too long; the others are told that its clients left, and are there again."""
    alice, bob = named(chats[0], "alice", connect), named(chats[1], "bob", connect)
    service: Any = chats[1].service
    opened = open_log()
    opened.server = service._relay.server
    service.beat(opened)
    opened._redis.hdel(opened._names, "bob")
    opened.forget(opened.server)
    service.beat(opened)
    assert hears(alice, 2) == ["* bob has entered the room", "* bob has entered the room"]
    assert bob.receive(SOON).startswith("* The room contains: alice")


def test_a_name_that_could_not_be_asked_for_may_be_said_again(
    chats: list[chatlib.Server], connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While too much waits for Redis, it is refused like any line."""
    alice = connect(chats[0])
    with monkeypatch.context() as patched:
        patched.setattr(relay, "QUEUE_LIMIT", -1)
        alice.send("alice\nhello")
        assert hears(alice, 3)[1:] == ["* not accepted: alice", "* not accepted: hello"]
    alice.send("alice")
    assert alice.receive(SOON) == "* The room contains: "


# Nothing twice, nothing lost


def test_what_is_written_again_is_there_once(open_log: Callable[[], Log]) -> None:
    """After an error it is not known whether Redis has done it: the same numbers add nothing more."""
    writing, batch = open_log(), [Said("x", [f"line {number}"]) for number in range(3)]
    for written in batch[:2], batch, batch:
        writing.append(1, written)
        writing._is_certain = False  # as after an error
    assert [entry.lines for entry in writing.read(START)] == [["line 0"], ["line 1"], ["line 2"]]


def test_an_old_call_that_arrives_late_adds_nothing(open_log: Callable[[], Log]) -> None:
    """It was under way when the connection was given up, and the lines were written again by another."""
    from redis import WatchError

    writing, ghost = open_log(), open_log()
    ghost._mark = writing._mark
    pipe = ghost._redis.pipeline()
    pipe.watch(ghost._mark)
    pipe.multi()
    pipe.xadd(ghost._stream, {"by": "x", "lines": "once"})
    pipe.set(ghost._mark, 1)
    writing.append(1, [Said("x", ["once"])])
    with pytest.raises(WatchError), pipe:
        pipe.execute()
    assert [entry.lines for entry in writing.read(START)] == [["once"]]


QUICK = {"redis_killed"}
MARKS = {"disk_full": [LINUX], "redis_paused": [POSIX]}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(
            fault, marks=[*MARKS.get(name, []), *[pytest.mark.exhaustive] * (name not in QUICK)], id=name
        )
        for fault in EXPECTED
        for name in [fault.__name__]
    ],
)
def test_no_accepted_line_is_lost_or_shown_twice(fault: Callable[[], Count]) -> None:
    """Each fault of docs/reliability.md, tried and counted."""
    try:
        count = fault()
    except NotHere as reason:
        pytest.skip(str(reason))
    assert (count.lost, count.twice) == (0, 0)
    assert count.delivered == count.accepted
    if "all accepted" not in EXPECTED[fault]:
        numbers = f"{count.sent} / {count.accepted} / {count.delivered}"
        assert numbers == EXPECTED[fault].replace(",", "")


def test_the_table_of_faults_is_about_these(request: pytest.FixtureRequest) -> None:
    """Each fault stands in docs/reliability.md, with what was expected, and with nothing lost or twice."""
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    for fault, expected in EXPECTED.items():
        [row] = [line for line in text.splitlines() if line.startswith(f"| {fault.__doc__} |")]
        _, _, told, observed, lost, twice, _ = (cell.strip() for cell in row.split("|"))
        assert told == expected
        assert (observed.count("/"), lost, twice) == (2, "0", "0") or observed.startswith("not tried: ")


def test_a_cable_that_is_cut_while_it_connects_carries_nothing(
    serve: Serve, plug: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plug is pulled between a client and the server: both are told."""
    connect = socket.create_connection
    cable: Any = serve(Cable, serve(chatlib.ThreadingServer))

    def connect_meanwhile(*place: Any) -> socket.socket:
        cable.cut()
        return connect(*place)

    monkeypatch.setattr(socket, "create_connection", connect_meanwhile)
    assert read_to_the_end(plug(cable)) == b""


def test_a_cable_keeps_no_connection_that_has_ended(serve: Serve, plug: Dial) -> None:
    """However many have come and gone."""
    cable: Any = serve(Cable, serve(chatlib.ThreadingServer))
    for _ in range(20):
        with plug(cable) as client:
            client.sendall(b"hello\n")
            assert client.recv(100) == b"HELLO\n"
    assert eventually(lambda: not cable._ends)


@pytest.mark.parametrize("answer", [b":abc\r\n", b"*x\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_what_is_no_redis_is_told_and_borne(serve: Serve, answer: bytes) -> None:
    """At the start, in a sentence; and later, the relay goes on as soon as Redis is back."""

    class Other(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.request.recv(4096):
                self.request.sendall(answer)

    other = serve(socketserver.ThreadingTCPServer, LOOPBACK, Other)
    with pytest.raises(ConnectionRefusedError, match="no Redis answers"):
        SharedRoom("redis://{}:{}".format(*other.server_address))
    with relay_faults.room(chatlib.SelectorServer) as (_, [cable], [server]):
        alice, real = Person(server, "alice"), cable._to
        cable._to = other.server_address
        cable.cut()
        cable.mend()
        alice.say(3)
        assert server.service.journal.wait_for("paused", "the relay", count=2, timeout=SOON)
        cable._to = real
        cable.cut()
        cable.mend()
        alone(alice, 3)


# A slow Redis


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Cable, chatlib.Server]]:
    """A server whose Redis has stopped to answer, and for which little may wait."""
    monkeypatch.setattr(relay, "QUEUE_LIMIT", 1000)
    monkeypatch.setattr(redis_stream, "ANSWER", 1.0)
    with relay_faults.room(chatlib.SelectorServer) as (_, [cable], [server]):
        yield cable, server


def test_what_redis_cannot_take_is_not_accepted(held: tuple[Cable, chatlib.Server]) -> None:
    """The client is told which lines, the journal says why; what was accepted arrives, once."""
    cable, server = held
    journal, alice = server.service.journal, Person(server, "alice")
    cable.hold()

    def is_refused() -> bool:
        alice.say(10)  # what comes in one piece is taken or refused as a whole: so might all be
        return alice.listen(lambda: alice.notices, 0.1)

    assert eventually(is_refused)
    assert journal.wait_for("paused", "the relay", timeout=SOON)
    cable.mend()
    assert journal.wait_for("resumed", "the relay", timeout=SOON)
    assert alice.listen(lambda: len(alice.notices) + len(alice.heard) == len(alice.sent))
    refused = [notice.removeprefix("* not accepted: ") for notice in alice.notices]
    assert sorted([*refused, *alice.heard]) == sorted(alice.sent)
    assert any("lines are not accepted" in str(entry) for entry in journal.find("paused"))
    assert any(f"{len(refused)} lines were not accepted" in str(entry) for entry in journal.find("resumed"))


def test_only_the_first_waits_for_a_queue_that_does_not_move(
    held: tuple[Cable, chatlib.Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler thread waits for PATIENCE at most; a loop would spend its time there, if each line waited."""
    cable, server = held
    service: Any = server.service
    Person(server, "alice")  # so it serves
    cable.hold()
    while service._relay.offer(Said("x", ["y" * 100])):
        pass
    waits, handler = list[float | None](), threading.current_thread()
    wait_for = service._relay._changed.wait_for

    def counted(condition: Any, timeout: float | None = None) -> bool:
        if threading.current_thread() is handler:  # the thread that writes waits, too: for its next beat
            waits.append(timeout)
        return bool(wait_for(condition, timeout))

    monkeypatch.setattr(service._relay._changed, "wait_for", counted)
    for _ in range(5):
        service._relay.wait_for_room()
    assert waits == [relay.PATIENCE]


def test_a_server_stops_though_redis_is_away(redis: Redis, connect: Connect) -> None:
    """In its time; its threads end, as well."""
    with relay_faults.room(chatlib.ThreadingServer) as (own, _, [server]):
        client = connect(server)
        here(server)
        own.kill()
        client.send("said in vain")
        assert server.service.journal.wait_for("paused", "the relay", timeout=SOON)
        chatlib.stop(server)
        assert eventually(
            lambda: not [each for each in threading.enumerate() if each.name.startswith("the relay")]
        )


# What is told at the start


def test_no_redis_is_told_with_the_cure() -> None:
    """Where it was looked for, without a password, and how to start one."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(ConnectionRefusedError) as told:
        SharedRoom(f"redis://alice:secret@127.0.0.1:{port}/0")
    assert f"no Redis answers at 127.0.0.1:{port}" in str(told.value)
    assert f"redis-server --port {port} --appendonly yes" in str(told.value)
    assert "secret" not in str(told.value)


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without redis all but the relay works."""
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(NotImplementedError, match="pip install redis"):
        SharedRoom()
    monkeypatch.setitem(sys.modules, "fakeredis", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NotImplementedError, match="install redis-server, or pip install fakeredis"):
        redis_server()


def test_what_is_no_address_is_told() -> None:
    """With an example."""
    for text in ("127.0.0.1:6379", "reddis://:s3cret@127.0.0.1", "redis://:s3cret/more@127.0.0.1"):
        with pytest.raises(ValueError, match="like redis://127.0.0.1:6379") as told:
            SharedRoom(text)
        assert "s3cret" not in str(told.value)  # a password may stand in it


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--relay", "nonsense", "--service", "chat"], "is not the address of a Redis"),
        (["--relay", "redis://127.0.0.1:1"], "shout has no room to share"),
        (["--relay", "redis://127.0.0.1:1", "--service", "chat"], "no Redis answers at 127.0.0.1:1"),
    ],
)
def test_the_command_line_says_in_one_line_what_is_wrong(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And ends with 2."""
    assert main(["serve", "threading", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1 and told in printed.err


def test_a_server_of_the_command_line_shares_the_room_that_is_named(serve: Serve, redis: Redis) -> None:
    """And it ends as ever."""
    started, where = relay_faults.process(redis.url, "selectors")
    alice = Person(serve(chatlib.ThreadingServer, service=SharedRoom(redis.url)), "alice")
    bob = Person(where, "bob")
    alice.say(1)
    assert bob.listen(lambda: bob.heard == alice.sent)
    started.terminate()
    assert started.wait(SOON) == (0 if os.name == "posix" else 1)
    relay_faults.end(started)


# A Redis for a lesson


NEEDS_ONE = pytest.mark.skipif(not relay_faults.PROGRAM, reason="needs redis-server")


@pytest.mark.parametrize("real", [pytest.param(True, marks=NEEDS_ONE), False])
def test_a_lesson_has_a_redis_of_its_own(
    real: bool, serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real one if there is one, else one of Python: the same conversation; it can be stopped."""
    if not real:
        monkeypatch.setenv("PATH", "")
    own = chatlib.start(redis_server)
    assert own.kind.startswith("a real Redis" if real else "fakeredis")
    first = serve(chatlib.ThreadingServer, service=SharedRoom(own.url))
    bob = connect(first)
    here(first)
    alice = Person(serve(chatlib.AsyncioServer, service=SharedRoom(own.url)), "alice")
    alice.say(3)
    assert hears(bob, 3) == alice.sent
    alice.client.close()
    alice.come("start")
    assert alice.listen(lambda: alice.heard == alice.sent)
    chatlib.stop(own)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(own.server_address, SOON)


@pytest.mark.exhaustive
def test_the_checker_finds_nothing_in_a_shared_room(redis: Redis) -> None:
    """For plain clients it keeps the promises of a server that stands alone."""
    names = iter(range(1000))

    def server(address: tuple[str, int]) -> chatlib.Server:
        return chatlib.SelectorServer(address, SharedRoom(redis.url, f"checked {next(names)}"))

    report = chatlib.check(server, "lines", cases=["delivery", "framing.split", "departures.fin"])
    assert report.passed, report
