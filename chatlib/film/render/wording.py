"""What to call a step of a film, or an arrow, at full length and shorter."""

from typing import NamedTuple

from chatlib.film.recording import Recording
from chatlib.film.render.arrows import Arrow
from chatlib.film.spans import BUSY, LEFT_TO_ANOTHER, RECEIVING, Span
from chatlib.film.units import bytes_of, clean, seconds_of

AMOUNT = "\0"
"""Where bytes belong in a line; no name has it, as control characters are spelled out."""

NOTHING_YET = "Nothing has happened yet."

_PREPOSITIONS = {
    "recv": "from",
    "send": "to",
    "connect": "to",
    "connect_ex": "to",
    "await": "",
    "leave": "towards",
    "accept": "",
} | dict.fromkeys(("select", "poll", "wait"), "for")
_OUTCOMES = {
    "end": "FIN",
    "shut": "shut down here",
    "reset": "RST",
    "timeout": "timed out",
    "nothing": "nothing there",
    "interrupted": "interrupted",
    "failed": "failed",
    "over": "its process ended",
    LEFT_TO_ANOTHER: "another process goes on",
}


class Words(NamedTuple):
    """What may be written of a step."""

    labels: tuple[str, ...]
    """At its bar: five, from the shortest to the longest."""
    full: str
    """All that is known of it, on one line."""
    source: str
    """The line of the program that made the call; empty if it is not known."""


def words_of(recording: Recording, span: Span, seconds: float, repeats: int = 1) -> Words:
    """Words a step, by how many seconds it has lasted: one call, or several that are one wait."""
    if span.kind == "hidden":
        return _words_of_hidden(span, seconds)
    call, name, place = clean(span.call), clean(recording.object_of(span)), span.place
    client = client_of(recording, span)
    preposition = _PREPOSITIONS.get(span.call, _PREPOSITIONS.get(span.kind, ""))
    towards, lasted = (_joined(preposition, name) if name else ""), seconds_of(seconds)
    if span.end is None:
        result, time, rest = "", f"{lasted} so far", ", still waiting"
    else:
        outcome = _OUTCOMES.get(span.outcome, "")
        result, slept = (f": {outcome}" if outcome else ""), span.call == "sleep" and span.outcome == "done"
        time = lasted if seconds >= 0.01 and not slept else ""  # a sleep says so itself
        rest = f", {lasted}" if seconds < 0.01 else ""
    medium = client + _joined(call, bytes_of(span.size) if span.size else "", towards) + result
    longer = ", ".join(filter(None, (medium, time)))
    line = f"line {place.line}" if place and place.own else ""
    labels = (
        call,
        client + _joined(call, towards) + result,
        medium,
        longer,
        ", ".join(filter(None, (longer, line))),
    )
    often = f", {repeats:,} calls one after another" if repeats > 1 else ""
    rest = often + rest if span.end is None else rest + often
    if place:  # a notebook's cell has no file that would mean something
        inside = f" in {place.function}" if place.function and not place.function.startswith("<") else ""
        script = f" of {place.name}" if place.name.endswith(".py") and not place.in_cell else ""
        rest += ", " + clean(f"line {place.line}{inside}{script}")
    return Words(labels, longer + rest, clean(place.source) if place else "")


def _words_of_hidden(span: Span, seconds: float) -> Words:
    """Words what a thread is in, if that is no watched call: first for how long, so that its line ends it."""
    lasted = seconds_of(seconds) + (" so far" if span.end is None else "")
    where = f", {clean(span.place.where)}" if span.place else ""
    short = "busy" if span.call == BUSY else "unseen"
    labels = short, span.call, span.call + where, f"{lasted} {span.call}{where}"
    return Words(labels, labels[-1], clean(span.place.source) if span.place else "")


def client_of(recording: Recording, span: Span) -> str:
    """Returns `bob: ` if it is a client's own call: one thread, the notebook's, may play several.

    Not in a lane of that name.
    """
    name = recording.names.get(span.local) if span.local else None
    return f"{clean(name)}: " if name and name != recording.lanes[span.ident] else ""


def verb_of(recording: Recording, span: Span) -> str:
    """Says what a call did, with `AMOUNT` for its bytes."""
    call, name, client = clean(span.call), clean(recording.object_of(span)), client_of(recording, span)
    if span.kind == "hidden":
        return call
    preposition = _PREPOSITIONS.get(span.call, _PREPOSITIONS.get(span.kind, "for"))
    towards = _joined(preposition, name) if name else ""
    listens = name and (call in RECEIVING or call == "accept")
    waits = client + _joined("waits in", call, f"for {name}" if listens else towards)
    if span.end is None or call == "await":
        return waits
    if span.outcome == "over":
        return f"{waits}, until its process ended"
    done = _DONE.get((span.kind, span.outcome)) or _DONE_CALLS.get((call, span.outcome))
    if span.kind in ("recv", "send") and span.size:
        done = _DONE[span.kind, "done"]
    if done:
        return client + done.format(name=name or "somebody", call=call, amount=AMOUNT)
    if span.outcome in _VERBS:
        return client + _joined(_VERBS[span.outcome], call, towards)
    return waits + (" in vain" if span.outcome == "timeout" and span.peer else "")


_DONE = {
    ("recv", "done"): "receives {amount} from {name} ({call})",
    ("recv", "end"): "learns that {name} has left ({call})",
    ("recv", "shut"): "is woken in {call}, as the connection to {name} was shut down here",
    ("recv", "reset"): "finds the connection to {name} reset ({call})",
    ("recv", "nothing"): "finds nothing from {name} ({call})",
    ("send", "done"): "sends {amount} to {name} ({call})",
    ("send", "reset"): "cannot send to {name}, the connection is reset ({call})",
    ("send", "nothing"): "cannot send to {name} now, the buffers are full ({call})",
    ("leave", "done"): "hangs up on {name} ({call})",
    ("leave", LEFT_TO_ANOTHER): "leaves {name} to another process ({call})",
}
_VERBS = {"failed": "fails in", "interrupted": "is interrupted in"}
_DONE_CALLS = {
    ("accept", "nothing"): "finds nobody else who would connect ({call})",
    ("accept", "done"): "accepts {name}",
} | {
    (call, outcome): "connects to {name}" if outcome == "done" else "cannot connect to {name}"
    for call in ("connect", "connect_ex")
    for outcome in ("done", "reset", "timeout", "failed")
}


def arrow_words(recording: Recording, arrow: Arrow) -> tuple[str, list[str]]:
    """Returns `14 bytes from alice to the server: unread`, or which end has left.

    Returns as well what may be written at bytes that lie unread, from the shortest text to the longest.
    """
    local, peer, amount = arrow.source.local, arrow.source.peer, bytes_of(arrow.size)
    source = f" from {clean(recording.name_of(local))}" if local else ""
    if arrow.kind in ("end", "reset"):
        return ("FIN" if arrow.kind == "end" else "RST") + source, []
    target = f" to {clean(recording.name_of(peer))}" if peer else ""
    note = {"unread": ": unread", "away": ", received outside this film"}.get(arrow.kind, "")
    lies = ["unread", f"{amount}, unread", f"{amount}{source}, unread"] if arrow.kind == "unread" else []
    return amount + source + target + note, lies


def _joined(*words: str) -> str:
    return " ".join(filter(None, words))
