"""The checker: how it gets to know a server, and what it makes of good ones and of bad ones."""

import contextlib
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from checked import RELAY, Deaf, judge, script
from faults import LINUX, POSIX, SOON, eventually

import chatlib
from chatlib.checker import check as checking
from chatlib.checker import specimens
from chatlib.checker.case import Outcome, step
from chatlib.checker.errors import Broken, Unjudged
from chatlib.checker.harness.dialect import DIALECTS
from chatlib.checker.harness.session import Session
from chatlib.checker.specimens.believes_in_one_recv import BelievesInOneRecv
from chatlib.checker.specimens.forgets_to_remove import ForgetsToRemove
from chatlib.checker.specimens.threads import Client as ThreadsClient
from chatlib.checker.specimens.threads import Threads
from chatlib.checker.steps import flood
from chatlib.checker.steps.basic import LOUD, join, voice_of
from chatlib.checker.steps.traffic import Lines, line
from chatlib.checker.targets.resolve import target_of


def test_a_server_that_is_running_already_is_checked_and_left_running() -> None:
    """What would need to start it again is skipped, and says so."""
    with chatlib.running(chatlib.RawThreadServer, service=chatlib.Broadcast()) as server:
        report = chatlib.check(server, cases=["delivery", "lifecycle", "departures.many"])
        assert report.passed
        assert len(report.of(Outcome.SKIPPED)) == 5
        assert "its memory, threads and descriptors must be visible" in report.of(Outcome.SKIPPED)[0].reason
        assert eventually(lambda: not server.service.members)  # those of the check are still leaving
        with chatlib.connect(server) as a, chatlib.connect(server) as b:
            assert eventually(lambda: len(server.service.members) == 2)
            a.send("still here")
            assert b.receive(SOON) == "still here"


def test_what_is_not_seen_in_time_breaks_no_promise() -> None:
    """The time for a whole case is over: it is skipped, and says so."""
    [reach] = checking.chosen_cases(["delivery.reach"])
    target = target_of(lambda address: chatlib.RawThreadServer(address, chatlib.Broadcast()))
    [verdict] = judge(target, [replace(reach, deadline=0.0)], DIALECTS["lines"])
    assert (verdict.outcome, verdict.reason) == (
        Outcome.SKIPPED,
        "its time was over before this could be seen",
    )


def test_options_say_what_is_expected(tmp_path: Path) -> None:
    """A sender that should hear itself, and does not, is a broken promise; so is a missing prefix."""
    path = script(tmp_path, RELAY)
    report = chatlib.check(path, "lines", echo=True, prefix=True, cases=["delivery.reach", "delivery.sender"])
    assert report.failed == ("delivery.reach",)
    assert chatlib.check(path, "lines", echo=True, cases=["delivery.sender"]).failed == ("delivery.sender",)


def test_a_deaf_server_is_asked_no_further() -> None:
    """Where no line arrives, the rest is not tried: it takes no time at all."""
    report = chatlib.check(Deaf, "lines")
    reach, *others = report.verdicts
    assert report.failed == (reach.case.id,) == ("delivery.reach",)
    assert {(verdict.outcome, verdict.seconds) for verdict in others} == {(Outcome.SKIPPED, 0.0)}
    assert "before delivery.reach passes" in others[0].reason
    assert str(report).count("Another dialect? Try auto.") == 1


class Late(ForgetsToRemove):
    """What a client says arrives after the end of its connection."""

    def write(self, client: ThreadsClient) -> None:
        with contextlib.suppress(OSError):
            while data := self.owed(client):
                time.sleep(0.02)
                client.sock.sendall(data)


