"""What a filmed process has seen, in a file that is mapped into memory: another process reads it at any time.

What is written there is the kernel's at once. So a process that is killed leaves all of it, to its last call,
and nothing has to be handed over at the end. The file has a size that does not grow:

    what is known now     twice: one is read while the other is written
    calls that are over   two halves: when one is full, the other is emptied and written anew

Each half is a row of records, each behind its length; a length of 0 ends the row. A record is there from the
moment at which its length is written, which is last: so no reader sees half of one.
"""

import errno
import marshal
import math
import mmap
import os
import struct
import sys
from collections.abc import Iterator
from typing import Any

HALF = 4 << 20
"""Bytes of a half: about 20,000 calls."""

SUFFIX = ".tape"
"""What the name of a tape ends with, once it is ready to be read."""

STATE = 256 << 10
"""Bytes for what is known now: some 1,000 threads that wait."""

# States written, halves begun, when it was seen last, which look it answered, which process lost its lock.
_HEAD = struct.Struct("<QQdQQ")
_LENGTH = struct.Struct("<I")
_FIRST = 4096  # where the states begin; the lock lies before, behind the head
_FORMAT = 2  # of marshal: the same in all versions of Python
_CHUNK = 64 << 10  # bytes for which there is room at a time
_STATES = (_FIRST, _FIRST + STATE)
_HALVES = (_FIRST + 2 * STATE, _FIRST + 2 * STATE + HALF)
_SIZE = _FIRST + 2 * (STATE + HALF) + _CHUNK  # with the rest of the last chunk


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


def _most_descriptors() -> float:
    """Returns up to which descriptor tapes are opened: a quarter is left to the program."""
    if sys.platform == "win32":
        return math.inf
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return math.inf if limit == resource.RLIM_INFINITY else limit * 3 / 4


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
        # Never closed: the lock would go, and by the map's own end a file of the program's of that number.
        descriptor = os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        os.ftruncate(descriptor, _SIZE)
        self._file, self._descriptor, self._there = made, descriptor, set[int]()
        self._inode = os.fstat(descriptor)
        self._map = mmap.mmap(descriptor, _SIZE)
        self._states, self._begun, self._seen, self.answered, self._loose = 0, 1, 0.0, 0, 0
        self._at, self._end = _HALVES[0], _HALVES[0] + HALF
        self._reach(0, _FIRST)
        # Before any call: to read where the disk keeps no room yet can kill the reader, if the disk is full.
        self._safe = self._reach(self._at, self._at + _LENGTH.size)
        self._write_head()
        locked(descriptor, wait=True)
        os.replace(made, file)
        self._file = file

    def append(self, record: tuple[Any, ...]) -> None:
        """Adds a call that is over. Raises OSError if the disk is full, ValueError if it is of odd types."""
        data = marshal.dumps(record, _FORMAT)
        after = self._at + _LENGTH.size + len(data)
        if after + _LENGTH.size > self._end:
            if len(data) + 2 * _LENGTH.size > HALF:
                return
            self._turn()
            after = self._at + _LENGTH.size + len(data)
        if after + _LENGTH.size > self._safe:
            self._safe = self._reach(self._at, after + _LENGTH.size)
        self._map[self._at + _LENGTH.size : after + _LENGTH.size] = data + b"\0\0\0\0"
        self._map[self._at : self._at + _LENGTH.size] = _LENGTH.pack(len(data))
        self._at = after

    def know(self, state: tuple[Any, ...], now: float, look: int) -> bool:
        """Writes what is known now, at a moment, in answer to a look. Returns False if there is no room."""
        data = marshal.dumps(state, _FORMAT)
        if len(data) + _LENGTH.size > STATE:
            return False
        begin = _STATES[self._states % 2]
        self._reach(begin, begin + _LENGTH.size + len(data))
        self._map[begin : begin + _LENGTH.size + len(data)] = _LENGTH.pack(len(data)) + data
        self._states += 1
        self.beat(now, look)
        return True

    def beat(self, now: float, look: int) -> None:
        """Says that all is as it was, at a moment."""
        self._seen, self.answered = now, look
        self._loose = 0 if self._is_open() else os.getpid()
        self._write_head()

    def _turn(self) -> None:
        """Goes on in the other half, whose calls are let go."""
        self._at = _HALVES[self._begun % 2]
        self._end, self._safe = self._at + HALF, self._reach(self._at, self._at + _LENGTH.size)
        self._begun += 1
        self._write_head()  # first: a reader of that half sees that it is read anew
        self._map[self._at : self._at + _LENGTH.size] = bytes(_LENGTH.size)

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
        self._map[: _HEAD.size] = _HEAD.pack(
            self._states, self._begun, self._seen, self.answered, self._loose
        )


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
            self._map = mmap.mmap(self._descriptor, _SIZE)
        except OSError:
            os.close(self._descriptor)
            raise
        self._half, self._at = 1, _HALVES[0]
        self.seen, self.answered = 0.0, 0
        self._ended = False

    def close(self) -> None:
        """Lets go of it."""
        self._map.close()
        os.close(self._descriptor)

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended that writes it, in whatever way."""
        if not self._ended and locked(self._descriptor, wait=False):
            loose = _HEAD.unpack_from(self._map)[-1]
            self._ended = not (loose and sys.platform != "win32" and is_alive(loose))
        return self._ended

    def state(self) -> tuple[Any, ...] | None:
        """Returns what was known last; None if nothing has been written yet."""
        for _ in range(100):  # the race: it is written twice while it is read
            states = self._head()[0]
            if not states:
                return None
            found = self._record(_STATES[(states - 1) % 2], STATE)
            if found and self._head()[0] <= states + 1 and isinstance(found[1], tuple):
                return found[1]
        return None

    def calls(self) -> Iterator[tuple[Any, ...]]:
        """Gives the calls that have been added since the last time; their numbers say if some were let go."""
        while True:
            is_full = self._head()[1] > self._half  # asked first: what is added before it is full is read
            found = self._record(self._at, _HALVES[(self._half - 1) % 2] + HALF - self._at)
            begun = self._head()[1]
            if begun > self._half + 1:  # it was emptied while it was read
                self._half = begun - 1
                self._at = _HALVES[(self._half - 1) % 2]
            elif found:
                self._at = found[0]
                yield found[1]
            elif is_full:
                self._half += 1
                self._at = _HALVES[(self._half - 1) % 2]
            else:
                return

    def _head(self) -> tuple[int, int]:
        states, begun, self.seen, self.answered, _ = _HEAD.unpack_from(self._map)
        return states, begun

    def _record(self, at: int, room: int) -> tuple[int, Any] | None:
        """Returns where a record ends, and what it says; None if there is none, or it is written just now."""
        if room < 2 * _LENGTH.size:
            return None
        size = _LENGTH.unpack_from(self._map, at)[0]
        if not size or size > room - _LENGTH.size:
            return None
        end = at + _LENGTH.size + size
        try:
            return end, marshal.loads(self._map[at + _LENGTH.size : end])
        except (ValueError, EOFError, TypeError):  # the race: it is written anew just now
            return None
