"""What a forked child has to let go of: it has a copy of every descriptor."""

import contextlib
import os
import stat


def close_other_sockets(kept: int) -> None:
    """Closes the child's copies of all sockets but one.

    A connection ends when every copy of it is closed. With a copy of the listener here, the port would stay
    taken after the parent has closed it. With one of another client's connection, that client would never see
    the end; and a client of this very process (in a notebook, say) could leave, and the server not notice it.
    """
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # the listing's own descriptor is in it, and closed by now
            if int(name) != kept and stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                os.close(int(name))
