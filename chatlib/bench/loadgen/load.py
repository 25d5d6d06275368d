"""The load: senders that keep lines under way, watchers that time them, receivers that check every byte.

A line counts as arrived when its watcher has it: in `broadcast` the last client, which most servers serve
last; in `shout` the sender itself. The others are read when they are 16 KiB behind, far less than the kernel
holds for them, and in large pieces. So this generator, although in Python, needs less time than the servers.
"""

import contextlib
import selectors
import time

from chatlib.bench.loadgen.connecting import connected, expect, wait_until_served
from chatlib.bench.loadgen.payload import LINE_SIZE, PROTOCOLS, READ_SIZE
from chatlib.bench.loadgen.receiver import Receiver
from chatlib.bench.loadgen.sender import Latencies, Sender
from chatlib.bench.records import Figures, Workload
from chatlib.resources import ProcessTree, process_tree

HIGH_WATER = 16 * 1024
"""Bytes that the watcher is ahead of the others when they are read."""

READ_IN_A_ROW = 4
"""Clients that are read before the watcher is looked at again; that time would look like latency.
Twice as many when it is twice as far ahead, and so on: a server that always has something for the watcher
would wait for the others, or cut them off."""

WARM_UP = 0.25
"""Share of the time that the load runs beforehand, unmeasured: memory is being found, buffers grow."""

SILENCE = 5.0
"""Seconds in which nothing arrives after which what is missing counts as lost."""

DOUBT_AFTER = 0.02
"""Seconds after which a silent watcher is doubted: perhaps the server waits until another client has read."""

QUIET = 0.03
"""Seconds at the end in which nothing more may come."""


class Snapshot:
    """A moment, and what had been done and used until then.

    Args:
        senders: The clients that send.
        server: Its processes; None if what they use is not known.
    """

    def __init__(self, senders: list[Sender], server: ProcessTree | None) -> None:
        self.cpu = server.cpu() if server else None
        self.own = time.process_time()  # psutil says that, too, but in steps of 10 ms
        self.at = time.perf_counter()
        self.lines = sum(sender.arrived for sender in senders)


