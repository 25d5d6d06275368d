"""A room for a class: who gets in, who does not, and that the others never notice."""

import contextlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest
from faults import LINUX, SOON, eventually, read_to_the_end, server_threads
from two_hosts import NotHere, another_host

import chatlib
from chatlib import Classroom, Disconnected
from chatlib.classroom.ballot import Ballot
from chatlib.classroom.names import typed
from chatlib.classroom.room import JOIN_WITHIN, Room
from chatlib.classroom.seat import BURST, TOO_MANY
from chatlib.door import Door
from chatlib.services import THE_ROOM_CONTAINS

CODE = "K7M4QX"
HERE = "127.0.0.1"


class Ear:
    """A client without a network: it keeps what it is told.

    Args:
        address: The host that it connects from.
    """

    def __init__(self, address: str = HERE) -> None:
        self.name, self.address, self.heard, self.ended = f"client at {address}", address, b"", ""

    def post(self, data: bytes) -> None:
        self.heard += data

    def finish(self, why: str) -> None:
        self.ended = why

    abort = finish

    @property
    def lines(self) -> list[str]:
        return self.heard.decode().splitlines()


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def come(room: Room, line: str, address: str = HERE) -> Ear:
    """Has a client come and say a first line."""
    ear = Ear(address)
    room.joined(ear)
    room.heard(ear, [line])
    return ear


@pytest.fixture
def classroom() -> Iterator[Classroom]:
    """A room with a code, on this computer."""
    with Classroom("Networks", code=CODE) as classroom:
        yield classroom


def enter(classroom: Classroom, name: str) -> chatlib.Client:
    """Comes in with the right code."""
    return chatlib.connect(classroom.address, name, SOON, CODE)


# Coming in


@pytest.mark.parametrize("model", ["threading", "raw-threads", "selectors", "asyncio"])
def test_those_who_know_the_code_talk(model: str) -> None:
    """Every server that serves several at once can serve a class."""
    with (
        Classroom("Networks", code=CODE, model=model) as classroom,
        enter(classroom, "alice") as alice,
        enter(classroom, "bob") as bob,
    ):
        assert alice.receive(SOON) == "* bob has entered the room"
        bob.send("hello")
        assert alice.receive(SOON) == "[bob] hello"


def test_a_wrong_code_is_refused_and_is_in_no_log(classroom: Classroom) -> None:
    """Neither the right one nor the one that was tried is noted, nor the name; the client hears why."""
    with pytest.raises(Disconnected, match="that is not the code"):
        chatlib.connect(classroom.address, "mallory", SOON, "K7M4QY")
    [entry] = classroom.room.journal.find("refused")
    assert HERE in entry.text
    enter(classroom, "alice").close()
    assert not re.search("K7M4Q|mallory", str(classroom.room.journal))


def test_a_room_without_a_code_asks_for_a_name_only() -> None:
    """On this computer alone, that is the default."""
    with Classroom() as classroom:
        assert (classroom.code, classroom.poster.host, classroom.is_exposed) == ("", HERE, False)
        with chatlib.connect(classroom.address, "alice", SOON, code="") as alice:
            assert [present.name for present in classroom.room.who()] == ["alice"]
            assert alice.name == "alice"


def test_to_connect_to_no_room_ends_in_time() -> None:
    """A server that does not greet is no room."""
    with chatlib.running(chatlib.ThreadingServer) as server, pytest.raises(TimeoutError):
        chatlib.connect(server, "alice", 0.05, code="")


def test_other_computers_need_a_code_unless_it_is_said_that_they_do_not() -> None:
    """A code is made up, another one each time; without one, the room must be open on purpose."""
    with Classroom(host="0.0.0.0") as one, Classroom(host="0.0.0.0") as other:
        assert len({one.code, other.code, ""}) == 3
    with Classroom(host="0.0.0.0", open=True) as exposed:
        assert exposed.is_exposed
    with pytest.raises(ValueError, match="open=True"):
        Classroom(host="0.0.0.0", code="")
    with pytest.raises(ValueError, match="cannot serve a class"):
        Classroom(model="sync")


