"""Looks at the threads of a script all the time, and with `--live` lists what each of them waits for."""

import threading
import time
from collections.abc import Iterator

from chatlib.film.film import Film
from chatlib.film.page import say
from chatlib.film.record.lookout import Lookout
from chatlib.film.recording import Recording
from chatlib.film.units import clean
from chatlib.film.verdict.judge import verdict_of

EVERY = 1.0
"""Seconds between two lists of what each thread waits for, with `--live`."""

_PAUSE = 0.1  # seconds between two looks at the script's threads


class Watcher(Lookout):
    """Looks at the script's threads all the time, as not each of their calls has a stand-in.

    Args:
        film: What it looks for.
        live: Whether to print to stderr, once a second, which thread waits for what.
    """

    def __init__(self, film: Film, live: bool) -> None:
        self._film, self._live, self._printed = film, live, time.monotonic()
        super().__init__(self._glance, _PAUSE)

    def _glance(self) -> bool:
        self._film.glance()
        if self._live and time.monotonic() - self._printed >= EVERY:
            self._printed = time.monotonic()
            say("\n".join(_list_of(self._film.recording())))
        return self._film.running


def _list_of(recording: Recording) -> Iterator[str]:
    """Gives the lines of the list, and who is stuck because of whom.

    It is never empty: threads that come from call to call are busy.
    """
    yield "--- who waits"
    for each in recording.present:
        said = f"{each.call} {each.on}".strip() + (f", {each.place.said}" if each.place else "")
        yield clean(f"{each.thread}: {said}, {each.seconds:.1f} s")
    if not recording.present:
        yield from (clean(f"{thread.name}: busy") for thread in threading.enumerate())
    for finding in verdict_of(recording).findings:
        yield f"{'stuck for ever' if finding.certain else 'just now'}: {finding.sentence}"
