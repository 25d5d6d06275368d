"""What a server costs: the processor time and the memory of its process, and of those it has started."""

import contextlib
import os
from pathlib import Path
from typing import Any

PROC = Path("/proc")


class Gauge:
    """Reads what the system knows about a process, with psutil if it is there, else from /proc.

    Args:
        pid: The process.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._psutil: Any = None
        with contextlib.suppress(ImportError):
            import psutil

            self._psutil = psutil

    def cpu(self) -> float | None:
        """Returns the processor time used until now, in seconds; None if the system does not say."""
        if self._psutil:
            return self._sum(lambda process: sum(process.cpu_times()[:2]))
        return _total(map(_cpu, _tree(self._pid)))

    def memory(self) -> float | None:
        """Returns the memory that these processes share with no other, in KiB; None if it is not known."""
        if self._psutil:
            return self._sum(lambda process: process.memory_full_info().uss / 1024)
        return _total(map(_memory, _tree(self._pid)))

    def _sum(self, read: Any) -> float | None:
        with contextlib.suppress(self._psutil.Error):
            process = self._psutil.Process(self._pid)
            return float(sum(map(read, (process, *process.children(recursive=True)))))
        return None


def _tree(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        tasks = (PROC / str(pid) / "task").iterdir()
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
        return [pid, *(grandchild for child in children for grandchild in _tree(child))]
    return [pid]


def _total(values: Any) -> float | None:
    with contextlib.suppress(OSError):
        return float(sum(values))
    return None


def _cpu(pid: int) -> float:
    # The name of the program stands in brackets, and may hold anything; utime and stime are fields 14 and 15.
    fields = (PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> float:
    lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("Private_"))
