"""What a process uses: processor time, memory, descriptors, threads."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

try:  # comes with JupyterLab; a kit without it can still check what needs no look inside
    import psutil as psutil
except ImportError:  # pragma: no cover
    psutil = None


class TreeGauge:
    """A process and its children. What has ended meanwhile is not counted.

    Args:
        pid: The process.

    Raises:
        psutil.Error: There is no such process.
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)

    def cpu(self) -> float:
        return self._sum(lambda process: sum(process.cpu_times()[:4]))

    def memory(self) -> int:
        return int(self._sum(lambda process: process.memory_info().rss))

    def own_memory(self) -> int:
        """Bytes that no other process shares: what forked children have in common, `memory` counts often."""
        return int(self._sum(lambda process: process.memory_full_info().uss))

    def descriptors(self) -> int:
        return int(self._sum(lambda process: process.num_handles() if os.name == "nt" else process.num_fds()))

    def threads(self) -> int:
        return int(self._sum(lambda process: process.num_threads()))

    def ports(self) -> set[int]:
        """Returns where it listens."""
        found: set[int] = set()
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                connections = process.net_connections("tcp")
                found |= {entry.laddr.port for entry in connections if entry.status == psutil.CONN_LISTEN}
        return found

    def processes(self) -> list[Any]:
        """Returns those that still run."""
        with contextlib.suppress(psutil.Error):
            return [self._root, *self._root.children(recursive=True)]
        return []

    def _sum(self, of: Any) -> float:
        total = 0.0
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                total += of(process)
        return total


class OwnGauge:
    """This process, in which the server runs beside the checker.

    Args:
        threads: Returns the server's threads.
    """

    def __init__(self, threads: Callable[[], list[threading.Thread]]) -> None:
        self._process = psutil.Process()
        self._threads = threads
        self._used: dict[int, float] = {}

    def cpu(self) -> float:
        # macOS counts a process's threads, and does not name them.
        if sys.platform == "darwin":  # pragma: no cover
            return time.process_time()
        own = {thread.native_id for thread in self._threads()}
        for thread in self._process.threads():
            if thread.id in own:  # one that has ended keeps what it used
                self._used[thread.id] = thread.user_time + thread.system_time
        return sum(self._used.values())

    def memory(self) -> int:
        return int(self._process.memory_info().rss)

    def descriptors(self) -> int:
        return int(self._process.num_handles() if os.name == "nt" else self._process.num_fds())

    def threads(self) -> int:
        return threading.active_count()
