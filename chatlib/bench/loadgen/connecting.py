"""Connects the clients and waits until the server is known to serve each of them."""

import contextlib
import itertools
import socket
import time
from collections.abc import Iterator

from chatlib.bench.loadgen.payload import LINE_SIZE, PERIOD, PROTOCOLS, Payload
from chatlib.bench.loadgen.receiver import RECEIVE_BUFFER, Receiver
from chatlib.bench.records import MeasurementError, Workload
from chatlib.client import DISCARD

JOIN_WITHIN = 15.0
"""Seconds until all clients must be served."""

ASK_AGAIN_AFTER = 0.2
"""Seconds without an answer after which the last client asks again."""


@contextlib.contextmanager
def connected(workload: Workload) -> Iterator[list[Receiver]]:
    """Connects all clients, and closes them at the end. Blocks for at most `JOIN_WITHIN` seconds for each.

    Raises:
        MeasurementError: A client cannot connect.
    """
    clients: list[Receiver] = []
    with contextlib.ExitStack() as sockets:
        for number in range(workload.clients):
            sock = sockets.enter_context(socket.socket())
            try:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
                # Close with a reset: otherwise each measurement leaves ports in TIME_WAIT, reserved for a
                # minute, and after some thousands of clients the system has none left.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, DISCARD)
                sock.settimeout(JOIN_WITHIN)
                sock.connect((workload.host, workload.port))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                raise MeasurementError(f"client {number} cannot connect: {error.strerror or error}") from None
            clients.append(Receiver(number, sock, PROTOCOLS[workload.protocol].ping))
        yield clients


def wait_until_served(workload: Workload, clients: list[Receiver]) -> float:
    """Returns when all clients were served, by `time.perf_counter`. From then on their sockets do not block.

    Blocks for at most about `JOIN_WITHIN` seconds. A connection proves nothing: the kernel accepts it, and a
    server may never look at it. So each client must have received something.

    Raises:
        MeasurementError: A client is not served in time.
    """
    deadline = time.perf_counter() + JOIN_WITHIN
    greets = PROTOCOLS[workload.protocol].hello
    served = (greet if greets else send_until_all_hear)(workload, clients, deadline)
    for client in clients:
        client.sock.setblocking(False)
    return served


def send_until_all_hear(workload: Workload, clients: list[Receiver], deadline: float) -> float:
    """The last client sends until all others have received one and the same line.

    A server knows its clients one after the other: a line that comes too early reaches only some of them, so
    it is sent again, with another number. Returns when the first client had it, for from then on it was under
    way to all.
    """
    first, *others, last = clients
    for number in itertools.count():
        line = f"ping {number}".ljust(LINE_SIZE - 1, ".").encode() + b"\n"
        last.say(line)
        with contextlib.suppress(TimeoutError):
            first.wait_for(line, ASK_AGAIN_AFTER)
            served = time.perf_counter()
            for client in others:
                client.wait_for(line, ASK_AGAIN_AFTER)
            return served
        if time.perf_counter() > deadline:
            break
    raise MeasurementError(f"not all of {workload.clients} clients were served within {JOIN_WITHIN:.0f} s")


def greet(workload: Workload, clients: list[Receiver], deadline: float) -> float:
    """All clients that will receive lines say hello, until each has been welcomed. Returns when it was."""
    protocol = PROTOCOLS[workload.protocol]
    listeners = clients[workload.senders :] if protocol.receipt else clients
    for client in listeners:
        client.say(protocol.hello)
    for client in listeners:
        try:
            client.wait_for(protocol.welcome, max(deadline - time.perf_counter(), 0.001))
        except TimeoutError:
            why = f"was not answered within {JOIN_WITHIN:.0f} s, among {workload.clients} clients"
            raise client.error(why) from None
    return time.perf_counter()


def expect(workload: Workload, clients: list[Receiver]) -> None:
    """Tells each client what it should receive from now on."""
    protocol = PROTOCOLS[workload.protocol]
    if protocol.service == "shout":
        payload = protocol.incoming(0)
        # Each begins at another place, so that an answer to one client never passes for that to another.
        for client in clients[: workload.senders]:
            client.expect({client.number: payload}, 0, client.number)
        return
    payloads = {sender: protocol.incoming(sender) for sender in range(workload.senders)}
    for client in clients:
        others = {sender: payload for sender, payload in payloads.items() if sender != client.number}
        client.expect(others, len(protocol.received[0]))
    if protocol.receipt:
        heard_by = protocol.receivers(workload.clients, workload.senders)
        receipts = Payload((protocol.receipt % heard_by,) * PERIOD)
        for client in clients[: workload.senders]:
            client.expect({client.number: receipts}, 0)
