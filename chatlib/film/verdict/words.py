"""What threads, and what they wait for, are called in a sentence."""

from collections.abc import Iterable, Sequence

from chatlib.film.recording import Recording
from chatlib.film.spans import Span
from chatlib.film.units import clean
from chatlib.film.verdict.scene import Scene, Wait

_BARE = ("the ", "a thread", "thread ", "task ")

COULD = {
    "an item in a queue": "puts one in",
    "room in a queue": "takes an item out",
    "an event": "sets it",
    "a condition": "notifies it",
    "a semaphore": "releases it",
    "a barrier": "comes to it",
    "a queue to be worked off": "works it off",
    "the lock that somebody holds": "releases it",
}
"""What another thread has to do, so that a wait ends."""


def called(recording: Recording, ident: int) -> str:
    """Returns the name of a thread, between quotes unless it reads like one of a film's own: `task anna`."""
    label = recording.lanes.get(ident)
    if label is None:  # it has made no call: its name stands in what another waits for
        found = (recording.awaited(span) for span in recording.spans if span.end is None)
        label = next((awaited[1] for awaited in found if awaited and awaited[0] == ident), "a thread")
    return clean(label) if label.startswith(_BARE) else f"'{clean(label)}'"


def player(recording: Recording, span: Span) -> str:
    """Returns the client whose call it is, or the thread."""
    name = recording.names.get(span.local) if span.local else None
    return clean(name) if name else called(recording, span.ident)


def peer(scene: Scene, wait: Wait) -> str:
    """Returns what the other end of a connection is called: a client, the server, a thread that has it."""
    recording, other = scene.recording, wait.span.peer
    known = other in recording.names or other in recording.listeners
    if not known and len(wait.on) == 1 and recording.looker not in wait.on:
        return called(recording, next(iter(wait.on)))
    return clean(recording.name_of(other)) if other else "the other end"


def listed(words: Iterable[str], last: str = " and ") -> str:
    """Returns `a, b and c`."""
    *first, end = words
    return last.join(filter(None, [", ".join(first), end]))


def crowd(names: Sequence[str]) -> str:
    """Returns the same, of a crowd only the first ones: `a, b, c and 97 others`."""
    return listed(names if len(names) < 6 else [*names[:3], f"{len(names) - 3} others"])


def awaited(recording: Recording, wait: Wait, after: str = "") -> str:
    """Returns what a thread waits for: `the lock that 'bob' holds`; `the one`, if it comes after a lock."""
    if wait.sort == "lock":
        [holder] = wait.on
        lock = "the one" if after == "lock" else "the lock"
        owner = "it" if holder == wait.ident else called(recording, holder)
        return f"{lock} that {owner} holds" + (" itself" if holder == wait.ident else "")
    if wait.sort == "join":
        return f"the end of {called(recording, next(iter(wait.on)))}"
    if wait.sort in ("recv", "send"):
        own = {wait.ident: "itself"}
        who = listed(own.get(ident) or called(recording, ident) for ident in sorted(wait.on))
        return f"bytes from {who}" if wait.sort == "recv" else f"{who} to read"
    return clean(recording.object_of(wait.span))


def lines_of(spans: Sequence[Span]) -> str:
    """Returns ` (lines 12 and 19)`; nothing, if those are not the program's own."""
    places = [span.place for span in spans if span.place and span.place.own and span.place.line]
    if not places or len(places) < len(spans):
        return ""
    if len({place.file for place in places}) > 1 and not any(place.in_cell for place in places):
        return f" ({listed(f'line {place.line} of {clean(place.name)}' for place in places)})"
    numbers = list(dict.fromkeys(str(place.line) for place in places))
    return f" (line{'s' * (len(numbers) > 1)} {listed(numbers)})"
