"""What a class's room knows of each client: its name, its pace, and what the teacher has said of it."""

from dataclasses import dataclass
from typing import NamedTuple

from chatlib.services import Member

LINES_A_SECOND = 5
BURST = 20
"""Lines that a client may send at once: a paste. Then it goes on at `LINES_A_SECOND`."""
TOO_MANY = 200
"""Lines beyond that, after which a client is sent out: no person types so fast."""


@dataclass
class Seat:
    """What the room knows of a client."""

    member: Member
    came: float
    name: str = ""
    said: int = 0
    dropped: int = 0
    muted: bool = False
    pause: float = 0.0
    holds_lock: bool = False
    tokens: float = BURST
    counted: float = 0.0

    def takes(self, now: float) -> bool:
        """Says whether one more line is within the pace: a token each, and a few new ones every second."""
        self.tokens = min(BURST, self.tokens + (now - self.counted) * LINES_A_SECOND)
        self.counted = now
        if self.tokens < 1:
            self.dropped += 1
            return False
        self.tokens -= 1
        self.said += 1
        return True


class Present(NamedTuple):
    """One of those who are here, as the teacher sees it."""

    name: str
    """Empty until it was said."""
    address: str
    minutes: int
    said: int
    dropped: int
    state: str
    """`muted`, `slowed down`, both, or nothing."""
