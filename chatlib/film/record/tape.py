"""What a filmed process has seen, in a file that is mapped into memory: another process reads it at any time.

What is written there is the kernel's at once. So a process that is killed leaves all of it, to its last call,
and nothing has to be handed over at the end. The file has a size that does not grow:

    what is known now     twice: one is read while the other is written
    calls that are over   two halves: when one is full, the other is emptied and written anew

Each half is a row of records, each behind its length; a length of 0 ends the row. A record is there from the
moment at which its length is written, which is last: so no reader sees half of one.

Many calls have all in common but their times and bytes: a thread, a connection, a line of the program. That
is a record of its own, once in each half that needs it, and a call is one of 44 bytes that refers to it. That
halves what a call costs.
"""

import marshal
import mmap
import os
import struct
import sys
from typing import Any

HALF = 4 << 20
"""Bytes of a half: about 80,000 calls."""

SUFFIX = ".tape"
"""What the name of a tape ends with, once it is ready to be read."""

STATE = 256 << 10
"""Bytes for what is known now: some 1,000 threads that wait."""

HEAD = struct.Struct("<QdQQQ")
"""How many states were written, when the process was seen last, which look it answered, its number, and
whether the lock was lost, which says that it lives."""
BEGUN = struct.Struct("<Q")
"""Behind it: how many halves were begun. Threads with different locks write the two."""
LENGTH = struct.Struct("<I")
CALL = struct.Struct("<IQddqqI")
"""The number of what it has in common with others, its own, start, end, bytes, where they begin; and a 0
where the next length will stand: the end of the row."""
_ROOM = LENGTH.size + CALL.size  # for a call
A_CALL = 1 << 31  # stands where others have their length
Common = tuple[Any, ...]
_FIRST = 4096  # where the states begin; the lock lies before, behind the head
_FORMAT = 2  # of marshal: the same in all versions of Python
_CHUNK = 64 << 10  # bytes for which there is room at a time
STATES = (_FIRST, _FIRST + STATE)
HALVES = (_FIRST + 2 * STATE, _FIRST + 2 * STATE + HALF)
SIZE = _FIRST + 2 * (STATE + HALF) + _CHUNK  # with the rest of the last chunk


