"""Who waits for whom at one server, in words. Nothing is guessed: each word is about what has been seen."""

from collections.abc import Sequence
from dataclasses import dataclass

ONE_THREAD, THREAD_EACH, EVENT_LOOP, COROUTINES = "sync", "threading", "selectors", "asyncio"


@dataclass(frozen=True)
class Guest:
    """One client, as it is just now."""

    name: str
    is_served: bool
    """Whether the server has accepted it."""
    said: int
    said_half: bool
    silent: bool
    reads: bool
    unread: int
    """Lines that wait for it, as it does not read."""


def sentence(model: str, guests: Sequence[Guest], holder: str = "", cut: Sequence[str] = ()) -> str:
    """Says who waits for whom.

    Args:
        model: How the server waits: one of the names above.
        guests: The clients that are connected, in the order in which they came.
        holder: The client for which alone a thread of the server waits, if there is one such thread.
        cut: Those on whom the server has just hung up.
    """
    outside = [guest for guest in guests if not guest.is_served]
    parts = [_of_those_outside(outside, guests, holder) if outside else _at_peace(model, guests)]
    for guest in guests:
        if guest.said_half and guest.is_served and not outside:
            parts.append(f"{guest.name} has said half a line: the server keeps it until the rest comes.")
        if not guest.reads and guest.is_served:
            lines = "1 line waits" if guest.unread == 1 else f"{guest.unread or 'no'} lines wait"
            parts.append(f"{guest.name} reads nothing: {lines} to be read.")
    parts += [f"The server has hung up on {name}." for name in cut]
    return " ".join(parts)


def _of_those_outside(outside: Sequence[Guest], guests: Sequence[Guest], holder: str) -> str:
    who = _listed([guest.name for guest in outside])
    found = next((guest for guest in guests if guest.name == holder), None)
    if not found:  # seen at a moment in between
        return f"{who} {_verb(outside, 'waits', 'wait')} to be served."
    doing = "has said half a line" if found.said_half else "is silent" if found.silent else "says nothing now"
    waits = _verb(outside, "waits", "wait")
    told = f"{who} {waits} for {holder}: the server's only thread waits in recv for {holder}, who {doing}."
    if speakers := [guest.name for guest in outside if guest.said or guest.said_half]:
        told += f" It has not read what {_listed(speakers)} said."
    return told


def _at_peace(model: str, guests: Sequence[Guest]) -> str:
    if not guests:
        return "Nobody is here: the server waits for a client to come."
    if model == ONE_THREAD:
        return f"The server's only thread waits for {guests[0].name}, and nobody else is here."
    each = f"{guests[0].name}" if len(guests) == 1 else f"all {len(guests)} clients at once"
    return {
        THREAD_EACH: "Nobody waits for anybody else: each client has a thread of its own, which waits for it"
        " alone.",
        EVENT_LOOP: f"Nobody waits for anybody else: one thread waits for {each}.",
        COROUTINES: f"Nobody waits for anybody else: one thread waits for {each}; each has a coroutine.",
    }[model]


def _verb(who: Sequence[object], one: str, several: str) -> str:
    return one if len(who) == 1 else several


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