def test_a_line_may_arrive_after_the_connection_of_its_speaker_has_ended() -> None:
    """Which of the two is seen first is chance, and must not decide whether a case is judged."""
    [verdict] = chatlib.check(Late, "lines", cases=["departures.many"]).verdicts
    assert verdict.failure is not None, verdict.reason
    assert verdict.failure.actual == "the server closed the connection of alice"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"dialect": "latin"}, "is not a dialect"),
        ({"cases": ["nonsense"]}, "there is no case 'nonsense': the topics are delivery"),
        ({"cases": ["framing.splt"]}, r"no case 'framing.splt' \(did you mean framing.split\?\): the topics"),
        ({"cases": "delivry"}, r"no case 'delivry' \(did you mean delivery\?\): .* check --list prints all"),
        ({"dialect": "shout", "echo": True}, "leaves nothing open: echo"),
    ],
)
def test_bad_arguments_are_told_before_anything_starts(arguments: dict[str, Any], sentence: str) -> None:
    """A mistake in the call costs no time."""
    with pytest.raises(ValueError, match=sentence):
        chatlib.check(Deaf, **arguments)


@POSIX
@pytest.mark.parametrize("rest, passes", [(5.0, True), (0.0, False)])
def test_a_server_that_works_now_and_then_is_not_busy_all_the_time(
    tmp_path: Path, rest: float, passes: bool
) -> None:
    """As asyncio does when no descriptor is left: for a while each second, and longer on a slow machine."""
    at_work = f"""
import threading, time
def work():
    while True:
        end = time.thread_time() + 0.7
        while time.thread_time() < end:
            pass
        time.sleep({rest})
threading.Thread(target=work, daemon=True).start()
{RELAY}"""
    report = chatlib.check(script(tmp_path, at_work), "raw", cases=["departures.idle"])
    assert report.passed is passes, report
    assert passes or "it was busy all the time" in str(report)


@POSIX
@pytest.mark.parametrize("log", ["", "import logging; logging.basicConfig(filename='server.log')"])
def test_that_asyncio_never_rests_without_descriptors_is_not_held_against_a_server(
    tmp_path: Path, log: str
) -> None:
    """It tries again too often by itself: on a slow machine all the time, here with a shorter delay."""
    relay = """
import asyncio, sys
from asyncio import constants
constants.ACCEPT_RETRY_DELAY = 0.05
writers = set()
async def serve(reader, writer):
    writers.add(writer)
    try:
        while line := await reader.readline():
            for other in writers - {writer}:
                other.write(line)
    except OSError:
        pass
    finally:
        writers.discard(writer)
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""
    report = chatlib.check(script(tmp_path, log + relay), "raw", cases=["lifecycle.descriptors"])
    assert report.passed and not report.verdicts[0].reason, report


def test_every_case_says_what_it_wants() -> None:
    """A sentence, a hint, a lesson; steps that can be read; ids that are unique."""
    ids = [case.id for case in checking.CASES]
    assert len(set(ids)) == len(ids)
    for case in checking.CASES:
        assert case.requirement.endswith(".") and case.hint.rstrip(")").endswith((".", "?")), case.id
        assert case.lesson[:2].isdigit() and case.steps, case.id
        assert all(str(step) and "object at" not in str(step) for step in (*case.given, *case.steps)), case.id


def test_a_server_that_has_died_passes_nothing(tmp_path: Path) -> None:
    """The end of a connection is no answer if it is the end of the server."""
    dying = RELAY.replace("    finally:\n", "    finally:\n        import os; os._exit(3)\n")
    report = chatlib.check(script(tmp_path, dying), "raw", cases=["departures.fin", "departures.idle"])
    [fin, idle] = report.verdicts
    assert fin.failure is not None and "has ended, with exit code 3" in fin.failure.actual
    assert (idle.outcome, idle.blocked) == (Outcome.SKIPPED, True)
    assert report.points({"departures.fin": 1, "departures.idle": 1}) == {
        "earned": 0,
        "possible": 2,
        "unjudged": 0,
    }


def test_a_server_that_serves_nobody_else_for_one_that_sleeps_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time limit on each send is no cure: all others still wait for it, line by line."""
    monkeypatch.setattr(flood, "LONGEST", 2.5)
    buffer = "    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)\n"
    text = RELAY.replace("    clients.append", buffer + "    clients.append")
    text = text.replace("import socket", "import select, socket").replace(
        "if other is not client:", "if other is not client and select.select([], [other], [], 0.05)[1]:"
    )
    report = chatlib.check(script(tmp_path, text), "raw", cases=["slow.others"])
    assert report.failed == ("slow.others",), str(report)


