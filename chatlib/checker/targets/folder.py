"""The folder in which a program is started: a copy, so that what it writes there ends with it."""

import contextlib
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

    def largest(self) -> int:
        """Returns the bytes of the largest file that was written into it."""
        if self._root == Path():
            return 0
        with contextlib.suppress(OSError):  # it was discarded meanwhile
            return max((one.lstat().st_size for one in self.path.iterdir() if one.is_file()), default=0)
        return 0

    def discard(self) -> None:
        """Removes it, and follows no link."""
        if self._root != Path():
            shutil.rmtree(self._root, ignore_errors=True)


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
