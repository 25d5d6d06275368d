"""Which task holds a lock of asyncio: the lock itself only knows whether it is taken.

Noted is a lock that is taken while a film runs. Of any other, nobody is said to hold it.
"""

import functools
import sys
import weakref
from types import FrameType
from typing import Any

from chatlib.film.record.harmless import harmless
from chatlib.film.record.recorder import recorders

_holders: weakref.WeakKeyDictionary[Any, tuple[Any, bool]] = weakref.WeakKeyDictionary()
"""By lock: a weak reference to its task, and whether it was taken by `async with`."""


def watched_acquire(original: Any) -> Any:
    """Stands in for `asyncio.Lock.acquire`."""

    @functools.wraps(original)
    async def acquire(self: Any) -> Any:
        taken = await original(self)
        if recorders:  # it may have begun in a film that is over
            with harmless:  # a lock of the program's own kind may not be hashable
                task = sys.modules["asyncio"].current_task()
                _holders[self] = weakref.ref(task), sys._getframe(1).f_code.co_name == "__aenter__"
        return taken

    return acquire


def watched_release(original: Any) -> Any:
    """Stands in for `asyncio.Lock.release`."""

    @functools.wraps(original)
    def release(self: Any) -> None:
        with harmless:
            _holders.pop(self, None)
        original(self)

    return release


def forget_holders() -> None:
    """The last film has ended: from here on, nothing sees who takes and releases a lock."""
    _holders.clear()


def lock_of(frame: FrameType) -> Any:
    """Returns the lock that a coroutine with this frame is about to take; None if it is another one."""
    own = frame.f_locals.get("self") if frame.f_code.co_name == "acquire" else None
    return own if own is not None and issubclass(type(own), sys.modules["asyncio"].Lock) else None


def holder_of(lock: Any) -> tuple[Any, bool]:
    """Returns the task that holds a lock, None if not known; and whether its `async with` will release it."""
    task, by_with = _holders.get(lock, (lambda: None, False))
    return task(), by_with


REPLACED = (("acquire", watched_acquire), ("release", watched_release))
"""Methods of `asyncio.Lock`, and what stands in for each."""
