"""The chat whose room is shared: names are in Redis, so that each is there once, whichever server has it."""

from collections.abc import Collection

from chatlib.relay.redis_stream import Entry, Log, Said
from chatlib.relay.rooms import SharedRoom
from chatlib.services import Chat, Member, problem_with_name
from chatlib.wire import encode

GONE_AFTER = 3
"""Beats of this server without one of another server, after which that one counts as gone."""


class SharedChat(SharedRoom):
    """The Budget Chat protocol in a room of several servers: no two clients in it have the same name.

    A client may say from which position it goes on, and then its name.
    """

    def __init__(self, url: str = "redis://127.0.0.1:6379", room: str = "main") -> None:
        super().__init__(url, room)
        self._wanted: dict[Member, str] = {}
        self._names: dict[Member, str] = {}  # of clients that are in the room
        self._beats = 0
        self._quiet: dict[str, tuple[int, int]] = {}  # each server's last beat, and since how many of ours

    def listeners(self) -> Collection[Member]:
        """Returns who hears what is said: clients that have a name."""
        return self._names

    def welcome(self, member: Member) -> None:
        member.post(encode(["Welcome! What is your name?"]))

    def answer(self, member: Member, lines: list[str]) -> None:
        lines = self.after_wish(member, lines)
        if lines and member not in self._wanted:
            name, *lines = lines
            if problem := problem_with_name(name, Chat.NAME_LIMIT):
                member.post(encode([f"* {problem}"]))
                member.finish(problem)
                return
            if not self._relay.offer(self._asked(member, name)):  # it may say its name again
                member.post(encode([f"* not accepted: {line}" for line in (name, *lines)]))
                return
            self._wanted[member] = name
        name = self._wanted.get(member, "")
        needs = "" if member in self._names else name
        self.say(member, [f"[{name}] {line}" for line in lines], needs=needs)

    def _asked(self, member: Member, name: str) -> Said:
        return Said(self._id_of[member], [f"* {name} has entered the room"], enters=name)

    def enter(self, member: Member, entry: Entry) -> None:
        """A client of this server is in the room."""
        self._names[member] = entry.enters
        self.journal.add("named", member.name, entry.enters)
        member.post(encode([f"* The room contains: {entry.others}"]))

    def farewell(self, member: Member) -> None:
        self._names.pop(member, None)
        if name := self._wanted.pop(member, ""):
            gone = Said(self._id_of[member], [f"* {name} has left the room"], leaves=name)
            self._relay.offer(gone, always=True)

    def beat(self, log: Log) -> None:
        """Says that this server lives, and sees whether the others do: if one does not, its names are free.

        A server that was cut off for too long finds that it is not known any more: its clients ask for their
        names again, and go if those are taken.
        """
        beats, names = log.beat()
        with self._lock:
            if beats[log.server] <= self._beats:
                for member, name in self._names.items():
                    self._relay.offer(self._asked(member, name), always=True)
            self._beats = beats[log.server]
            quiet = {}
            for server in {*beats, *map(server_of, names.values())}:
                last, since = self._quiet.get(server, (0, 0))
                now = beats.get(server, 0)
                quiet[server] = now, since + 1 if now == last else 0
            self._quiet = quiet
        for server in (server for server, (_, since) in quiet.items() if since >= GONE_AFTER):
            for name, by in names.items():
                if server_of(by) == server:  # another server may say so, too: it is added once
                    gone = Said(by, [f"* {name} has left the room"], leaves=name)
                    self._relay.offer(gone, always=True)
            log.forget(server)


def server_of(by: str) -> str:
    """Returns the server of a client, as the log names both."""
    return by.partition(":")[0]
