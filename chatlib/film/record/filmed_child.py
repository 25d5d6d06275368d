"""What a film does in the other processes: each records by itself, and writes that to a tape.

Filmed are processes that a filmed one forks, or starts as programs of Python: there the module
`sitecustomize`, which the film has put into the path, calls `begin`. Each has a thread that looks
at the others, as that of a script has; and which finds that the film is over.
"""

import atexit
import contextlib
import mmap
import os
import struct
import sys
import threading
from _thread import allocate_lock
from collections.abc import Iterator
from time import perf_counter
from typing import Any

from chatlib.film.record.call import IDENT, Entry, common_of, open_row
from chatlib.film.record.find_line import find_packages
from chatlib.film.record.handlers import woken_by_signals
from chatlib.film.record.hidden import note_hidden
from chatlib.film.record.lookout import Lookout
from chatlib.film.record.patches import unwatch, watch
from chatlib.film.record.recorder import Recorder, recorders
from chatlib.film.record.tape import SUFFIX, Tape, is_alive
from chatlib.film.record.waiters import living, number_of

CONTROL = struct.Struct("<QQQ")
"""What stands in the file `control` beside them: how often the film has looked, whether it is over, and whose
it is: the number of its process."""

MOST = 500
"""Tapes in one film. What is started later is not filmed."""

EVERY, SELDOM = 0.02, 0.1
"""Seconds from look to look, and if nothing changes: a look of the film's is answered so late."""

_REST = 25  # looks without anything new, after which it looks seldom: a look costs 0.4 ms

_LOW = 2 if sys.platform == "win32" else 100  # numbers of files up to here are left to the program
_RING = 1000  # calls that are kept here, too: to see which threads poll
_GLANCE = 5  # looks from one to the next at which hidden calls are searched: that takes long
_WAITING = 400  # calls that are told if there are too many for the tape

_filming: dict[str, Recorder] = {}
"""Where this process and its children write, for each film; and what has counted its bytes until now."""

_forking = 0.0, 0
"""When which process has last begun to fork: which of two children runs first is chance, and then its parent
may have ended already."""


class TapeRecorder(Recorder):
    """Writes each call that has returned to a tape."""

    def __init__(self, tape: Tape, before: Recorder | None) -> None:
        super().__init__(_RING)
        self._tape, self._is_named = tape, False
        if before:  # the connections of a forked process are those of its parent, as far as they had come
            self.offsets = before.offsets.copy()

    def leave(self) -> None:
        """In a process that was forked: the tape is its parent's. A call begun there may end here."""
        del self._tape

    def _keep(self, entry: Entry) -> None:
        super()._keep(entry)
        try:
            if not self._is_named:  # now: before its first call it had no name, and it may be killed after it
                self._is_named = True
                self._tape.append((0, *program_names()))
            number, call, end, size, offset, outcome = entry
            self._tape.add(common_of(call, outcome), number, call.start, end, size, offset)
        except Exception:  # noqa: S110, SIM105 - at each call, `suppress` would cost as much as the rest
            pass  # a name of the program's own class; a full disk; a mock


class FilmedChild:
    """Films this process until the film is over.

    Args:
        folder: Where the tape is to be.
        before: What counted the bytes before, in the process that was forked.

    Raises:
        OSError: The film is over, or there is no more room.
    """

    def __init__(self, folder: str, before: Recorder | None) -> None:
        self._forked, self._process, self._folder = before is not None, os.getpid(), folder
        self._began, self._parent = _forking if before else (perf_counter(), os.getppid())
        self._looks, self._unchanged, self._writing = 0, 0, allocate_lock()
        with above_low():
            self._tape = self._begun(folder)
        self.recorder = TapeRecorder(self._tape, before)
        self._known: tuple[Any, ...] = ()
        self._main = number_of(threading.main_thread())
        self._write(0)
        recorders.append(self.recorder) if before else watch(self.recorder)
        self._lookout = Lookout(self._look, EVERY)
        try:
            self._lookout.start()
        except RuntimeError as error:  # the process may have no more threads
            unwatch(self.recorder)
            raise OSError("it cannot be filmed without a thread") from error
        atexit.register(self._end)

    def _begun(self, folder: str) -> Tape:
        with open(os.path.join(folder, "control"), "rb") as control:
            self._control = mmap.mmap(control.fileno(), CONTROL.size, access=mmap.ACCESS_READ)
        tapes = sum(name.endswith(SUFFIX) for name in os.listdir(folder))
        if self._is_over() or tapes >= MOST:
            raise OSError(f"the film in {folder} has no room for another process")
        return Tape(os.path.join(folder, f"{int(self._began * 1e9):020}-{self._process}{SUFFIX}"))

    def _is_over(self) -> bool:
        _, is_over, process = CONTROL.unpack_from(self._control)
        # Asked now and then: the process that films may have been killed.
        return bool(is_over or (self._looks % _GLANCE == 1 and process and not is_alive(process)))

    def _look(self) -> bool:
        """Writes what threads wait for now; returns whether to go on."""
        if self._is_over():
            unwatch(self.recorder)
            leave_path(self._folder)
            return False
        look = CONTROL.unpack_from(self._control)[0]
        self._looks += 1
        if self._looks % _GLANCE == 0 or look != self._tape.answered:
            note_hidden(self.recorder, "ipykernel" not in sys.modules, keep=True)
        self._write(look)
        self._lookout.every = EVERY if self._unchanged < _REST else SELDOM
        return True

    def _write(self, look: int) -> None:
        """Writes what is known, if it is something else than the last time."""
        with self._writing:  # the race: the process ends in the middle of a look
            self._write_state(look)

    def _write_state(self, look: int) -> None:
        now = perf_counter()
        alive = living()
        rows = tuple(open_row(0, *each) for each in self.recorder.still_open())
        free = (alive | living()) - {row[IDENT] for row in rows} | woken_by_signals()
        about = self._process, self._parent, self._forked, self._main, *program_names()
        known = about, tuple(named_clients()), tuple(sorted(free)), rows
        if known == self._known:
            self._tape.beat(now, look)
            self._unchanged += 1
            return
        self._unchanged = 0
        with contextlib.suppress(Exception):  # as above
            if not self._tape.know(known, now, look):
                self._tape.know((*known[:-1], rows[:_WAITING]), now, look)
            self._known = known

    def _end(self) -> None:
        """Writes the last state, at the end of the process; not at that of one that it has forked."""
        if os.getpid() != self._process:
            return
        if not self._is_over():
            self._write(self._tape.answered)
        unwatch(self.recorder)


