"""Watches the calls of this process that may wait. The only file that changes anything of Python's own.

Methods are replaced in the classes that define them. So it sees sockets that exist already, accepted ones,
those of `from socket import *`, the readers that `makefile` gives, and asyncio. Functions are replaced in
their modules, and in the user's own, where `from time import sleep` has put them.

It cannot see, because they are objects of C: a lock, a `select.poll` or `select.epoll` that was made before
the film, or by an installed package (`stand_ins` says why); a `queue.SimpleQueue`; a `select.kqueue`; and
what code in C does by itself, as in `ssl`, in `os.read`, or in asyncio's transports on Windows, of which only
the loop and its tasks are seen. That a thread is in such a call is found by looking at it: `hidden`.

Of two threads that send on one connection at the same time, it cannot see which bytes went first.

What is undone is kept in a list, a step for each change, and each step looks whether it has to be done: so it
may be broken off anywhere by Ctrl-C, and is finished by the next film that begins or ends.
"""

import contextlib
import functools
import os
import selectors
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable
from types import BuiltinFunctionType, ModuleType
from typing import Any

from chatlib.film.record import asyncio_locks, asyncio_tasks
from chatlib.film.record.find_line import origin
from chatlib.film.record.later import Later
from chatlib.film.record.other_waits import (
    CALLED,
    FACTORIES,
    WAITS,
    WAITS_OF_PROCESSES,
    watched_select,
    watched_wait,
)
from chatlib.film.record.recorder import Recorder, asked, recorders, unseen_calls
from chatlib.film.record.socket_calls import METHODS, REALLY, watched_method, watched_pair
from chatlib.film.record.stand_ins import Function

_LATER = frozenset({*WAITS_OF_PROCESSES, "asyncio.locks"})
"""Modules that a film does not import by itself."""

_undo: list[Callable[[], None]] = []
_patching = threading.RLock()  # reentrant: Ctrl-C may strike just after it was taken
_forgotten: deque[Recorder] = deque()


def watch(recorder: Recorder) -> None:
    """Begins to tell this recorder of each call, and of those that threads are in already."""
    try:
        with _patching:
            recorders.append(recorder)  # before the patches: a call that is watched finds a film that runs
            if len(recorders) == 1:
                _restore()  # what an interrupted film, or the parent of a forked process, has left
                _patch()
        if len(sys._current_frames()) > 1:
            from chatlib.film.record.under_way import note_unseen  # here: a child begins with one thread

            note_unseen()
    except BaseException:
        unwatch(recorder)
        raise
    _sweep()


def unwatch(recorder: Recorder) -> None:
    """Ends that; harmless when called twice. After the last recorder every class is as it was."""
    with _patching:
        _remove(recorder)
    _sweep()


def forget(recorder: Recorder) -> None:
    """Ends that for a film that the garbage collector has found. Never blocks.

    The collector runs in whatever thread, and at any allocation: perhaps in one that holds `_patching`, in
    the middle of its patches. So the film is put aside, and taken out by the next code that gets the lock.
    """
    _forgotten.append(recorder)
    _sweep()


def _sweep() -> None:
    """Takes out the films that were put aside, unless a thread that holds the lock is about to do so."""
    while _forgotten and _patching.acquire(blocking=False):
        try:
            with contextlib.suppress(IndexError):  # the race: another thread has just swept it
                _remove(_forgotten.popleft())
        finally:
            _patching.release()


def _remove(recorder: Recorder) -> None:
    """Takes out a recorder. After the last one, nothing of ours is left, and nothing costs anything."""
    if recorder in recorders:
        recorders.remove(recorder)
    if not recorders:
        _restore()
        asyncio_tasks.forget()
        asyncio_locks.forget_holders()
        unseen_calls.clear()
        asked.clear()


def _restore() -> None:
    """Undoes all changes, the last one first."""
    while _undo:
        last = _undo[-1]
        last()  # Ctrl-C may strike before it is taken off: then it is done twice
        with contextlib.suppress(ValueError):  # and the garbage collector may end another film meanwhile
            _undo.remove(last)