@pytest.mark.parametrize(
    "line",
    [
        f"{CODE} ",
        f"{CODE} *",
        f"{CODE} [bob]",
        f"{CODE} *alice",
        f"{CODE} Server",
        f"{CODE} teacher",
        f"{CODE} aIice",
        f"{CODE} ALICE",
        f"{CODE} {'a' * 21}",
        f"{CODE} {'a' * 900}",
        f"{CODE} bob\x1b[2J",
        f"{CODE} bo\x00b",
        f"{CODE} bob\u202e",
        f"{CODE} \u0430lice",
        CODE,
        "alice",
        f"alice {CODE}",
        "",
    ],
)
def test_a_name_that_could_deceive_is_refused(line: str) -> None:
    """One that imitates the room or a member, or steers a terminal, or is too long; or there is none."""
    room = Room(code=CODE)
    alice = come(room, f"{CODE} alice")
    before = alice.heard
    other = come(room, line or " ")
    room.heard(other, ["anybody there?"])
    assert alice.heard == before
    assert not any(text.startswith(THE_ROOM_CONTAINS) for text in other.lines)
    assert [present.name for present in room.who()] in (["alice"], ["alice", ""])


@pytest.mark.parametrize(
    "text", ["* alice has left the room", "[alice] hi", "? a vote", "\x1b[2Jboo", "\u202eevil", "a\rb"]
)
def test_what_a_member_says_cannot_pass_for_something_else(text: str) -> None:
    """Its name stands before each line, and no letter in it moves a cursor or turns the writing round."""
    room = Room(code=CODE)
    alice, bob = come(room, f"{CODE} alice"), come(room, f"{CODE} bob")
    room.heard(bob, [text])
    assert alice.lines[-1].startswith("[bob] ")
    assert alice.lines[-1].isprintable()


def test_a_join_that_was_overheard_is_of_no_use_elsewhere() -> None:
    """The name stays with its address, also when its owner has left, until the teacher releases it."""
    room, join = Room(code=CODE), f"{CODE} alice"
    alice = come(room, join, "192.168.1.7")
    assert come(room, join, "192.168.1.66").ended == "this name is taken"
    room.left(alice)
    assert "another computer" in come(room, join, "192.168.1.66").ended
    assert not come(room, join, "192.168.1.7").ended
    room = Room(code=CODE)
    room.left(come(room, join, "192.168.1.7"))
    room.release("alice")
    assert not come(room, join, "192.168.1.8").ended


def test_one_computer_cannot_have_all_names() -> None:
    """Nor as many votes: each name has one, and those that an address has had are counted."""
    room = Room(code=CODE, door=Door(per_address=4))
    here = [come(room, f"{CODE} name{letter}", "192.168.1.7") for letter in "abcdefgh"]
    assert not any(ear.ended for ear in here)
    assert "has had 8 names" in come(room, f"{CODE} namei", "192.168.1.7").ended
    assert not come(room, f"{CODE} namei", "192.168.1.8").ended
    room.left(here[0])
    assert not come(room, f"{CODE} namea", "192.168.1.7").ended  # an old one is no new one


def test_a_browser_at_the_wrong_port_has_guessed_nothing() -> None:
    """It is told, and its computer has to wait for nothing."""
    room = Room(code=CODE)
    for _ in range(10):
        assert "browsers come in at the other address" in come(room, "GET / HTTP/1.1").ended
    assert not come(room, f"{CODE} alice").ended


