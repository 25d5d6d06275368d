"""The other processes of a film: those that the program forks, or starts as programs of Python.

Each of them records by itself and writes to a tape (`record/filmed_child.py`), in a folder of this film's. To
be filmed, a new program finds the module `sitecustomize` there, which Python runs first: the folder stands in
PYTHONPATH as long as the film runs. A child that is given an environment without it, or is started with `-E`,
`-I` or `-S`, is not filmed, and nor is a program that is none of Python's.
"""

import contextlib
import mmap
import os
import shutil
import tempfile
import time
import weakref
from pathlib import Path

from chatlib.film.child import Child, Seen, names_of
from chatlib.film.record.filmed_child import CONTROL, film_forks, film_no_forks, leave_path
from chatlib.film.record.recorder import Recorder, pause
from chatlib.film.record.tape import SUFFIX
from chatlib.film.spans import Span
from chatlib.own_code import FOLDER

PATIENCE = 1.0
"""Seconds for which an answer of the other processes is waited for, at most."""

_CUSTOMIZE = """\
# A film of chatlib puts this folder into PYTHONPATH as long as it runs: this process is filmed.
import sys

sys.path[:] = [entry for entry in sys.path if entry != {folder!r}]
own = sys.modules.pop(__name__)
try:
    import sitecustomize  # the one that Python would have found
except ImportError:
    sys.modules[__name__] = own
if sys.version_info >= (3, 11):
    sys.path.insert(0, {home!r})
    try:
        from chatlib.film.record import filmed_child

        filmed_child.begin({folder!r})
    except Exception:
        pass  # rather no film than a program that does not start
    finally:
        sys.path.remove({home!r})
"""


class Children:
    """The other processes of a film, from its start to its stop.

    Args:
        recorder: What counts the bytes in this process: a forked one goes on counting from there.
        limit: How many calls to keep of each process.
    """

    def __init__(self, recorder: Recorder, limit: int) -> None:
        self._limit, self._process = limit, os.getpid()
        self._children: dict[str, Child] = {}
        self._looks = 0
        self._folder = Path(tempfile.mkdtemp(prefix="chatlib-film-"))
        home = str(Path(FOLDER).parent)
        customize = _CUSTOMIZE.format(folder=str(self._folder), home=home)
        (self._folder / "sitecustomize.py").write_text(customize, "utf-8")
        with open(self._folder / "control", "w+b") as control:
            control.write(CONTROL.pack(0, 0, self._process))
            control.flush()
            self._control = mmap.mmap(control.fileno(), CONTROL.size)
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(self._folder), before)))
        film_forks(str(self._folder), recorder)
        # Also at the end of a program that has not stopped it, or if no code holds the film any more.
        self._over = weakref.finalize(self, _end, os.getpid(), self._folder, self._control, before == "")

    def ask(self) -> None:
        """Waits until each process that lives has written what it waits for now, for `PATIENCE` at most.

        A process that is busy in C, or has been stopped, does not answer: of it stays what was known last.
        """
        if os.getpid() != self._process:
            return
        self._looks += 1
        asked = time.perf_counter()
        CONTROL.pack_into(self._control, 0, self._looks, 0, self._process)
        left = set(self._found())
        while left and time.perf_counter() < asked + PATIENCE:
            left = {child for child in left if not child.has_answered(self._looks, asked)}
            if left:
                pause(0.005)

    def read(self) -> list[Seen]:
        """Returns what each process has seen, in the order in which they began.

        Nothing in a forked process, which is not the film's.
        """
        if os.getpid() != self._process:
            return []
        children = self._found()
        for child in children:
            child.read()
        known = {child: about for child in children if (about := child.about)}
        names = names_of(list(known.values()))
        return [child.seen(name) for child, name in zip(known, names, strict=True)]

    def spans_of(self, process: int) -> list[Span]:
        """Returns the calls of a process, by its number in the system, and of all that it has begun."""
        family, found = {process}, list[Span]()
        for child in self._found():
            child.read()
            if (about := child.about) and family & {about.number, about.parent}:
                family.add(about.number)
                found += child.seen("").spans
        return found

    def _found(self) -> list[Child]:
        for file in sorted(self._folder.glob(f"*{SUFFIX}")):
            if file.name not in self._children:
                with contextlib.suppress(OSError):  # too many files are open
                    self._children[file.name] = Child(len(self._children) + 1, file, self._limit)
        # By when they began, which is in the name: one that began earlier may be found later.
        return [child for _, child in sorted(self._children.items())]

    def end(self) -> None:
        """Ends the films of all processes. Does nothing in a forked process, which is not the film's."""
        if os.getpid() != self._process:
            return
        self._over()
        for child in self._children.values():
            child.close()
        self._control.close()


def _end(process: int, folder: Path, control: mmap.mmap, was_empty: bool) -> None:
    """Says to all processes that the film is over, and leaves nothing behind.

    Args:
        process: The one that films.
        folder: Where the tapes are.
        control: What the other processes look at.
        was_empty: Whether PYTHONPATH was there before, and empty.
    """
    if os.getpid() != process:
        return
    film_no_forks(str(folder))
    CONTROL.pack_into(control, 0, CONTROL.unpack_from(control)[0], 1, process)
    leave_path(str(folder))
    if was_empty:
        os.environ.setdefault("PYTHONPATH", "")
    shutil.rmtree(folder, ignore_errors=True)  # on Windows, a process that lives has its tape open