BY_LINES = """
import asyncio, sys
writers = set()
async def serve(reader, writer):
    writers.add(writer)
    while True:
        try:
            line = await reader.READ
        except asyncio.IncompleteReadError:
            break
        except Exception as error:
            print(error)
            continue
        if not line:
            break
        for other in writers - {writer}:
            other.write(line)
    writers.discard(writer)
    writer.close()
async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1])) as server:
        await server.serve_forever()
asyncio.run(main())
"""
"""A chat that goes on after an error, whatever the error is."""


@pytest.mark.parametrize(
    ("read", "failed"),
    [
        ('readuntil(b"\\n")', {"framing.long", "framing.endless"}),  # the line stays: the error comes again
        ("readline()", {"framing.long"}),  # the line is dropped, and nobody is told
    ],
    ids=["readuntil", "readline"],
)
def test_a_line_that_asyncio_finds_too_long_is_refused_clearly_or_not(
    tmp_path: Path, read: str, failed: set[str]
) -> None:
    """Its limit is 65,536 bytes: what is sent is longer, and the others talk afterwards."""
    report = chatlib.check(script(tmp_path, BY_LINES.replace("READ", read)), cases=["framing"])
    assert set(report.failed) == failed, str(report)


def test_what_stands_in_a_long_line_that_was_not_said_is_shown() -> None:
    """Where it begins, and how it looks."""
    report = chatlib.check(BelievesInOneRecv, cases=["framing.long"])
    assert 'bob received its first 1,024 bytes, and then "\\n....' in str(report)


def test_a_word_before_each_line_may_be_a_megabyte() -> None:
    """What is compared is a part of it: to look for numbers in all of it takes minutes."""
    before, behind = voice_of(b"x" * 1_000_000 + b" alice: hi", b"hi")
    assert before.endswith(b"x alice: ") and behind == b"" and len(before) <= LOUD


class Door(Threads):
    """Closes the connection of whoever speaks while another client is let in, which takes a moment."""

    def __init__(self, address: Any) -> None:
        self.door = threading.Lock()
        super().__init__(address)

    def welcome(self, client: ThreadsClient) -> None:
        with self.door:
            time.sleep(0.1)
        super().welcome(client)

    def hear(self, client: ThreadsClient, line: bytes) -> None:
        if self.door.locked():
            raise ConnectionError("not now")
        super().hear(client, line)


def test_until_a_newcomer_is_served_nobody_else_speaks() -> None:
    """A fault that shows only then belongs to the case on it, and must not stop all others."""
    report = chatlib.check(Door, cases=["delivery", "departures.meanwhile"])
    assert report.failed == ("departures.meanwhile",), str(report)


class Closing(Threads):
    """Hangs up on each client at once."""

    def welcome(self, client: ThreadsClient) -> None:
        with client.sock:
            client.hang_up()


def test_nothing_is_left_over_of_a_case_that_had_no_server() -> None:
    """It does not fit the dialect; and the other one, looked at again, is no earlier case."""
    chosen = checking.chosen_cases(["delivery.private", "delivery.order"])
    unfit = next(case for case in chosen if case.id == "delivery.private")
    verdicts = judge(
        target_of(Closing), sorted(chosen, key=lambda case: case is not unfit), DIALECTS["lines"]
    )
    assert [verdict.blocked for verdict in verdicts] == [False, True]
    assert "before that, the server closed the connection of" in verdicts[1].reason
    assert "left over" not in verdicts[1].reason


@pytest.mark.parametrize("bad", [1, 2])
def test_a_gate_that_fails_is_looked_at_again(bad: int) -> None:
    """Everything depends on it: only a second failure counts."""
    made: list[Threads] = []

    class Moody(Threads):
        def hear(self, client: ThreadsClient, line: bytes) -> None:
            if 1 < len(made) <= 1 + bad:  # the very first is only started and ended
                raise ConnectionError("not today")
            super().hear(client, line)

    def make(address: Any) -> Threads:
        made.append(Moody(address))
        return made[-1]

    assert chatlib.check(make, cases=["delivery.reach"]).passed is (bad == 1)


