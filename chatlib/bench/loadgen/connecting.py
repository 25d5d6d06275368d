"""Lets a crowd of clients in, until the server is known to serve each of them."""

import contextlib
import itertools
import socket
import time
from collections.abc import Iterator

from chatlib.bench.loadgen.payload import DIALECTS, LINE, PERIOD, Failed, Stream
from chatlib.bench.loadgen.receiver import ROOM, Receiver
from chatlib.bench.records import Order
from chatlib.client import DISCARD

JOIN_WITHIN = 15.0
"""Seconds until all clients must be served."""

PATIENCE = 0.2
"""Seconds without an answer after which the last client asks again."""


@contextlib.contextmanager
def crowd(order: Order) -> Iterator[list[Receiver]]:
    """Connects all clients, and closes them at the end. Blocks for at most `JOIN_WITHIN` seconds for each."""
    clients: list[Receiver] = []
    try:
        for number in range(order.clients):
            clients.append(Receiver(number, _connect(order, number), DIALECTS[order.dialect].aside))
        yield clients
    finally:
        for client in clients:
            client.sock.close()


def _connect(order: Order, number: int) -> socket.socket:
    sock = socket.socket()
    try:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        # When all is over, close with a reset: otherwise thousands of ports would be reserved for a minute.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, DISCARD)
        sock.settimeout(JOIN_WITHIN)
        sock.connect((order.host, order.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    except OSError as error:
        sock.close()
        raise Failed(f"client {number} cannot connect: {error.strerror or error}") from None


def join(order: Order, clients: list[Receiver]) -> float:
    """Waits until all clients are served. Returns when they were, by `time.perf_counter`.

    Blocks for at most about `JOIN_WITHIN` seconds.

    Raises:
        Failed: Somebody is not served in time.
    """
    deadline = time.perf_counter() + JOIN_WITHIN
    served = (_greet if DIALECTS[order.dialect].hello else _ping)(order, clients, deadline)
    for client in clients:
        client.sock.setblocking(False)
    return served


def _ping(order: Order, clients: list[Receiver], deadline: float) -> float:
    """The last client speaks until all others have heard one and the same line."""
    *others, last = clients
    for number in itertools.count():
        ping = f"ping {number}".ljust(LINE - 1, ".").encode() + b"\n"
        last.say(ping)
        with contextlib.suppress(TimeoutError):
            return _all_hear(others, ping, PATIENCE)
        if time.perf_counter() > deadline:
            break
    raise Failed(f"not all of {order.clients} clients were served within {JOIN_WITHIN:.0f} s")


def _all_hear(clients: list[Receiver], line: bytes, patience: float) -> float:
    """Waits until all have heard it. Returns when the first did: from then on, it was under way to all."""
    clients[0].wait_for(line, patience)
    served = time.perf_counter()
    for client in clients[1:]:
        client.wait_for(line, patience)
    return served


def _greet(order: Order, clients: list[Receiver], deadline: float) -> float:
    """All who will hear lines say hello, until each has been welcomed."""
    dialect = DIALECTS[order.dialect]
    listeners = clients[order.senders :] if dialect.receipt else clients
    for client in listeners:
        client.say(dialect.hello)
    for client in listeners:
        try:
            client.wait_for(dialect.welcome, max(deadline - time.perf_counter(), 0.001))
        except TimeoutError:
            why = f"was not answered within {JOIN_WITHIN:.0f} s, among {order.clients} clients"
            raise client.fail(why) from None
    return time.perf_counter()


def expect(order: Order, clients: list[Receiver]) -> None:
    """Says to each client what it should receive from now on."""
    dialect = DIALECTS[order.dialect]
    if dialect.service == "shout":
        stream = dialect.back(0)
        # Each begins elsewhere, so that nobody's answer passes for another's.
        for client in clients[: order.senders]:
            client.expect({client.number: stream}, 0, client.number)
        return
    streams = {sender: dialect.back(sender) for sender in range(order.senders)}
    for client in clients:
        others = {sender: stream for sender, stream in streams.items() if sender != client.number}
        client.expect(others, len(dialect.heard[0]))
    if dialect.receipt:
        receipts = Stream((dialect.receipt % dialect.receivers(order.clients, order.senders),) * PERIOD)
        for client in clients[: order.senders]:
            client.expect({client.number: receipts}, 0)
