"""The live view of a film: one thread keeps its picture in the notebook up to date, busy cells or not."""

import atexit
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import anywidget
import traitlets
from IPython.display import display

from chatlib import notebook_cells
from chatlib.film.excerpts import excerpts_of
from chatlib.film.recording import Recording
from chatlib.film.render.html import SCRIPT, STYLE
from chatlib.film.render.svg import both, bundle
from chatlib.film.render.text import story

RATE = 15.0
"""Updates a second, at most."""

EVERY = 1.0
"""Seconds between two looks for threads that are in calls which cannot be seen: each takes a while."""

LATEST = 120
"""Steps that the moving picture shows; older ones are folded. When the film has ended, it shows more."""

LINES = 40
"""Lines of the story that are told of each thread while the film runs."""

_SHARE = 0.5  # of one processor, at most: drawing must not hold up the threads that are filmed
_BYTES_PER_SECOND = 1_000_000.0


class LiveFilm(anywidget.AnyWidget):
    """A film that moves, as the last expression of a cell.

    The picture and the story are kept in the widget's state, so that a page that is loaded again has them at
    once. Nothing that a browser sends is listened to.

    Args:
        take: Returns what has been seen so far. Called in a thread of its own, at most `RATE` times a second.
        finished: Returns whether the film has ended: then `take` is called once more, and never again.
        draw: Draws the moving picture, in both scales.
        glance: Looks for threads that no call tells of, `EVERY` seconds.
    """

    _esm, _css = SCRIPT, STYLE
    picture = traitlets.Unicode().tag(sync=True)
    other = traitlets.Unicode().tag(sync=True)
    """The same in the other scale: a kernel that is busy could not draw it when the reader asks for it."""
    story = traitlets.Unicode().tag(sync=True)
    finished = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        take: Callable[[], Recording],
        finished: Callable[[], bool] = lambda: False,
        draw: Callable[[Recording], tuple[str, str]] = lambda recording: both(recording, LATEST),
        glance: Callable[[], object] = lambda: None,
    ) -> None:
        self._ended = threading.Event()
        self._shown: list[Any] = []
        first = take()
        picture, other = draw(first)
        super().__init__(picture=picture, other=other, story=story(first, LINES))
        pump = _Pump(weakref.ref(self), take, finished, draw, glance, self._ended, first)
        self._pump = threading.Thread(target=pump.run, name="draws the film", daemon=True)
        self._pump.start()

    def close(self) -> None:
        """Takes the view out of the notebook, and tells its thread to end. Does not wait."""
        self._ended.set()
        super().close()

    def wait(self, timeout: float) -> bool:
        """Returns whether the last picture is there. Blocks for at most `timeout` seconds until it is."""
        self._pump.join(timeout)
        return not self._pump.is_alive()

    def show(self) -> None:
        """Shows it below the running cell. When the film has ended, the picture that is left takes its place.

        A saved notebook is then complete without its kernel, which alone knows what a widget consists of.
        """
        notebook_cells.remember(self, LiveFilm.close)
        self._shown.append(display(self, display_id=True))  # type: ignore[no-untyped-call]

    def leave(self, still: dict[str, str]) -> None:
        """Puts a picture that stays, as a bundle, where the view was shown, and ends its thread."""
        self._ended.set()
        for shown in self._shown:
            shown.update(still, raw=True)
        self._shown.clear()

    def __repr__(self) -> str:
        return str(self.story)

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        """Adds picture and text, for readers without a kernel, to what shows the widget."""
        data, metadata = super()._repr_mimebundle_() or ({}, {})
        return data | {"image/svg+xml": self.picture, "text/plain": self.story}, metadata


class _Pump:
    """What the thread of a view does: looks, draws, sends, pauses."""

    def __init__(
        self,
        view: "weakref.ref[LiveFilm]",
        take: Callable[[], Recording],
        finished: Callable[[], bool],
        draw: Callable[[Recording], tuple[str, str]],
        glance: Callable[[], object],
        ended: threading.Event,
        shown: Recording,
    ) -> None:
        self._view = view  # weak: or this thread would keep a closed view alive
        self._take, self._finished, self._draw, self._ended = take, finished, draw, ended
        self._glance, self._glanced = glance, 0.0
        self._shown = shown

    def run(self) -> None:
        """Keeps the view up to date until the film has ended, or the view, or Python."""
        atexit.register(self._ended.set)
        try:
            pause = 1 / RATE
            while not self._ended.wait(pause):
                if time.perf_counter() - self._glanced > EVERY:
                    self._glanced = time.perf_counter()
                    self._glance()
                begin = time.perf_counter()
                last = self._finished()  # before the picture: of a film that ends in between, another is made
                size = self._update(last)
                if last or size < 0:
                    return
                busy = time.perf_counter() - begin
                pause = max(1 / RATE, busy * (1 / _SHARE - 1), size / _BYTES_PER_SECOND)
        finally:
            atexit.unregister(self._ended.set)
            if view := self._view():
                view.finished = True

    def _update(self, last: bool) -> int:
        """Sends what is new. Returns the characters sent, or a negative number if no view is open."""
        recording = self._take()
        if not last and not _moves(self._shown, recording):
            return 0
        pictures = both(recording) if last else self._draw(recording)
        told = story(recording, 0 if last else LINES)
        self._shown = recording
        view = self._view()
        if view is None or view.comm is None:
            return -1
        with view.hold_sync():  # one message, not four
            (view.picture, view.other), view.story, view.finished = pictures, told, last
        if last:
            view.leave(bundle(recording, excerpts=excerpts_of(recording)))
        return sum(map(len, (*pictures, told)))


def _moves(before: Recording, now: Recording) -> bool:
    """Whether the picture of a film has changed: something happened, or a thread still waits."""
    last = now.spans[-1:]  # the open ones come last
    waits = bool(last) and last[0].end is None
    return waits or (before.spans[-1:], before.names) != (last, now.names)
