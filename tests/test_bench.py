"""The benchmark: what it measures on real servers, what it catches, what it leaves behind (nothing)."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import psutil
import pytest
from conftest import Serve
from faults import environment

import chatlib
from chatlib.bench import Figures, Plan, Results, Row, baseline, contenders, measure, measurement, plot
from chatlib.bench.child import Child, python
from chatlib.bench.loadgen import connecting
from chatlib.bench.loadgen import load as loads
from chatlib.bench.loadgen.load import load
from chatlib.bench.loadgen.payload import LINE_SIZE, PERIOD, PROTOCOLS, READ_SIZE
from chatlib.bench.loadgen.receiver import Receiver
from chatlib.bench.loadgen.sender import Latencies
from chatlib.bench.records import MeasurementError, Workload
from chatlib.cli import main
from chatlib.resources import process_tree

DEADLINE = 240.0
SILENCE = 2.0
"""Seconds without a line after which a test believes that it is lost: no computer is busy enough for that."""

VICTIMS = [pytest.param(1, id="receiver"), pytest.param(3, id="watcher", marks=pytest.mark.exhaustive)]
LINUX = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux only")
SOME = Figures(2e6, 50.0, 1500.0, 0.25, 1.5, 9000.0, 0.9, 0.3)
PLAN = Plan(("selectors",), (10,), None, 64, "broadcast", 1.0)

Post = Callable[[bytes], object]


def workload_for(server: chatlib.Server, **changes: Any) -> Workload:
    """Returns a short measurement of a server in this process."""
    host, port = server.server_address[:2]
    return replace(Workload(host, port, os.getpid(), "broadcast", 4, 1, 8, 0.1), **changes)


WELL = 10
"""Lines that go well before a fault begins. On a busy computer, a hundred may be more than a whole load."""


class Spoiling(chatlib.Broadcast):
    """Does something wrong to what one of its members is sent, once some lines have gone well."""

    def __init__(self, fault: Callable[[bytes], bytes], victim: int) -> None:
        super().__init__()
        self.fault = fault
        self.victim = victim
        self.lines = 0

    def answer(self, member: chatlib.Member, lines: list[str]) -> None:
        self.lines += len(lines)
        data = chatlib.encode(lines)
        for number, other in enumerate(self.members):
            if other is not member:
                other.post(self.fault(data) if number == self.victim and self.lines > WELL else data)


def reordered(data: bytes) -> bytes:
    """Returns the lines in reverse order."""
    return b"".join(reversed(data.splitlines(keepends=True)))


FAULTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "loses": (lambda data: data[LINE_SIZE:], "lost"),
    "doubles": (lambda data: data[:LINE_SIZE] + data, "doubled"),
    "tears": (lambda data: data[:20] + data[21:], "torn"),
    "splits": (lambda data: data[:20] + b"\n" + data[20:], "torn"),
    "changes": (lambda data: data.replace(b"fox", b"fax", 1), "torn"),
    "reorders": (reordered, "out of order|lost"),
    "forges": (lambda data: b"Z" + data[1:], "not meant for it"),
}


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_server_is_caught(
    fault: str, victim: int, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens to a line, at any receiver: the measurement fails, and says where and what."""
    monkeypatch.setattr(loads, "SILENCE", SILENCE)
    spoil, word = FAULTS[fault]
    server = serve(chatlib.SelectorServer, service=Spoiling(spoil, victim))
    with pytest.raises(MeasurementError, match=f"client {victim}: .*({word})"):
        load(workload_for(server))


