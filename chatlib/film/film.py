"""A film of what all threads of this process wait for."""

import time
import weakref
from collections.abc import Callable, Iterable
from typing import ClassVar, Protocol, Self

from chatlib import notebook_cells
from chatlib.client import ClientName, client_names
from chatlib.film.children import Children
from chatlib.film.excerpts import excerpts_of
from chatlib.film.footage import THEN, Footage, Still
from chatlib.film.merged import of_several
from chatlib.film.record.handlers import woken_by_signals
from chatlib.film.record.hidden import note_hidden
from chatlib.film.record.patches import forget, unwatch, watch
from chatlib.film.record.recorder import Recorder, pause, settle
from chatlib.film.record.waiters import has_forked, living, looker
from chatlib.film.recording import Recording
from chatlib.film.render.playback import Excerpts
from chatlib.film.render.svg import bundle
from chatlib.film.spans import Span
from chatlib.film.verdict.finding import Verdict
from chatlib.film.verdict.judge import is_ripe
from chatlib.film.verdict.scene import RIPE

RING = 20_000
"""Spans that a film keeps, if it is not told otherwise."""


class Live(Protocol):
    """A view that moves while a film runs."""

    def show(self) -> None:
        """Shows it below the running cell."""

    def leave(self, still: dict[str, str]) -> None:
        """Puts a picture that stays, as a bundle, where the view was shown, and ends it."""