def test_a_member_that_says_the_code_again_says_it_to_nobody() -> None:
    """Some type the first line twice. The others, and the journal, do not get it."""
    room = Room(code=CODE)
    alice, bob = come(room, f"{CODE} alice"), come(room, f"{CODE} bob")
    room.heard(bob, [f"{CODE.lower()} bob"])
    assert bob.lines[-1].startswith("* you are in already")
    assert CODE.lower() not in "".join(alice.lines).lower()
    assert CODE.lower() not in str(room.journal).lower()


def test_without_a_code_a_first_line_is_a_name_only() -> None:
    """A greeting would make its last word a name."""
    assert "say your name, and nothing else" in come(Room(), "hello everybody").ended


@pytest.mark.parametrize("code", [" X7", "X 7", "X\t7", "é"])
def test_a_code_that_nobody_could_type_is_refused(code: str) -> None:
    """At once, and not when the class is there."""
    with pytest.raises(ValueError, match="without blanks"):
        Classroom(code=code)


def test_names_that_have_left_are_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that comes under ever new names does not fill the memory; names of those here stay."""
    monkeypatch.setattr("chatlib.classroom.names.NAMES_KEPT", 3)
    room = Room()
    come(room, "alice")
    for number in range(10):
        room.left(come(room, f"n{number}"))
    assert [len(come(room, name, "10.0.0.9").ended) > 0 for name in ["n0", "n9", "alice"]] == [
        False,
        True,
        True,
    ]
    assert len(room._owners) <= 4


def test_who_does_not_say_a_name_in_time_gives_up_the_seat() -> None:
    """Or a few silent connections would keep the class out."""
    clock = Clock()
    room = Room(clock=clock)
    silent, alice = Ear(), come(room, "alice")
    room.joined(silent)
    room.sweep()
    assert not silent.ended
    clock.now = JOIN_WITHIN + 1
    room.sweep()
    assert silent.ended
    assert not alice.ended


# The door


def test_wrong_codes_shut_the_door_for_their_address_only() -> None:
    """After five the right code is refused, too, for a minute; another address comes in."""
    clock = Clock()
    room = Room(code=CODE, door=Door(clock=clock), clock=clock)
    for _ in range(5):
        come(room, "AAAAAA mallory", "192.168.1.66")
    assert "wait a minute" in come(room, f"{CODE} mallory", "192.168.1.66").ended
    assert room.door.enter("192.168.1.66")
    assert not come(room, f"{CODE} alice", "192.168.1.7").ended
    clock.now = 61
    assert not room.door.enter("192.168.1.66")
    assert not come(room, f"{CODE} mallory", "192.168.1.66").ended


def test_the_door_counts_addresses_and_all() -> None:
    """So many from one address, so many in all; one that leaves makes room."""
    door = Door(clients=3, per_address=2)
    assert [door.enter(HERE), door.enter(HERE)] == ["", ""]
    assert "2 connections already" in door.enter(HERE)
    assert not door.enter("10.0.0.1")
    assert door.enter("10.0.0.2") == "the room is full"
    door.leave(HERE)
    assert not door.enter("10.0.0.2")
    for host in (HERE, "10.0.0.1", "10.0.0.2"):
        door.leave(host)
    assert (door.inside, len(door._inside)) == (0, 0)


def test_only_private_networks_come_in() -> None:
    """By default; or those that were named. An address of both families is the IPv4 one that it means."""
    private = [HERE, "::1", "192.168.1.5", "10.1.2.3", "172.31.0.1", "169.254.0.9", "fe80::1%eth0", "fd00::1"]
    assert [Door().enter(host) for host in [*private, "::ffff:192.168.1.6"]] == [""] * 9
    for host in ["8.8.8.8", "172.32.0.1", "::ffff:8.8.8.8", "2001:db8::1", "", "no address"]:
        assert "no network" in Door().enter(host)
    one = Door(networks=[ip_network("192.168.1.0/24")])
    assert not one.enter("192.168.1.9")
    assert one.enter("192.168.2.9")


def test_wrong_codes_of_very_many_addresses_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest first: memory stays bounded."""
    monkeypatch.setattr("chatlib.door.REMEMBERED", 3)
    door = Door(attempts=1)
    for number in range(10):
        door.wrong_code(f"10.0.0.{number}")
    assert [number for number in range(10) if door.must_wait(f"10.0.0.{number}")] == [7, 8, 9]


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.exhaustive)])
def test_very_many_connections_from_one_address_harm_no_one(count: int) -> None:
    """Those who are in talk on; the rest is told why, and costs no thread."""
    with (
        Classroom(code=CODE, door=Door(per_address=2)) as classroom,
        enter(classroom, "alice") as alice,
        enter(classroom, "bob") as bob,
    ):
        assert alice.receive(SOON) == "* bob has entered the room"
        for _ in range(count):
            with socket.create_connection(classroom.server.server_address, SOON) as sock:
                assert read_to_the_end(sock).startswith(b"* 127.0.0.1 has 2 connections already")
        bob.send("still here")
        assert alice.receive(SOON) == "[bob] still here"
        assert len(classroom.room.journal.find("refused")) == count
        assert len(server_threads()) < 10
        assert classroom.room.door.inside == 2


