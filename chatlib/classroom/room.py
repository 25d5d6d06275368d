"""A class's room: a chat with a code, a pace, and a teacher. A service, so any server of ours can serve it.

What is said in it, line by line. The room speaks first:

    Welcome to Networks! Say the code and your name, like: CODE alice
    K7M4QX alice                      what a student types, in `nc`, `telnet` or this kit
    * The room contains: bob          or: `* that is not the code`, and the end of the connection
    [bob] hello                       what a member has said; only the room's own lines begin with * or ?
    ? What does bob get?              a vote, and its choices; a line that is just a number is an answer
    ?1 an answer
"""

import hmac
import re
import time
from collections.abc import Callable, Sequence

from chatlib.classroom.ballot import Ballot
from chatlib.classroom.names import NAMES_EACH, RESERVED, Owners, look_of, typed
from chatlib.classroom.seat import LINES_A_SECOND, TOO_MANY, Present, Seat
from chatlib.door import Door
from chatlib.services import TAKEN, Chat, Flush, Member
from chatlib.wire import encode, printable

JOIN_WITHIN = 30.0
"""Seconds in which a client has to say its name. One that does not takes a seat for nothing."""
REQUEST = re.compile(r" HTTP/\d\.\d$")
LONGEST_PAUSE = 2.0
"""Seconds by which a teacher may slow a client down: stopping a server waits no longer than that."""


