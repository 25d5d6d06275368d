"""Who may connect: an allow-list of networks, and how many connections each address may have. No I/O here."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

PRIVATE: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")
    + ("::1/128", "fc00::/7", "fe80::/10")
)
"""This computer and local networks (RFC 1918, 3927, 4193, 4291): what no packet from the internet bears."""

REMEMBERED = 1000
"""Addresses whose wrong codes are remembered."""


class OpenDoor:
    """Lets all connections in, and counts none."""

    def enter(self, host: str) -> str:
        """Lets a connection in. Returns why not, if it may not come in: then it is not counted."""
        return ""

    def leave(self, host: str) -> None:
        """A connection that was let in has ended."""


class Door(OpenDoor):
    """Lets connections in, and counts them. Any thread may call it.

    Students behind one router that translates addresses (NAT) share an address, and so these limits.

    Args:
        clients: Connections at once.
        per_address: Connections at once from one address.
        networks: Where clients may be.
        attempts: Wrong codes after which an address has to wait.
        pause: Seconds for which it waits then.
        clock: Gives the seconds.

    Raises:
        ValueError: Less than one client, one for each address, or one attempt.
    """

    def __init__(
        self,
        clients: int = 60,
        per_address: int = 4,
        networks: Iterable[Network] = PRIVATE,
        attempts: int = 5,
        pause: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if clients < 1 or per_address < 1 or attempts < 1:
            raise ValueError("a door lets in 1 client at least, 1 for each address, and 1 attempt")
        self.clients, self.per_address, self.networks = clients, per_address, tuple(networks)
        self._attempts, self._pause, self._clock = attempts, pause, clock
        self._inside: Counter[str] = Counter()
        self._wrong: dict[str, tuple[int, float]] = {}  # how many wrong codes, and when the last one came
        self._lock = threading.Lock()

    @property
    def inside(self) -> int:
        """How many connections there are."""
        return self._inside.total()

    def enter(self, host: str) -> str:
        """Lets a connection in, and counts it; or returns why not."""
        with self._lock:
            problem = self._problem_with(host)
            if not problem:  # or each address that was refused would cost memory
                self._inside[host] += 1
            return problem

    def leave(self, host: str) -> None:
        """One that was let in has ended."""
        with self._lock:
            self._inside[host] -= 1
            if self._inside[host] <= 0:
                del self._inside[host]  # or each address that ever came would cost memory

    def wrong_code(self, host: str) -> None:
        """Counts a wrong code. After a few of them the address has to wait; other addresses do not."""
        with self._lock:
            count, last = self._wrong.pop(host, (0, 0.0))
            now = self._clock()
            self._wrong[host] = (count + 1 if now - last < self._pause else 1, now)
            if len(self._wrong) > REMEMBERED:
                del self._wrong[next(iter(self._wrong))]

    def shut_for(self, host: str) -> None:
        """Keeps an address out for a while."""
        with self._lock:
            self._wrong[host] = self._attempts, self._clock()

    def must_wait(self, host: str) -> bool:
        """Says whether this address has tried too many wrong codes."""
        count, last = self._wrong.get(host, (0, 0.0))
        return count >= self._attempts and self._clock() - last < self._pause

    def _problem_with(self, host: str) -> str:
        if not self._is_allowed(host):
            return f"{host} is in no network that may come in"
        if self.must_wait(host):
            return f"{host} has to wait: too many wrong codes, or it was sent out"
        if self._inside[host] >= self.per_address:
            return f"{host} has {self.per_address} connections already"
        return "the room is full" if self.inside >= self.clients else ""

    def _is_allowed(self, host: str) -> bool:
        try:
            address = ip_address(host.partition("%")[0])  # fe80::1%eth0: the part after it names a cable
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)  # how a server of both families sees IPv4
        return any((mapped or address) in network for network in self.networks)
