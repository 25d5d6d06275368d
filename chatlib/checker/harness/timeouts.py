"""How long to be patient: measured by how fast this computer is just now, never merely guessed."""

import socket
import threading
import time
from dataclasses import dataclass

ROUNDS = 20


@dataclass(frozen=True)
class Pace:
    """Two waits, in seconds."""

    patience: float
    """For what should happen. Only a failing server costs so much time."""
    quiet: float
    """For what should not happen, once something later has happened."""

    is_doubled: bool = False

    def doubled(self) -> "Pace":
        """Returns the pace of a second look, when a first one found silence."""
        return Pace(2 * self.patience, 2 * self.quiet, is_doubled=True)


def measured() -> Pace:
    """Measures round trips between two threads of this process; blocks for some milliseconds.

    A machine that is busy with something else is given more time.
    """
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(5.0)
        there.settimeout(5.0)
        threading.Thread(target=_answer, args=(there,), daemon=True).start()
        slow = sorted(_round_trip(here) for _ in range(ROUNDS))[-3]
    return Pace(patience=min(0.9 + 40 * slow, 4.0), quiet=min(0.06 + 10 * slow, 0.6))


def _answer(end: socket.socket) -> None:
    for _ in range(ROUNDS):
        end.send(end.recv(1))


def _round_trip(end: socket.socket) -> float:
    start = time.perf_counter()
    end.send(b"?")
    end.recv(1)
    return time.perf_counter() - start
