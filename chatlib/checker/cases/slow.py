"""A slow reader: it pays for that itself, and the others do not."""

from chatlib.checker.case import FRAMED, Case
from chatlib.checker.steps.basic import join, talk
from chatlib.checker.steps.flood import flood, flood_and_measure, flood_and_wake
from chatlib.checker.targets.target import Need

LESSON = "06 The sleeper"
GIVEN = (join("alice", "sleeper", "bob"), talk("alice", "sleeper", "bob"))

CASES = (
    Case(
        "slow.others",
        "Others hear every line at full speed",
        "While 20 MB flow past a client that does not read, all others hear every line without a pause.",
        given=GIVEN,
        steps=(flood("alice", "bob", 20),),
        hint="Never wait for one client while others are owed something: give each one an outbox.",
        lesson=LESSON,
        deadline=25.0,
    ),
    Case(
        "slow.memory",
        "A slow reader does not fill the memory",
        "While 24 MB flow past a client that does not read, the memory of the server stays bounded.",
        given=GIVEN,
        steps=(flood_and_measure("alice", "bob", 24, growth=12),),
        hint="Limit what may wait for one client. Beyond that, drop the client, or say what is left out.",
        lesson=LESSON,
        needs=frozenset({Need.USAGE}),
        deadline=30.0,
    ),
    Case(
        "slow.lines",
        "A slow reader gets whole lines, or is dropped",
        "A client that reads too slowly is told or dropped, and never receives a torn line.",
        given=GIVEN,
        steps=(flood_and_wake("alice", "bob", 6),),
        hint="send takes only a part when there is no room: keep the rest, and send that first next time.",
        lesson=LESSON,
        dialects=FRAMED,
        deadline=25.0,
    ),
)
