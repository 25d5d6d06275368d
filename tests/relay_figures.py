"""What the relay costs here: `python tests/relay_figures.py` prints the figures of docs/reliability.md.

One server with 200 clients, and two with 100 each that share a room, take turns.
"""

import itertools
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from faults import SOON
from relay_faults import Redis, end

import chatlib
from chatlib.bench.loadgen.load import load
from chatlib.bench.records import Workload

CLIENTS, SECONDS, TURNS = 200, 2.0, 3


def server(model: str, *options: str) -> tuple[subprocess.Popen[str], int]:
    """Starts one; returns it, and its port."""
    command = [sys.executable, "-m", "chatlib", "serve", model, "--service", "broadcast", *options]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert started.stdout
    return started, int(started.stdout.readline().rpartition(":")[2])


class Shared(Workload):
    """Its clients connect to several servers by turns."""

    ports: Iterator[int]
    port = property(lambda self: next(self.ports))


def under_load(ports: list[int], pid: int, senders: int, window: int) -> Any:
    """Puts servers under load, as the benchmark does; the last client times lines of the first."""
    values = {
        "host": "127.0.0.1",
        "pid": pid,
        "protocol": "broadcast",
        "clients": CLIENTS,
        "senders": senders,
    }
    workload: Any = object.__new__(Shared)
    workload.__dict__.update(values, window=window, seconds=SECONDS, ports=itertools.cycle(ports))
    return load(workload)


def paced(ports: list[int], rate: int = 1000, seconds: float = 5.0) -> list[float]:
    """Sends so many lines a second; returns how long each took to a client of the last server, in ms."""
    alice, bob = (chatlib.connect(("127.0.0.1", port), timeout=SOON) for port in (ports[0], ports[-1]))
    took: list[float] = []
    while bob.waits(0.2):  # it is served when it hears
        alice.send(str(time.perf_counter()))

    def listen() -> None:
        while (line := bob.receive(SOON)) != "over":
            took.append((time.perf_counter() - float(line)) * 1000)

    listener = threading.Thread(target=listen)
    listener.start()
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        alice.send(str(time.perf_counter()))
    alice.send("over")
    listener.join(SOON)
    alice.close()
    bob.close()
    return sorted(took)[len(took) // 50 :]  # without the first ones, which met


def p99(took: list[float]) -> float:
    """Returns what 99 of 100 lines took at most."""
    return sorted(took)[int(len(took) * 0.99)]


def main(model: str = "selectors") -> None:
    """Measures, and prints medians."""
    redis = Redis()
    alone = server(model)
    pair = [server(model, "--relay", redis.url) for _ in range(2)]
    try:
        places = {"one server": [alone[1]], "two servers, one room": [port for _, port in pair]}
        for name, senders, window in (
            ("1 line under way", 1, 1),
            ("64 lines", 1, 64),
            ("10 senders, 64 lines", 10, 64),
        ):
            found: dict[str, list[float]] = {place: [] for place in places}
            for place in list(places) * TURNS:
                figures = under_load(places[place], alone[0].pid, senders, window)
                found[place].append(figures.deliveries_per_s)
            one, two = map(statistics.median, found.values())
            print(f"{name}: {one:,.0f} and {two:,.0f} deliveries/s: x {two / one:.2f}", flush=True)
        late: dict[str, list[float]] = {place: [] for place in places}
        for place in list(places) * TURNS:
            late[place].append(p99(paced(places[place])))
        one, two = map(statistics.median, late.values())
        print(f"p99 at 1,000 lines/s: {one:.2f} and {two:.2f} ms: {two - one:.2f} ms more")
    finally:
        end(alone[0], *(started for started, _ in pair))
        redis.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
