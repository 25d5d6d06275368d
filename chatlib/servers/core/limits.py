"""What a server grants to its clients."""

import os
from dataclasses import dataclass

from chatlib.door import OpenDoor
from chatlib.outbox import OUTBOX_LIMIT
from chatlib.wire import LINE_LIMIT

LONGEST_WAIT = 24 * 86_400.0
"""Seconds. `settimeout` takes what fits into 31 bits of milliseconds, and raises OverflowError beyond."""


@dataclass(frozen=True)
class Limits:
    """What a server grants to its clients."""

    line: int = LINE_LIMIT
    """Bytes in one line. A client that sends a longer one is told so and disconnected."""
    outbox: int = OUTBOX_LIMIT
    """Bytes that may wait for one client. One that reads too slowly for that is cut off."""
    clients: int = 10_000 if os.name == "posix" else 500
    """Connections at once. One more is told so, and closed. (On Windows `select` takes only 512.)"""
    idle: float = 86_400.0
    """Seconds of silence after which a client counts as gone: more than 0, and at most 24 days, which is the
    longest that a socket can wait. On a `SyncServer` the others wait that long."""
    door: OpenDoor = OpenDoor()
    """Which addresses may connect, and how often: a `Door` counts them."""

    @property
    def high_water(self) -> int:
        """Bytes that a client may be owed and still be heard: beyond that, it must read first."""
        return self.outbox // 2

    def __post_init__(self) -> None:
        if not 0 < self.idle <= LONGEST_WAIT:
            raise ValueError(
                f"idle is {self.idle}: it must be more than 0 and at most {LONGEST_WAIT:.0f} seconds"
            )
