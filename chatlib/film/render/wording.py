"""What to call a step of a film, at full length and shorter."""

from chatlib.film.record.callers import origin
from chatlib.film.spans import LEAVING, RECEIVING, SENDING, Place, Recording, Span, is_cell
from chatlib.wire import printable

LONGEST = 160
"""Characters of a name or a source line that are shown."""

AMOUNT = "\0"
"""Where bytes belong in a line; no name has it, as control characters are spelled out."""

NOTHING_YET = "Nothing has happened yet."

KIND = (
    dict.fromkeys(SENDING, "send")
    | dict.fromkeys(RECEIVING, "recv")
    | dict.fromkeys(LEAVING, "leave")
    | dict.fromkeys(("accept", "connect", "connect_ex", "select", "poll"), "door")
)

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
}


def clean(text: str) -> str:
    """Returns text as it may be shown: control characters spelled out, and not without end."""
    shown = printable(text[: LONGEST + 1])  # it may be megabytes
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


def kind_of(span: Span) -> str:
    """Returns `send`, `recv`, `leave`, `door` (awaits a connection) or `inside` (any other)."""
    if span.call == "await" and span.peer:
        return "send" if "drain" in span.subject else "recv"
    return KIND.get(span.call, "inside")


def bytes_of(size: int) -> str:
    """Returns `1 byte`, `14 bytes`, `65,536 bytes`."""
    return "1 byte" if size == 1 else f"{size:,} bytes"


def seconds_of(seconds: float) -> str:
    """Returns `12.3 s`, `80 ms` or `20 µs`."""
    if seconds >= 0.0995:
        return f"{seconds:,.1f} s"
    return f"{seconds * 1e3:.0f} ms" if seconds >= 0.9995e-3 else f"{max(seconds, 0) * 1e6:.0f} µs"


def about(recording: Recording, span: Span) -> str:
    """Returns what a call is about: a client, a connection, a thread, a lock; perhaps nothing."""
    return clean(recording.object_of(span))


def line_of(place: Place | None) -> str:
    """Returns `line 7`, if it is a line of the user's: those of Python's library differ between versions."""
    return f"line {place.line}" if place and origin(place.file) == "user" else ""


def place_of(place: Place | None) -> str:
    """Returns `line 7 in handle of server.py`. A notebook's cell has no file that would mean something."""
    if not place:
        return ""
    name = name_of(place)
    inside = f" in {place.function}" if place.function and not place.function.startswith("<") else ""
    script = f" of {name}" if name.endswith(".py") and not is_cell(place.file) else ""
    return clean(f"line {place.line}{inside}{script}")


def name_of(place: Place) -> str:
    """Returns the name of a file, without its folder."""
    return place.file.replace("\\", "/").rsplit("/", 1)[-1]


def labels_of(recording: Recording, span: Span, seconds: float) -> list[str]:
    """Returns what may be written at a span, from the shortest text to the longest: five."""
    preposition = _PREPOSITIONS.get(span.call, _PREPOSITIONS.get(kind_of(span), ""))
    towards = _joined(preposition, about(recording, span)) if about(recording, span) else ""
    result = _OUTCOMES.get(span.outcome, "") if span.end is not None else ""
    call = clean(span.call)
    short = _joined(call, towards) + (f": {result}" if result else "")
    amount = bytes_of(span.size) if span.size else ""
    medium = _joined(call, amount, towards) + (f": {result}" if result else "")
    lasted = seconds_of(seconds) if span.end is None or seconds >= 0.01 else ""
    lasted = "" if span.call == "sleep" and span.outcome == "done" else lasted  # it says so itself
    time = f"{lasted} so far" if lasted and span.end is None else lasted
    longer = ", ".join(filter(None, (medium, time)))
    full = ", ".join(filter(None, (medium, time, line_of(span.place))))
    return [call, short, medium, longer, full]


def full_text(recording: Recording, span: Span, seconds: float, repeats: int = 1) -> str:
    """Returns all that is known of a span, on one line: its label, and how it ended."""
    text = labels_of(recording, span, seconds)[-2 if span.place else -1]
    lasted = f", {seconds_of(seconds)}" if seconds < 0.01 and span.end is not None else ""
    often = f", {repeats:,} calls one after another" if repeats > 1 else ""
    still = ", still waiting" if span.end is None else ""
    return _joined(text + lasted + often + still + (f", {place_of(span.place)}" if span.place else ""))


def verb_of(recording: Recording, span: Span) -> str:
    """Says what a call did, with `AMOUNT` for its bytes."""
    name = about(recording, span)
    call = clean(span.call)
    preposition = _PREPOSITIONS.get(span.call, _PREPOSITIONS.get(kind_of(span), "for"))
    towards = _joined(preposition, name) if name else ""
    listens = name and (call in RECEIVING or call == "accept")
    waits = _joined("waits in", call, f"for {name}" if listens else towards)
    if span.end is None or call == "await":
        return waits
    done = _DONE.get((kind_of(span), span.outcome)) or _DONE_CALLS.get((call, span.outcome))
    if kind_of(span) in ("recv", "send") and span.size:
        done = _DONE[kind_of(span), "done"]
    if done:
        return done.format(name=name or "somebody", call=call, amount=AMOUNT)
    if span.outcome in _VERBS:
        return _joined(_VERBS[span.outcome], call, towards)
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


def _joined(*words: str) -> str:
    return " ".join(filter(None, words))
