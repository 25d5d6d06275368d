"""Where a server's time goes: `python tests/line_costs.py` prints the figures of docs/line_costs.md.

First the steps of a line's way, one by one, on real objects and real connections. Then whole servers, each
in a process of its own: how long a line takes there and back, and which calls of the kernel it costs.
"""

import asyncio
import contextlib
import re
import selectors
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
from faults import SOON

from chatlib.bench.contenders import TEXTBOOK, contender
from chatlib.bench.records import FLOOR
from chatlib.journal import Journal
from chatlib.outbox import Outbox
from chatlib.servers.core.session import CHUNK, deliver
from chatlib.servers.core.thread_flusher import ThreadFlusher
from chatlib.services import Shout
from chatlib.wire import LineReader, encode

LINE = b"0 0001 the quick brown fox jumps over the lazy dog".ljust(63, b".") + b"\n"
TIMES = 5_000
"""How often each step is taken. The median is printed."""

Step = Callable[[], object]


def nothing() -> None:
    """What is measured to learn what measuring takes."""


def microseconds(step: Step, before: Step = nothing) -> float:
    """Returns what a step takes, as a rule. `before` is done each time, and not counted."""
    took = []
    for _ in range(TIMES):
        before()
        began = time.perf_counter_ns()
        step()
        took.append(time.perf_counter_ns() - began)
    return statistics.median(took) / 1000


@contextlib.contextmanager
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Gives both ends of a TCP connection. What one sends, the other can receive at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname())
        near, _ = listener.accept()
    with far, near:
        for each in (far, near):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield near, far


def steps() -> dict[str, float]:
    """Returns what each step takes in a thread that nobody disturbs."""
    found = {}
    service, journal, lock, lines = Shout(), Journal(), threading.RLock(), LineReader()
    text, flusher = LINE.decode().strip(), ThreadFlusher()
    with connection() as (near, far), selectors.DefaultSelector() as selector:
        selector.register(near, selectors.EVENT_READ)

        def say() -> None:
            far.send(LINE)

        def hear() -> None:
            far.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                far.recv(CHUNK)

        def receive() -> None:
            near.recv(CHUNK)

        def settle() -> None:
            flusher.flush()
            hear()

        def owe() -> None:
            hear()
            client.post(LINE)

        def take_lock() -> None:
            with lock:
                pass

        found["select, and one is ready"] = microseconds(selector.select, say)
        near.recv(1 << 20)
        found["recv without a time limit"] = microseconds(receive, say)
        near.settimeout(SOON)
        found["recv with a time limit"] = microseconds(receive, say)
        client = Outbox(near, "client 1", flusher)
        found["cut into lines, decode"] = microseconds(lambda: lines.feed(LINE))
        found["take a lock, let it go"] = microseconds(take_lock)
        found["journal"] = microseconds(lambda: journal.add_all("said", "client 1", [text]))
        found["upper case, encode"] = microseconds(lambda: encode([text.upper()]))
        found["post"] = microseconds(lambda: client.post(LINE), settle)
        found["flush, with its send"] = microseconds(flusher.flush, owe)
        settle()
        found["send alone"] = microseconds(lambda: client.sender.send(LINE), hear)
        found["drain, and nothing is owed"] = microseconds(lambda: client.drain(SOON, leave=CHUNK))
        service.joined(client)
        found["from the chunk to the post, all in all"] = microseconds(
            lambda: deliver(service, client, lines, LINE), settle
        )
        client.close()
    flusher.close()
    return found