LUCK = "the die has fallen"


@step("a die is thrown")
def throw(session: Session, faces: list[bool | None]) -> None:
    """Fails if the next face says so; of None, nothing can be said."""
    if (face := faces.pop(0)) is None:
        raise Unjudged("it stands on an edge")
    if face:
        raise Broken("luck", LUCK)


@pytest.mark.parametrize(
    ("faces", "outcome", "said"),
    [
        ([False], Outcome.PASS, ""),
        ([True, True], Outcome.FAIL, LUCK),
        ([True, False, True], Outcome.FAIL, f"in 2 of 3 runs, {LUCK}"),
        ([True, False, False], Outcome.PASS, "in 1 of 3 runs it failed: chance decides"),
        ([True, None, False], Outcome.SKIPPED, "each of 3 runs ended in another way: chance decides"),
        ([True, None, True], Outcome.FAIL, f"in 2 of 3 runs, {LUCK}"),
    ],
)
def test_where_chance_decides_that_is_said(faces: list[bool | None], outcome: Outcome, said: str) -> None:
    """One failure is looked at again; if the looks differ, the third decides, and the report says so."""
    [late] = checking.chosen_cases(["delivery.late"])
    left = list(faces)
    case = replace(late, steps=(throw(left),), given=(), chance=True)
    [verdict] = judge(target_of(Threads), [case], DIALECTS["lines"])
    assert (verdict.outcome, left) == (outcome, [])
    assert (verdict.failure.actual if verdict.failure else verdict.reason) == said


@step("it is in a hurry, or not")
def hurry(session: Session, turns: list[float]) -> None:
    """Fails if nothing is let come to rest."""
    turns.append(session.timeouts.turn)
    if not turns[-1]:
        raise Broken("a rest", "a race of our own making")


def test_where_hundreds_come_in_a_hurry_only_what_passes_counts() -> None:
    """It takes a second less; what fails so might not, if the server had come to rest between two clients."""
    [late] = checking.chosen_cases(["delivery.late"])
    turns: list[float] = []
    case = replace(late, steps=(hurry(turns),), given=(), chance=True, crowded=True)
    [verdict] = judge(target_of(Threads), [case], DIALECTS["lines"])
    assert (verdict.outcome, verdict.reason) == (Outcome.PASS, "")
    assert len(turns) == 2 and turns[0] == 0.0 < turns[1]


