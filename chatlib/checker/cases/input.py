"""Bad input: whatever a client sends, the others must not notice."""

from chatlib.checker.case import Case
from chatlib.checker.steps.basic import join, send_refusable, talk
from chatlib.checker.steps.payloads import BAD_UTF8, CONTROL, RANDOM

ROOM = (join("alice", "bob", "mallory"), talk("alice", "bob", "mallory"))
AFTERWARDS = talk("alice", "bob", times=2)
HINT = "An exception on one client's bytes must end that client's conversation, and no other."

CASES = (
    Case(
        "input.utf8",
        "Bytes that are not UTF-8",
        "When a client sends bytes that are not UTF-8, the others notice nothing.",
        given=ROOM,
        steps=(
            send_refusable("mallory", BAD_UTF8 + b"\n", "bytes that are not UTF-8"),
            talk("alice", "bob", times=2),
        ),
        hint=f'{HINT} decode("utf-8", "replace") never raises.',
        lesson="04 The stream lies",
    ),
    Case(
        "input.control",
        "NUL and terminal escapes",
        "When a client sends a NUL and terminal escapes, the others notice nothing.",
        given=ROOM,
        steps=(
            send_refusable("mallory", CONTROL + b"\n", "a NUL and terminal escapes"),
            talk("alice", "bob", times=2),
        ),
        hint=f"{HINT} Do not use what comes from a network as a file name, a format or a command.",
        lesson="04 The stream lies",
    ),
    Case(
        "input.random",
        "Random bytes",
        "When a client sends random bytes, the others notice nothing.",
        given=ROOM,
        steps=(send_refusable("mallory", RANDOM, "3,000 random bytes"), AFTERWARDS),
        hint=HINT,
        lesson="04 The stream lies",
    ),
)