async def awaited() -> dict[str, float]:
    """Returns what an event loop of asyncio takes for a chunk, beside what is said above."""
    loop = asyncio.get_running_loop()
    took: dict[str, list[int]] = {}

    async def measure(what: str, step: Callable[[], Any], before: Step = nothing) -> None:
        for _ in range(TIMES):
            before()
            began = time.perf_counter_ns()
            await step()
            took.setdefault(what, []).append(time.perf_counter_ns() - began)

    async def limited() -> None:
        async with asyncio.timeout(SOON):
            pass

    with connection() as (near, far):
        near.setblocking(False)
        await measure("asyncio: give way (sleep of 0)", lambda: asyncio.sleep(0))
        await measure("asyncio: a time limit", limited)
        await measure(
            "asyncio: sock_recv, bytes are there", lambda: loop.sock_recv(near, CHUNK), lambda: far.send(LINE)
        )
        await measure(
            "asyncio: sock_recv, they come later",
            lambda: loop.sock_recv(near, CHUNK),
            lambda: loop.call_soon(lambda: loop.call_soon(lambda: far.send(LINE))),
        )
    return {what: statistics.median(each) / 1000 for what, each in took.items()}


def a_wake() -> float:
    """Returns what it takes to wake a thread of the same program that waits in `recv`: half a round."""
    with connection() as (near, far):

        def echo() -> None:
            while chunk := near.recv(CHUNK):
                near.send(chunk)

        thread = threading.Thread(target=echo)
        thread.start()
        took = microseconds(lambda: (far.send(LINE), far.recv(CHUNK)))
        far.shutdown(socket.SHUT_WR)
        thread.join(SOON)
    return took / 2


SERVERS = (FLOOR, *TEXTBOOK, "sync", "threading", "raw-threads", "selectors", "asyncio")
"""What is measured, by the names of the benchmark."""


@contextlib.contextmanager
def serving(name: str, before: tuple[str, ...] = ()) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Gives the port of a server in a process of its own, and that process. Ends it by Ctrl-C."""
    server = contender(name, "shout")
    command = [*before, *server.command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout
        yield server.address(process.stdout.readline())[1], process
        program = [*psutil.Process(process.pid).children(), psutil.Process(process.pid)][0]
        program.send_signal(signal.SIGINT)
        process.wait(SOON)
    finally:
        process.kill()
        process.wait()


def talk(port: int, lines: int) -> list[int]:
    """Says lines to a server, each when the one before has been answered. Returns how long each took."""
    took = []
    with socket.create_connection(("127.0.0.1", port), SOON) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(lines):
            began = time.perf_counter_ns()
            client.sendall(LINE)
            answer = client.recv(CHUNK)
            took.append(time.perf_counter_ns() - began)
            assert answer == LINE.upper(), answer
    return took


def calls(name: str, lines: int) -> dict[str, int]:
    """Returns how often a server has asked the kernel for what, from its start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "calls")
        with serving(name, ("strace", "-f", "-qq", "-c", "-U", "calls,name", "-o", str(table))) as (port, _):
            talk(port, lines)
        return {
            name: int(count)
            for count, name in re.findall(r"^ *(\d+) (?!total)(\w+)$", table.read_text(), re.M)
        }


def calls_for_a_line(name: str, lines: int = 1000) -> str:
    """Returns what a line costs: the difference between many lines and one."""
    many, one = calls(name, lines + 1), calls(name, 1)
    each = {name: (count - one.get(name, 0)) / lines for name, count in many.items()}
    return ", ".join(f"{count:.1f} {name}" for name, count in sorted(each.items()) if count > 0.05)


def cost(name: str) -> tuple[float, float]:
    """Returns the microseconds that a line takes there and back, and of those a server's processor time."""
    with serving(name) as (port, process):
        times = psutil.Process(process.pid).cpu_times
        before = sum(times()[:2])
        took = talk(port, 4 * TIMES)
        cpu = sum(times()[:2]) - before
    return statistics.median(took) / 1000, cpu / len(took) * 1e6


def main() -> None:
    """Measures, and prints."""
    clock = microseconds(nothing)
    found = steps() | asyncio.run(awaited()) | {"wake a thread of the same program": a_wake()}
    for what, took in found.items():
        print(f"{what:42} {max(0.0, took - clock):6.2f} us", flush=True)
    for name in SERVERS:
        took, cpu = cost(name)
        print(
            f"{name:42} {took:6.2f} us there and back, {cpu:.1f} us of the server's processor time",
            flush=True,
        )
        if shutil.which("strace"):
            print(f"{'':42} {calls_for_a_line(name)}", flush=True)


if __name__ == "__main__":
    main()
