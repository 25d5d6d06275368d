"""What is to be measured, and what was: frozen records. And the error that says why it could not be."""

from dataclasses import dataclass

BUSY = 0.9
"""Share of its time from which on the load generator may have been slower than the server."""

IDLE = 0.5
"""Share of the time in which neither server nor load generator ran from which on the figures mean little."""

FLOOR = "floor"
"""What the servers are compared with: a program that does nothing but the sends."""


class MeasurementError(Exception):
    """A program did not do what was asked of it, or not in time; the text says what."""


@dataclass(frozen=True)
class Workload:
    """What the load generator is told to do."""

    host: str
    port: int
    pid: int
    """The server's process, whose processor time and memory are read."""
    protocol: str
    """How lines are written on the wire: a name in `PROTOCOLS`."""
    clients: int
    senders: int
    """How many of the clients send."""
    window: int
    """Lines that each of them may have under way."""
    seconds: float


@dataclass(frozen=True)
class Figures:
    """What was measured on one server with one number of clients."""

    deliveries_per_s: float
    """Lines that reached a receiver, in one second; all receivers together."""
    p50_us: float
    """Half of the lines took at most this, in microseconds, from their `send` to the watcher's `recv`."""
    p99_us: float
    """99 of 100 lines took at most this, in microseconds."""
    cpu_us: float | None
    """Processor time of the server for each delivery, in microseconds; None if it is not known."""
    kib_per_client: float | None
    """Memory of the server for each client that is connected and silent, in KiB; None if it is not known."""
    joins_per_s: float
    """Clients divided by the seconds until all of them were served."""
    server_busy: float | None
    """Processor time of the server as a share of the time; above 1 for several cores, None if not known."""
    load_busy: float
    """Processor time of the load generator as a share of the time. For the rest it waited."""

    @property
    def saturated(self) -> bool:
        """True if the load generator was at its limit, and perhaps slower than the server."""
        return self.load_busy > BUSY

    @property
    def disturbed(self) -> bool:
        """True if for most of the time neither of the two had a processor: other programs did."""
        return self.server_busy is not None and self.server_busy + self.load_busy < 1 - IDLE


@dataclass(frozen=True)
class Row:
    """One server with one number of clients: its figures, or the reason why there are none.

    With neither it is still to be measured.
    """

    server: str
    clients: int
    figures: Figures | None = None
    reason: str = ""
    failed: bool = False
    """True if the server was measured and did something wrong; False if it was left out."""


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Raises:
        ValueError: It cannot be done; the message says why.
    """

    models: tuple[str, ...]
    clients: tuple[int, ...]
    senders: int | None
    """How many clients send; if None, one in `broadcast`, and all in `shout`."""
    window: int
    service: str
    seconds: float
    against: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for value, least, most, what in (
            (min(self.clients, default=0), 1, 10_000, "the number of clients"),
            (max(self.clients, default=0), 1, 10_000, "the number of clients"),
            (self.least, 1, 60, "the number of senders"),
            (self.window, 1, 512, "the window, in lines,"),
            (self.least * self.window, 1, 4096, "senders times window"),
            (self.seconds, 0.05, 60, "the time for each measurement, in seconds,"),
        ):
            if not least <= value <= most:
                raise ValueError(f"{what} must be from {least} to {most}, not {value}")
        if self.service not in ("broadcast", "shout"):
            raise ValueError(f"{self.service!r} cannot be measured: broadcast and shout can")

    @property
    def least(self) -> int:
        """How many senders there are at least."""
        return 1 if self.senders is None else self.senders

    def talkers(self, clients: int) -> int:
        """Returns how many of the clients send."""
        return clients if self.service == "shout" and self.senders is None else min(self.least, clients)
