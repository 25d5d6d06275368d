"""The end of a tape that is read, in the process that films. What it is made of: `record/tape.py`."""

import errno
import marshal
import math
import mmap
import os
import sys
import weakref
from collections.abc import Iterator
from time import perf_counter
from typing import Any

from chatlib.film.record.tape import (
    A_CALL,
    BEGUN,
    CALL,
    HALF,
    HALVES,
    HEAD,
    LENGTH,
    SIZE,
    STATE,
    STATES,
    is_alive,
    locked,
)

HEARD = 0.3
"""Seconds within which a process that lives says how it is, as a rule."""


def _most_descriptors() -> float:
    """Returns up to which descriptor tapes are opened: a quarter is left to the program."""
    if sys.platform == "win32":
        return math.inf
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return math.inf if limit == resource.RLIM_INFINITY else limit * 3 / 4


class TapeReader:
    """The end that is read, in another process.

    Args:
        file: Where the tape is.

    Raises:
        OSError: It cannot be opened, or too many files of this process are open.
    """

    def __init__(self, file: str) -> None:
        self._descriptor = os.open(file, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            if self._descriptor > _most_descriptors():
                raise OSError(errno.EMFILE, "the program may need the descriptors that are left", file)
            self._map = mmap.mmap(self._descriptor, SIZE)
        except OSError:
            os.close(self._descriptor)
            raise
        self._closed = weakref.finalize(self, os.close, self._descriptor)  # also if the film is only dropped
        self._half, self._at = 1, HALVES[0]
        self._commons = dict[int, tuple[Any, ...]]()
        self._ended = False

    def close(self) -> None:
        """Lets go of it."""
        self._map.close()
        self._closed()

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended that writes it, in whatever way."""
        if not self._ended and locked(self._descriptor, wait=False):
            # The race: a daemon has closed all its files, and has not come to say so.
            _, seen, _, process, is_loose = HEAD.unpack_from(self._map)
            may_live = sys.platform != "win32" and (is_loose or perf_counter() < seen + HEARD)
            self._ended = not (may_live and is_alive(process))
        return self._ended

    def answer(self) -> tuple[float, int]:
        """Returns when the process was seen last, and which look it has answered."""
        _, seen, answered, *_ = HEAD.unpack_from(self._map)
        return seen, answered

    def state(self) -> tuple[Any, ...] | None:
        """Returns what was known last; None if nothing has been written yet."""
        for _ in range(100):  # the race: another is written while it is read
            if not (states := self._states()):
                return None
            found = self._record(STATES[(states - 1) % 2], STATE)
            if found and self._states() == states and isinstance(found[1], tuple):
                return found[1]
        return None

    def calls(self) -> Iterator[tuple[Any, ...]]:
        """Gives what has been added since the last time; the numbers of calls say if some were let go.

        Of a call: its number, what it has in common with others, start, end, bytes, and where they begin. Of
        another record: what was given to `append`, which begins with a 0.
        """
        while True:
            is_full = self._begun() > self._half  # asked first: what is added before it is full is read
            found = self._record(self._at, HALVES[(self._half - 1) % 2] + HALF - self._at)
            begun = self._begun()
            if begun > self._half + 1:  # it was emptied while it was read
                self._begin_half(begun - 1)
            elif found:
                self._at, record = found
                if isinstance(record[1], tuple) and len(record) == 2:
                    self._commons[record[0]] = record[1]
                elif record[1] is not None:  # it refers to nothing that is known, if it is torn
                    yield record
            elif is_full:
                self._begin_half(self._half + 1)
            else:
                return

    def _begin_half(self, number: int) -> None:
        self._half, self._at = number, HALVES[(number - 1) % 2]
        self._commons.clear()

    def _states(self) -> int:
        states: int = HEAD.unpack_from(self._map)[0]
        return states

    def _begun(self) -> int:
        begun: int = BEGUN.unpack_from(self._map, HEAD.size)[0]
        return begun

    def _record(self, at: int, room: int) -> tuple[int, Any] | None:
        """Returns where a record ends, and what it says; None if there is none, or it is written just now."""
        if room < 2 * LENGTH.size:
            return None
        size, end = LENGTH.unpack_from(self._map, at)[0], at + LENGTH.size
        if size == A_CALL:
            known, number, *rest, _ = CALL.unpack_from(self._map, end)
            return at + CALL.size, (number, self._commons.get(known), *rest)
        if not size or size > room - LENGTH.size:
            return None
        try:
            return end + size, marshal.loads(self._map[end : end + size])
        except (ValueError, EOFError, TypeError, MemoryError):  # the race: it is written anew just now
            return None
