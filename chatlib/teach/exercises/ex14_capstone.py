"""Exercise 14: a server for Budget Chat, from an empty file, and the level that it reaches."""

from pathlib import Path
from typing import Any

from chatlib.teach.exercises.exercise import Exercise, is_subclass_of
from chatlib.teach.exercises.servers import Server, as_it_is, chosen

DIALECT = "budget-chat"

TOPICS = {
    "pass": ("delivery", "names", "framing"),
    "merit": ("departures", "input", "lifecycle"),
    "distinction": ("isolation", "slow"),
}
"""What each level asks for, on top of those before it: it works; it survives its clients; nobody waits."""

LEVELS = {
    level: tuple(case for case in chosen(*topics) if DIALECT in case.dialects)
    for level, topics in TOPICS.items()
}


def is_server_or_file(answer: Any) -> bool:
    """Whether an answer is a class with the verbs of a server, or names a file."""
    if isinstance(answer, str | Path):
        return Path(answer).is_file()
    return is_subclass_of(Server)(answer)


EXERCISE = Exercise(
    title="can you build it?",
    name="BudgetChat",
    takes="the server class itself, without brackets; or the name of your file, as a text",
    fits=is_server_or_file,
    cases=tuple(case for cases in LEVELS.values() for case in cases),
    lesson="14 Capstone",
    serves=as_it_is,
    dialect=DIALECT,
    levels=LEVELS,
)
