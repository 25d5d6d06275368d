"""The load: senders that keep lines under way, watchers that time them, receivers that check every byte.

A line counts as arrived when its watcher has it: in `broadcast` the last client, whom most servers serve
last; in `shout` the sender itself. The others are read when they are 16 KiB behind, far less than the kernel
holds for them, and in large pieces. So this generator, although in Python, needs less time than the servers.
"""

import contextlib
import selectors
import time

from chatlib.bench.loadgen.connecting import crowd, expect, join
from chatlib.bench.loadgen.payload import DIALECTS, LINE
from chatlib.bench.loadgen.receiver import Receiver
from chatlib.bench.loadgen.sender import Latencies, Sender
from chatlib.bench.records import Figures, Order
from chatlib.resources import ProcessTree, process_tree

DRAIN = 16 * 1024
"""Bytes that the watcher is ahead of the others when they are read."""

SLICE = 4
"""Clients that are read before the watcher is looked at again."""

WARM_UP = 0.25
"""Share of the time that the load runs beforehand, unmeasured: memory is being found, buffers grow."""

SILENCE = 5.0
"""Seconds in which nothing arrives after which what is missing counts as lost."""

WAIT = 0.02
"""Seconds after which a silent watcher is doubted: perhaps the server waits until another has been read."""

QUIET = 0.03
"""Seconds that are waited at the end for lines that should not come."""


class Snapshot:
    """A moment, and what had been done and used until then.

    Args:
        senders: Who sends.
        server: Its processes; None if what they use is not known.
    """

    def __init__(self, senders: list[Sender], server: ProcessTree | None) -> None:
        self.cpu = server.cpu() if server else None
        self.own = time.process_time()
        self.at = time.perf_counter()
        self.lines = sum(sender.arrived for sender in senders)


class Load:
    """Puts a server under load.

    Args:
        order: How many clients send, how much, for how long.
        clients: All of them, joined.
    """

    def __init__(self, order: Order, clients: list[Receiver]) -> None:
        expect(order, clients)
        dialect, talkers = DIALECTS[order.dialect], clients[: order.senders]
        self.latencies = Latencies()
        if dialect.service == "shout":
            stream, watchers, self._others = dialect.out(0), talkers, clients[order.senders :]
            self.senders = [Sender(client, stream, order.window, client.number) for client in talkers]
        else:
            watchers, self._others = clients[-1:], clients[:-1]
            self.senders = [Sender(client, dialect.out(client.number), order.window, 0) for client in talkers]
        self._clients = clients
        self._watchers = selectors.DefaultSelector()
        for watcher in watchers:
            self._watchers.register(watcher.sock, selectors.EVENT_READ, watcher)
        self._to_read: list[Receiver] = []
        self._ahead = 0  # lines that the watcher has received since the others were read
        self._heard_at = time.perf_counter()

    def run(self, seconds: float) -> None:
        """Keeps the server busy for so long. Blocks.

        Raises:
            Failed: Something else came than what was sent, or nothing for `SILENCE` seconds.
        """
        end = time.perf_counter() + seconds
        active = self.senders
        while (now := time.perf_counter()) < end:
            for sender in active:
                sender.fill(now)
            active = self._turn()

    def finish(self) -> None:
        """Waits until all have received all. Blocks; then nothing is under way any more.

        Raises:
            Failed: A line was lost, or another came than the one due.
        """
        while any(sender.arrived < sender.sent for sender in self.senders):
            self._turn()
        missing = self._clients
        while missing := [client for client in missing if self._owed(client)]:
            _wait_for(missing[0])
            for client in missing:
                self._hear(client)
            self._check_silence(missing[0])

    def stay_quiet(self) -> None:
        """Waits for what should not come. Blocks for `QUIET` seconds.

        Raises:
            Failed: Somebody has received more than was sent.
        """
        self._watchers.select(QUIET)
        for client in self._clients:
            if client.hear() or client.rest:
                raise client.fail("it received more than was sent")

    def close(self) -> None:
        """Gives the descriptor of its selector back."""
        self._watchers.close()

    def _turn(self) -> list[Sender]:
        """Waits for a watcher, or reads some of the others. Returns the senders whose lines have arrived."""
        stuck = [sender for sender in self.senders if sender.stuck]
        for sender in stuck:
            sender.push()
        ready = self._watchers.select(0 if self._to_read else 0.001 if stuck else WAIT)
        if not ready:
            self._read_others()
        return [sender for key, _ in ready for sender in self._watch(key.data)]

    def _watch(self, watcher: Receiver) -> list[Sender]:
        heard = self._hear(watcher)
        for number, count in heard:
            self.senders[number].arrive(count, self._heard_at, self.latencies)
            self._ahead += count
        if self._ahead * LINE >= DRAIN and not self._to_read:
            self._read_all_others()
        return [self.senders[number] for number, _ in heard]

    def _read_others(self) -> None:
        """Reads some of them; all of them from now on, if the watcher has been silent for `WAIT` seconds."""
        if not self._to_read:
            self._check_silence(self._clients[-1])
            self._read_all_others()
        for client in self._to_read[-SLICE:]:
            self._hear(client)
        del self._to_read[-SLICE:]

    def _read_all_others(self) -> None:
        self._to_read, self._ahead = self._others[::-1], 0

    def _hear(self, client: Receiver) -> list[tuple[int, int]]:
        heard = client.hear()
        if heard:
            self._heard_at = time.perf_counter()
        return heard

    def _owed(self, client: Receiver) -> int:
        return sum(self.senders[number].sent - place for number, place in client.places.items())

    def _check_silence(self, client: Receiver) -> None:
        if time.perf_counter() - self._heard_at > SILENCE:
            lines = f"{self._owed(client)} lines are missing"
            raise client.fail(f"nothing came for {SILENCE:.0f} s, and {lines}: they were lost")


def _wait_for(client: Receiver) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(client.sock, selectors.EVENT_READ)
        selector.select(WAIT)


def load(order: Order) -> Figures:
    """Lets a crowd in, puts the server under load, and returns what was measured. Blocks.

    Raises:
        Failed: The server did something wrong, or not in time.
    """
    server = process_tree(order.pid)
    empty, began = server.own_memory() if server else None, time.perf_counter()
    with crowd(order) as clients:
        served = join(order, clients)
        full = server.own_memory() if server else None
        with contextlib.closing(Load(order, clients)) as work:
            work.run(order.seconds * WARM_UP)
            work.latencies.clear()
            start = Snapshot(work.senders, server)
            work.run(order.seconds)
            work.finish()
            end = Snapshot(work.senders, server)
            work.stay_quiet()
    deliveries = (end.lines - start.lines) * DIALECTS[order.dialect].receivers(order.clients, order.senders)
    kib = None if empty is None or full is None else (full - empty) / 1024 / order.clients
    return _figures(start, end, deliveries, work.latencies, kib, order.clients / (served - began))


def _figures(
    start: Snapshot, end: Snapshot, deliveries: int, latencies: Latencies, kib: float | None, joins: float
) -> Figures:
    seconds = end.at - start.at
    used = None if start.cpu is None or end.cpu is None else end.cpu - start.cpu
    return Figures(
        deliveries_per_s=deliveries / seconds,
        p50_us=latencies.percentile(0.50) * 1e6,
        p99_us=latencies.percentile(0.99) * 1e6,
        cpu_us=None if used is None or not deliveries else used / deliveries * 1e6,
        kib_per_client=kib,
        joins_per_s=joins,
        server_busy=None if used is None else used / seconds,
        load_busy=(end.own - start.own) / seconds,
    )
