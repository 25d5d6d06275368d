"""What ends a search for orders, or a thread in it."""


class Unseen(RuntimeError):
    """A thread does what the scheduler cannot see: it computes for long, waits in C, starts threads."""


class Unrepeatable(RuntimeError):
    """The same choices led to something else than before: the program does not depend on the order alone."""


class Abandoned(BaseException):
    """Ends a thread whose order is over before the thread is. No `except Exception` catches it."""