@LINUX
def test_another_address_comes_in_while_one_attacks() -> None:
    """The limits are for each address. (All of 127.0.0.0/8 is this computer, on Linux.)"""
    with Classroom(code=CODE, door=Door(per_address=2)) as classroom:
        for _ in range(5):
            with pytest.raises(Disconnected):
                chatlib.connect(classroom.address, "mallory", SOON, "wrong")
            assert eventually(
                lambda: classroom.room.door.inside == 0
            )  # or the next is one too many, and no guess
        with pytest.raises(Disconnected, match="has to wait"):
            chatlib.connect(classroom.address, "mallory", SOON, CODE)
        where = classroom.server.server_address
        with socket.create_connection(where, SOON, source_address=("127.0.0.2", 0)) as sock:
            bob = chatlib.Client(sock, "bob")
            chatlib.client.join(bob, CODE, SOON)
            assert [present.address for present in classroom.room.who()] == ["127.0.0.2"]


@pytest.mark.parametrize("model", ["threading", "asyncio"])
def test_of_sixty_clients_twenty_vanish_at_once(model: str) -> None:
    """By a reset, in the middle of the talk: each of the forty others hears every line, once and in order."""
    with (
        Classroom(code=CODE, model=model, door=Door(per_address=60)) as classroom,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(enter(classroom, f"n{number}")) for number in range(60)]
        speaker, *others = clients[20:]
        for number in range(BURST):
            speaker.send(f"line {number}")
            if number == BURST // 2:
                for client in clients[:20]:
                    client.reset()
        for client in others:
            heard = [client.receive(SOON)]
            while heard[-1] != f"[n20] line {BURST - 1}":
                heard.append(client.receive(SOON))
            said = [line for line in heard if line.startswith("[")]
            assert said == [f"[n20] line {number}" for number in range(BURST)]
        assert eventually(lambda: len(classroom.room.who()) == 40)
        assert eventually(lambda: classroom.room.door.inside == 40)


# The pace


def test_a_client_that_floods_is_sent_out_and_the_others_get_a_paste_of_it(classroom: Classroom) -> None:
    """As many lines as a person pastes; the rest is dropped, and said so; then the end."""
    with enter(classroom, "alice") as alice, enter(classroom, "mallory") as mallory:
        assert alice.receive(SOON) == "* mallory has entered the room"
        mallory.socket.sendall(b"spam\n" * (BURST + TOO_MANY + 100))
        heard: list[str] = []
        while not heard or heard[-1] != "* mallory has left the room":
            heard.append(alice.receive(SOON))
        assert BURST <= heard.count("[mallory] spam") <= BURST + 50
        with pytest.raises(Disconnected):
            while True:
                assert re.match(r"\* (more than 5 lines|you send too fast)", mallory.receive(SOON))