class Load:
    """Puts a server under load.

    Args:
        workload: How many clients send, and how much.
        clients: All of them, served.
    """

    def __init__(self, workload: Workload, clients: list[Receiver]) -> None:
        expect(workload, clients)
        protocol, talkers, window = PROTOCOLS[workload.protocol], clients[: workload.senders], workload.window
        self.latencies = Latencies()
        if protocol.service == "shout":
            payload, watchers, self._others = protocol.outgoing(0), talkers, clients[workload.senders :]
            self.senders = [Sender(client, payload, window, client.number) for client in talkers]
        else:
            watchers, self._others = clients[-1:], clients[:-1]
            self.senders = [Sender(client, protocol.outgoing(client.number), window, 0) for client in talkers]
        self._clients = clients
        self._watchers = selectors.DefaultSelector()
        for watcher in watchers:
            self._watchers.register(watcher.sock, selectors.EVENT_READ, watcher)
        self._to_read: list[Receiver] = []
        self._ahead = 0  # lines that the watcher has received since the others were read
        self._heard_at = time.perf_counter()

    def run(self, seconds: float) -> None:
        """Keeps the server busy. Blocks for this time.

        Raises:
            MeasurementError: Something else came than what was sent, or nothing for `SILENCE` seconds.
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
            MeasurementError: A line was lost, or another came than the one due.
        """
        while any(sender.arrived < sender.sent for sender in self.senders):
            self._turn()
        missing = self._clients
        while missing := [client for client in missing if self._owed(client)]:
            with selectors.DefaultSelector() as selector:
                selector.register(missing[0].sock, selectors.EVENT_READ)
                selector.select(DOUBT_AFTER)
            for client in missing:
                self._hear(client)
            self._check_silence(missing[0])

    def stay_quiet(self) -> None:
        """Waits for what should not come. Blocks for `QUIET` seconds.

        Raises:
            MeasurementError: A client has received more than was sent.
        """
        self._watchers.select(QUIET)
        for client in self._clients:
            if client.hear() or client.rest:
                raise client.error("it received more than was sent")

    def close(self) -> None:
        """Gives the descriptor of its selector back."""
        self._watchers.close()

    def _turn(self) -> list[Sender]:
        """Waits for a watcher, or reads some of the others. Returns the senders whose lines have arrived."""
        stuck = [sender for sender in self.senders if sender.stuck]
        for sender in stuck:
            sender.push()
        # Blocks until a watcher has something: not at all while others are to be read, and only briefly while
        # the kernel does not take what is to be sent, for no selector says when it does.
        ready = self._watchers.select(0 if self._to_read else 0.001 if stuck else DOUBT_AFTER)
        arrived = []
        for key, _ in ready:
            for number, count in self._hear(key.data):
                self.senders[number].arrive(count, self._heard_at, self.latencies)
                self._ahead += count
                arrived.append(self.senders[number])
        if not ready and not self._to_read:
            self._check_silence(self._clients[-1])
        if not self._to_read and (not ready or self._ahead * LINE_SIZE >= HIGH_WATER):
            self._to_read, self._ahead = self._others[::-1], 0
        # The watcher goes first: only its lines are timed.
        steps = self._ahead * LINE_SIZE // HIGH_WATER if ready else 1
        for _ in range(min(READ_IN_A_ROW * steps, len(self._to_read))):
            self._hear_all(self._to_read.pop())
        return arrived

    def _hear(self, client: Receiver) -> list[tuple[int, int]]:
        heard = client.hear()
        if heard:
            self._heard_at = time.perf_counter()
        return heard

    def _hear_all(self, client: Receiver) -> None:
        while sum(count for _, count in self._hear(client)) * LINE_SIZE > READ_SIZE // 2:
            pass  # one `recv` may not have brought all

    def _owed(self, client: Receiver) -> int:
        return sum(self.senders[number].sent - place for number, place in client.places.items())

    def _check_silence(self, client: Receiver) -> None:
        if time.perf_counter() - self._heard_at > SILENCE:
            lines = f"{self._owed(client)} lines are missing"
            raise client.error(f"nothing came for {SILENCE:.0f} s, and {lines}: they were lost")


def load(workload: Workload) -> Figures:
    """Connects the clients, puts the server under load, and returns what was measured. Blocks.

    Raises:
        MeasurementError: The server did something wrong, or not in time.
    """
    server = process_tree(workload.pid)
    empty, began = server.own_memory() if server else None, time.perf_counter()
    with connected(workload) as clients:
        served = wait_until_served(workload, clients)
        full = server.own_memory() if server else None
        with contextlib.closing(Load(workload, clients)) as work:
            work.run(workload.seconds * WARM_UP)
            work.latencies.clear()
            start = Snapshot(work.senders, server)
            work.run(workload.seconds)
            work.finish()
            end = Snapshot(work.senders, server)
            work.stay_quiet()
    seconds = end.at - start.at
    used = None if start.cpu is None or end.cpu is None else end.cpu - start.cpu
    receivers = PROTOCOLS[workload.protocol].receivers(workload.clients, workload.senders)
    deliveries = (end.lines - start.lines) * receivers
    return Figures(
        deliveries_per_s=deliveries / seconds,
        p50_us=work.latencies.percentile(0.50) * 1e6,
        p99_us=work.latencies.percentile(0.99) * 1e6,
        cpu_us=None if used is None or not deliveries else used / deliveries * 1e6,
        kib_per_client=None if empty is None or full is None else (full - empty) / 1024 / workload.clients,
        joins_per_s=workload.clients / (served - began),
        server_busy=None if used is None else used / seconds,
        load_busy=(end.own - start.own) / seconds,
    )
