"""The folder in which a program is started: a copy, so that what it writes there ends with it."""

import contextlib
import os
import shutil
import tempfile
from itertools import islice
from pathlib import Path

COPIED = 256 << 10
"""Bytes of a file that is copied. A larger one is a link to the original, as are all folders."""

COPIED_TOGETHER = 8 << 20
"""Bytes of all copies together: a program is started some fifty times."""

ENTRIES = 500
"""A folder with more is used as it is: it is no project's."""


class StandIn:
    """Looks like a folder, with all that is in it and beside it (`../data`), as long as it is not discarded.

    Where the system allows no links, as Windows often does, it is the folder itself.

    Args:
        folder: The folder that it stands for.
    """

    def __init__(self, folder: Path) -> None:
        self.path, self._root = folder, Path()
        try:
            if _is_small(folder):
                self._root = Path(tempfile.mkdtemp(prefix="chatlib-"))
                self.path = _copy(folder, self._root)
        except OSError:
            self.discard()
            self.path, self._root = folder, Path()
        self._new = self._state()

    def largest(self) -> int:
        """Returns the bytes of the largest file that was written into it."""
        if self._root == Path():
            return 0
        with contextlib.suppress(OSError):  # it was discarded meanwhile
            return max((one.lstat().st_size for one in self.path.iterdir() if one.is_file()), default=0)
        return 0

    def contains(self, text: bytes) -> bool:
        """Whether a text stands in a file that was written into it, or copied."""
        if self._root == Path():
            return False
        with contextlib.suppress(OSError):
            files = [one for one in self.path.iterdir() if one.is_file() and not one.is_symlink()]
            return any(text in one.read_bytes() for one in files)
        return False

    def is_as_new(self) -> bool:
        """Whether nothing has been written into it, or removed from it."""
        with contextlib.suppress(OSError):
            return self._state() == self._new
        return False

    def _state(self) -> list[tuple[str, int, int]]:
        """What is in it and beside it, each with its size and when it was written."""
        found = []
        for folder in (self._root, self.path) if self._root != Path() else ():
            with os.scandir(folder) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    # A folder's own tells nothing new: what was written into it is listed.
                    written = 0 if entry.is_dir(follow_symlinks=False) else status.st_mtime_ns
                    found.append((entry.path, status.st_size, written))
        return sorted(found)

    def discard(self) -> None:
        """Removes it, and follows no link."""
        if self._root != Path():
            shutil.rmtree(self._root, ignore_errors=True)


class StandIns:
    """The stand-ins of one check. One in which nothing was written is used again: to make it takes time.

    Args:
        folder: The folder that they stand for.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._used, self._unused = folder, set[StandIn](), list[StandIn]()
        self._closed = False

    def take(self) -> StandIn:
        """Returns one that no program uses, and that is as new."""
        with contextlib.suppress(IndexError):
            while not (one := self._unused.pop()).is_as_new():
                one.discard()
            self._used.add(one)
            return one
        self._used.add(one := StandIn(self.folder))
        return one

    def give_back(self, one: StandIn) -> None:
        """Keeps one for the next program, if there will be any. Harmless when called twice."""
        with contextlib.suppress(KeyError):
            self._used.remove(one)
            self._unused.append(one)
        if self._closed:  # it may have been just now
            self.close()

    def close(self) -> None:
        """Removes those that are not used; the others when they are given back."""
        self._closed = True
        with contextlib.suppress(IndexError):
            while True:
                self._unused.pop().discard()


def _is_small(folder: Path) -> bool:
    return len(list(islice(folder.iterdir(), ENTRIES + 1))) <= ENTRIES


def _copy(folder: Path, root: Path) -> Path:
    copy = root / (folder.name or "root")
    for beside in folder.parent.iterdir() if _is_small(folder.parent) else ():
        if beside.name != copy.name:
            (root / beside.name).symlink_to(beside)
    copy.mkdir()
    total = 0
    for entry in folder.iterdir():
        size = entry.stat().st_size if entry.is_file() else COPIED + 1
        if size <= COPIED and total + size <= COPIED_TOGETHER:
            shutil.copy2(entry, copy / entry.name)
            total += size
        else:
            (copy / entry.name).symlink_to(entry)
    return copy
