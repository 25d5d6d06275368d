"""The tasks of an event loop. Its thread only shows that it waits in `select`; they know for what."""

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from chatlib.film.places import describe, origin
from chatlib.film.records import Span


def tasks_of(caller: FrameType | None, number: int, start: float) -> Iterator[Span]:
    """Gives an open span for each task of the loop that called `select`; none if that was no loop."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or caller is None or caller.f_code.co_name != "_run_once":
        return
    loop = caller.f_locals.get("self")
    for task in sorted(asyncio.all_tasks(loop), key=id):
        frame, awaited = _deepest(task.get_coro())
        if frame:
            place = describe((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
            name = f"task {task.get_coro().__name__}"
            yield Span(number, name, id(task), "await", awaited, None, None, start, None, 0, 0, "", place)


def _deepest(coroutine: Any) -> tuple[FrameType | None, str]:
    """Returns the innermost frame of the user's code in a chain of awaits, and what it awaits."""
    found, awaited = None, ""
    while frame := getattr(coroutine, "cr_frame", None):
        inner = coroutine.cr_await
        if origin(frame.f_code.co_filename) == "user" or found is None:
            found, awaited = frame, getattr(inner, "__qualname__", type(inner).__name__)
        coroutine = inner
    return found, awaited
