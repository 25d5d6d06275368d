"""What a process uses: processor time, memory, descriptors, threads. For the benchmark and the checker.

All by psutil, which comes with the extra `lab`. Without it `psutil` here is None, and no figure is known.
"""

import contextlib
import glob
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

try:
    import psutil as psutil
except ImportError:  # pragma: no cover
    psutil = None


class ProcessTree:
    """A process and its descendants. A process that ends while it is read counts as nothing.

    Args:
        pid: The process at the root.

    Raises:
        psutil.Error: There is no such process.
    """

    def __init__(self, pid: int) -> None:
        # psutil notes when this process began, too: one that gets the same number later is not taken for it.
        self._root = psutil.Process(pid)

    def cpu(self) -> float:
        """Returns the seconds of processor time until now, in steps of about 10 ms.

        Children that have ended are included once their parent has waited for them.
        """
        return self._sum(lambda process: sum(process.cpu_times()[:4]))

    def queued(self) -> float:
        """Returns the seconds in which its threads were ready to run, and had no processor.

        Only Linux tells it; elsewhere it is 0.
        """
        return self._sum(lambda process: _queued(f"/proc/{process.pid}/task/*/schedstat"))

    def is_ready(self) -> bool:
        """Whether one of its threads runs, or would run if it could. Only Linux tells it."""
        return any(_has_one_ready(process.pid) for process in self.processes())

    def memory(self) -> int:
        """Returns the resident memory in bytes. Cheap; pages that processes share count once for each."""
        return sum(self.memory_of_each())

    def memory_of_each(self) -> list[int]:
        """Returns the same for each process that runs."""
        return [int(rss) for rss in self._each(lambda process: process.memory_info().rss)]

    def own_memory(self) -> int | None:
        """Returns the bytes that no other process shares; None if the system does not say.

        Expensive: the kernel walks every page, which takes milliseconds for a large process. macOS tells it
        to root alone.
        """
        total = 0
        try:
            for process in self.processes():
                with contextlib.suppress(psutil.NoSuchProcess):
                    total += process.memory_full_info().uss
        except psutil.AccessDenied:  # a part of the sum would be taken for all of it
            return None
        return total

    def descriptors(self) -> int:
        """Returns the open files and sockets; on Windows, the handles."""
        return int(self._sum(_descriptors))

    def threads(self) -> int:
        """Returns the threads of all these processes."""
        return int(self._sum(lambda process: process.num_threads()))

    def listeners(self) -> set[tuple[str, int]]:
        """Returns the IP addresses and TCP ports on which they listen."""
        tcp = self._sockets("tcp")
        return {(one.laddr.ip, one.laddr.port) for one in tcp if one.status == psutil.CONN_LISTEN}

    def other_sockets(self) -> list[str]:
        """Returns, in words, the sockets by which they can be reached, and not by TCP."""
        datagrams = [f"a UDP socket on port {one.laddr.port}" for one in self._sockets("udp") if one.laddr]
        return datagrams + [f"the Unix socket {one.laddr}" for one in self._sockets("unix") if one.laddr]

    def _sockets(self, kind: str) -> Iterator[Any]:
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                yield from process.net_connections(kind)

    def processes(self) -> list[Any]:
        """Returns those that still run, the root first; none if the root has ended."""
        with contextlib.suppress(psutil.Error, OSError):
            if self._root.is_running():  # or its number may be another's by now
                return [self._root, *_descendants(self._root)]
        return []

    def _sum(self, read: Callable[[Any], float]) -> float:
        return sum(self._each(read))

    def _each(self, read: Callable[[Any], float]) -> Iterator[float]:
        for process in self.processes():
            with contextlib.suppress(psutil.Error):  # it has ended since it was listed
                yield read(process)