def test_those_who_wait_may_go_on() -> None:
    """Five lines a second, whatever was dropped before."""
    clock = Clock()
    room = Room(clock=clock)
    alice, bob = come(room, "alice"), come(room, "bob")
    room.heard(bob, ["x"] * (BURST + 3))
    assert alice.lines.count("[bob] x") == BURST
    clock.now = 2.0
    room.heard(bob, ["y"] * 20)
    assert alice.lines.count("[bob] y") == 10


# Clients of all kinds


def test_windows_telnet_sends_each_key_also_a_backspace(classroom: Classroom) -> None:
    """Letter by letter, CR LF at the end of a line, and what was erased is gone."""
    with (
        enter(classroom, "alice") as alice,
        socket.create_connection(classroom.server.server_address) as sock,
    ):
        sock.settimeout(SOON)
        for key in f"{CODE} bib\b\bob\r\n":
            sock.send(key.encode())
        assert alice.receive(SOON) == "* bob has entered the room"
        sock.sendall(b"helo\blo\r\n")
        assert alice.receive(SOON) == "[bob] hello"
        sock.shutdown(socket.SHUT_WR)
        assert f"{THE_ROOM_CONTAINS}alice" in read_to_the_end(sock).decode()


@pytest.mark.parametrize(
    ("keys", "line"),
    [("ab\b", "a"), ("\b\bab", "ab"), ("ab\b\b\b\bc", "c"), ("a\x07", "a\\x07"), (" a ", "a")],
)
def test_what_was_typed(keys: str, line: str) -> None:
    """A backspace takes out the letter before it, if there is one."""
    assert typed(keys) == line


