"""Where the other threads of this process are now. Their frames change while they are looked at."""

import sys
from _thread import get_ident
from types import FrameType
from typing import Any

At = tuple[int, int]
"""Where a thread is: in which frame, without keeping that alive, and at which instruction."""


def at(frame: FrameType) -> At:
    """Returns where the thread of a frame is."""
    return id(frame), frame.f_lasti


def frames_of_others() -> dict[int, FrameType]:
    """Returns the innermost frames of the other threads, by ident. No caller may keep them for long.

    Not that of this thread: with the answer among its variables, it would keep itself alive, and all others.
    """
    frames = sys._current_frames()
    frames.pop(get_ident(), None)  # gevent may have replaced it: then this thread is not known by its answer
    return frames


def is_held_in(lock: Any, file: str) -> bool:
    """Whether the owner of an RLock is in code of a file: after its end, another may have its ident."""
    owner = repr(lock).partition("owner=")[2].partition(" ")[0]  # that is told in no other way
    frame = frames_of_others().get(int(owner)) if owner.isdigit() else None
    while frame and frame.f_code.co_filename != file:
        frame = frame.f_back
    return frame is not None
