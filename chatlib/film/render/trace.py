"""A film as a trace, in Chrome's trace event format: for Perfetto, and other programs that show such traces.

The format is the "Trace Event Format" of the Chromium authors. Perfetto's documentation says what it takes of
it (`docs/getting-started/other-formats.md`); nothing else is used.
"""

from collections.abc import Iterator
from typing import Any

from chatlib.film.recording import Recording
from chatlib.film.render.arrows import arrows_of
from chatlib.film.render.wording import arrow_words, words_of
from chatlib.film.spans import Span
from chatlib.film.units import clean

Event = dict[str, Any]

_META: Event = {"ph": "M", "cat": "__metadata"}  # DevTools wants a category and arguments of every event

_BETWEEN = 0.001
"""Microseconds. So long before the end of a call, the call lasts: at its end another one may begin."""


def trace(recording: Recording) -> dict[str, object]:
    """Returns the trace of a film, as an object of JSON.

    Each call is a complete event; one that had not returned begins, and does not end. What travels is a flow:
    its two ends lie within the two calls.
    """
    rows = _Rows(recording)
    events = [*rows.calls(), *rows.flows()]
    events.sort(key=lambda event: (event["ts"], event["ph"] in "sf"))  # a call before what it sends
    return {"traceEvents": [*rows.names(), *events], "displayTimeUnit": "ms"}


class _Rows:
    """Where each event of a trace stands: in which row, of which process, and when.

    The numbers of threads follow those of processes: one that has the number of its process would be taken
    for its main thread.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._began = min((span.start for span in recording.spans), default=recording.now)
        self._now = max([recording.now, *(max(span.start, span.end or 0.0) for span in recording.spans)])
        self._processes = {span.ident: span.process for span in recording.spans}
        numbers = sorted({*recording.processes, *self._processes.values()})
        self._pids = {number: pid for pid, number in enumerate(numbers, 1)}
        self._tids = {ident: tid for tid, ident in enumerate(recording.lanes, len(numbers) + 1)}

    def names(self) -> Iterator[Event]:
        """Gives what processes and threads are called, and in which order they stand."""
        for number, pid in self._pids.items():
            name = clean(self._recording.processes.get(number, "the program"))
            yield _META | {"name": "process_name", "pid": pid, "args": {"name": name}}
            yield _META | {"name": "process_sort_index", "pid": pid, "args": {"sort_index": pid}}
        for ident, label in self._recording.lanes.items():
            row = self.row(ident)
            yield _META | {"name": "thread_name", **row, "args": {"name": clean(label)}}
            yield _META | {"name": "thread_sort_index", **row, "args": {"sort_index": row["tid"]}}

    def calls(self) -> Iterator[Event]:
        """Gives an event for each call, and one for the film's end: so long those last that are open."""
        for span in self._recording.spans:
            end = max(span.start, self._now if span.end is None else span.end)
            name = words_of(self._recording, span, end - span.start).labels[1]
            event = {"ph": "X", "name": name, "cat": span.kind, "ts": self.at(span.start)}
            event |= self.row(span.ident) | {"args": self.known(span)}
            still = {"ph": "B"} if span.end is None else {"dur": round(self.at(end) - self.at(span.start), 3)}
            yield event | still
        for ident in [*self._tids][:1]:
            end_of_all = {"ts": self.at(self._now), **self.row(ident)}
            yield {"ph": "i", "name": "the film ends", "cat": "film", "s": "g", "args": {}, **end_of_all}

    def flows(self) -> Iterator[Event]:
        """Gives two events for what went from one call to another: bytes, a FIN, a RST."""
        for number, arrow in enumerate(arrows_of(self._recording), 1):
            if sink := arrow.target:
                arrives = self.within(sink, self.at(arrow.arrives))
                departs = self.within(arrow.source, min(self.at(arrow.departs), arrives))
                words = arrow_words(self._recording, arrow)[0]
                flow = {"name": words, "cat": arrow.kind, "id": number, "args": {}}
                yield {"ph": "s", **flow, "ts": departs, **self.row(arrow.source.ident)}
                yield {"ph": "f", "bp": "e", **flow, "ts": arrives, **self.row(sink.ident)}

    def row(self, ident: int) -> dict[str, int]:
        """Returns the row of a thread."""
        return {"pid": self._pids[self._processes[ident]], "tid": self._tids[ident]}

    def at(self, moment: float) -> float:
        """Returns a moment in microseconds since the film began."""
        return round((moment - self._began) * 1e6, 3)

    def within(self, span: Span, at: float) -> float:
        """Returns the moment next to one at which a call lasts."""
        last = at if span.end is None else min(at, self.at(span.end) - _BETWEEN)
        return round(max(self.at(span.start), last), 3)

    def known(self, span: Span) -> Event:
        """Returns what is known of a call, besides its times. A notebook's cell has no file."""
        place = span.place
        known = {
            "outcome": span.outcome or "open",
            "bytes": span.size,
            "on": clean(self._recording.object_of(span)),
            "line": place and clean(place.said),
            "function": place and clean(place.function),
            "file": place and not place.in_cell and clean(place.name),
        }
        return {key: value for key, value in known.items() if value}
