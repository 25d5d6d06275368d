"""Two servers side by side, and the same clients at both."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from chatlib.film.film import Film
from chatlib.film.record.waiters import number_of
from chatlib.film.recording import Recording
from chatlib.servers import MODELS, Limits
from chatlib.services import Broadcast, Chat, Service, Shout
from chatlib.sockets import LOOPBACK
from chatlib.stage.actor import HUNG_UP, Actor
from chatlib.stage.sentence import COROUTINES, EVENT_LOOP, ONE_THREAD, THREAD_EACH, Guest, sentence

WAYS: Mapping[str, str] = MappingProxyType(
    {
        "one thread, one client at a time": ONE_THREAD,
        "a thread for each client": THREAD_EACH,
        "one thread, an event loop": EVENT_LOOP,
        "one thread, a coroutine for each client": COROUTINES,
    }
)
"""How a server may wait, in words."""

SERVICES: Mapping[str, type[Service]] = MappingProxyType(
    {
        "answers in capitals": Shout,
        "passes lines on to the others": Broadcast,
        "a chat with names": Chat,
    }
)
"""What a server may say, in words."""

NAMES = ("alice", "bob", "carol", "dave", "erin")

FADES = 10.0
"""Seconds for which the picture still shows a client that has gone."""

CALLS = 2000
"""Calls that the film keeps: to look at it takes the longer the more there are."""


class Side:
    """One server and its clients.

    Args:
        way: How it waits, one of `WAYS`.
        service: What it says, one of `SERVICES`.
    """

    def __init__(self, way: str, service: str) -> None:
        self._model, self._service = WAYS[way], SERVICES[service]
        self.server = MODELS[self._model](LOOPBACK, self._service(), Limits(outbox=100_000))
        # Threads of their own, not `chatlib.start`: a click belongs to no cell that could be run again.
        self._thread = threading.Thread(target=self.server.serve_forever, name="the server", daemon=True)
        self._thread.start()
        self._address = self.server.server_address
        self._actors: dict[str, Actor] = {}
        self._gone: list[Actor] = []
        """Of those who have come again, the earlier selves."""

    @property
    def present(self) -> dict[str, Actor]:
        """The clients that have come and not gone, by their names, in the order in which they came."""
        return {name: actor for name, actor in self._actors.copy().items() if not actor.why}

    def enter(self, name: str) -> None:
        """Has a client come, if it is not here."""
        if name not in self.present:
            if before := self._actors.pop(name, None):
                self._gone.append(before)
            self._gone = [actor for actor in self._gone if _is_shown(actor)]
            self._actors[name] = Actor(name, self.server.server_address, self._service is Chat)

    def look(self, film: Film) -> tuple[Recording, str]:
        """Returns what a film shows of this side, and who waits for whom."""
        recording, served = self._part_of(film.recording()), set[Any]()
        for connection in list(self.server.clients):
            with contextlib.suppress(OSError):  # it has just been closed
                served.add(connection.getpeername())
        guests = [
            Guest(
                name=actor.name,
                is_served=actor.address in served,
                said=actor.said,
                said_half=actor.said_half,
                silent=actor.silent,
                reads=actor.reads,
                unread=actor.unread(),
            )
            for actor in self.present.values()
            if actor.is_here
        ]
        heard = [
            recording.name_of(span.peer)
            for span in recording.spans
            if span.end is None and span.call == "recv" and span.local == self._address and span.peer
        ]
        alone = self._model == ONE_THREAD and len(heard) == 1
        ended = [actor for actor in self._actors.copy().values() if _is_shown(actor)]
        cut = [actor.name for actor in ended if actor.why == HUNG_UP]
        return recording, sentence(self._model, guests, heard[0] if alone else "", cut)

    def close(self) -> None:
        """Stops the server and ends all clients. Blocks for some milliseconds, at most for 6 s."""
        actors = [*self._actors.values(), *self._gone]
        for actor in actors:
            actor.leave()
        self.server.server_close()
        self._thread.join(1.0)
        until = time.monotonic() + 1.0
        for actor in actors:
            actor.thread.join(max(0.0, until - time.monotonic()))

    def _part_of(self, recording: Recording) -> Recording:
        """Returns what happened here. Not with those who left long ago, or their lanes would pile up."""
        shown = [actor for actor in (*self._actors.copy().values(), *self._gone) if _is_shown(actor)]
        ends = {None, self._address} | {actor.address for actor in shown}
        spans = [
            span
            for span in recording.spans
            if self._address not in (span.local, span.peer) or {span.local, span.peer} <= ends
        ]
        idents = {span.ident for span in spans if self._address in (span.local, span.peer)}
        idents |= {number_of(thread) for thread in (*self.server.threads, *(actor.thread for actor in shown))}
        own = tuple(span for span in spans if span.ident in idents)
        return Recording(own, recording.names, recording.now, recording.dropped)


def _is_shown(actor: Actor) -> bool:
    return time.monotonic() - actor.ended_at < FADES


class Stage:
    """Both sides, and what clients do at both at once. Only `restage` and `close` block.

    Args:
        ways: How the two servers wait, each one of `WAYS`.
        service: What they say, one of `SERVICES`.
    """

    def __init__(self, ways: Sequence[str], service: str) -> None:
        self.film = Film(CALLS).start()
        self.sides: list[Side] = []
        self._open(ways, service)

    def enter(self, name: str) -> str:
        """Has a client come, who says nothing at first. Returns what there is to say about that."""
        here = [name in side.present for side in self.sides]
        for side in self.sides:
            side.enter(name)
        return f"{name} is here already." if all(here) else ""

    def act(self, deed: Callable[[Actor], None], name: str) -> str:
        """Has a client do something. Returns what there is to say about that: it may not be here."""
        actors = [side.present[name] for side in self.sides if name in side.present]
        for actor in actors:
            deed(actor)
        return "" if actors else f"{name} is not here: first, {name} has to come."

    def all_speak(self) -> str:
        """Has all say a line who are not silent. Returns what there is to say about that."""
        speakers = [actor for side in self.sides for actor in side.present.values() if not actor.silent]
        for actor in speakers:
            actor.say()
        return "" if speakers else "Nobody is here who would speak."

    def restage(self, ways: Sequence[str], service: str) -> None:
        """Begins again with other servers, and nobody there. Blocks for as long as `close`."""
        for side in self.sides:
            side.close()
        self.sides = []
        self._open(ways, service)

    def _open(self, ways: Sequence[str], service: str) -> None:
        for way in ways:  # one by one: if the second cannot be made, the first will be closed
            self.sides.append(Side(way, service))

    def close(self) -> None:
        """Stops everything: threads, ports, the film. Harmless when called twice."""
        for side in self.sides:
            side.close()
        self.film.stop()
