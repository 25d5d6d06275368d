"""How far each direction of each connection has come: where in the stream a call's bytes begin.

TCP knows no messages, so bytes that were sent are matched with the call that received them by counting: the
first byte of a direction is number 0, wherever the sender and the receiver cut the stream.
"""

from chatlib.film.spans import SENDING, Ends

Way = tuple[Ends, bool]
"""The ends of a connection, and whether it is the first of them that sends: each end counts for itself."""

_LOST = -(1 << 62)  # an offset at which no call receives anything


class Offsets:
    """Counts bytes. Not thread-safe by itself: the recorder's lock is held around each call.

    Args:
        limit: How many directions to keep; those that were not used for longest are forgotten.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._passed: dict[Way, int] = {}

    def copy(self) -> "Offsets":
        """Returns another that has come as far."""
        other = Offsets(self._limit)
        other._passed = self._passed.copy()
        return other

    def note(self, name: str, ends: Ends, size: int, outcome: str) -> int:
        """Takes in a call that has returned; returns where its bytes begin."""
        if name in ("accept", "connect", "connect_ex"):
            self._passed.setdefault((ends, False), 0)  # seen from its first byte: nothing has to be aligned
        way = ends, name in SENDING
        offset = self._passed.get(way, 0)
        if size:
            self._passed.pop(way, None)  # what is used comes last
            self._passed[way] = offset + size
        elif name == "sendall" and outcome != "done":
            # A part may have gone, and the kernel does not tell how much. All later bytes of this direction
            # count from nowhere: rather no arrow than one from the wrong call.
            self._passed[way] = _LOST
        if len(self._passed) > self._limit:
            del self._passed[next(iter(self._passed))]
        return offset

    def of(self, name: str, ends: Ends) -> int:
        """Returns where the bytes of a call begin that has not returned."""
        return self._passed.get((ends, name in SENDING), 0)

    def sent_to(self, ends: Ends) -> int:
        """Returns how many bytes have been sent towards the first of these ends."""
        return self._passed.get((ends[::-1], True), 0)

    def is_known(self, ends: Ends) -> bool:
        """Returns whether it is counted what the first of these ends receives."""
        return (ends, False) in self._passed

    def align(self, ends: Ends, pending: int) -> None:
        """Begins to count what an end receives, of which `pending` bytes lie there unread.

        On a connection that is older than the film, bytes that were sent before count from less than 0. Those
        that were taken unseen, by a call that was under way when the film began, are left out.
        """
        self._passed.setdefault((ends, False), self.sent_to(ends) - pending)
