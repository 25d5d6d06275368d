"""What can happen to servers that share a room: used by test_relay.py.

`python tests/relay_faults.py` tries every fault and prints the table of docs/reliability.md.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from faults import SOON, eventually
from two_hosts import Host, NotHere, another_host

import chatlib
from chatlib.relay import Cable, SharedRoom
from chatlib.relay.redis_stream import connection
from chatlib.relay.start_redis import wait_until_ready
from chatlib.sockets import LOOPBACK

PROGRAM = shutil.which("redis-server")


class Redis:
    """A real one, in a folder of its own, that can be killed, paused and started again."""

    def __init__(self, host: str = LOOPBACK[0]) -> None:
        if not PROGRAM:
            pytest.skip("needs redis-server")
        self.folder = Path(tempfile.mkdtemp(prefix="chatlib-test-"))
        with socket.create_server((host, 0)) as probe:
            self.address: tuple[str, int] = probe.getsockname()
        self.url = "redis://{}:{}".format(*self.address)
        self.start()

    def start(self) -> None:
        """Starts it, with what it has kept."""
        host, port = self.address
        options = ["--bind", host, "--port", str(port), "--dir", str(self.folder), "--save", ""]
        options += ["--protected-mode", "no"]  # another host may ask, too
        # Python ignores SIGXFSZ, and Redis inherits that: a file that is too large is an error, not its end.
        self.process = subprocess.Popen(
            [str(PROGRAM), *options, "--appendonly", "yes", "--logfile", "log"], restore_signals=False
        )
        wait_until_ready(self.url)

    def kill(self) -> None:
        """As by a power switch, but for the system's memory: SIGKILL."""
        self.process.kill()
        self.process.wait(SOON)

    def close(self) -> None:
        """Ends it, and removes what it has kept."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


opened: list[chatlib.Client] = []


def hang_up_all() -> None:
    """Closes every client that was opened."""
    while opened:
        opened.pop().close()


class Person:
    """A client that wants positions: it knows which of its lines were accepted, and what it has heard."""

    def __init__(self, server: Any, name: str) -> None:
        self.name, self.server = name, server
        self.sent: list[str] = []
        self.heard: list[str] = []
        self.positions: list[str] = []
        self.notices: list[str] = []
        self.last = "now"
        """The position after which it goes on when it comes back."""
        self.come()

    def come(self, after: str = "", server: Any = None) -> None:
        """Connects, and says from where it goes on: from the last line that it has heard."""
        self.server, wish = server or self.server, after or self.last
        self.client = chatlib.connect(self.server, self.name, timeout=SOON)
        opened.append(self.client)
        self.client.send(f"AFTER {wish}")
        while not (answer := self.client.receive(SOON)).startswith("* after "):
            pass  # what others said before the wish was heard: it comes again, if it is wanted
        self.last = answer.split()[-1]

    def say(self, count: int) -> None:
        """Sends so many lines, each another one."""
        for _ in range(count):
            self.sent.append(f"{self.name} {len(self.sent)}")
            self.client.send(self.sent[-1], timeout=SOON)

    def listen(self, until: Callable[[], object], timeout: float = SOON) -> bool:
        """Hears what comes until a condition holds."""
        deadline = time.monotonic() + timeout
        while not until() and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                self.note(self.client.receive(0.05))
        return bool(until())

    def note(self, line: str) -> None:
        """Notes one line."""
        position, _, text = line.partition(" ")
        if position == "*":
            self.notices.append(line)
        else:
            self.last = position
            self.positions.append(position)
            self.heard.append(text)

    @property
    def accepted(self) -> list[str]:
        """Which of its own lines have come back."""
        return [line for line in self.heard if line.startswith(f"{self.name} ")]


class Count(NamedTuple):
    """What became of the lines: `lost` were accepted, but a listener has not got them."""

    sent: int
    accepted: int
    delivered: int
    lost: int
    twice: int


def counted(speakers: list[Person], listeners: list[Person]) -> Count:
    """Counts, when all has been heard."""
    sent = [line for speaker in speakers for line in speaker.sent]
    accepted = {line for speaker in speakers for line in speaker.accepted}
    for person in listeners:
        person.listen(lambda person=person: accepted <= set(person.heard))  # type: ignore[misc]
        person.listen(lambda: False, timeout=0.1)  # nothing more comes
    delivered = min(len(accepted & set(person.heard)) for person in listeners)
    lost = max(len(accepted - set(person.heard)) for person in listeners)
    twice = sum(sum(Counter(person.heard).values()) - len(set(person.heard)) for person in listeners)
    return Count(len(sent), len(accepted), delivered, lost, twice)


@contextlib.contextmanager
def room(*models: type[chatlib.Server]) -> Iterator[tuple[Redis, list[Cable], list[chatlib.Server]]]:
    """A Redis, and servers that share a room, each by a cable of its own."""
    with contextlib.ExitStack() as stack:
        redis = Redis()
        stack.callback(redis.close)
        cables, servers = [], []
        for model in models:
            cables.append(stack.enter_context(chatlib.running(Cable, redis.address)))
            servers.append(stack.enter_context(chatlib.running(model, service=SharedRoom(cables[-1].url))))
        yield redis, cables, servers


def process(
    url: str,
    model: str,
    first: str = "",
    service: str = "broadcast",
    room: str = "main",
    host: Host | None = None,
) -> tuple[subprocess.Popen[str], str]:
    """Starts a server of the command line; returns it, and where it listens.

    Args:
        url: Where Redis is.
        model: Which server.
        first: What that Python does before.
        service: What is said.
        room: The room.
        host: Where it runs, if not here.
    """
    code = f"{first}\nfrom chatlib.cli import main; raise SystemExit(main())"
    words = ["serve", model, "--service", service, "--relay", url, "--room", room]
    command = [sys.executable, "-c", code, *words]
    if host:
        command = [*host.command, *command, "--host", host.there]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout
    return server, server.stdout.readline().split()[-1]


def end(*servers: subprocess.Popen[str]) -> None:
    """Ends servers."""
    for server in servers:
        server.kill()
        server.wait(SOON)
        assert server.stdout
        server.stdout.close()


def alone(person: Person, at_least: int) -> None:
    """Waits until so many of its lines were accepted."""
    assert person.listen(lambda: len(person.accepted) >= at_least), person.notices


TWO = (chatlib.ThreadingServer, chatlib.AsyncioServer)


def redis_killed() -> Count:
    """Redis is killed (SIGKILL) while lines are said, and started again"""
    with room(*TWO) as (redis, _, servers):
        alice, bob = Person(servers[0], "alice"), Person(servers[1], "bob")
        alice.say(200)
        alone(alice, 20)
        redis.kill()
        alice.say(200)
        redis.start()
        alone(alice, 400)
        return counted([alice], [alice, bob])


def redis_paused(seconds: float = 5.0) -> Count:
    """Redis stands still for 5 s (SIGSTOP), while lines are said"""
    with room(*TWO) as (redis, _, servers):
        alice, bob = Person(servers[0], "alice"), Person(servers[1], "bob")
        alice.say(200)
        os.kill(redis.process.pid, signal.SIGSTOP)
        alice.say(200)
        alice.listen(lambda: False, timeout=seconds)
        os.kill(redis.process.pid, signal.SIGCONT)
        alone(alice, 400)
        return counted([alice], [alice, bob])


def connection_cut() -> Count:
    """The connection to Redis is cut in the middle of a line, 40 times, in either direction"""
    with room(*TWO) as (_, cables, servers):
        alice, bob = Person(servers[0], "alice"), Person(servers[1], "bob")
        for number in range(40):
            for cable in cables:
                cable.cut_after(100 + 37 * number)
            alice.say(10)
            assert eventually(lambda before=number: cables[0].cuts > before)  # type: ignore[misc]
        for cable in cables:
            cable.mend()
        alone(alice, 400)
        return counted([alice], [alice, bob])


def partition(seconds: float = 5.0) -> Count:
    """One of two servers is cut off from Redis for 5 s, and nobody is told; clients of both go on talking"""
    with room(*TWO) as (_, cables, servers):
        alice, bob = Person(servers[0], "alice"), Person(servers[1], "bob")
        cables[1].hold()
        alice.say(200)
        bob.say(200)
        alice.listen(lambda: False, timeout=seconds)
        cables[1].mend()
        alone(alice, 200)
        alone(bob, 200)
        return counted([alice, bob], [alice, bob])


def server_killed(models: tuple[str, str] = ("threading", "asyncio")) -> Count:
    """A server is killed (SIGKILL) in the middle of a broadcast, and started again; its clients come back"""
    redis = Redis()
    first, where = process(redis.url, models[0])
    second, stays = process(redis.url, models[1])
    try:
        alice, bob, carol = Person(where, "alice"), Person(stays, "bob"), Person(where, "carol")
        alice.say(400)
        alone(alice, 20)
        first.kill()
        with contextlib.suppress(ConnectionError):
            while True:  # what had come before the end
                alice.note(alice.client.receive(SOON))
        with contextlib.suppress(ConnectionError):
            while True:
                carol.note(carol.client.receive(SOON))
        end(first)
        first, where = process(redis.url, models[0])
        alice.come(server=where)
        carol.come(server=where)
        bob.say(1)  # what it hears after that it has not missed
        for person in alice, carol:
            assert person.listen(lambda person=person: "bob 0" in person.heard)  # type: ignore[misc]
        return counted([alice, bob], [alice, bob, carol])
    finally:
        end(first, second)
        redis.close()


def disk_full() -> Count:
    """The disk of Redis is full for 3 s, and then has room again (Linux)"""
    import resource

    with room(*TWO) as (redis, _, servers):
        alice, bob = Person(servers[0], "alice"), Person(servers[1], "bob")
        alice.say(200)
        alone(alice, 200)
        limits = resource.prlimit(redis.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(redis.process.pid, resource.RLIMIT_FSIZE, (1, limits[1]))
        journal = servers[0].service.journal
        for _ in range(20):  # Redis notices when it has told a line to be accepted: see docs/reliability.md
            alice.say(10)
            alice.listen(lambda: False, timeout=0.15)
        assert any("MISCONF" in entry.text for entry in journal.find("paused"))
        resource.prlimit(redis.process.pid, resource.RLIMIT_FSIZE, limits)
        alone(alice, 400)
        return counted([alice], [alice, bob])


def clocks_apart() -> Count:
    """The clock of Redis is a day fast, then right again; that of one server is a day slow"""
    with room(*TWO) as (redis, _, servers):
        alice, bob = Person(servers[0], "alice"), Person(servers[1], "bob")
        alice.say(50)
        alone(alice, 50)
        ahead = f"{int(time.time() + 86_400) * 1000}-0"
        with connection(redis.url) as client:
            client.xadd("chatlib:main", {"by": "a fast clock", "lines": "tomorrow"}, id=ahead)
        late, stays = process(
            redis.url, "selectors", "import time; now = time.time; time.time = lambda: now() - 86400"
        )
        try:
            carol = Person(stays, "carol")
            for person in alice, bob, carol:
                person.say(50)
            for person in alice, bob, carol:
                alone(person, len(person.sent))
            return counted([alice, bob, carol], [alice, bob])
        finally:
            end(late)


def same_start() -> Count:
    """Two servers are started with the same settings, at the same moment, from the same copy"""
    redis = Redis()
    started = [process(redis.url, "threading") for _ in range(2)]
    try:
        alice, bob = (Person(where, name) for (_, where), name in zip(started, ("alice", "bob"), strict=True))
        for person in alice, bob:
            person.say(200)
        for person in alice, bob:
            alone(person, 200)
        return counted([alice, bob], [alice, bob])
    finally:
        end(*(server for server, _ in started))
        redis.close()


def crowd_vanishes() -> Count:
    """Of 60 clients on two servers, 20 vanish at once (reset), while lines are said"""
    with room(*TWO) as (_, _, servers):
        crowd = [Person(servers[number % 2], f"student{number}") for number in range(60)]
        for person in crowd:
            person.say(5)
        for person in crowd[:20]:
            person.client.reset()
        for person in crowd[20:]:
            person.say(5)
        for person in crowd[20:]:
            alone(person, 10)
        return counted(crowd[20:], crowd[20:])


def hosts_cut(seconds: float = 5.0) -> Count:
    """The cable between two hosts, one with Redis, is pulled out for 5 s; both have a server"""
    with two_hosts() as (host, alice, bob):
        host.cut()
        alice.say(200)
        bob.say(100)
        alice.listen(lambda: False, timeout=seconds)
        host.mend()
        alone(alice, 200)
        alone(bob, 100)
        return counted([alice, bob], [alice, bob])


def hosts_slow() -> Count:
    """The cable between two hosts delays each packet by 100 ms, and loses one of twenty"""
    with two_hosts() as (host, alice, bob):
        host.slow_down(100, loss=5)
        for person in alice, bob:
            person.say(150)
        for person in alice, bob:
            alone(person, 150)
        return counted([alice, bob], [alice, bob])


@contextlib.contextmanager
def two_hosts() -> Iterator[tuple[Host, Person, Person]]:
    """Alice is at a server beside Redis, bob at one of another host."""
    with contextlib.ExitStack() as stack:
        host = stack.enter_context(another_host())
        redis = Redis(host.here)
        stack.callback(redis.close)
        far, where = process(redis.url, "asyncio", host=host)
        stack.callback(end, far)
        near = stack.enter_context(chatlib.running(chatlib.ThreadingServer, service=SharedRoom(redis.url)))
        yield host, Person(near, "alice"), Person(where, "bob")


def restart_under_load(seconds: float = 30.0) -> Count:
    """1000 lines/s for 30 s, while Redis is killed and started again"""
    with room(*TWO) as (redis, _, servers):
        alice, bob = Person(servers[0], "alice"), Person(servers[1], "bob")
        begun, is_killed, is_back = time.monotonic(), False, False
        while (passed := time.monotonic() - begun) < seconds:
            alice.say(max(0, int(1000 * passed) - len(alice.sent)))
            for person in alice, bob:
                person.listen(lambda: False, timeout=0.01)
            if not is_killed and passed > seconds / 3:
                is_killed = True
                redis.kill()
            if is_killed and not is_back and passed > seconds / 2:
                is_back = True
                redis.start()
        alice.say(int(1000 * seconds) - len(alice.sent))
        alone(alice, len(alice.sent))
        return counted([alice], [alice, bob])


EXPECTED = {
    redis_killed: "400 / 400 / 400",
    redis_paused: "400 / 400 / 400",
    connection_cut: "400 / 400 / 400",
    partition: "400 / 400 / 400",
    server_killed: "401 / some / all accepted",
    disk_full: "400 / 400 / 400",
    clocks_apart: "200 / 200 / 200",
    same_start: "400 / 400 / 400",
    crowd_vanishes: "400 / 400 / 400",
    hosts_cut: "300 / 300 / 300",
    hosts_slow: "300 / 300 / 300",
    restart_under_load: "30,000 / 30,000 / 30,000",
}


def main() -> None:
    """Tries every fault, and prints the table."""
    print("| fault | expected: sent / accepted / delivered | observed | lost | shown twice |")
    print("|---|---|---|---|---|")
    for fault, expected in EXPECTED.items():
        try:
            count = fault()
        except NotHere as reason:
            print(f"| {fault.__doc__} | {expected} | not tried: {reason} | | |", flush=True)
            continue
        finally:
            hang_up_all()
        observed = f"{count.sent:,} / {count.accepted:,} / {count.delivered:,}"
        print(f"| {fault.__doc__} | {expected} | {observed} | {count.lost} | {count.twice} |", flush=True)


if __name__ == "__main__":
    main()