@pytest.mark.parametrize("victim", VICTIMS)
def test_silence_is_a_loss(victim: int, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that hears nothing any more is noticed when nothing comes for a while."""
    monkeypatch.setattr(loads, "SILENCE", SILENCE)
    server = serve(chatlib.SelectorServer, service=Spoiling(lambda data: b"", victim))
    with pytest.raises(MeasurementError, match=f"client {victim}: nothing came for .* lines are missing"):
        load(workload_for(server))


class Echoing(chatlib.Broadcast):
    """Sends each line to its sender, too, once some lines have gone well."""

    lines = 0

    def answer(self, member: chatlib.Member, lines: list[str]) -> None:
        self.lines += len(lines)
        super().answer(member, lines)
        if self.lines > WELL:
            member.post(chatlib.encode(lines))


@pytest.mark.parametrize("senders", [1, 2])
def test_a_sender_that_hears_itself_is_a_failure(senders: int, serve: Serve) -> None:
    """In `broadcast`, also if it hears others as well."""
    server = serve(chatlib.SelectorServer, service=Echoing())
    with pytest.raises(MeasurementError, match=r"client [01]: torn, or a line that was not meant for it"):
        load(workload_for(server, senders=senders))


def test_who_is_not_timed_is_read_although_the_watcher_always_has_something() -> None:
    """Or a quick server would cut it off, and rightly."""
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(end) for _ in range(50) for end in socket.socketpair()]
        for each in pairs:
            each.setblocking(False)
        (speaker, *others), clients = pairs[::2], [Receiver(*each) for each in enumerate(pairs[1::2])]
        workload = Workload("", 0, 0, "broadcast", len(clients), 1, 256, 0.0)
        work = stack.enter_context(contextlib.closing(loads.Load(workload, clients)))
        behind = []
        for _ in range(500):
            work.senders[0].fill(0.0)
            data = speaker.recv(READ_SIZE)
            assert {other.send(data) for other in others} == {256 * LINE_SIZE}
            work._turn()
            behind.append(max(clients[-1].places[0] - client.places[0] for client in clients[1:]))
    assert max(behind) * LINE_SIZE <= 8 * loads.HIGH_WATER


@pytest.fixture
def hear_nats() -> Iterator[Callable[[bytes], list[int]]]:
    """Returns what checks such bytes, sent by NATS, and says how many frames came with each read."""
    protocol, (near, far) = PROTOCOLS["nats"], socket.socketpair()
    with near, far:
        client = Receiver(1, near, protocol.ping)
        near.settimeout(DEADLINE)
        client.expect({0: protocol.incoming(0)}, len(protocol.received[0]))

        def hear(data: bytes) -> list[int]:
            far.sendall(data)
            return [count for _, count in client.hear()]

        yield hear


def test_what_a_server_asks_between_two_frames_is_passed_over(
    hear_nats: Callable[[bytes], list[int]],
) -> None:
    """Wherever it is cut; the frames around it are checked."""
    protocol = PROTOCOLS["nats"]
    first, second, *_ = protocol.incoming(0).frames
    assert hear_nats(protocol.ping) == []
    assert hear_nats(first + 2 * protocol.ping + second) == [2]
    data = protocol.incoming(0).part(2, 1) + protocol.ping + protocol.incoming(0).part(3, 1)
    assert [count for byte in data for count in hear_nats(bytes([byte]))] == [1, 1]


def test_what_a_server_asks_within_a_frame_is_a_failure(hear_nats: Callable[[bytes], list[int]]) -> None:
    """As is any other byte there."""
    protocol = PROTOCOLS["nats"]
    frame = protocol.incoming(0).frames[0]
    with pytest.raises(MeasurementError, match="client 1: .* torn"):
        hear_nats(frame[:20] + protocol.ping + frame[20:])


def test_a_receipt_that_counts_too_few_is_a_failure() -> None:
    """Redis says to a sender how many have heard each line: all but the sender, or it is an error."""
    near, far = socket.socketpair()
    with near, far:
        near.settimeout(DEADLINE)
        clients = [Receiver(number, near) for number in range(4)]
        connecting.expect(Workload("", 0, 0, "redis", clients=4, senders=1, window=8, seconds=0.1), clients)
        far.sendall(b":3\r\n")
        assert clients[0].hear() == [(0, 1)]
        far.sendall(b":2\r\n")
        with pytest.raises(MeasurementError, match="client 0: .* torn: b':2"):
            clients[0].hear()


def test_a_line_that_comes_again_at_the_end_is_caught(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than was sent is as wrong as less, even if nothing comes after it."""
    posts: list[Post] = []
    service = Spoiling(lambda data: data, 1)
    stay_quiet = loads.Load.stay_quiet

    def say_one_more(work: loads.Load) -> None:
        posts.extend(member.post for member in service.members)
        posts[1](b"the end\n".rjust(LINE_SIZE))
        server.flusher.flush()
        stay_quiet(work)

    monkeypatch.setattr(loads.Load, "stay_quiet", say_one_more)
    server = serve(chatlib.ThreadingServer, service=service)
    with pytest.raises(MeasurementError, match="client 1: "):
        load(workload_for(server))


class Muttering(chatlib.Shout):
    """Does something wrong to its answers, once some lines have gone well."""

    def __init__(self, fault: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self.fault = fault
        self.lines = 0

    def answer(self, member: chatlib.Member, lines: list[str]) -> None:
        self.lines += len(lines)
        data = chatlib.encode(line.upper() for line in lines)
        member.post(self.fault(data) if self.lines > WELL else data)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_answer_is_caught(fault: str, serve: Serve) -> None:
    """In `shout`, each client compares what comes with its own lines in upper case."""
    spoil, word = FAULTS[fault]
    if fault == "changes":  # in upper case there is another fox
        spoil = bytes.swapcase
    server = serve(chatlib.SelectorServer, service=Muttering(spoil))
    with pytest.raises(MeasurementError, match=f"client \\d: .*({word})"):
        load(workload_for(server, protocol="shout", senders=4))


def test_a_crowd_that_is_not_answered_is_a_failure(serve: Serve) -> None:
    """A server that answers nobody is not measured; it is said who waited."""
    server = serve(chatlib.SelectorServer, service=chatlib.Broadcast())
    with pytest.raises(MeasurementError, match="client 0: was not answered within"):
        crowd_within(0.3, lambda: load(workload_for(server, protocol="shout", senders=4)))


def test_a_server_that_says_other_things_for_ever_is_a_failure() -> None:
    """The answer is waited for until its time is over, and what came instead is not kept."""
    near, far = socket.socketpair()
    with ThreadPoolExecutor(1) as pool, near, far:
        far.setblocking(False)
        client = Receiver(0, near)
        waiting = pool.submit(client.wait_for, b"HELLO\n", 0.2)
        deadline = time.monotonic() + DEADLINE
        while not waiting.done():
            assert time.monotonic() < deadline
            with contextlib.suppress(BlockingIOError):
                far.send(b"hello\n" * 1000)
        with pytest.raises(TimeoutError):
            waiting.result(DEADLINE)
        assert len(client.rest) <= READ_SIZE + 6


def crowd_within(seconds: float, work: Callable[[], object]) -> None:
    """Does it with less patience for a crowd to get in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connecting, "JOIN_WITHIN", seconds)
        work()


def test_a_server_that_serves_one_at_a_time_lets_no_crowd_in(serve: Serve) -> None:
    """It is said that not all were served, and it does not take long."""
    server = serve(chatlib.SyncServer, service=chatlib.Broadcast())
    with pytest.raises(MeasurementError, match="not all of 4 clients were served"):
        crowd_within(0.3, lambda: load(workload_for(server)))


def test_a_server_that_ends_is_noticed(serve: Serve) -> None:
    """A client that is disconnected says so."""
    server = serve(chatlib.SelectorServer, service=chatlib.Broadcast(), limits=chatlib.Limits(clients=2))
    with pytest.raises(
        MeasurementError, match=r"client \d: (the server has ended|the connection broke|it cannot send)"
    ):
        load(workload_for(server))


def test_nobody_listens_is_a_failure(serve: Serve) -> None:
    """It is said which client could not connect."""
    server = serve(chatlib.SelectorServer)
    order = workload_for(server)
    chatlib.stop(server)
    with pytest.raises(MeasurementError, match="client 0 cannot connect: "):
        load(order)


@pytest.mark.parametrize("changes", [{"senders": 3}, {"window": 1}, {"protocol": "shout", "senders": 2}])
def test_a_good_server_passes(changes: dict[str, Any], several: Any, serve: Serve) -> None:
    """With several senders, whose lines mix, with one line under way, and in upper case: all is verified."""
    service = chatlib.Shout() if "protocol" in changes else chatlib.Broadcast()
    figures = load(workload_for(serve(several, service=service), **changes))
    assert figures.deliveries_per_s > 0
    assert 0 < figures.p50_us <= figures.p99_us
    assert figures.joins_per_s > 0
    assert figures.load_busy > 0


def test_the_lines_of_two_senders_are_told_apart() -> None:
    """No line of one can pass for another, until they repeat after more than can be under way."""
    payloads = [PROTOCOLS["broadcast"].incoming(sender) for sender in range(3)]
    frames = [frame for payload in payloads for frame in payload.frames]
    assert len(set(frames)) == 3 * PERIOD
    assert {len(frame) for frame in frames} == {LINE_SIZE}


def test_a_payload_repeats() -> None:
    """A part of it can begin anywhere."""
    payload = PROTOCOLS["shout"].incoming(0)
    assert payload.part(PERIOD - 1, 2) == payload.frames[-1] + payload.frames[0]
    assert payload.goes_on_with(5 * PERIOD + 7, payload.part(7, 300))
    assert not payload.goes_on_with(8, payload.part(7, 300))


def test_a_percentile_counts_lines() -> None:
    """99 lines that took 1 ms, and one that took 5."""
    latencies = Latencies()
    latencies.add(0.005, 1)
    latencies.add(0.001, 99)
    assert [latencies.percentile(part) for part in (0.5, 0.99, 1.0)] == [0.001, 0.001, 0.005]


def test_two_models_are_measured_and_drawn() -> None:
    """As a lesson does it: records, a picture on one line, and text that is the same each time."""
    told: list[tuple[str, int, int, int]] = []
    results = measure(["threading", "selectors"], (1, 3), seconds=0.05, progress=lambda *at: told.append(at))
    assert results.passed
    assert [(server, n) for server, n, *_ in told] == [
        *(("threading", 1), ("selectors", 1)),
        *(("floor", 3), ("threading", 3), ("selectors", 3)),
    ]
    assert results.figures("selectors", 3).deliveries_per_s > 0
    with pytest.raises(KeyError, match="2 clients are the least"):
        results.figures("selectors", 1)
    with pytest.raises(FrozenInstanceError):
        results.rows = ()  # type: ignore[misc]
    shown = results._repr_mimebundle_()
    assert shown["text/plain"].splitlines()[0] == "floor, threading, selectors"
    assert "\n" not in shown["image/svg+xml"]
    assert quote(shown["image/svg+xml"]) in shown["text/html"]


def test_what_is_named_twice_is_measured_once() -> None:
    """Servers, and numbers of clients."""
    results = measure(["selectors", "selectors"], (3, 2, 3), seconds=0.05, within=0.001)
    measured = [(row.server, row.clients) for row in results.rows]
    assert measured == [("floor", 2), ("selectors", 2), ("floor", 3), ("selectors", 3)]


def test_what_does_not_fit_into_the_time_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has begun is measured to its end; the rest has a reason, and no failure is said of it."""
    clock = [0.0]
    monkeypatch.setattr(measurement, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def take_long(*_: object) -> None:
        clock[0] += 9.0

    results = measure(["selectors", "sync"], (2, 3), seconds=0.05, within=8.0, progress=take_long)
    assert results.passed
    assert [row.server for row in results.rows if row.figures] == ["floor"]
    assert [row.reason for row in results.rows if row.server == "selectors"] == ["the time was up"] * 2
    assert "sync was left out: it serves one client at a time" in str(results)


def test_a_server_that_serves_one_client_is_measured_with_one() -> None:
    """In `shout`, where nobody has to hear anybody else."""
    results = measure(["sync"], (2, 3), service="shout", seconds=0.05)
    assert [(row.server, row.clients) for row in results.rows] == [("floor", 1), ("sync", 1)]
    assert results.ratio(results.rows[0]) == 1.0
    assert "all clients send" in str(results)


def test_what_cannot_be_measured_is_left_out_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reason says why, and what to do."""
    monkeypatch.setenv("PATH", "")
    shout = replace(PLAN, service="shout")
    reasons = {
        ("sync", PLAN): "serves one client at a time",
        ("forking", PLAN): "share nothing",
        ("redis", PLAN): "redis-server is not installed",
        ("nats", PLAN): "nats-server is not installed",
        ("redis", shout): "does not shout",
        ("forking", shout): "too many",
    }
    for (server, plan), reason in reasons.items():
        assert reason in contenders.left_out(server, 1000, plan)
    assert contenders.left_out("selectors", 1000, PLAN) == ""


@pytest.mark.parametrize("rival", contenders.AGAINST)
def test_a_rival_is_measured(rival: str) -> None:
    """Its frames are verified as well, with several senders."""
    if missing := contenders.left_out(rival, 4, PLAN):
        pytest.skip(missing)
    results = measure([], [4], senders=2, window=4, seconds=0.05, against=[rival])
    assert results.passed, str(results)
    assert results.figures(rival, 4).deliveries_per_s > 0


def test_what_a_textbook_writes_answers_each_client() -> None:
    """In `shout`, all talk at once."""
    results = measure([], [3], service="shout", window=4, seconds=0.05, against=contenders.TEXTBOOK)
    assert results.passed, str(results)
    assert {row.server for row in results.rows if row.figures} == {"floor", *contenders.TEXTBOOK}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"models": ["gevent"]}, "there is no server 'gevent': --models takes sync, "),
        ({"against": ["ircd"]}, "there is no server 'ircd': --against takes redis, nats"),
        ({"models": ["sync"]}, "there is nothing to measure: sync: it serves one client at a time"),
        ({"clients": []}, "the number of clients must be from 1 to 10000, not 0"),
        ({"clients": [10, 20_000]}, "the number of clients must be from 1 to 10000, not 20000"),
        ({"senders": 0}, "the number of senders must be from 1 to 60, not 0"),
        ({"window": 513}, "the window, in lines, must be from 1 to 512"),
        ({"senders": 60, "window": 100}, "senders times window must be from 1 to 4096"),
        ({"seconds": float("nan")}, "the time for each measurement, in seconds, must be"),
        ({"service": "chat"}, "'chat' cannot be measured: broadcast and shout can"),
    ],
)
def test_a_mistake_is_one_clear_sentence(arguments: dict[str, Any], sentence: str) -> None:
    """Nothing is started; the sentence says what is possible."""
    with pytest.raises(ValueError) as raised:
        measure(**arguments)
    assert sentence in str(raised.value)


@pytest.mark.parametrize("numbers", ["", "ten", "10;20", "-5"])
def test_a_list_that_is_none_is_one_clear_line(numbers: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, before anything begins."""
    with pytest.raises(SystemExit) as end:
        main(["bench", f"--clients={numbers}"])
    assert end.value.code == 2
    complaint = capsys.readouterr().err
    assert "is no list of numbers like 10,100,1000" in complaint
    assert complaint.count("\n") == 1


def bench(*arguments: str) -> "subprocess.Popen[str]":
    """Starts the command."""
    command = [sys.executable, "-m", "chatlib", "bench", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment(), stdout=pipe, stderr=pipe, text=True)


def test_the_command_prints_a_table_and_writes_two_files(tmp_path: Path) -> None:
    """The figures as JSON, the picture as SVG; progress goes to stderr."""
    options = [
        "--models",
        "selectors",
        "--clients",
        "3",
        "--seconds",
        "0.05",
        "--output",
        str(tmp_path / "a"),
    ]
    with bench(*options) as process:
        table, told = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    heads = [line.split()[:2] for line in table.splitlines()]
    assert heads[3:6] == [["clients", "server"], ["3", "floor"], ["3", "selectors"]]
    assert told.splitlines()[:2] == ["[ 1/2] floor, 3 clients", "[ 2/2] selectors, 3 clients"]
    content = json.loads((tmp_path / "a" / "bench.json").read_text("utf-8"))
    assert content["rows"][0]["ratio_to_floor"] == 1.0
    ElementTree.parse(tmp_path / "a" / "bench.svg")


LOSING = """
import chatlib

class Losing(chatlib.Broadcast):
    def answer(self, member, lines):
        super().answer(member, [line for line in lines if " 0100 " not in line])

server = chatlib.SelectorServer(service=Losing())
print("listening on {}:{}".format(*server.server_address), flush=True)
server.serve_forever()
"""


def test_a_line_that_was_lost_is_exit_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table says who noticed, and there are no figures."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(
        measurement, "contender", lambda *_: contenders.Contender(python("-c", LOSING), "broadcast")
    )
    options = ["--models", "selectors", "--clients", "3", "--seconds", "0.05", "--output", str(tmp_path)]
    assert main(["bench", *options]) == 1
    reason = r"selectors FAILED: client \d: line 100 was due, but line 101 came: lost"
    assert re.search(reason, capsys.readouterr().out)


def marked(mark: str) -> list[int]:
    """Returns the processes that have inherited this mark in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get("CHATLIB_TEST") == mark:
                found.append(process.pid)
    return found


@LINUX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("processes", [1, 3], ids=["starting", "running"])
def test_ctrl_c_ends_everything_at_once(
    number: signal.Signals, processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 130, and neither a server nor the load generator is left, even if they were just starting."""
    monkeypatch.setenv("CHATLIB_TEST", str(tmp_path))
    options = ["--models", "selectors", "--clients", "3", "--seconds", "50", "--output", str(tmp_path)]
    with bench(*options) as process:
        assert process.stderr
        assert process.stderr.readline() == "[ 1/2] floor, 3 clients\n"
        deadline = time.monotonic() + DEADLINE
        while len(marked(str(tmp_path))) < processes:
            assert time.monotonic() < deadline
        process.send_signal(number)
        assert process.wait(DEADLINE) == 130
        assert process.stderr.read() == "chatlib: stopped\n"
    assert not marked(str(tmp_path))


def test_a_program_that_ends_or_says_nothing_is_a_failure() -> None:
    """Its last words are told; one that cannot be asked to end is forced."""
    missing = Child(["no-such-program"])
    with pytest.raises(MeasurementError, match="cannot run no-such-program: "):
        missing.start()
    missing.close()
    ended = Child(python("-c", "print('alas')"))
    ended.start()
    with pytest.raises(MeasurementError, match="the program has ended; its last words: alas"):
        ended.line_with("listening", DEADLINE)
    ended.close()
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    deaf = Child(python("-c", f"{ignore}; print('ready'); input()"))
    deaf.start()
    deaf.line_with("ready", DEADLINE)
    with pytest.raises(MeasurementError, match="nothing was heard of it for 0 s"):
        deaf.line_with("more", 0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chatlib.bench.child.END_WITHIN", 0.1)
        deaf.close()
    assert not psutil.pid_exists(deaf.pid)


def test_what_a_process_costs_counts_its_children() -> None:
    """Processor time and memory are those of the tree; of a process that is not there, nothing is known."""
    work = "import time; held = bytearray(b'x') * (64 << 20)\nwhile time.process_time() < 0.3: pass"
    child = Child(python("-c", f"{work}\nprint('done'); input()"))
    before = process_tree(os.getpid())
    assert before
    cpu, memory = before.cpu(), before.own_memory()
    with contextlib.closing(child):
        child.start()
        child.line_with("done", DEADLINE)
        assert before.cpu() - cpu > 0.2
        assert memory is None or (before.own_memory() or 0) - memory > 48 << 20
        assert before.memory() > 64 << 20
    assert process_tree(child.pid) is None


def test_the_floor_sends_all_even_if_the_kernel_has_no_room() -> None:
    """It waits for that receiver: it may, as the load generator reads everybody."""
    near, far = socket.socketpair()
    with near, far, ThreadPoolExecutor(1) as pool:
        near.setblocking(False)
        far.settimeout(DEADLINE)
        received = pool.submit(lambda: sum(iter(lambda: len(far.recv(1 << 16)), 0)))
        baseline.send(near, b"x" * (8 << 20))
        baseline.send(near, b"x")
        assert near.gettimeout() == 0
        near.shutdown(socket.SHUT_WR)
        assert received.result(DEADLINE) == (8 << 20) + 1


def results_of(*rows: Row) -> Results:
    """Returns results as if they had been measured."""
    return Results(PLAN, rows, "a computer")


def test_the_table_warns_of_figures_that_mean_little() -> None:
    """When the load generator was busy all the time, and when neither of the two was."""
    busy, idle = replace(SOME, load_busy=0.95), replace(SOME, server_busy=0.1, load_busy=0.1)
    text = str(results_of(Row("floor", 10, busy), Row("selectors", 10, idle)))
    assert "95%!" in text and "10%?" in text
    assert "! The load generator itself was busy for more than 90%" in text
    assert "? For more than 50% of the time neither" in text
    assert "! " not in str(results_of(Row("floor", 10, SOME)))


def test_the_table_tells_who_failed_and_who_was_left_out() -> None:
    """One line for each reason, with the numbers of clients that it holds for."""
    left = [Row("sync", n, reason="it waits") for n in (10, 100)]
    failed = Row("asyncio", 10, reason="client 1: lost", failed=True)
    results = results_of(Row("floor", 10, SOME), *left, failed)
    assert "sync was left out: it waits (clients: 10, 100)" in str(results)
    assert "asyncio FAILED: client 1: lost (clients: 10)" in str(results)
    assert not results.passed
    assert results.ratio(failed) is None


def test_what_the_system_does_not_say_is_a_dash() -> None:
    """Neither processor time nor memory: the rest is there, and a line says why."""
    silent = replace(SOME, cpu_us=None, kib_per_client=None, server_busy=None)
    [line] = [
        line for line in str(results_of(Row("floor", 10, silent))).splitlines() if " floor " in line[:20]
    ]
    assert line.split().count("-") == 3
    assert "- Not known" not in str(results_of(Row("floor", 10, SOME)))


def test_each_curve_has_a_colour_a_mark_and_a_kind_of_line() -> None:
    """Colour is never the only sign: curves with the same kind of line have other marks."""
    rows = tuple(Row(name, 10, SOME) for name in ("floor", *chatlib.MODELS, *contenders.AGAINST))
    drawn = plot.looks(rows)
    for sign in "color", "marker":
        assert len({look[sign] for look in drawn.values()}) == len(rows)
    assert len({look["linestyle"] for look in drawn.values()}) >= 5
    assert drawn["floor"]["color"] == plot.INK


def luminance(colour: str) -> float:
    """Returns how light a colour is, as WCAG 2 defines it: from 0 for black to 1 for white."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("paper", ["#ffffff", "#111111"], ids=["light", "dark"])
def test_curves_stand_out_on_light_and_on_dark_paper(paper: str) -> None:
    """At least 3 to 1, as WCAG 2 wants it. What is written is measured in a browser."""

    def contrast(colour: str) -> float:
        lighter, darker = sorted((luminance(colour) + 0.05, luminance(paper) + 0.05), reverse=True)
        return lighter / darker

    assert min(contrast(look["color"]) for look in plot.LOOKS) > 3


def texts_of(picture: str) -> list[str]:
    """Returns what is written in an SVG."""
    return [str(e.text) for e in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]


def test_the_picture_names_each_server_and_each_number_of_clients() -> None:
    """As text, on one line, in colours of the page, at most 500 pixels high, and the same each time."""
    names = ("floor", *chatlib.MODELS)
    results = results_of(*(Row(name, n, SOME) for name in names for n in (7, 300)))
    picture = results.svg()
    assert picture == results.svg()
    assert "\n" not in picture and picture.startswith("<svg")
    written = texts_of(picture)
    assert all(written.count(name) == 1 for name in names)
    assert all(written.count(number) == 2 for number in ("7", "300"))
    assert {"deliveries per second (more is better)", "100 µs", "10 M", "10 KiB"} <= set(written)
    root = ElementTree.fromstring(picture)
    assert float(root.attrib["height"].removesuffix("pt")) * 96 / 72 <= 500
    assert "fill: #ffffff" not in picture and plot.INK not in picture


def test_a_picture_styles_nothing_else_on_its_page() -> None:
    """Each rule is about its class alone: a notebook has other pictures, too."""
    styles = ElementTree.fromstring(results_of(Row("floor", 10, SOME)).svg()).iter(
        "{http://www.w3.org/2000/svg}style"
    )
    selectors = re.findall(r"([^{}]+)\{(?!\.)", "".join(str(style.text) for style in styles))
    assert len(selectors) >= 4 and all(each.startswith(".chatbench") for each in selectors)


def test_a_picture_of_nothing_and_of_strange_names() -> None:
    """Neither fails; text is escaped, and is no formula."""
    assert "clients" in texts_of(results_of().svg())
    assert {"<script>", "$x$"} <= set(
        texts_of(results_of(Row("<script>", 1, SOME), Row("$x$", 1, SOME)).svg())
    )


@pytest.mark.parametrize(
    ("memory", "shown"),
    [(None, ["not known"]), (0.0, ["0.1 KiB", "1 KiB"]), (-2.0, ["0.1 KiB", "1 KiB"])],
)
def test_memory_that_is_not_known_is_not_drawn(memory: float | None, shown: list[str]) -> None:
    """A memory of nothing, of which there is no logarithm, is drawn as little."""
    picture = results_of(Row("selectors", 10, replace(SOME, kib_per_client=memory))).svg()
    assert [text for text in texts_of(picture) if "KiB" in text or "known" in text] == shown


def test_a_picture_changes_nothing_in_a_notebook_that_draws_too() -> None:
    """Neither the settings of matplotlib nor its log; and pyplot, which keeps each figure, is not loaded."""
    code = """
import logging, matplotlib, sys
from chatlib.bench import plot
assert "matplotlib.figure" not in sys.modules
matplotlib.rcParams["text.color"] = "red"
before = matplotlib.rcParams.copy()
plot.svg((), "shout")
assert matplotlib.rcParams.copy() == before
assert logging.getLogger("matplotlib").level == logging.NOTSET
print("matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run(python("-c", code), env=environment(), capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_the_first_picture_says_nothing_of_fonts(tmp_path: Path) -> None:
    """matplotlib looks for them when it has never run, and would say so on stderr, beneath the table."""
    code = "import logging; from chatlib.bench import plot\nwith plot.borrowed_matplotlib():\n"
    code += "    import matplotlib.font_manager as fonts; fonts._log.warning('This may take a moment.')"
    variables = environment() | {"MPLCONFIGDIR": str(tmp_path)}
    done = subprocess.run(python("-c", code), env=variables, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_matplotlib_one_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text and JSON are as before; a notebook and the command say what is missing, and how to get it."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    results = results_of(Row("floor", 10, SOME))
    with pytest.raises(ImportError, match="the picture needs the package matplotlib: pip install matplotlib"):
        results.svg()
    shown = results._repr_mimebundle_()
    assert list(shown) == ["text/plain"]
    assert shown["text/plain"].splitlines()[-1] == plot.NO_MATPLOTLIB
    assert results.write(tmp_path) == [
        f"written: {tmp_path / 'bench.json'}",
        f"not written: {tmp_path / 'bench.svg'}: {plot.NO_MATPLOTLIB}",
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["bench.json"]


def test_without_psutil_figures_are_missing_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is measured all the same."""
    monkeypatch.setattr("chatlib.resources.psutil", None)
    assert process_tree(os.getpid()) is None
    with chatlib.running(chatlib.SelectorServer(service=chatlib.Broadcast())) as server:
        figures = load(workload_for(server))
    assert (figures.cpu_us, figures.kib_per_client, figures.server_busy) == (None, None, None)
    assert figures.deliveries_per_s > 0 and figures.load_busy > 0
    assert "- Not known: the package psutil" in str(results_of(Row("floor", 10, figures)))


def test_what_is_loaded_late_is_told_at_once() -> None:
    """For those who press Tab; and what is not there is said as everywhere."""
    assert {"Figures", "Plan", "Results", "Row", "measure"} <= set(dir(chatlib.bench))
    with pytest.raises(AttributeError, match="module 'chatlib.bench' has no attribute 'mesure'"):
        chatlib.bench.mesure  # type: ignore[attr-defined] # noqa: B018