class OwnProcess:
    """This process, in which a server runs beside the code that watches it.

    Args:
        threads: Returns the server's threads: of the processor time, only theirs counts.
    """

    def __init__(self, threads: Callable[[], list[threading.Thread]]) -> None:
        self._process = psutil.Process()
        self._threads = threads
        self._used: dict[int, float] = {}

    def cpu(self) -> float:
        """Returns the seconds of processor time that the server's threads have used until now."""
        # macOS counts a process's threads, and does not name them: there it is the time of all but ours.
        if sys.platform == "darwin":  # pragma: no cover
            return float(sum(self._process.cpu_times()[:2])) - sum(spinner.used for spinner in _spinners)
        own = {thread.native_id for thread in self._threads()}
        for thread in self._process.threads():
            if thread.id in own:  # the kernel forgets a thread that has ended: what it had used stays here
                self._used[thread.id] = thread.user_time + thread.system_time
        return sum(self._used.values())

    def queued(self) -> float:
        """Returns the seconds in which the server's threads were ready to run, and had no processor."""
        own = [thread.native_id for thread in self._threads()]
        return sum(_queued(f"/proc/self/task/{thread}/schedstat") for thread in own)

    def is_ready(self) -> bool:
        """Returns False: while this thread looks, the others wait for the interpreter, which is no sign."""
        return False

    def memory(self) -> int:
        """Returns the resident memory of the whole process in bytes.

        What was freed before, and would be used again unseen, is given back to the system first.
        """
        give_back()
        return int(self._process.memory_info().rss)

    def descriptors(self) -> int:
        """Returns the open files and sockets of the whole process."""
        return _descriptors(self._process)

    def threads(self) -> int:
        """Returns the threads of the whole process that Python knows of."""
        return threading.active_count()


class Spinner(threading.Thread):
    """A thread that never rests, in a `with` block. What it gets is what there is to be had.

    A server's processor time says little by itself: on a busy machine one that spins gets as little as one
    that has some work now and then. Compared with this, it says which of the two it is.
    """

    def __init__(self) -> None:
        super().__init__(name="a spinner", daemon=True)
        self.used = 0.0
        """Seconds of processor time so far."""
        self._over = threading.Event()

    def run(self) -> None:
        """Spins until the block is left."""
        data = bytes(1 << 20)
        while not self._over.is_set():
            hashlib.sha256(data)  # C that lets go of the interpreter meanwhile: others may run as well
            self.used = time.thread_time()

    def __enter__(self) -> Self:
        _spinners.append(self)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()
        _spinners.remove(self)


_spinners: list[Spinner] = []


def process_tree(pid: int) -> ProcessTree | None:
    """Returns a process and its descendants; None if there is no such process, or no psutil."""
    try:
        return ProcessTree(pid) if psutil else None
    except psutil.Error:
        return None


def give_back() -> None:
    """Gives memory that was freed back to the system, where that can be asked for: glibc and macOS."""
    with contextlib.suppress(ImportError, OSError, AttributeError, TypeError):  # not every system has it
        import ctypes  # it costs some milliseconds

        library = ctypes.CDLL(None)
        if sys.platform == "darwin":  # pragma: no cover
            library.malloc_zone_pressure_relief(None, ctypes.c_size_t(0))
        else:
            library.malloc_trim(ctypes.c_size_t(0))


def _queued(pattern: str) -> float:
    """Reads what psutil does not tell: for each thread, its nanoseconds on a processor, and in the queue."""
    total = 0
    for path in glob.iglob(pattern):
        with contextlib.suppress(OSError):  # it has ended since it was listed
            total += int(Path(path).read_text("ascii").split()[1])
    return total / 1e9


def _has_one_ready(process: int) -> bool:
    """Whether one of its threads is in the state R, which is the first letter behind a thread's name."""
    for path in glob.iglob(f"/proc/{process}/task/*/stat"):
        with contextlib.suppress(OSError):
            if Path(path).read_bytes().rpartition(b") ")[2].startswith(b"R"):
                return True
    return False


def _descendants(process: Any) -> list[Any]:
    """Returns a process's children, and theirs.

    To find them, psutil reads the parent of every process that there is, which takes milliseconds; a server
    under check is looked at hundreds of times. Where Linux lists the children of each thread, that is read.
    """
    if not _CHILDREN_ARE_LISTED:
        return list(process.children(recursive=True))
    found: list[Any] = []
    threads = f"/proc/{process.pid}/task"
    for thread in os.listdir(threads):
        with contextlib.suppress(OSError, psutil.Error), open(f"{threads}/{thread}/children", "rb") as file:
            for number in file.read().split():
                child = psutil.Process(int(number))
                found += [child, *_descendants(child)]  # nothing of one that has ended since
    return found


_CHILDREN_ARE_LISTED = Path("/proc/{0}/task/{0}/children".format(os.getpid())).exists()


def _descriptors(process: Any) -> int:
    return int(process.num_handles() if os.name == "nt" else process.num_fds())