class Room(Chat):
    """A chat in which each client first says the code and its name.

    A name stays with the address that first used it, so a join that was overheard is of no use elsewhere.
    The code travels as plain text: it keeps strangers out, and is no protection against those who listen.

    Args:
        title: What the room is called.
        code: What clients have to know; empty if anybody may come in.
        door: Told of wrong codes; it keeps addresses out that try too many.
        clock: Gives the seconds.
    """

    NAME_LIMIT = 20
    """Letters of a name: a whole one fits on a telephone."""

    def __init__(
        self,
        title: str = "the room",
        code: str = "",
        door: Door | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.title, self.door = printable(title), door or Door()
        self.ballot: Ballot | None = None
        """The vote that is open, or was last."""
        self.flush: Flush = lambda: None
        """Sends what was posted outside a server's call; the server gives it."""
        self._code, self._clock = code.upper(), clock
        self._seats: dict[Member, Seat] = {}
        self._owners = Owners(max(NAMES_EACH, 2 * self.door.per_address))

    # What a server calls.

    def begin(self, flush: Flush) -> None:
        """A server begins to serve."""
        self.flush = flush

    def welcome(self, member: Member) -> None:
        """Asks for the code and a name."""
        now = self._clock()
        self._seats[member] = Seat(member, now, counted=now)
        what = "the code and your name, like: CODE alice" if self._code else "your name, like: alice"
        member.post(encode([f"Welcome to {self.title}! Say {what}"]))

    def heard(self, member: Member, lines: list[str]) -> None:
        """A client has said these lines. The first is code and name; neither is noted in the journal."""
        lines = [line for line in map(typed, lines) if line]
        seat = self._seats.get(member)
        if not seat or not lines:
            return
        if seat.pause and not seat.holds_lock:
            time.sleep(seat.pause)  # blocks only the thread that serves this client, if it has one of its own
        with self._lock:
            if seat.pause and seat.holds_lock:
                time.sleep(seat.pause)  # and here every client waits for this lock: the sleeper of lesson 06
            if not seat.name and not self._enter(seat, lines.pop(0)):
                return
            super().heard(member, [line for line in lines if self._passes(seat, line)])
            if seat.dropped > TOO_MANY:
                self._send_out(seat, "you send too fast")

    def farewell(self, member: Member) -> None:
        """Tells the others that a member has left."""
        self._seats.pop(member, None)
        super().farewell(member)

    # What a teacher calls: any thread may, and none of these blocks.

    def who(self) -> list[Present]:
        """Returns who is here, in the order in which they came."""
        with self._lock:
            seats, now = list(self._seats.values()), self._clock()
        return [
            Present(
                seat.name,
                seat.member.address,
                int(now - seat.came) // 60,
                seat.said,
                seat.dropped,
                ", ".join(["muted"] * seat.muted + ["slowed down"] * bool(seat.pause)),
            )
            for seat in seats
        ]

    def say(self, text: str) -> None:
        """Says something to all, as the room."""
        self._tell_all([f"* {printable(line)}" for line in text.splitlines()])

    def mute(self, name: str, muted: bool = True) -> None:
        """Keeps what one member says from the others; or no longer."""
        self._seat_of(name).muted = muted

    def slow(self, name: str, seconds: float, holding_the_lock: bool = False) -> None:
        """Has the thread that serves one member sleep before each of its messages; 0 ends that.

        The room has a thread for each member, but for telephones, which one thread serves: all of them wait.

        While it holds the room's lock, all other threads wait for it: the sleeper that mutes the room.
        """
        if not 0 <= seconds <= LONGEST_PAUSE:
            raise ValueError(f"slow a client down by 0 to {LONGEST_PAUSE:g} seconds, not {seconds}")
        seat = self._seat_of(name)
        seat.pause, seat.holds_lock = seconds, holding_the_lock

    def remove(self, name: str) -> None:
        """Sends one member out. Its address has to wait for a minute; members who are here stay."""
        seat = self._seat_of(name)
        self.door.shut_for(seat.member.address)
        with self._lock:
            self._send_out(seat, "the teacher has sent you out")
        self.flush()
        seat.member.abort("it was sent out")  # or one that does not close its side would keep its seat

    def release(self, name: str) -> None:
        """Lets another address use a name: a student has changed computers."""
        with self._lock:
            self._owners.release(name)

    def ask(self, question: str, choices: Sequence[str], changed: Callable[[], None]) -> Ballot:
        """Puts a question to all, and returns what counts the answers. It closes the vote before."""
        self.close_vote()
        self.ballot = Ballot(question, choices, changed)
        self._tell_all(self._vote_lines())
        return self.ballot

    def close_vote(self, measured: str = "") -> None:
        """Nothing more is counted. A number is a line like any other again."""
        if self.ballot and not self.ballot.closed:
            self.ballot.closed = True
            self._tell_all(["?."])
        if self.ballot and measured:
            self.ballot.measured = measured

    def sweep(self) -> None:
        """Sends out clients that have not said their name in time. To be called now and then."""
        with self._lock:
            late = [seat for seat in self._seats.values() if not seat.name]
        for seat in late:
            if self._clock() - seat.came > JOIN_WITHIN:
                self.journal.add("refused", seat.member.name, "it did not say its name in time")
                seat.member.abort("it did not say its name in time")

    # The methods below are called with the lock held, except where they say otherwise.

    def _enter(self, seat: Seat, line: str) -> bool:
        """Takes a client's first line. Returns whether it is in the room now."""
        code, _, name = line.rpartition(" ")
        member, host = seat.member, seat.member.address
        if REQUEST.search(line):  # no guess: a browser that was told the wrong port
            return self._refuse(seat, "browsers come in at the other address")
        if self.door.must_wait(host):  # also with the right code: another connection of it has guessed on
            return self._refuse(seat, "too many wrong codes: wait a minute")
        if self._code and not hmac.compare_digest(code.strip().upper().encode(), self._code.encode()):
            self.door.wrong_code(host)
            return self._refuse(seat, "that is not the code: say CODE, a space, and your name")
        if code and not self._code:
            return self._refuse(seat, "no code is needed here: say your name, and nothing else")
        if problem := self._problem_with(name) or self._owners.problem_with(name, host):
            return self._refuse(seat, problem)
        seat.name = name
        self._owners.note(name, host, self._names.values())
        self._admit(member, name)
        if self.ballot and not self.ballot.closed:
            member.post(encode(self._vote_lines()))
        return True

    def _problem_with(self, name: str) -> str:
        if look_of(name) in RESERVED:
            return "this name would speak for the room: take another"
        if look_of(name) in map(look_of, self._names.values()):
            return TAKEN
        return super()._problem_with(name)

    def _refuse(self, seat: Seat, why: str) -> bool:
        """Sends a client away that is not in the room. The journal gets neither its code nor its name."""
        self.journal.add("refused", seat.member.name, f"{seat.member.address}: {why}")
        return self._send_out(seat, why)

    def _send_out(self, seat: Seat, why: str) -> bool:
        seat.member.post(encode([f"* {why}"]))
        seat.member.finish(why)
        return False

    def _passes(self, seat: Seat, line: str) -> bool:
        """Says whether the others may get a line; the client is told if not."""
        if not seat.takes(self._clock()):
            if seat.dropped in (1, TOO_MANY // 2):
                seat.member.post(
                    encode([f"* more than {LINES_A_SECOND} lines a second: the rest is dropped"])
                )
            return False
        if self._code and line.upper().startswith(f"{self._code} "):
            seat.member.post(
                encode(["* you are in already: the others did not get that line, with the code"])
            )
            return False
        if self.ballot and self.ballot.cast(seat.name, line):
            seat.member.post(encode([f"* your answer is {line}"]))
            return False
        if seat.muted:
            seat.member.post(encode(["* the teacher has muted you"]))
        return not seat.muted

    def _seat_of(self, name: str) -> Seat:
        """Returns a member's seat. Takes the lock itself."""
        with self._lock:
            found = [seat for seat in self._seats.values() if seat.name.lower() == name.lower() != ""]
        if not found:
            raise ValueError(f"no {name!r} is in the room")
        return found[0]

    def _tell_all(self, lines: list[str]) -> None:
        """Posts lines to all in the room, and sends them. Takes the lock itself."""
        with self._lock:
            for member in self._names:
                member.post(encode(lines))
        self.flush()

    def _vote_lines(self) -> list[str]:
        """Returns the open vote, as the clients get it."""
        ballot = self.ballot
        if not ballot:
            return []
        choices = [f"?{number} {printable(choice)}" for number, choice in enumerate(ballot.choices, 1)]
        return [f"? {printable(ballot.question)}", *choices]
