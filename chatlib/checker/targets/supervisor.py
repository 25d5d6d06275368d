"""Runs a program under limits, and ends it and its children as soon as the checker is gone.

A process of its own (POSIX): `python supervisor.py LIMITS COMMAND`. Its standard input is a leash, a pipe
that the checker holds: the kernel closes it however the checker ends, by SIGKILL too. Then, or when SIGTERM
comes, the program is killed.
"""

import contextlib
import json
import os
import resource
import select
import signal
import sys

PR_SET_CHILD_SUBREAPER = 36  # of Linux: see prctl(2)


def limit(limits: dict[str, int]) -> None:
    """Sets soft and hard limits, as far as the system has them and allows it."""
    for name, value in limits.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):
            number = getattr(resource, name)
            hard = resource.getrlimit(number)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(number, (value, value))


def run(limits: dict[str, int], command: list[str], silent: int) -> None:
    """Becomes the program, in a session of its own. Its input stays open, and nothing ever comes."""
    os.setsid()
    os.dup2(silent, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)  # a background job of a shell would ignore Ctrl-C
    os.write(1, f"{os.getpid()}\n".encode())  # before anything that the program itself prints
    limit(limits)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(127)


def adopt() -> None:
    """Makes this process the parent of every descendant whose own parent ends (Linux), so that none escapes.

    Elsewhere the checker looks for what is left, by psutil, which this interpreter (`-I -S`) cannot import.
    """
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError, AttributeError):  # not every Python has it
            import ctypes  # it costs 2 ms

            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def status_of(child: int) -> int | None:
    """Reaps all children that have ended; returns the exit code of this one, if it is among them."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                found = os.waitstatus_to_exitcode(ended[1])
    return found


def end_all() -> None:
    """Kills the children, and those that become children by that, until there are none."""
    with contextlib.suppress(ChildProcessError):
        while True:
            while os.waitpid(-1, os.WNOHANG)[0]:  # first, as a look into /proc takes milliseconds
                pass
            for child in children():
                with contextlib.suppress(OSError):
                    os.kill(child, signal.SIGKILL)
            os.waitpid(-1, 0)


def children() -> list[int]:
    """Returns the children of this process, as the kernel lists them (Linux)."""
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{int(entry)}/stat", "rb") as file:
            parent = file.read().rpartition(b")")[2].split()[1]  # a name in brackets may hold anything
            if int(parent) == os.getpid():
                found.append(int(entry))
    return found


def main() -> None:
    """Starts the program, and waits until it or the leash ends."""
    limits, command = json.loads(sys.argv[1]), sys.argv[2:]
    woken, wake = os.pipe()
    silent, _writer = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in signal.SIGCHLD, signal.SIGTERM:
        signal.signal(number, lambda *_: None)  # that it came is read from `woken`
    adopt()
    child, leash = os.fork(), [0]
    if child == 0:
        run(limits, command, silent)
    while (status := status_of(child)) is None:
        ready, _, _ = select.select([*leash, woken], [], [])
        came = os.read(woken, 64) if woken in ready else b""
        if 0 in ready or signal.SIGTERM in came:
            leash = []
            for kill in os.killpg, os.kill:  # it has no group yet if it is killed before `setsid`
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    kill(child, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):  # what it has left behind in its group
        os.killpg(child, signal.SIGKILL)
    code = status if status >= 0 else 128 - status
    if sys.platform == "linux":
        signal.signal(signal.SIGALRM, lambda *_: os._exit(code))
        signal.alarm(3)  # what may not be killed, or forks faster than it is found, is not waited for
        end_all()
    os._exit(code)


if __name__ == "__main__":
    main()
