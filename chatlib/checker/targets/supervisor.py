"""Runs a program under limits, and ends it and its children as soon as the checker is gone.

A process of its own (POSIX): `python supervisor.py LIMITS COMMAND`. Its standard input is a leash, a pipe
that the checker holds: the kernel closes it however the checker ends, by SIGKILL too. Then the program is
killed.
"""

import contextlib
import json
import os
import resource
import select
import signal
import sys

COOKIE = "CHATLIB_CHECK"
"""An environment variable that the program's descendants inherit."""


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


def sweep() -> None:
    """Kills the descendants that have left the group (Linux). Each has inherited the cookie.

    Elsewhere the checker does it, by psutil, which this interpreter (`-I -S`) cannot import.
    """
    own = f"{COOKIE}={os.environ.get(COOKIE)}\0".encode()
    for entry in os.listdir("/proc") if sys.platform == "linux" else []:
        if entry.isdecimal() and int(entry) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/environ", "rb") as file:
                if own in file.read():
                    os.kill(int(entry), signal.SIGKILL)


def main() -> None:
    """Starts the program, and waits until it or the leash ends."""
    limits, command = json.loads(sys.argv[1]), sys.argv[2:]
    woken, wake = os.pipe()
    silent, _writer = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child = os.fork()
    if child == 0:
        run(limits, command, silent)
    ready, _, _ = select.select([0, woken], [], [])
    if woken not in ready:
        for kill in os.killpg, os.kill:  # it has no group yet if it is killed before `setsid`
            with contextlib.suppress(ProcessLookupError):
                kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(ProcessLookupError, PermissionError):  # what it has left behind in its group
        os.killpg(child, signal.SIGKILL)
    sweep()
    os._exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
