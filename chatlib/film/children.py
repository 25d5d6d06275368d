"""The other processes of a film: those that the program forks, or starts as programs of Python.

Each of them records by itself and writes to a tape (`record/filmed_child.py`), in a folder of this film's. To
be filmed, a new program finds the module `sitecustomize` there, which Python runs first: the folder stands in
PYTHONPATH as long as the film runs. A child that is given an environment without it, or is started with `-E`,
`-I` or `-S`, is not filmed, and nor is a program that is none of Python's.
"""

import mmap
import os
import re
import shutil
import tempfile
import time
from collections import ChainMap, Counter, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from chatlib.film.merged import merged
from chatlib.film.record.call import Row, span_of
from chatlib.film.record.filmed_child import CONTROL, film_forks, film_no_forks
from chatlib.film.record.recorder import Recorder, pause
from chatlib.film.record.tape import SUFFIX, TapeReader
from chatlib.film.recording import Recording
from chatlib.film.spans import MAIN, Span
from chatlib.own_code import FOLDER
from chatlib.sockets import Address

_PER_PROCESS = 1 << 32  # idents

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


class About(NamedTuple):
    """What a process is."""

    number: int
    """In the system; as that of its parent."""
    parent: int
    forked: bool
    own: str
    """What `multiprocessing` calls it; empty if it does not."""
    program: str


class Seen(NamedTuple):
    """What one of the processes has seen."""

    number: int
    """1, 2, ... in the order in which they began; 0 is the process that films."""
    name: str
    spans: Sequence[Span]
    """Those that are over, in the order of their ends; then the open ones."""
    clients: Mapping[Address, str]
    dropped: int
    """Older spans that have been let go."""
    free: frozenset[int]
    """The idents of the threads that were alive, and in none of the open calls."""


class Child:
    """One process, as it is known so far.

    Args:
        number: 1, 2, ...
        file: Its tape.
        limit: How many calls to keep.
    """

    def __init__(self, number: int, file: Path, limit: int) -> None:
        self.number, self.has_ended, self._tape = number, False, TapeReader(str(file))
        self._spans = deque[Span](maxlen=limit)
        self._last = 0  # the number of its latest call
        self._begun: tuple[int, int, bool] | None = None
        self._names, self._clients, self._open = ("", ""), dict[Address, str](), tuple[Row, ...]()
        self._main, self._free = 0, tuple[int, ...]()  # its main thread; those that do not wait
        self._slow = 0.0  # seconds by which its clock is behind
        self.read()

    def read(self) -> None:
        """Takes in what is new on its tape."""
        if self.has_ended:
            return
        self.has_ended = self._tape.has_ended  # asked first: if it has, all has been written
        if state := self._tape.state():
            about, clients, self._free, self._open = state
            self._begun, self._main, names = about[:3], about[3], about[4:]
            self._clients, self._names = dict(clients), names if names[0] else (self._names[0], names[1])
        for row in self._tape.calls():
            if row[0]:
                self._spans.append(self._span(row))
                self._last = row[0]
            elif not self._names[0]:  # what it is called
                self._names = row[1], row[2]
        if self.has_ended:
            self._tape.close()

    def has_answered(self, look: int, asked: float) -> bool:
        """Whether it has written what it waits for after a look, which was asked for at a moment.

        Clocks of one machine agree on all systems that we know. If not, those of its spans are set right.
        """
        if self.has_ended or self._tape.has_ended:
            return True
        self._tape.state()
        if self._tape.answered < look:
            return False
        if not asked <= self._tape.seen <= time.perf_counter():
            self._slow = asked - self._tape.seen
        return True

    def close(self) -> None:
        """Lets go of its tape."""
        if not self.has_ended:
            self._tape.close()

    @property
    def about(self) -> About | None:
        """Returns what it is; None if it has not said so yet."""
        return About(*self._begun, *self._names) if self._begun else None

    def seen(self, name: str) -> Seen:
        """Returns what it has seen, under a name."""
        known = {(span.ident, span.start) for span in self._spans}
        spans = [self._span(row) for row in self._open]
        spans = [span for span in spans if (span.ident, span.start) not in known]
        if self.has_ended:  # each call lasted until the process was seen last
            latest = max([self._tape.seen, *(span.end or 0.0 for span in self._spans)])
            spans = [span._replace(end=max(latest, span.start), outcome="over", until=None) for span in spans]
        spans = [*self._spans, *spans]
        if self._slow:
            spans = [later(span, self._slow) for span in spans]
        free = () if self.has_ended else self._free
        base = self.number * _PER_PROCESS
        return Seen(
            self.number,
            name,
            spans,
            self._clients,
            self._last - len(self._spans),
            frozenset(base + ident for ident in free),
        )

    def _span(self, row: Row) -> Span:
        span = span_of(row)  # after a fork, the main thread has the name of the one that has forked
        return moved(span._replace(thread=MAIN) if span.ident == self._main else span, self.number)


