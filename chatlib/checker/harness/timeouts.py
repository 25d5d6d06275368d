"""How long to wait: measured by how fast this computer is just now, never merely guessed."""

import socket
import threading
import time
from dataclasses import dataclass

ROUNDS = 20

PATIENCE = 0.9
"""Seconds, on a machine that has nothing else to do."""


@dataclass(frozen=True)
class Timeouts:
    """How long to wait, in seconds."""

    patience: float
    """For what should happen. Only a failing server costs so much time."""
    quiet: float
    """For what should not happen, once something later has happened."""
    turn: float
    """For a thread that has something to do: until then, it has had its turn."""
    factor: float = 1.0
    """How many times longer than on a quiet machine: the deadlines of cases and floods grow with it."""


def measured(factor: float = 1.0) -> Timeouts:
    """Measures round trips between two threads of this process; blocks for some milliseconds.

    A machine that is busy with something else is given more time.

    Args:
        factor: 1 at a first look; more when a case is looked at again, after silence.
    """
    here, there = socket.socketpair()

    def answer() -> None:
        for _ in range(ROUNDS):
            there.send(there.recv(1))

    def round_trip() -> float:
        start = time.perf_counter()
        here.send(b"?")
        here.recv(1)
        return time.perf_counter() - start

    with here, there:
        here.settimeout(5.0)
        there.settimeout(5.0)
        threading.Thread(target=answer, daemon=True).start()
        slow = sorted(round_trip() for _ in range(ROUNDS))[-3]
    patience, quiet = min(PATIENCE + 40 * slow, 4.0), min(0.06 + 10 * slow, 0.6)
    turn = min(0.005 + 10 * slow, 0.2)
    return Timeouts(factor * patience, factor * quiet, turn, factor * patience / PATIENCE)