@pytest.mark.skipif(not shutil.which("nc"), reason="needs nc")
def test_the_two_lines_that_a_student_types(classroom: Classroom) -> None:
    """As they are printed: the command in a shell, and then the line."""
    first, second = classroom.poster.lines
    with (
        enter(classroom, "bob") as bob,
        subprocess.Popen(first.split(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as student,
    ):
        assert student.stdin and student.stdout
        print(second, file=student.stdin, flush=True)
        assert bob.receive(SOON) == "* alice has entered the room"
        classroom.room.remove("alice")
        assert bob.receive(SOON) == "* alice has left the room"
        said = [student.stdout.readline() for _ in range(3)]  # some nc wait on for the keyboard
        student.kill()
        assert said[2] == "* the teacher has sent you out\n"


# The teacher


def test_the_teacher_sees_who_is_here_and_can_mute_and_remove(classroom: Classroom) -> None:
    """One who was sent out does not come back at once; those who stay notice no more than that."""
    room = classroom.room
    with enter(classroom, "alice") as alice, enter(classroom, "bob") as bob:
        assert [(one.name, one.address, one.said) for one in room.who()] == [
            ("alice", HERE, 0),
            ("bob", HERE, 0),
        ]
        room.mute("Bob")
        bob.send("hi")
        assert bob.receive(SOON) == "* the teacher has muted you"
        assert room.who()[1].state == "muted"
        room.mute("bob", False)
        bob.send("hi")
        room.say("quiet, please")
        assert [alice.receive(SOON) for _ in range(3)][0] == "* bob has entered the room"
        room.remove("bob")
        assert bob.receive(SOON) == "* quiet, please"
        assert bob.receive(SOON) == "* the teacher has sent you out"
        with pytest.raises(Disconnected, match="has to wait"):
            enter(classroom, "bob")
        assert room.journal.wait_for("left", timeout=SOON)
        assert [one.name for one in room.who()] == ["alice"]
    with pytest.raises(ValueError, match="no 'carol' is in the room"):
        room.mute("carol")


@pytest.mark.parametrize("holding", [False, True])
def test_a_client_slowed_down_holds_up_the_others_only_with_the_lock(
    holding: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sleeper, on purpose: its thread sleeps, and beside or inside the lock makes the difference."""
    room, free = Room(), list[bool]()
    come(room, "alice")
    bob = come(room, "bob")

    def try_the_lock() -> None:
        free.append(room._lock.acquire(blocking=False))
        if free[-1]:
            room._lock.release()

    def sleep(seconds: float) -> None:
        other = threading.Thread(target=try_the_lock)
        other.start()
        other.join(SOON)

    monkeypatch.setattr(time, "sleep", sleep)
    room.slow("bob", 1.0, holding)
    room.heard(bob, ["hi"])
    assert free == [not holding]
    room.slow("bob", 0)
    room.heard(bob, ["hi"])
    assert len(free) == 1
    with pytest.raises(ValueError, match="0 to 2 seconds"):
        room.slow("bob", 60)


# A vote


def test_a_vote_counts_the_last_answer_of_each_and_keeps_it_from_the_others() -> None:
    """While it is open a number is an answer; a newcomer gets the question; then it is a line again."""
    room = Room()
    alice, bob = come(room, "alice"), come(room, "bob")
    changes: list[int] = []
    ballot = room.ask("What?", ["this", "that"], lambda: changes.append(1))
    assert alice.lines[-3:] == ["? What?", "?1 this", "?2 that"]
    carol = come(room, "carol")
    assert carol.lines[-3:] == ["? What?", "?1 this", "?2 that"]
    before = alice.lines
    for ear, line in [(bob, "1"), (bob, "2"), (carol, "2")]:
        room.heard(ear, [line])
    assert (alice.lines, ballot.counts, ballot.total) == (before, {"this": 0, "that": 2}, 2)
    assert len(changes) == 3
    room.heard(bob, ["3"])
    assert alice.lines[-1] == "[bob] 3"
    room.close_vote()
    room.heard(bob, ["1"])
    assert alice.lines[-2:] == ["?.", "[bob] 1"]
    assert ballot.counts["that"] == 2


def test_a_vote_is_kept_without_names_unless_they_are_asked_for() -> None:
    """As CSV that a spreadsheet reads."""
    ballot = Ballot("Who, now?", ["a", "b"])
    assert ballot.cast("alice", "1")
    assert not any(ballot.cast("bob", line) for line in ["0", "3", "", "one", "9" * 5000, "\u00b2"])
    assert ballot.csv() == 'question,choice,votes\n"Who, now?",a,1\n"Who, now?",b,0\n'
    assert ballot.csv(names=True) == 'question,name,choice\n"Who, now?",alice,a\n'
    assert ballot.bars == ["█" * 20 + " 1", "0"]


def test_a_prediction_is_put_to_the_class_and_set_beside_what_is_measured(classroom: Classroom) -> None:
    """Counted at once; seen as bars when the teacher says so; ended by what is measured."""
    with enter(classroom, "alice") as alice, enter(classroom, "bob") as bob:
        assert alice.receive(SOON) == "* bob has entered the room"
        guess = chatlib.predict("What?", ["this", "that"], room=classroom)
        assert [bob.receive(SOON) for _ in range(3)] == ["? What?", "?1 this", "?2 that"]
        bob.send("2")
        assert bob.receive(SOON) == "* your answer is 2"
        assert "class so far: 1" in guess.told
        assert (guess.marks, "that: 1" in classroom._projected()) == (["", ""], False)
        guess.show_votes()
        assert guess.marks == ["0", "█" * 20 + " 1"]
        assert "that: 1" in classroom._projected()
        guess.choose("this")
        assert repr(guess.measured("that")).startswith("You said: this\nMeasured: that")
        assert guess.marks == ["you said, 0", "measured, " + "█" * 20 + " 1"]
        assert classroom._projected().count('class="measured"') == 1
        bob.send("1")
        assert [bob.receive(SOON)] == ["?."]
        assert guess.votes and guess.votes.csv().endswith("What?,that,1\n")
    with pytest.raises(ValueError, match="no class was asked"):
        chatlib.predict("What?", ["this", "that"]).show_votes()


def test_a_vote_that_is_counted_and_one_that_ends_never_wait_for_each_other() -> None:
    """An answer comes in, in another thread, while the vote is ended: no deadlock between the two locks."""
    room = Room()
    guess, alice = chatlib.predict("What?", ["this", "that"], room=room), come(room, "alice")
    close_vote = room.close_vote

    def answer_meanwhile(measured: str = "") -> None:
        answering = threading.Thread(target=lambda: room.heard(alice, ["1"]), daemon=True)
        answering.start()
        answering.join(SOON)
        assert not answering.is_alive()
        close_vote(measured)

    room.close_vote = answer_meanwhile  # type: ignore[method-assign]
    guess.measured("this")
    assert guess.votes and guess.votes.total == 1


# The command


def test_the_command_prints_how_to_come_in_and_who_does(capfd: Any) -> None:
    """On standard output what the class needs; on standard error who comes, goes, or is refused."""
    command = [sys.executable, "-u", "-m", "chatlib", "class", "--name", "Networks", "--port", "0"]
    command += ["--host", HERE, "--per-address", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout and program.stderr
        try:
            assert program.stdout.readline() == "Networks\n"
            [address] = [
                line.split()[1] for line in (program.stdout.readline() for _ in range(2)) if line.strip()
            ]
            with chatlib.connect(address, "alice", SOON, code=""):
                assert program.stderr.readline() == "client 1 named (alice)\n"
                with pytest.raises(Disconnected):
                    chatlib.connect(address, "bob", SOON, code="")
                assert "refused (127.0.0.1 has 1 connections already)" in program.stderr.readline()
        finally:
            program.terminate()
        assert program.wait(SOON) == 0 or sys.platform == "win32"


WITHOUT_THE_KIT = """
import socket, sys
with socket.create_connection(sys.argv[1].split(":"), 60) as sock:
    sock.sendall(f"{sys.argv[2]} olga\\r\\nhello from an old computer\\r\\n".encode())
    for line in sock.makefile(encoding="utf-8"):
        print(line, end="", flush=True)
        if line.startswith("[nina]"):
            break
"""
WITH_THE_KIT = """
import chatlib, sys
with chatlib.connect(sys.argv[1], "nina", 60, sys.argv[2]) as nina:
    print("in", flush=True)
    print(nina.receive(60))
    print(nina.receive(60))
    nina.send("welcome")
"""


def test_two_computers_one_of_them_without_this_kit() -> None:
    """A room on one; a client with the kit there; on the other a client with a plain socket. They talk."""
    with contextlib.ExitStack() as programs:
        try:
            host = programs.enter_context(another_host())
        except NotHere as reason:
            pytest.skip(str(reason))

        def run(where: list[str], *arguments: str) -> Any:
            command = [*where, sys.executable, *arguments]
            program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            programs.enter_context(program)
            programs.callback(program.terminate)
            return program

        room = run([], "-u", "-m", "chatlib", "class", "--host", host.here, "--port", "0")
        lines = [room.stdout.readline() for _ in range(4)]
        address, code = (line.split()[1] for line in lines[2:])
        assert (address.split(":")[0], len(code)) == (host.here, 6)
        nina = run([], "-c", WITH_THE_KIT, address, code)
        assert nina.stdout.readline() == "in\n"
        olga = run(host.command, "-I", "-S", "-c", WITHOUT_THE_KIT, address, code)
        assert nina.stdout.readline() == "* olga has entered the room\n"
        assert nina.stdout.readline() == "[olga] hello from an old computer\n"
        heard = olga.stdout.read().splitlines()
        assert heard == [
            "Welcome to the room! Say the code and your name, like: CODE alice",
            f"{THE_ROOM_CONTAINS}nina",
            "[nina] welcome",
        ]