def later(span: Span, seconds: float) -> Span:
    """Returns a span by another clock."""
    end, until = None if span.end is None else span.end + seconds, span.until
    until = until and until._replace(turned=until.turned + seconds)
    return span._replace(start=span.start + seconds, end=end, until=until)


def moved(span: Span, process: int) -> Span:
    """Returns a span as one of a process: its ident, and those in its subject, are unique in the film."""
    base = process * _PER_PROCESS
    subject = span.subject
    if "\0" in subject:
        subject = re.sub("\0(\\d+) ", lambda found: f"\0{int(found[1]) + base} ", subject)
    until = span.until
    if until and until.loop:
        until = until._replace(loop=until.loop + base)
    return span._replace(ident=span.ident + base, subject=subject, process=process, until=until)


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
            control.write(bytes(CONTROL.size))
            control.flush()
            self._control = mmap.mmap(control.fileno(), CONTROL.size)
        before = os.environ.get("PYTHONPATH")
        self._before = before
        self._path = os.pathsep.join(filter(None, (str(self._folder), before)))
        os.environ["PYTHONPATH"] = self._path
        film_forks(str(self._folder), recorder)

    def ask(self) -> None:
        """Waits until each process that lives has written what it waits for now, for `PATIENCE` at most.

        A process that is busy in C, or has been stopped, does not answer: of it stays what was known last.
        """
        if os.getpid() != self._process:
            return
        self._looks += 1
        asked = time.perf_counter()
        CONTROL.pack_into(self._control, 0, self._looks, 0)
        left = set(self._found())
        while left and time.perf_counter() < asked + PATIENCE:
            left = {child for child in left if not child.has_answered(self._looks, asked)}
            pause(0.005 if left else 0)

    def read(self) -> list[Seen]:
        """Returns what each process has seen; nothing in a forked process, which is not the film's."""
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
                self._children[file.name] = Child(len(self._children) + 1, file, self._limit)
        return list(self._children.values())

    def end(self) -> None:
        """Ends the films of all processes. Does nothing in a forked process, which is not the film's."""
        if os.getpid() != self._process:
            return
        film_no_forks()
        CONTROL.pack_into(self._control, 0, self._looks, 1)
        if os.environ.get("PYTHONPATH") == self._path:  # the program may have set it anew
            if self._before is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = self._before
        for child in self._children.values():
            child.close()
        self._control.close()
        shutil.rmtree(self._folder, ignore_errors=True)  # on Windows, a process that lives has its tape open


def names_of(processes: Sequence[About]) -> list[str]:
    """Returns what to call each process, in the order in which they began."""
    names, owns = dict[int, str](), dict[int, str]()
    children, alike = Counter[int](), Counter[str]()
    found = list[str]()
    for one in processes:
        children[one.parent] += one.forked
        of = f" of {names[one.parent]}" if one.parent in names else ""
        own = one.own if one.own != owns.get(one.parent) else ""  # a plain fork has its parent's
        name = own or (f"child {children[one.parent]}{of}" if one.forked else one.program or "python")
        alike[name] += 1
        name += f" ({alike[name]})" if alike[name] > 1 else ""
        names[one.number], owns[one.number] = name, one.own
        found.append(name)
    return found


def of_several(own: Recording, processes: Sequence[Seen]) -> Recording:
    """Makes one record of what this process and others have seen; without those that only start others."""
    seen = [each for each in processes if any(map(tells, each.spans))]
    if not seen:
        return own
    spans = merged([own.spans, *(each.spans for each in seen)])
    clients = ChainMap(dict(own.names), *(dict(each.clients) for each in seen))
    free, looker = (own.free or frozenset(), own.looker) if own.spans else (frozenset[int](), 0)
    return Recording(
        tuple(spans),
        dict(clients),
        max([own.now, *(span.start for span in spans if span.end is None)]),
        own.dropped + sum(each.dropped for each in seen),
        {each.number: each.name for each in seen},
        free.union(*(each.free for each in seen)),
        looker,
    )


def tells(span: Span) -> bool:
    """Whether a call is one of a program's, or of a connection: others are those of Python's own helpers."""
    return bool(span.peer or (span.place and span.place.own))
