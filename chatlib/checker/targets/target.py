"""What the checker asks of a server, whatever it was made from: protocols only."""

import threading
from contextlib import AbstractContextManager
from enum import Enum
from typing import Any, Protocol

from chatlib.film.film import Film
from chatlib.sockets import Address

PORT = "{port}"
"""Where a command takes the port."""

STARTS_WITHIN = 10.0
"""Seconds in which a program has to listen."""


class Need(Enum):
    """What a case has to be able to do with its target."""

    START = "it must be started and stopped by the checker"
    PORT = "it must be told on which port to listen"
    USAGE = "its memory, threads and descriptors must be visible"
    LIMITS = "its descriptors must be limited, which only works for a program of its own"


class Usage(Protocol):
    """What a server uses now."""

    def cpu(self) -> float:
        """Seconds of processor time since it began."""

    def queued(self) -> float:
        """Seconds in which it was ready to run, and others ran; 0 where the system does not say."""

    def is_ready(self) -> bool:
        """Whether it runs now, or is ready to: how long that lasts is counted only when it has run."""

    def memory(self) -> int:
        """Bytes."""

    def descriptors(self) -> int:
        """Open sockets and files."""

    def threads(self) -> int:
        """Threads, of all its processes."""


class Instance(Protocol):
    """A server that runs."""

    address: Address
    usage: Usage | None
    """What it uses; None if that cannot be seen from here."""
    server: Any
    """The server itself, if it runs in this process; otherwise None."""
    thread: threading.Thread | None
    """The thread in `serve_forever`, if the server runs in this process."""

    def ended(self, within: float = 0.0) -> str:
        """Says how it has ended; nothing if it still runs.

        Args:
            within: Seconds to wait for that at most: its connections end a moment before it does.
        """

    def printed(self) -> str:
        """Returns what it printed last, not without end."""

    def says(self, text: str) -> bool:
        """Whether it has printed this, or written it into a file of its folder, such as a log."""

    def waiting(self, film: Film) -> tuple[str, ...]:
        """Returns who is stuck because of whom, and which thread waits for what, if it runs in this process.

        Args:
            film: Is to tell, and has ended afterwards. One that was begun before the server knows more.
        """

    def limit(self) -> str:
        """Says which limit of the checker it has met, so that what it did is no fault of its own."""

    def guard(self) -> None:
        """Kills it if it uses more than it may. Called ten times a second, from a thread of its own."""

    def stop(self, seconds: float) -> str:
        """Asks it to stop. Blocks for at most so long; returns what went wrong, nothing if all went well."""

    def discard(self) -> None:
        """Ends it, whatever it does. Blocks for seconds if it resists."""


class Target(AbstractContextManager[Any], Protocol):
    """What servers can be started from, inside a `with` block: at its end, none of them is left."""

    name: str
    offers: frozenset[Need]
    """What cases can do with it."""
    workers: int
    """How many of its servers may run at once."""
    in_process: bool
    """True if its servers run in this process, beside the checker."""

    def start(self, port: int = 0, descriptors: int = 0, within: float = STARTS_WITHIN) -> Instance:
        """Starts a server, and blocks until it listens.

        Args:
            port: Where; anywhere if 0.
            descriptors: How many it may have; as many as it likes if 0.
            within: Seconds in which it has to listen.

        Raises:
            TargetError: It cannot be started.
        """

    def close(self) -> None:
        """Ends what is left of its servers, also those that are only starting in another thread."""