PROMPTS = """
import socket, sys, threading, time
def serve(client):
    with client:
        while True:
            client.sendall(b"you> ")
            if not client.recv(1024):
                time.sleep(0.001)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
"""Asks again and again, also a client that sends no more."""


def test_what_comes_instead_of_the_end_of_a_connection_is_told(tmp_path: Path) -> None:
    """A client has ended its side. What the server goes on sending is shown, and how much it is."""
    [case] = checking.chosen_cases(["departures.fin"])
    alone = replace(case, given=(join("alice"),))
    [verdict] = judge(target_of(script(tmp_path, PROMPTS)), [alone], DIALECTS["lines"])
    assert verdict.failure is not None, verdict
    assert verdict.failure.actual.startswith("it did not close its side; ")
    assert 'bytes came for alice: "you> you> ' in verdict.failure.actual


def test_one_at_a_time_is_not_judged_on_descriptors() -> None:
    """Two clients at once are a condition of that case: the fault has a case of its own."""
    [case] = checking.chosen_cases(["lifecycle.descriptors"])
    assert case.seats == 2


def test_what_a_server_says_of_its_own_is_no_part_of_a_flood() -> None:
    """An address has dots, too; those of the flood are all counted, in whatever pieces they come."""
    data = line(0, b"\n") + b"* Client (127.0.0.1, 54321) is offline\n" + line(1, b"\r\n")
    for size in (len(data), 1, 2, 11):
        seen = Lines()
        for at in range(0, len(data), size):
            seen(data[at : at + size])
        assert (seen.dots, seen.numbers, seen.told) == (2 * line(0, b"\n").count(b"."), [0, 1], 1)


class Flooded(Threads):
    """Long lines do not reach the second client."""

    def post(self, client: ThreadsClient, data: bytes) -> None:
        if len(data) < 100 or client is not self.clients[1]:
            super().post(client, data)


def test_who_hears_no_more_of_a_flood_is_named() -> None:
    """It may be the one that is to sleep later; bob has heard all."""
    report = chatlib.check(Flooded, cases=["slow.others"])
    assert report.verdicts[-1].reason == (
        "a flood fails already while everybody reads: after 0.0 MB the sleeper heard nothing more in time"
    )


@pytest.mark.parametrize(
    ("server", "outcome"), [("keeps_all_for_a_sleeper", Outcome.SKIPPED), ("threads", Outcome.PASS)]
)
def test_of_little_that_flowed_no_more_is_said_than_it_shows(server: str, outcome: Outcome) -> None:
    """Where all of it may be kept, and still be less than is allowed, the memory is not judged."""
    [memory] = checking.chosen_cases(["slow.memory"])
    little = replace(memory, steps=(flood.flood_and_measure("alice", "bob", 8, growth=12),))
    program = [sys.executable, "-m", specimens.__name__, server, "{port}", "lines"]
    [verdict] = judge(target_of(program), [little], DIALECTS["lines"])
    assert verdict.outcome is outcome, verdict
    assert outcome is Outcome.PASS or "flowed in time, and its memory grew by" in verdict.reason


TAKES_TWO = RELAY.replace(
    "        while data := client.recv(1024):\n",
    "        name, text = b'%d: ' % client.getpeername()[1], b''\n"
    "        while data := client.recv(2):\n"
    "            text += data\n"
    "            if not text.endswith(b'\\n'):\n"
    "                continue\n"
    "            data, text = name + text, b''\n",
)
FORGETS_OTHERS = RELAY.replace(
    "        clients.remove(client)\n",
    "        clients[:] = clients[:1] if client is clients[-1] else [c for c in clients if c != client]\n",
)

SHRINKS = (
    RELAY.replace("in clients[:]", "in clients")
    .replace("        clients.remove(client)\n        client.close()\n", "        pass\n")
    .replace(
        "                    other.sendall(data)\n",
        "                    try:\n"
        "                        other.sendall(data)\n"
        "                    except OSError:\n"
        "                        clients.remove(other)\n",
    )
)
FORGETS_LAST = RELAY.replace(
    "        while data := client.recv(1024):\n",
    "        while data := client.recv(1024):\n"
    "            try:\n"
    "                if not client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):\n"
    "                    break\n"
    "            except BlockingIOError:\n"
    "                pass\n",
)
SPINS = RELAY.replace("while data := client.recv(1024):", "while (data := client.recv(1024)) is not None:")
SPINS = SPINS.replace("        clients.remove(client)\n        client.close()\n", "        pass\n")


@pytest.mark.parametrize(
    ("text", "case"),
    [
        (TAKES_TWO, "framing.joined"),
        pytest.param(FORGETS_LAST, "departures.half", marks=LINUX),
        pytest.param(SPINS, "departures.closed", marks=pytest.mark.exhaustive),
        (FORGETS_OTHERS, "departures.others"),
        (SHRINKS, "departures.others"),
    ],
    ids=["takes two", "forgets last", "spins", "forgets others", "shrinks"],
)
def test_a_fault_that_depends_on_where_is_found(tmp_path: Path, text: str, case: str) -> None:
    """A line may end in the middle of a pair of bytes, or come together with the end; a thread may spin until
    another client is reset; it may be the last one that leaves; a list that shrinks may skip the speaker."""
    dialect = "lines" if case.startswith("framing") else "raw"
    report = chatlib.check(script(tmp_path, text), dialect, cases=[case])
    assert report.failed == (case,), str(report)


RETURNS = RELAY.replace(
    "        while data := client.recv(1024):\n",
    "        text = b''\n"
    "        while data := client.recv(1024):\n"
    "            data, end, text = (text + data).rpartition(b'\\r\\n')\n"
    "            if len(text) > 16_384:\n"
    "                break\n"
    "            data += end\n",
)
"""Ends lines with CR LF, and the conversation where a line is too long, as Twisted's `LineReceiver` does."""


