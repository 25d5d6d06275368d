"""What threads wait for when a film begins: calls that were made before it.

Of a call into C there is no frame, so it is read off the line of the program that made it: Python knows which
expression of the line is under way, and the objects in it can be asked. Nothing of the program's is run for
that: no property, no method.

The race: all these threads go on while they are looked at. A frame may return, or be at another line,
between two questions. So whatever fails here is dropped, and what is found is believed only as long as its
thread is at the same instruction of the same frame (`Call.at`).
"""

import ast
import contextlib
import inspect
import linecache
import selectors
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from types import BuiltinFunctionType, CodeType, FrameType, MemberDescriptorType
from typing import Any

from chatlib.film.record import asyncio_tasks, locks, other_waits, socket_calls
from chatlib.film.record.call import Call
from chatlib.film.record.files import kinds_of_keys
from chatlib.film.record.find_line import find
from chatlib.film.record.frames import at, frames_of_others
from chatlib.film.record.other_waits import CALLED, WAITS
from chatlib.film.record.recorder import NOWHERE, open_calls, pause, unseen_calls
from chatlib.film.record.socket_calls import METHODS, ends_of, subject_of
from chatlib.film.record.stand_ins import Function
from chatlib.film.record.waiters import WatchedThread
from chatlib.film.spans import SENDING, Ends

_OURS = (socket_calls.__file__, other_waits.__file__, locks.__file__)

COMING_BACK = 0.1
"""Seconds for which it is waited that a call which sends returns."""

Found = tuple[str, Ends, str]
"""What a call is called, the ends of its connection, and what else it waits for."""


def note_unseen() -> None:
    """Notes the calls that other threads are in already, as far as they can be told.

    One that sends is noted only if it stays: mostly its bytes have gone, and its thread has only to come
    back, which on a busy machine takes a while. Blocks for that, for at most `COMING_BACK` seconds.
    """
    found = _under_way()
    sending = {ident for ident, call in found.items() if call.name in SENDING}
    deadline = time.perf_counter() + COMING_BACK
    while sending and time.perf_counter() < deadline:
        pause(0.001)
        frames = frames_of_others()
        sending = {ident for ident in sending if found[ident].is_at(frames.get(ident))}
    frames = frames_of_others()
    for ident, call in found.items():
        if call.is_at(frames.get(ident)) and ident not in open_calls:
            unseen_calls[ident] = call


def _under_way() -> dict[int, Call]:
    frames, now, calls = frames_of_others(), time.perf_counter(), dict[int, Call]()
    for thread in threading.enumerate():
        ident = thread.ident or 0
        frame = frames.get(ident)  # none of this thread itself
        if frame is None or ident in open_calls:
            continue
        with contextlib.suppress(Exception):  # the race: it may have gone on meanwhile
            found, place = _call_of(frame), find(frame)
            if found and place:
                name, ends, subject = found
                waiter = WatchedThread.of(ident)
                calls[ident] = Call(name, subject, ends, waiter, waiter.number, now, place, at=at(frame))
    return calls


def _call_of(innermost: FrameType) -> Found | None:
    """Returns the outermost call that is known: a thread in `Queue.get` waits for a condition, too."""
    frames = list[FrameType]()
    outer: FrameType | None = innermost
    while outer:
        if frames or outer.f_code.co_filename not in _OURS:  # a film that has ended still stands in between
            frames.append(outer)
        outer = outer.f_back
    found = None
    with contextlib.suppress(Exception):  # there may be no source, or no such thing in it
        found = _into_c(frames[0])
    for frame in frames:
        if tells := _KNOWN.get(code := frame.f_code):
            found = tells(*map(frame.f_locals.get, code.co_varnames[: code.co_argcount]))
        asyncio_tasks.look(frame)
    return found


def _into_c(frame: FrameType) -> Found | None:
    """Tells which function of C a frame is in: a method of a socket, or `sleep`."""
    # Two bytes for each instruction. Positions count bytes of the line, not letters.
    position = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
    first, last, begin, end = (number or 0 for number in position)
    lines = [linecache.getline(frame.f_code.co_filename, line).encode() for line in range(first, last + 1)]
    lines[-1] = lines[-1][:end]  # before the next line, as both may be the same
    lines[0] = lines[0][begin:]
    call = ast.parse(b"".join(lines).decode(), mode="eval").body
    if not isinstance(call, ast.Call):
        return None
    if isinstance(call.func, ast.Attribute) and call.func.attr in METHODS:
        owner = _value_of(call.func.value, frame)
        told = [_value_of(argument, frame) for argument in call.args]
        waits = (
            isinstance(owner, socket.socket) and socket_calls.limit_of(owner, call.func.attr, told, {}) != 0
        )
        return _of_socket(call.func.attr, owner) if waits else None
    function = _value_of(call.func, frame)
    of_c = type(function) in (BuiltinFunctionType, partial, Function)
    if of_c and getattr(function, "__name__", "") == "sleep":
        seconds = _value_of(call.args[0], frame)  # nothing is calculated: how long a sum is, is not said
        return "sleep", NOWHERE, f"{seconds:g} s" if type(seconds) in (int, float) else "some time"
    return None


def _value_of(expression: ast.expr, frame: FrameType) -> Any:
    """Returns what a name, or an attribute of one, stands for. Runs nothing of the program's: no property."""
    if isinstance(expression, ast.Constant):
        return expression.value
    if isinstance(expression, ast.Name):
        return frame.f_locals.get(expression.id, frame.f_globals.get(expression.id))
    if isinstance(expression, ast.Attribute):
        owner = _value_of(expression.value, frame)
        found = inspect.getattr_static(owner, expression.attr)
        return found.__get__(owner) if isinstance(found, MemberDescriptorType) else found
    return None


def _of_wait(name: str, subject: Callable[..., str | None], *arguments: Any) -> Found | None:
    said = subject(*arguments)
    return None if said is None else (name, NOWHERE, said)


def _of_socket(name: str, owner: socket.socket, *_: Any) -> Found:
    ends = ends_of(owner)
    return name, ends, subject_of(owner) if ends == NOWHERE else ""


_KNOWN: dict[CodeType, Callable[[Any], Found | None]] = {}
"""By the code of each method of Python's own that waits: what it waits for, from its arguments."""


def _code_of(function: Any) -> CodeType | None:
    """Returns the code of a function, also if a film has put a stand-in into its place already."""
    return getattr(getattr(function, "__wrapped__", function), "__code__", None)


def _know(function: Any, tells: Callable[..., Found | None]) -> None:
    if code := _code_of(function):
        _KNOWN[code] = tells


for _owner, _name, _subject in WAITS:
    _know(getattr(_owner, _name), partial(_of_wait, CALLED.get(_name, _name), _subject))
_know(socket.socket.accept, partial(_of_socket, "accept"))
_know(socket.socket.sendfile, partial(_of_socket, "sendfile"))
for _kind in vars(selectors).values():
    if isinstance(_kind, type) and "select" in vars(_kind):
        # They have changed their argument by then: -1 is for ever, and less is 0.
        _know(
            vars(_kind)["select"],
            partial(
                _of_wait,
                "select",
                lambda one, timeout=None: None if timeout == 0 else kinds_of_keys(one),
            ),
        )