def locked(descriptor: int, wait: bool) -> bool:
    """Locks a file for this process, which loses it only by its end; returns whether it has it now."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _FIRST - 1, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.lockf(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), 1, _FIRST - 1)
    except OSError:
        return False
    return True


def is_alive(process: int) -> bool:
    """Whether there is a process of this number; True where that cannot be asked."""
    if sys.platform == "win32":  # there, to ask so would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is another user's
    return True


class Tape:
    """The end that is written. Not thread-safe: `append` and `know` have a lock of their callers each.

    Args:
        file: Where it is to be. It is there when all is ready.
    """

    def __init__(self, file: str) -> None:
        made = file.removesuffix(SUFFIX) + ".new"
        # Never closed: that would release the lock. If a daemon has closed what the map has, to free the map
        # would close whatever file of the program has its number now.
        descriptor = os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        os.ftruncate(descriptor, SIZE)
        self._file, self._descriptor, self._there = made, descriptor, set[int]()
        self._inode = os.fstat(descriptor)
        self._map = mmap.mmap(descriptor, SIZE)
        self._states, self._begun, self._seen, self.answered, self._is_loose = 0, 1, 0.0, 0, False
        self._at, self._end = HALVES[0], HALVES[0] + HALF
        self._commons, self._last = dict[Common, int](), 0  # of this half; the last number
        self._reach(0, _FIRST)
        # Before any call: to read where the disk keeps no room yet can kill the reader, if the disk is full.
        self._safe = self._reach(self._at, self._at + LENGTH.size)
        self._write_begun()
        self._write_head()
        locked(descriptor, wait=True)
        os.replace(made, file)
        self._file = file

    def add(self, common: Common, number: int, start: float, end: float, size: int, offset: int) -> None:
        """Adds a call that is over: what it has in common with others, and what it has not.

        Raises:
            OSError: The disk is full.
            ValueError: Something is of odd types, or too large.
        """
        known = self._commons.get(common)
        if known is None or self._at + _ROOM > self._safe:
            known = self._refer_to(common)
        at = self._at
        CALL.pack_into(self._map, at + LENGTH.size, known, number, start, end, size, offset, 0)
        try:
            LENGTH.pack_into(self._map, at, A_CALL)
        finally:  # also if Ctrl-C strikes: it is there, and must not be written over
            self._at = at + CALL.size

    def append(self, record: tuple[Any, ...]) -> None:
        """Adds a record of another kind. It raises the same."""
        data = marshal.dumps(record, _FORMAT)
        self._make_room(len(data) + 2 * LENGTH.size)
        self._write(data)

    def _refer_to(self, common: Common) -> int:
        """Returns the number of what calls have in common, which is written if it is new to this half.

        Makes room for a call behind it.
        """
        number = self._last + 1
        data = marshal.dumps((number, common), _FORMAT)
        self._make_room(len(data) + LENGTH.size + _ROOM)
        if common not in self._commons:
            self._write(data)
            self._commons[common] = self._last = number
        return self._commons[common]

    def _make_room(self, size: int) -> None:
        """Sees to it that so many bytes can be written, in the other half if need be."""
        if size > HALF:
            raise ValueError(f"{size} bytes are too many for a tape")
        if self._at + size > self._end:
            self._turn()
        if self._at + size > self._safe:
            self._safe = min(self._reach(self._at, self._at + size), self._end)

    def _write(self, data: bytes) -> None:
        end = self._at + LENGTH.size + len(data)
        self._map[self._at + LENGTH.size : end + LENGTH.size] = data + bytes(LENGTH.size)
        try:
            LENGTH.pack_into(self._map, self._at, len(data))
        finally:
            self._at = end

    def know(self, state: tuple[Any, ...], now: float, look: int) -> bool:
        """Writes what is known now, at a moment, in answer to a look. Returns False if there is no room."""
        data = marshal.dumps(state, _FORMAT)
        if len(data) + LENGTH.size > STATE:
            return False
        begin = STATES[self._states % 2]
        self._reach(begin, begin + LENGTH.size + len(data))
        self._map[begin : begin + LENGTH.size + len(data)] = LENGTH.pack(len(data)) + data
        self._states += 1
        self.beat(now, look)
        return True

    def beat(self, now: float, look: int) -> None:
        """Says that all is as it was, at a moment."""
        self._seen, self.answered = now, look
        self._is_loose = not self._is_open()
        self._write_head()

    def _turn(self) -> None:
        """Goes on in the other half, whose calls are let go."""
        at = HALVES[self._begun % 2]
        safe = min(self._reach(at, at + LENGTH.size), at + HALF)
        LENGTH.pack_into(self._map, at, 0)  # first: who comes to this half must find nothing old
        # No call in between: Ctrl-C strikes before all of this, or behind it. Who reads this half may not
        # have read the other, so what calls have in common is told anew.
        self._at, self._end, self._safe, self._commons, self._last = at, at + HALF, safe, {}, 0
        self._begun += 1
        self._write_begun()

    def _reach(self, begin: int, end: int) -> int:
        """Has the disk keep room for a part of the file; returns up to where there is room now.

        A write into memory that has no room on a full disk would kill the process: here it is an error. And
        so the first write there takes 60 µs, where it would take milliseconds on some file systems.
        """
        for chunk in range(begin // _CHUNK, (end - 1) // _CHUNK + 1):
            if chunk not in self._there:
                if hasattr(os, "pwrite"):  # Windows keeps room for all of a file from the beginning
                    self._keep_room(chunk)
                self._there.add(chunk)
        return ((end - 1) // _CHUNK + 1) * _CHUNK

    def _keep_room(self, chunk: int) -> None:
        """A daemon closes all descriptors, and its own files get their numbers: then ours is opened anew."""
        if self._is_open():
            os.pwrite(self._descriptor, bytes(_CHUNK), chunk * _CHUNK)
            return
        descriptor = os.open(self._file, os.O_RDWR)
        try:
            os.pwrite(descriptor, bytes(_CHUNK), chunk * _CHUNK)
        finally:
            os.close(descriptor)

    def _is_open(self) -> bool:
        """Whether the descriptor is still that of the tape."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._inode)
        except OSError:
            return False

    def _write_head(self) -> None:
        head = self._states, self._seen, self.answered, os.getpid(), self._is_loose
        HEAD.pack_into(self._map, 0, *head)

    def _write_begun(self) -> None:
        BEGUN.pack_into(self._map, HEAD.size, self._begun)
