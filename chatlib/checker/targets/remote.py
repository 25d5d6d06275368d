"""A server that runs already: it can be talked to, and neither started, stopped nor looked into."""

import threading
from typing import Any

from chatlib.checker.targets.target import STARTS_WITHIN, Instance, Need, Usage
from chatlib.film.film import Film
from chatlib.sockets import Address


class Remote:
    """Target and instance in one: each case talks to the same server, and leaves it running.

    Args:
        address: Where it listens.
    """

    offers: frozenset[Need] = frozenset()
    workers = 1
    in_process = False
    usage: Usage | None = None
    server: Any = None
    thread: threading.Thread | None = None

    def __init__(self, address: Address) -> None:
        self.address = address
        self.name = "{}:{}".format(*address)

    def __enter__(self) -> "Remote":
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves it running."""

    def start(self, port: int = 0, descriptors: int = 0, within: float = STARTS_WITHIN) -> Instance:
        return self

    def ended(self, within: float = 0.0) -> str:
        return ""

    def printed(self) -> str:
        return ""

    def says(self, text: str) -> bool:
        return False

    def waiting(self, film: Film) -> tuple[str, ...]:
        return ()

    def limit(self) -> str:
        return ""

    def guard(self) -> None:
        """Its process is not ours to kill."""

    def stop(self, seconds: float) -> str:
        return ""

    def discard(self) -> None:
        """Leaves it running."""

    def close(self) -> None:
        """Leaves it running."""
