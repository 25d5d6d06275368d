"""Where the steps of one case take place: a server, its clients, and how they talk in its dialect."""

import errno
import threading
import time
from collections.abc import Callable, Iterable

from chatlib.checker.errors import Broken, Unjudged
from chatlib.checker.harness.clients import Clients, Peer
from chatlib.checker.harness.dialect import Dialect, show
from chatlib.checker.harness.timeouts import Timeouts
from chatlib.checker.targets.target import Instance, Target, Usage


class Session:
    """One server and its clients, for one case.

    Args:
        target: What can start another server, if the case needs one.
        instance: The server.
        dialect: What is spoken.
        timeouts: How long to wait for what.
        number: Makes names different from those of other cases, where one server sees many.
        halted: Set when everything is to end.
        deadline: When the case is over, on the clock of `time.monotonic`.
    """

    def __init__(
        self,
        target: Target,
        instance: Instance,
        dialect: Dialect,
        timeouts: Timeouts,
        number: int,
        halted: threading.Event,
        deadline: float,
    ) -> None:
        self.target, self.instance, self.dialect, self.timeouts = target, instance, dialect, timeouts
        self.clients = Clients(instance.address, halted, deadline)
        self.peers: dict[str, Peer] = {}
        self.voices: dict[str, set[tuple[bytes, bytes]]] = {}
        """What has stood before and behind the lines of each client."""
        self.number = number
        self._texts = self._pings = 0
        self._said_at = 0.0
        self.greets = self.confirms = True
        """Whether a greeting comes, and an answer to a name: until a client has waited for it in vain."""

    def text(self, word: str = "hello") -> bytes:
        """Returns a text that no client has said yet, with a blank, a capital and a sign in it."""
        self._texts += 1
        return f"{word.capitalize()} {self.number:02}-{self._texts:04}!".encode()

    def ping(self) -> bytes:
        """Returns a text that asks whether one is heard.

        How often a client has to ask is chance: counted apart, so that other texts stay the same.
        """
        self._pings += 1
        return f"ping-{self.number:02}-{self._pings:04}".encode()

    def connect(self, name: str, sleeper: bool = False) -> Peer:
        """Connects a client, which says nothing yet.

        Raises:
            Broken: The server does not let it in.
        """
        nick = name + "x" + "".join(chr(ord("a") + int(digit)) for digit in str(self.number))
        self.calm()
        try:
            peer = self.clients.connect(name, nick, self.timeouts.patience, sleeper)
        except TimeoutError:
            raise Broken(f"{name} can connect", self.silence("no answer"), certain=False) from None
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise Unjudged("the checker itself has no descriptor left: see ulimit -n") from None
            reason = (error.strerror or str(error)).lower()
            why = self.explain(reason, self.timeouts.quiet)
            raise Broken(f"{name} can connect", why, certain=False) from None
        self.peers[name] = peer
        return peer

    def say(self, peer: Peer, text: bytes | None = None) -> bytes:
        """Says a line, a new one if none is given. Returns its text."""
        text = self.text() if text is None else text
        self.send(peer, text + self.dialect.newline)
        self._said_at = time.monotonic()
        return text

    def calm(self) -> None:
        """Lets the server come to rest, if a line was said just now, before a client comes or goes.

        The last client has heard the line; the thread that sent it may still have to look whether there are
        more. If its list changed now, it would fail by chance, and in a case that is about something else.
        """
        self.pause(max(0.0, self._said_at + self.timeouts.turn - time.monotonic()))

    def send(self, peer: Peer, data: bytes) -> None:
        """Sends bytes as they are.

        Raises:
            Broken: The server no longer takes them.
        """
        sent = self.clients.send(peer, data, self.timeouts.patience)
        if sent < len(data):
            expected = f"the server takes what {peer.name} sends"
            why = self.fate(peer) if peer.end else self.silence(f"it took only {sent} of {len(data)} bytes")
            raise Broken(expected, why, certain=bool(peer.end))

    def listeners(self, speaker: Peer) -> list[Peer]:
        """Returns the clients that have to hear what this one says."""
        if self.dialect.answers:
            return [speaker]
        return [peer for peer in self.present() if peer is not speaker]

    def present(self) -> list[Peer]:
        """Returns the clients that are here, and read."""
        return [peer for peer in self.peers.values() if peer.reads and not peer.gone]

    def hears(self, peer: Peer, text: bytes) -> bool:
        """Whether a text has reached this client."""
        return self.dialect.spoken(text) in peer.heard

    def settled(self, peers: Iterable[Peer], text: bytes) -> bool:
        """Whether a text has reached all of them, but for those whose connection has ended."""
        return all(self.hears(peer, text) or peer.end for peer in peers)

    def line(self, peer: Peer, text: bytes) -> bytes | None:
        """Returns the whole line in which a text has reached this client; None if it has no end yet."""
        spoken = self.dialect.spoken(text)
        at = peer.heard.find(spoken)
        end = peer.heard.find(b"\n", at + len(spoken))
        if at < 0 or end < 0:
            return None
        start = peer.heard.rfind(b"\n", 0, at) + 1
        return bytes(peer.heard[start:end]).removesuffix(b"\r")

    def must_hear(self, speaker: Peer, listeners: Iterable[Peer], text: bytes) -> None:
        """Waits until a text has reached all of them.

        Raises:
            Broken: It has not.
        """
        waiting = [peer for peer in listeners if not self.hears(peer, text)]
        self.wait(lambda: self.settled(waiting, text))
        missing = [peer for peer in waiting if not self.hears(peer, text)]
        if not missing:
            return
        expected = f"{_names(missing)} {'hears' if len(missing) == 1 else 'hear'} "
        expected += show(self.dialect.spoken(text))
        expected += "" if speaker in missing else f", which {speaker.name} has said"
        if ended := next((peer for peer in [speaker, *missing] if peer.end), None):
            raise Broken(expected, self.fate(ended))
        actual = self.silence(f"{_names(missing)} heard nothing of it")
        others = [peer for peer in self.listeners(speaker) if peer not in missing and self.hears(peer, text)]
        actual += f"; {_names(others)} did hear it" if others else ""
        raise Broken(expected, actual, certain=False)

    def silent(self, peers: Iterable[Peer], forbidden: bytes) -> Peer | None:
        """Waits a little whether one of them hears what it should not; returns it, or None."""
        peers = list(peers)

        def found() -> Peer | None:
            return next((peer for peer in peers if forbidden in peer.heard), None)

        self.wait(found, self.timeouts.quiet)
        return found()

    def wait(self, condition: Callable[[], object], seconds: float | None = None) -> bool:
        """Reads for all clients until something is so. Returns whether it is.

        Args:
            condition: Says whether it is so.
            seconds: How long to wait at most; the session's patience if None.
        """
        return self.clients.until(condition, self.timeouts.patience if seconds is None else seconds)

    def pause(self, seconds: float) -> None:
        """Lets time pass, and reads for all clients meanwhile."""
        self.wait(lambda: False, seconds)

    def fate(self, peer: Peer, heard: bytes = b"") -> str:
        """Says what became of a client."""
        if peer.end == "reset":
            return self.explain(f"the connection of {peer.name} was reset", self.timeouts.quiet)
        if peer.end:
            told = f", after {show(heard)}" if heard else ""
            return self.explain(f"the server closed the connection of {peer.name}{told}", self.timeouts.quiet)
        if heard:
            return f"{peer.name} received {show(heard)}"
        return self.silence(f"{peer.name} received nothing")

    def silence(self, what: str) -> str:
        """Says that something did not happen in time, and why, if that is known."""
        return self.explain(f"{what} in time")

    def explain(self, what: str, within: float = 0.0) -> str:
        """Adds that the server is no longer there, if it is so, at once or `within` some seconds."""
        self.instance.guard()  # it may have been too busy to answer with what it is to be stopped for
        ended = self.instance.ended(within)
        return f"{what}; {ended}" if ended and ended not in what else what

    def usage(self) -> Usage:
        """Returns what says how much the server uses.

        Raises:
            Unjudged: Its process cannot be looked into from here.
        """
        if self.instance.usage is None:
            raise Unjudged("its process cannot be looked into from here")
        return self.instance.usage


def _names(peers: list[Peer]) -> str:
    """Returns their names, of a crowd only the first ones."""
    names = [peer.name for peer in peers]
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} others"
    return " and ".join(names)
