"""The checker: how it gets to know a server, and what it makes of good ones and of bad ones."""

import contextlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from checked import RELAY, Deaf, judge, script
from faults import POSIX, SOON, eventually

import chatlib
from chatlib.checker import check as checking
from chatlib.checker.case import Outcome
from chatlib.checker.harness.dialect import DIALECTS
from chatlib.checker.specimens.forgets_to_remove import ForgetsToRemove
from chatlib.checker.specimens.threads import Client as ThreadsClient
from chatlib.checker.steps import flood
from chatlib.checker.targets.resolve import target_of


def test_a_server_that_is_running_already_is_checked_and_left_running() -> None:
    """What would need to start it again is skipped, and says so."""
    with chatlib.running(chatlib.RawThreadServer, service=chatlib.Broadcast()) as server:
        report = chatlib.check(server, cases=["delivery", "lifecycle", "departures.many"])
        assert report.passed
        assert len(report.of(Outcome.SKIPPED)) == 5
        assert "its memory, threads and descriptors must be visible" in report.of(Outcome.SKIPPED)[0].reason
        assert eventually(lambda: not server.clients)  # those of the check are still leaving
        with chatlib.connect(server) as a, chatlib.connect(server) as b:
            assert eventually(lambda: len(server.clients) == 2)
            a.send("still here")
            assert b.receive(SOON) == "still here"


@pytest.mark.parametrize(
    ("dialect", "service"),
    [("lines", chatlib.Broadcast), ("shout", chatlib.Shout), ("budget-chat", chatlib.Chat)],
)
def test_the_dialect_is_found_by_talking(dialect: str, service: type[chatlib.Service]) -> None:
    """Three services, three dialects."""
    report = chatlib.check(
        lambda address: chatlib.ThreadingServer(address, service()),
        "auto",
        cases=["delivery.reach", "delivery.answer"],
    )
    assert (report.dialect.name, report.asked, report.passed) == (dialect, "auto", True)


def test_a_server_without_framing_is_found_to_be_raw_and_fails_as_lines(tmp_path: Path) -> None:
    """As raw it promises no lines; as lines it is held to them."""
    path = script(tmp_path, RELAY)
    assert chatlib.check(path, "auto", cases=["delivery.reach"]).dialect.name == "raw"
    report = chatlib.check(path, "lines", cases=["delivery", "framing"])
    assert set(report.failed) == {"framing.split", "framing.joined", "framing.letter"}


@pytest.mark.parametrize(("prompt", "echo"), [("Name: ", True), ("", False)])
def test_names_and_echoes_are_found_out(tmp_path: Path, prompt: str, echo: bool) -> None:
    """With and without a question for the name; the sender hears itself or does not."""
    text = RELAY.replace(
        "    try:\n        while data := client.recv(1024):\n",
        f"    client.sendall({prompt.encode()!r})\n"
        "    name = client.recv(100).strip()\n    clients.append(client)\n"
        "    try:\n        while data := client.recv(1024):\n            data = name + b': ' + data\n",
    ).replace("    clients.append(client)\n    threading", "    threading")
    text = text.replace("if other is not client", "if True") if echo else text
    report = chatlib.check(script(tmp_path, text), "auto", cases=["delivery.reach", "delivery.sender"])
    assert report.passed, str(report)
    assert (report.dialect.name_first, report.dialect.prefix, report.dialect.echo) == (True, True, echo)


def test_who_confuses_two_that_come_together_is_understood_all_the_same(tmp_path: Path) -> None:
    """A thread that looks up whom it serves only a moment later: found to be raw, as it is."""
    confused = RELAY.replace(
        "def serve(client):\n", "def serve(_):\n    time.sleep(0.02)\n    client = clients[-1]\n"
    )
    path = script(tmp_path, confused.replace("import socket, sys", "import socket, sys, time"))
    assert chatlib.check(path, "auto", cases=["delivery.reach"]).dialect.name == "raw"


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
def test_that_asyncio_never_rests_without_descriptors_is_not_held_against_a_server(tmp_path: Path) -> None:
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
    report = chatlib.check(script(tmp_path, relay), "raw", cases=["lifecycle.descriptors"])
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
