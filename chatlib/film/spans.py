"""What has been seen, as frozen records: calls, messages, and threads that wait."""

from typing import NamedTuple

from chatlib.film.place import Place
from chatlib.sockets import Address

Ends = tuple[Address | None, Address | None]

SENDING = frozenset({"send", "sendall", "sendmsg", "sendto", "sendfile"})
RECEIVING = frozenset({"recv", "recv_into", "recvmsg", "recvmsg_into", "recvfrom", "recvfrom_into"})
LEAVING = frozenset({"close", "shutdown"})

HIDDEN, BUSY = "in a call that the X-ray cannot see", "busy"
"""What is said of a thread that is in no call which is watched, in place of the call."""

_KINDS = (
    dict.fromkeys(SENDING, "send")
    | dict.fromkeys(RECEIVING, "recv")
    | dict.fromkeys(LEAVING, "leave")
    | dict.fromkeys(("accept", "connect", "connect_ex", "select", "poll"), "door")
    | dict.fromkeys((HIDDEN, BUSY), "hidden")
)

_IDLE = ("a connection", "an event", "sleep", "Event.wait")  # the last two are those of asyncio

POLL_PAUSE = 0.05
"""Seconds. A thread that waited in vain, and waits again within them, has waited all the time."""

_IN_VAIN = ("timeout", "nothing", "end")  # one that is told of an end, and asks again, polls, too

MAIN = "MainThread"
"""The name of the first thread of each process."""

UNFILMED = "a program that is not filmed"
"""What is at the other end of a connection, if all processes of a program are filmed."""

LEFT_TO_ANOTHER = "left"
"""How a `close` ends that closes a copy of a connection only: another process goes on with it."""

PAIR = "socketpair"
"""The host of both ends of a `socketpair`, which have no addresses of their own."""


class Until(NamedTuple):
    """What else is known of a call that has not returned: what may end it."""

    endless: bool = False
    """Whether no time limit ends it; False as well where that is not known."""
    owned: bool = False
    """Whether only the holder of its lock can release that: any thread can release a plain lock, but that is
    not so of one that was taken by `with`, or of an RLock."""
    loop: int = 0
    """The ident of the thread of an event loop, if one of its tasks awaits this, or the loop itself."""
    turned: float = 0.0
    """When that loop last asked for events."""
    asked: int = 0
    """How often a thread that is `BUSY` has only asked whether something is ready, and nothing was."""


class Span(NamedTuple):
    """One call of one thread that waited, or might have."""

    number: int
    """Spans are numbered as their calls end; those that are still open come last."""
    thread: str
    """The thread's name."""
    ident: int
    """Tells threads with the same name apart; the smaller, the earlier it was started."""
    call: str
    """`recv`, `sendall`, `accept`, `select`, `sleep` ...; `HIDDEN` or `BUSY`, if it is in none of them."""
    subject: str
    """What it waits for, where that is no connection: a thread, an event, a lock and its holder.

    A thread in it stands between two NULs, by its ident and its name.
    """
    local: Address | None
    """This end of the connection."""
    peer: Address | None
    """The other end."""
    start: float
    """Seconds on the clock of `time.perf_counter`."""
    end: float | None
    """The same; None while the call has not returned."""
    size: int
    """Bytes that were sent or received."""
    offset: int
    """Bytes that had gone the same way before, since the film began."""
    outcome: str
    """How it ended: `done`, `end` (the other side left), `shut` (this side has shut the connection down),
    `reset`, `timeout`, `nothing` (would have waited), `interrupted` (by Ctrl-C), `failed`, `unseen` (it began
    before the film, which does not know its end); `over` (its process has ended in the middle of it); `left`
    (closed here only: another process goes on with the connection); empty while it is open."""
    place: Place | None
    process: int = 0
    """In which process, by a number of the film's own: 0 is the one that films."""
    until: Until | None = None
    """What may end it; None when it has returned, and where nothing is known of that."""

    @property
    def leaves(self) -> bool:
        """Whether it ends a connection, or one direction of it."""
        return self.call in LEAVING and self.outcome != LEFT_TO_ANOTHER

    @property
    def kind(self) -> str:
        """What sort of call it is: `send`, `recv`, `leave`, `door` (awaits a connection), else `inside`; or
        `hidden`, if it is none that is watched."""
        if self.call == "await" and self.peer:
            return "send" if "drain" in self.subject else "recv"
        return _KINDS.get(self.call, "inside")

    @property
    def idle(self) -> bool:
        """Whether it rests by design: until a time has passed, a client comes, or an event is set."""
        return self.call in ("sleep", "accept") or self.subject.startswith(_IDLE)

    def goes_on(self, later: "Span") -> bool:
        """Returns whether a later call of the same thread belongs to the same wait: it asks once more."""
        in_vain = self.outcome in _IN_VAIN and not self.size and self.kind != "send"
        if not in_vain or self.end is None or not 0 <= later.start - self.end < POLL_PAUSE:
            return False
        if self.peer not in (later.peer, None):  # a listener does not know which client will come
            return False
        asked = self.call, self.subject, self.local, self.place
        return asked == (later.call, later.subject, later.local, later.place)


class Message(NamedTuple):
    """Bytes on their way from one call to another. A send may take several, and so may a receive."""

    sent: Span
    received: Span | None
    """None while no call has taken them: they lie in the kernel's buffers."""
    size: int


class Waiting(NamedTuple):
    """A thread that waits now, and for what. Printed, it is a sentence."""

    thread: str
    call: str
    on: str
    """A client's name, `the server`, a connection, a thread, a lock and its holder ..."""
    place: Place | None
    seconds: float
    """For how long it has waited."""

    def __str__(self) -> str:
        if self.call in (HIDDEN, BUSY):
            return f"{self.thread} is {self.call}" + (f", {self.place.said}" if self.place else "")
        place = f", in the line: {self.place.source}" if self.place and self.place.source else ""
        return f"{self.thread} waits in {self.call} for {self.on}{place}"