def _patch() -> None:
    """Puts a stand-in in the place of each method and function that may wait."""
    stand_ins: list[tuple[Any, Any]] = []
    # Undone last: also names that the program makes during the film.
    _undo.append(lambda: _rename([(watched, original) for original, watched in stand_ins]))
    for name in METHODS:
        _replace(socket.socket, REALLY.get(name, name), functools.partial(watched_method, name))
    kinds = [kind for kind in vars(selectors).values() if isinstance(kind, type) and "select" in vars(kind)]
    if sys.platform == "win32":  # where an event loop has a way of its own to wait
        import asyncio.windows_events as windows

        kinds.append(windows.IocpProactor)
    for kind in dict.fromkeys(kinds):  # some have several names
        _replace(kind, "select", watched_select)
    stand_ins += _replace(socket, "socketpair", watched_pair)
    for owner, name, subject in WAITS:
        stand_ins += _replace(owner, name, functools.partial(watched_wait, CALLED.get(name, name), subject))
    for owner, name, wrap in FACTORIES:
        stand_ins += _replace(owner, name, wrap)
    for module in sorted(_LATER & sys.modules.keys()):
        stand_ins += _replace_in(module)
    _rename(stand_ins)
    later = Later(_LATER, patch_later)
    _undo.append(later.end)
    later.begin()


def _replace_in(module: str) -> list[tuple[Any, Any]]:
    """Puts stand-ins in the place of what waits, in a module that is there."""
    stand_ins: list[tuple[Any, Any]] = []
    if module == "asyncio.locks":
        for name, stand_in in asyncio_locks.REPLACED:
            _replace(sys.modules[module].Lock, name, stand_in)
    for owner, name, subject in WAITS_OF_PROCESSES.get(module, ()):
        found = getattr(sys.modules[module], owner, None) if owner else sys.modules[module]
        wrap = functools.partial(watched_wait, CALLED.get(name, name), subject, of_processes=True)
        stand_ins += _replace(found, name, wrap) if found else []
    return stand_ins


def patch_later(module: str) -> None:
    """Does the same when a program has imported it just now. The race: the film has ended meanwhile."""
    with _patching:
        if recorders:
            _replace_in(module)


def _rename(pairs: list[tuple[Any, Any]]) -> None:
    """In the user's own modules, gives each name that stands for the first of a pair the second.

    `from time import sleep` has made such names there. Nothing of the program's is run for that: a module may
    be one that is loaded only when it is first asked for anything, or one that cannot be changed.
    """
    new = {id(before): after for before, after in pairs}
    kinds = [module for module in list(sys.modules.values()) if issubclass(type(module), ModuleType)]
    spaces = [(module, object.__getattribute__(module, "__dict__")) for module in kinds]
    for module, names in spaces:
        file = names.get("__file__")  # the main module of a notebook, or of a terminal, has none
        if module is sys.modules.get("__main__") or (isinstance(file, str) and origin(file) == "user"):
            names.update({name: new[id(value)] for name, value in list(names.items()) if id(value) in new})


def _replace(owner: Any, name: str, wrap: Callable[[Any], Any]) -> list[tuple[Any, Any]]:
    """Puts a stand-in where something is defined; returns both, if a program may have it by another name."""
    if not hasattr(owner, name):  # Windows has neither recvmsg nor poll
        return []
    # Sockets inherit most of their methods from C. There, ours is taken away again at the end: to put the
    # inherited one into the class would leave it different from before.
    own = name in vars(owner)
    original = getattr(owner, name)
    watched = wrap(original)
    if isinstance(original, BuiltinFunctionType) and not isinstance(watched, type):
        watched = Function(watched)
    # First the way back, then the change: if Ctrl-C strikes between them, `_put_back` sees nothing to do.
    _undo.append(functools.partial(_put_back, owner, name, watched, original if own else None))
    setattr(owner, name, watched)
    return [(original, watched)] if isinstance(owner, ModuleType) else []


def _put_back(owner: Any, name: str, watched: Any, original: Any) -> None:
    """Undoes one change, if it is there."""
    if vars(owner).get(name) is not watched:  # done already; or the program has a new use for the name
        return
    if original is None:  # it was inherited
        delattr(owner, name)
    else:
        setattr(owner, name, original)


def _begin_anew() -> None:
    """In a forked process no thread is left that could hold the lock, and would release it."""
    global _patching
    _patching = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
