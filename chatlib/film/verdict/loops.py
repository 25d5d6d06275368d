"""Loops that keep others from running, or themselves from resting."""

from collections.abc import Iterator
from itertools import takewhile

from chatlib.film.spans import BUSY, HIDDEN, Span
from chatlib.film.units import clean, seconds_of
from chatlib.film.verdict.finding import Finding
from chatlib.film.verdict.scene import RIPE, Scene, Wait
from chatlib.film.verdict.words import awaited, called, lines_of

MANY, OFTEN = 100, 100.0
"""Calls in vain, and how many a second: from there on it is polling."""

_IN_VAIN = ("nothing", "timeout", "end", "failed")


def blocked_loops(scene: Scene) -> Iterator[Finding]:
    """Gives a finding for each event loop of asyncio that is held up in a call of one of its tasks."""
    tasks: dict[int, list[Span]] = {}
    for wait in scene.waits.values():
        until = wait.span.until
        if until and wait.is_of_task:
            tasks.setdefault(until.loop, []).append(wait.span)
    for loop, waiting in tasks.items():
        if loop in scene.waits and (found := blocked(scene, loop, waiting)):
            yield found


def blocked(scene: Scene, loop: int, waiting: list[Span]) -> Finding | None:
    """Returns what holds up an event loop whose tasks are `waiting`; None if it only looks for events."""
    span, now = scene.waits[loop].span, scene.recording.now
    turned = max(each.until.turned for each in waiting if each.until)
    begun = turned if span.kind == "hidden" else max(span.start, turned)
    if span.call in ("select", "poll") or now - begun < RIPE:
        return None
    tasks = "1 task waits" if len(waiting) == 1 else f"{len(waiting):,} tasks wait"
    sentence = (
        f"The event loop has been {inside(scene, scene.waits[loop])} for {seconds_of(now - begun)}"
        f"{lines_of([span])}: nobody else can run, and {tasks}"
    )
    lanes = (*(each.ident for each in waiting), loop)
    return Finding("blocked-loop", sentence, lanes, waits=tuple((each.ident, loop) for each in waiting))


def inside(scene: Scene, wait: Wait) -> str:
    """Says in which call a loop's thread is."""
    call = wait.span.call
    if call in (BUSY, HIDDEN, "sleep"):
        return "in `time.sleep`" if call == "sleep" else call
    own = wait.sort in ("lock", "join")
    thing = awaited(scene.recording, wait) if own else clean(scene.recording.object_of(wait.span))
    return f"in `{clean(call)}`, which waits for {thing},"


def polling(scene: Scene) -> Iterator[Finding]:
    """Gives a finding for each thread that asks again and again, without a pause that would be worth it."""
    now, free = scene.recording.now, scene.recording.free
    for ident, spans in scene.recording.by_thread.items():
        lives = ident in scene.waits or free is None or ident in free
        count, begun, last = asked_in_vain(spans)
        if not lives or count < MANY or count < OFTEN * (now - begun):
            continue
        if last.end is not None and now - last.end > RIPE:
            continue
        name, lasted = called(scene.recording, ident), seconds_of(now - begun)
        calls = f"{count:,} calls in {lasted} that brought nothing"
        why = ", as the other side has left" if last.outcome == "end" else ""
        sentence = f"Polling: {name} has made {calls}{why}{lines_of([last])}"
        yield Finding("polling", sentence, (ident,))


def asked_in_vain(spans: list[Span]) -> tuple[int, float, Span]:
    """Returns how many of the latest calls of a thread were in vain, since when, and the last of them."""
    last = spans[-1]
    if last.end is None and last.call == BUSY and last.until and last.until.asked:
        return last.until.asked, last.start, last
    asks = (span for span in reversed(spans) if span.end is not None and not rests(span))
    vain = list(takewhile(lambda span: span.outcome in _IN_VAIN and not span.size, asks))
    # Many clients may leave within a moment, and of each that is news once.
    peers = {span.peer for span in vain if span.outcome == "end"}
    return (len(vain) // max(1, len(peers)), vain[-1].start, vain[0]) if vain else (0, 0.0, last)


def rests(span: Span) -> bool:
    """Whether a call is none by which a thread asks: it sleeps, or a selector says where it may ask."""
    return span.call in ("sleep", "wait", BUSY) or (
        span.call in ("select", "poll") and span.outcome == "done"
    )
