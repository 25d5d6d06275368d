"""What a film notes by the way may fail: then it is not noted, and the program hears nothing of that.

But an error that the handler of a signal raises is the program's own: so it makes an end of a call that lasts
too long. It strikes wherever the program is, and that may be here. If it were lost, the call would not end.
"""

from types import TracebackType


class Harmless:
    """A block that may fail. Costs less than `contextlib.suppress`, as there is only one of it."""

    def __enter__(self) -> None:
        """Begins the block."""

    def __exit__(self, _: object, error: BaseException | None, trace: TracebackType | None) -> bool:
        """Ends it; returns whether it has failed in a way that is of no matter."""
        return isinstance(error, Exception) and not is_of_handler(trace)


harmless = Harmless()


def is_of_handler(trace: TracebackType | None) -> bool:
    """Returns whether an error is of a handler, which was called with the frame that it interrupted."""
    while trace and trace.tb_next:
        interrupted, trace = trace.tb_frame, trace.tb_next
        for value in list(trace.tb_frame.f_locals.values()):
            given = value if type(value) is tuple else (value,)  # a handler may take `*_`
            if any(one is interrupted for one in given):
                return True
    return False