def program_names() -> tuple[str, str]:
    """Returns what `multiprocessing` calls this process, if it does; and what program it is.

    The race, here and below: the program imports the module just now, and half of it is there.
    """
    name, program = "MainProcess", ""
    with contextlib.suppress(
        Exception
    ):  # a program may do with `sys.argv`, and with its classes, what it likes
        current = getattr(sys.modules.get("multiprocessing.process"), "current_process", None)
        name = str(current().name) if current else name  # none: it is half imported
        main = getattr(sys.modules.get("__main__"), "__spec__", None)
        program = str(main.name.removesuffix(".__main__") if main else os.path.basename(sys.argv[0]))
    started_by = {"-c": "python", "-m": "python", "": "python"}  # its name is not known, or not yet
    return "" if name == "MainProcess" else name, started_by.get(program, program)


def named_clients() -> Iterator[tuple[Any, str]]:
    """Gives the addresses of the clients that this process has named."""
    # The race: the program is importing it just now, and it is half of a module.
    known = getattr(sys.modules.get("chatlib.client"), "client_names", {})
    yield from ((address, name.text) for address, name in known.copy().items())


def begin(folder: str) -> None:
    """Films this process, which has just been started. Does nothing if the film is over by now."""
    helper = " ".join(sys.orig_argv)
    if "from multiprocessing.resource_tracker" not in helper:  # it is Python's own, and only waits
        _begin(folder, None)


def film_forks(folder: str, recorder: Recorder) -> None:
    """From now on, films the processes that this one forks."""
    _filming[folder] = recorder


def film_no_forks(folder: str) -> None:
    """Ends that, for one film: another may run."""
    _filming.pop(folder, None)


def leave_path(folder: str) -> None:
    """Takes the folder of a film that is over out of PYTHONPATH: others could make one of that name."""
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if folder in path:  # the program, or another film, may have set it anew
        path.remove(folder)
        os.environ["PYTHONPATH"] = os.pathsep.join(path)
        if not path:
            del os.environ["PYTHONPATH"]


def _begin(folder: str, before: Recorder | None) -> None:
    with contextlib.suppress(OSError):
        _filming[folder] = FilmedChild(folder, before).recorder
        if "ipykernel" not in sys.modules:  # of a notebook's kernel, packages are the machinery
            find_packages()


def _after_fork() -> None:
    before = _filming.copy()
    _filming.clear()
    for folder, recorder in before.items():
        _begin(folder, recorder)
        if isinstance(recorder, TapeRecorder):
            recorder.leave()


@contextlib.contextmanager
def above_low() -> Iterator[None]:
    """Keeps what is opened within from the low numbers, which a program gives its files for a purpose.

    It may have closed its standard files, and be about to open others, which are to get 0, 1 and 2; or look
    whether a file of its parent's is open, by the number that it has there. If the process may not have so
    many files, only those of the standard files are kept.
    """
    taken = [os.open(os.devnull, os.O_RDONLY)]
    try:
        with contextlib.suppress(OSError):
            while taken[-1] < _LOW:
                taken.append(os.dup(taken[0]))
        while taken and 2 < taken[-1] < _LOW:
            os.close(taken.pop())
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)


def note_fork() -> None:
    """Keeps when it was, and who: that tells in which order processes were forked, and by whom."""
    global _forking
    _forking = perf_counter(), os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=note_fork, after_in_child=_after_fork)
