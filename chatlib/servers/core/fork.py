"""What a forked child has to let go of: it has a copy of everything."""

import contextlib
import os
import stat


def close_other_sockets(kept: int) -> None:
    """Closes the copies of all sockets but one.

    A connection ends when every copy of it is closed: with the listener, the port would stay taken, and a
    client of this very process (in a notebook, say) could close its end, and nobody would hear of it.
    """
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # the listing has a descriptor of its own
            if int(name) != kept and stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                os.close(int(name))