class Film(Footage):
    """Watches every call of this process that may wait, from `start` to `stop`, or in a `with` block.

    As the last expression of a notebook cell it is the live view; where there is no kernel, a picture; in a
    terminal, the story.

    Args:
        limit: How many calls to keep. Older ones are let go, and the picture says how many.
        packages: Whether to tell as well of threads in which installed packages run by themselves. In a
            notebook those are its own machinery; in a script they are the program's.
        processes: Whether to film as well the processes that this one forks, or starts as programs of Python.
    """

    live_view: "ClassVar[Callable[[Film], Live] | None]" = None
    """Makes the view that a notebook shows while the film runs: `chatlib.api` hands it down."""

    def __init__(self, limit: int = RING, packages: bool = False, processes: bool = False) -> None:
        self._limit, self._packages, self._with_children = limit, packages, processes
        self._children: Children | None = None
        self._recorder = Recorder(limit)
        self._running = False
        self._view: Live | None = None
        self._begun_in: notebook_cells.Run | None = None
        self._finished: Recording | None = None
        self._left_before: set[ClientName] = set()
        # A film that no code holds any more, and no view shows, must not go on costing time.
        self._forget = weakref.finalize(self, forget, self._recorder)

    def start(self) -> Self:
        """Begins to watch, afresh if it has ended before; harmless while it runs.

        In a notebook, ends the film that an earlier run of the same cell began.
        """
        if self._running:
            return self
        notebook_cells.close_earlier()
        self._forget.detach()
        self._recorder, self._finished = Recorder(self._limit), None
        self._forget = weakref.finalize(self, forget, self._recorder)
        # The port of a client that has left may be that of another one by now.
        self._left_before = {name for name in list(client_names.values()) if name.has_left}
        if self._with_children:
            self._children = Children(self._recorder, self._limit)
        try:
            watch(self._recorder)
            self._running = True
            self._begun_in = notebook_cells.running_cell()
            notebook_cells.remember(self, Film.stop)
        except BaseException:  # Ctrl-C: who has no film yet could not end it
            self._running = False
            unwatch(self._recorder)
            raise
        return self

    def stop(self) -> None:
        """Ends it: everything is again as it was. Harmless when called twice."""
        try:
            if self._running:
                settle(self._recorder)
                self._finished = self._look()
        finally:  # also if Ctrl-C strikes
            self._running = False
            unwatch(self._recorder)
            if self._children:
                self._children.end()
                self._children = None
            if self._finished:  # all that is known is in there
                self._forget.detach()
                self._recorder = Recorder(self._limit)

    @property
    def running(self) -> bool:
        """True from `start` to `stop`."""
        return self._running

    def glance(self, keep: bool = True) -> None:
        """Notes which threads are in calls that the X-ray cannot see, and which are busy.

        Blocks for 60 ms if there is one, up to 0.3 s if there are twenty, and longer on a busy computer.
        All that says what threads wait for now begins with this; what only hands out the record does not.

        Args:
            keep: Whether that is still told when it is over. A view that moves looks often, and by chance.
        """
        if self._running:
            note_hidden(self._recorder, self._packages, keep)

    def when_all_wait(self, threads: Callable[[], Iterable[str]], patience: float) -> Recording:
        """Returns the record of a moment at which each of some threads waits for something.

        A thread that works just now may be about to wait: a server's main thread looks round now and then. If
        one still does not wait after `patience` seconds, `glance` notes what it is in.

        Args:
            threads: Returns their names. More threads may start meanwhile.
            patience: Seconds to wait for that, at most.
        """
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            recording = self.recording()
            if {span.thread for span in recording.spans if span.end is None}.issuperset(threads()):
                return recording
            pause(0.005)
        return self._look()

    def _look(self) -> Recording:
        if self._children:
            self._children.ask()
        self.glance()
        return self.recording()

    def recording(self) -> Recording:
        """Returns all that is known now, as a frozen record. Does not `glance`."""
        if self._finished:
            return self._finished
        # Before and after: a thread that was free when it was looked at may wait by now. And the moment is
        # that before: to make spans takes a while, for which no call is known to have lasted.
        alive, now = living(), time.perf_counter()
        spans, dropped = self._recorder.take(still=self._running)
        still = [span for span in spans if span.end is None]
        free = (alive | living()) - {span.ident for span in still} | woken_by_signals()
        now = max([now, *(span.start for span in still)])
        known = client_names.copy().items()
        names = {address: name.text for address, name in known if name not in self._left_before}
        # A child that was forked, and is in no film, may still have the same connections.
        unknown = has_forked() and not self._children
        own = Recording(tuple(spans), names, now, dropped, {}, None if unknown else free, looker())
        return of_several(own, self._children.read()) if self._children else own

    def verdict(self) -> Verdict:
        """Says which threads are stuck because of which others, as `Footage.verdict` describes."""
        recording, deadline = self._look(), time.monotonic() + 2 * RIPE
        while self._running and not is_ripe(recording) and time.monotonic() < deadline:
            pause(0.02)
            recording = self.recording()
        return super().verdict()

    def spans_of(self, process: int) -> list[Span]:
        """Returns the calls of another process, by its number in the system, and of all that it has begun."""
        return self._children.spans_of(process) if self._children else []

    def to_scale(self) -> Still:
        """Returns the picture of now, to scale: for lengths that are to be compared.

        In the picture that a notebook shows otherwise, the key L changes the scale.
        """
        if self._running:
            settle(self._recorder)
        return super().to_scale()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _ipython_display_(self) -> None:
        """Shows the live view, while it runs.

        In the cell that starts the film, it moves along with all that follows. In a later cell it shows what
        has happened until then: that must stay so, and it moves no more when the next cell begins.
        """
        if not (self._running and self.live_view and notebook_cells.shows_widgets()):
            raise NotImplementedError  # then IPython asks for the bundle
        self._freeze()
        settle(self._recorder)
        self._view = self.live_view()
        self._view.show()
        if notebook_cells.running_cell() != self._begun_in:
            notebook_cells.before_next_cell(self._freeze)

    def _freeze(self) -> None:
        """Where it was last shown, the picture stays as it is now."""
        if self._view and self._running:  # what has ended has been left already
            recording = self._look()
            self._view.leave(bundle(recording, THEN, excerpts=self.excerpts(recording)))
        self._view = None

    def excerpts(self, recording: Recording) -> Excerpts:
        """Returns the lines of the program around those that a record of this film tells of."""
        return excerpts_of(recording)