def test_a_flood_ends_its_lines_as_the_server_wants_it(tmp_path: Path) -> None:
    """It was taken for one endless line, and all cases of slow readers were skipped."""
    [case] = checking.chosen_cases(["isolation.unread"])
    little = replace(case, steps=(flood.flood("alice", "bob", 1),))
    dialect = replace(DIALECTS["lines"], newline=b"\r\n")
    [verdict] = judge(target_of(script(tmp_path, RETURNS)), [little], dialect)
    assert verdict.outcome is Outcome.PASS, verdict


def test_a_newline_that_is_lost_is_called_so(tmp_path: Path) -> None:
    """Such a line is whole: it has not come apart. What a slow reader hears cannot be told apart."""
    text = RELAY.replace("sendall(data)", "sendall(data.replace(b'\\n', b''))")
    letter, slow = checking.chosen_cases(["framing.letter", "slow.lines"])
    little = replace(slow, steps=(flood.flood_and_wake("alice", "bob", 1),))
    framed, unjudged = judge(target_of(script(tmp_path, text)), [letter, little], DIALECTS["lines"])
    assert framed.failure is not None and framed.failure.actual.startswith("no newline came behind it: ")
    assert framed.case.hint == "Send a newline behind each line, too."
    assert unjudged.reason.endswith("see framing"), unjudged


class Ascii(chatlib.Chat):
    """Passes on nothing else."""

    says = True

    def answer(self, member: chatlib.Member, lines: list[str]) -> None:
        try:
            "".join(lines).encode("ascii")
        except UnicodeEncodeError as error:
            print(error if self.says else "no line")
        else:
            super().answer(member, lines)


class LosesLetters(Ascii):
    """Does the same for some other reason."""

    says = False


@pytest.mark.parametrize(("service", "outcome"), [(Ascii, Outcome.SKIPPED), (LosesLetters, Outcome.FAIL)])
def test_budget_chat_may_take_ascii_only(service: type[chatlib.Chat], outcome: Outcome) -> None:
    """Its specification promises no other letters; that it is for that reason, Python's error says."""
    [letter] = checking.chosen_cases(["framing.letter"])
    target = target_of(lambda address: chatlib.ThreadingServer(address, service()))
    [verdict] = judge(target, [letter], DIALECTS["budget-chat"])
    assert (verdict.outcome, verdict.blocked) == (outcome, False), verdict


class TakesAnyName(chatlib.Chat):
    """Two clients may have the same one."""

    def _problem_with(self, name: str) -> str:
        return ""


def test_that_a_list_is_left_over_is_no_guess_where_clients_can_join() -> None:
    """What else fails before the case has a cause of its own."""
    race = chatlib.check(
        lambda address: chatlib.ThreadingServer(address, TakesAnyName()),
        "budget-chat",
        cases=["names.empty", "names.race"],
    ).verdicts[-1]
    assert race.reason.startswith("before that, mallory was let in") and "left over" not in race.reason


@LINUX
@pytest.mark.exhaustive
def test_a_server_that_is_busy_with_an_endless_line_has_not_refused_it(tmp_path: Path) -> None:
    """It takes no more for a while, and would go on to keep it all."""
    busy = RELAY.replace("import", "import time,", 1).replace(
        "        while data := client.recv(1024):\n",
        "        while data := client.recv(1 << 16):\n"
        "            end = time.monotonic() + 60 * (not data.endswith(b'\\n'))\n"
        "            while time.monotonic() < end:\n"
        "                pass\n",
    )
    [endless] = checking.chosen_cases(["framing.endless"])
    [verdict] = judge(target_of(script(tmp_path, busy)), [endless], DIALECTS["lines"])
    assert verdict.outcome is Outcome.SKIPPED and "it is too slow" in verdict.reason, verdict
