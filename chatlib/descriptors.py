"""How many connections a process may have: the limit is raised, as far as the system allows it."""

import contextlib
import os
from collections.abc import Iterator

SPARE = 64
"""Descriptors that a process needs for other things than its clients."""


def make_room(clients: int) -> None:
    """Allows this process a connection for each client, or as many as the system lets it have.

    Call it before a thread is started: while a process has several, Linux stops it for some 20 ms each time
    that its table of descriptors has to grow (`expand_fdtable` waits until no processor can be using the old
    one), and a server would lose that time while a crowd comes in.
    """
    if os.name != "posix":
        return
    import fcntl
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = clients + SPARE if hard == resource.RLIM_INFINITY else min(clients + SPARE, hard)
    with contextlib.suppress(ValueError, OSError):  # macOS has less to give than the hard limit says
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    with contextlib.suppress(OSError), open(os.devnull, "rb") as file:
        # The highest number that may be: now the table has its full size.
        os.close(fcntl.fcntl(file, fcntl.F_DUPFD, wanted - 1))


@contextlib.contextmanager
def descriptors(clients: int, or_fewer: bool = False) -> Iterator[None]:
    """Allows this process, and those it starts meanwhile, a connection for each client.

    Args:
        clients: How many.
        or_fewer: Whether it will do if the system allows less.

    Raises:
        ValueError: The system does not allow so many; the message says what to do.
    """
    if os.name != "posix":
        yield
        return
    import resource

    limit, wanted = resource.RLIMIT_NOFILE, clients + SPARE
    soft, hard = resource.getrlimit(limit)
    if or_fewer and hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    try:
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(limit, (wanted, hard))
    except (ValueError, OSError):  # macOS has less to give than the hard limit says
        if not or_fewer:
            allowed = soft if hard == resource.RLIM_INFINITY else hard
            cure = f"ask for at most {max(allowed - SPARE, 1)} clients, or raise the limit (ulimit -n)"
            why = f"{clients} clients need {wanted} descriptors, and this system allows {allowed}: {cure}"
            raise ValueError(why) from None
    try:
        yield
    finally:
        resource.setrlimit(limit, (soft, hard))
