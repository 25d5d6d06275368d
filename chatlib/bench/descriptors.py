"""How many connections a process may have: the limit is raised, if the system allows it."""

import contextlib
import os
from collections.abc import Iterator

SPARE = 64
"""Descriptors that a process needs for other things than its clients."""


@contextlib.contextmanager
def descriptors(clients: int) -> Iterator[None]:
    """Allows this process, and those it starts meanwhile, a connection for each client.

    Raises:
        ValueError: The system does not allow so many; the message says what to do.
    """
    if os.name != "posix":
        yield
        return
    import resource

    limit, wanted = resource.RLIMIT_NOFILE, clients + SPARE
    soft, hard = resource.getrlimit(limit)
    enough = soft == resource.RLIM_INFINITY or soft >= wanted
    if not enough:
        _raise_limit(wanted, soft, hard, clients)
    try:
        yield
    finally:
        if not enough:
            resource.setrlimit(limit, (soft, hard))


def _raise_limit(wanted: int, soft: int, hard: int, clients: int) -> None:
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):
        allowed = soft if hard == resource.RLIM_INFINITY else hard
        cure = f"ask for at most {max(allowed - SPARE, 1)} clients, or raise the limit (ulimit -n)"
        why = f"{clients} clients need {wanted} descriptors, and this system allows {allowed}: {cure}"
        raise ValueError(why) from None
