"""What went over each connection, by its ends: which threads use it, and what lies unread there."""

from collections import defaultdict
from collections.abc import Iterable

from chatlib.film.spans import RECEIVING, SENDING, Ends, Span
from chatlib.sockets import Address


class Traffic:
    """All that a film knows of its connections. An end is a pair of addresses: its own, and the other.

    Args:
        spans: Of the film.
    """

    def __init__(self, spans: Iterable[Span]) -> None:
        self._accepted: dict[Ends, int] = {}
        self._connected: dict[Ends, tuple[int, float]] = {}
        self._acceptors: dict[Address, set[int]] = defaultdict(set)
        self._readers: dict[Ends, set[int]] = defaultdict(set)
        self._senders: dict[Ends, set[int]] = defaultdict(set)
        self._sent: dict[Ends, tuple[int, float]] = {}
        self._taken: dict[Ends, int] = {}
        self._read: dict[Ends, float] = {}
        self._left: set[Ends] = set()
        self._doubtful: set[Ends] = set()
        for span in spans:
            if span.local:
                self._note(span, span.local)

    def _note(self, span: Span, local: Address) -> None:
        end = local, span.peer
        if span.call == "accept":
            self._acceptors[local].add(span.ident)
        if span.peer is None:
            return
        if span.call == "accept":
            self._accepted[end] = span.ident
        elif span.call in ("connect", "connect_ex") and span.end is not None:
            self._connected[end] = span.ident, span.end
        elif span.leaves:
            self._left.add(end)
        elif span.call in RECEIVING:
            self._note_received(span, end)
        elif span.call in SENDING:
            self._note_sent(span, end)

    def _note_received(self, span: Span, end: Ends) -> None:
        self._readers[end].add(span.ident)
        self._taken[end] = max(self._taken.get(end, span.offset), span.offset + span.size)
        if span.outcome == "unseen":  # whether it has taken something is not known
            self._doubtful.add(end)
        if span.size and span.end is not None:
            self._read[end] = max(self._read.get(end, 0.0), span.end)

    def _note_sent(self, span: Span, end: Ends) -> None:
        self._senders[end].add(span.ident)
        if span.end is not None and span.outcome not in ("done", "nothing"):  # how much has gone?
            self._doubtful.add(end[::-1])
        if span.size and span.end is not None:
            before, at = self._sent.get(end, (0, 0.0))
            self._sent[end] = max(before, span.offset + span.size), max(at, span.end)

    def users(self, end: Ends, also: int = 0) -> set[int]:
        """Returns the threads that have sent or received at an end; if none has, the one that has made it.

        Args:
            end: Of a connection.
            also: A thread that counts as well if it has only made the connection.
        """
        known = self._readers[end] | self._senders[end]
        made = {self._connected[end][0]} if end in self._connected else set[int]()
        if end in self._accepted:
            made.add(self._accepted[end])
        return known | (made if not known else made & {also})

    def readers(self, end: Ends) -> set[int]:
        """Returns the threads that read at an end, or would, as far as is known."""
        return set(self._readers[end]) or self.users(end)

    @property
    def senders(self) -> list[Ends]:
        """The ends from which bytes have been sent."""
        return list(self._sent)

    def has_left(self, end: Ends) -> bool:
        """Whether this end has been closed or shut down: then the other one will hear of it."""
        return end in self._left

    def unread(self, end: Ends) -> int | None:
        """Returns how many bytes lie at an end, that were sent to it; None if that is not known."""
        if end in self._doubtful:
            return None
        return max(0, self._sent.get(end[::-1], (0, 0.0))[0] - self._taken.get(end, 0))

    def last_sent(self, end: Ends) -> float:
        """Returns when the last bytes left from an end."""
        return self._sent.get(end, (0, 0.0))[1]

    def last_read(self, end: Ends) -> float | None:
        """Returns when bytes were last taken at an end; None if they never were."""
        return self._read.get(end)

    def doors_of(self, end: Ends) -> tuple[set[int], float]:
        """Returns the threads that would accept the connection of a client's end, and since when it waits.

        None, if it has been accepted, or nothing is known of that.
        """
        other = end[::-1]
        made = self._connected.get(end)
        if made is None or end[1] is None or other in self._accepted or self.users(other):
            return set(), 0.0
        return self._acceptors.get(end[1], set()), made[1]
