"""The checker's own clients: one thread reads for all, so that none is slow unless it is meant to be."""

import contextlib
import errno
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from chatlib.checker.errors import Broken, Halted, Unjudged
from chatlib.client import DISCARD, note_name
from chatlib.sockets import Address

SLEEPER_BUFFER = 4096
"""Bytes of the receive buffer of a client that will not read. A large one would hide that it does not."""

CHUNK = 262_144
"""Bytes that are sent at once."""

READ = 65_536
"""Bytes that are read at once. `recv` makes room for so many each time: four times as much takes it ten times
as long."""

FLOODED = 8_000_000
"""Bytes that one client may hear in a case. More can only be nonsense, and would fill our own memory."""

_UNDER_WAY = (0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0))


class Peer:
    """One client, and what it has heard."""

    def __init__(self, name: str, nick: str, sock: socket.socket) -> None:
        self.name, self.nick, self.sock = name, nick, sock
        self.heard = bytearray()
        self.greeted: int | None = None
        """How many bytes it had heard when it first said something; None while it has not."""
        self.end = ""
        """How the server ended the connection: `closed` or `reset`; empty while it has not."""
        self.listener: Callable[[bytes], None] = self.heard.extend
        """What takes in what is heard."""
        self.reads = True

    @property
    def gone(self) -> bool:
        """True once this side has left."""
        return self.sock.fileno() == -1

    def since(self, mark: int) -> bytes:
        """Returns what it has heard after its first `mark` bytes."""
        return bytes(self.heard[mark:])


class Clients:
    """Clients of one server.

    Args:
        address: Where the server listens.
        halted: Set when everything is to end.
        deadline: When every wait is over, on the clock of `time.monotonic`.
    """

    def __init__(self, address: Address, halted: threading.Event, deadline: float) -> None:
        self.address, self.halted, self.deadline = address, halted, deadline
        self.peers: list[Peer] = []
        self._selector = selectors.DefaultSelector()

    def connect(self, name: str, nick: str, patience: float, sleeper: bool = False) -> Peer:
        """Connects one more client; reads for the others meanwhile.

        Raises:
            OSError: It was refused, or there was no answer in time.
        """
        sock = socket.socket(socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET)
        try:
            if sleeper:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLEEPER_BUFFER)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            self._complete(sock, patience)
        except BaseException:
            sock.close()
            raise
        peer = Peer(name, nick, sock)
        note_name(sock, name)  # so that an X-ray knows whom the server waits for
        self.peers.append(peer)
        self._selector.register(sock, selectors.EVENT_READ, peer)
        return peer

    def until(self, condition: Callable[[], Any], seconds: float) -> bool:
        """Reads for all clients until something is so. Returns whether it is, after at most `seconds`.

        Raises:
            Unjudged: The time for all was over before: who might still have answered breaks no promise.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if time.monotonic() >= self.deadline:
                raise Unjudged("its time was over before this could be seen", certain=False)
            self.pump(left)
        return True

    def pump(self, seconds: float) -> None:
        """Reads what has come, for all clients. Blocks until something comes, for at most `seconds`."""
        if self.halted.is_set():
            raise Halted
        if not self._selector.get_map():  # no client reads; and Windows cannot wait for nothing
            time.sleep(min(seconds, 0.01))
            return
        for key, _ in self._selector.select(min(seconds, 0.1)):
            if key.data:
                self._read(key.data)

    def send(self, peer: Peer, data: bytes, seconds: float) -> int:
        """Sends for one client, and reads for all meanwhile. Returns how many bytes were taken in time."""
        if peer.greeted is None:
            peer.greeted = len(peer.heard)
        sent, deadline = 0, min(time.monotonic() + seconds, self.deadline)
        view = memoryview(data)
        while sent < len(data) and not peer.end and not peer.gone:
            try:
                sent += peer.sock.send(view[sent : sent + CHUNK])
            except BlockingIOError:
                if time.monotonic() > deadline:
                    break
                self.pump(0.005)
            except OSError as error:
                self._ended(peer, error)
        return sent

    def sleep(self, peer: Peer) -> None:
        """From now on this client reads no more."""
        if peer.reads and not peer.end:
            self._selector.unregister(peer.sock)
        peer.reads = False

    def wake(self, peer: Peer) -> None:
        """It reads again."""
        if not peer.reads:
            self._selector.register(peer.sock, selectors.EVENT_READ, peer)
        peer.reads = True

    def half_close(self, peer: Peer) -> None:
        """It says that it will send no more (FIN), and still reads."""
        with contextlib.suppress(OSError):
            peer.sock.shutdown(socket.SHUT_WR)

    def say_and_half_close(self, peer: Peer, data: bytes) -> None:
        """It says something short, and that this was all: where the system can (Linux), in one segment."""
        with contextlib.suppress(
            OSError
        ):  # the server has gone; or it takes nothing more, and hears only the end
            peer.sock.send(data, getattr(socket, "MSG_MORE", 0))
        self.half_close(peer)

    def leave(self, peer: Peer) -> None:
        """It leaves politely. What has come is read before: closing over unread bytes would send a reset."""
        self.half_close(peer)
        with contextlib.suppress(OSError):  # nothing more has come; or the server has gone before
            while peer.reads and not peer.end and peer.sock.recv(READ):
                pass
        self._close(peer)

    def reset(self, peer: Peer) -> None:
        """It vanishes (RST), as when its program crashes."""
        with contextlib.suppress(OSError):
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, DISCARD)
        self._close(peer)

    def close(self, politely: bool) -> None:
        """All clients leave."""
        for peer in self.peers:
            if not peer.gone:
                (self.leave if politely else self.reset)(peer)
        self._selector.close()

    def _complete(self, sock: socket.socket, patience: float) -> None:
        code = sock.connect_ex(self.address)
        if code not in _UNDER_WAY:
            raise OSError(code, os.strerror(code))
        self._selector.register(sock, selectors.EVENT_WRITE)
        try:
            deadline = min(time.monotonic() + patience, self.deadline)
            while not self._connected(sock):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(errno.ETIMEDOUT, "no answer")
                self.pump(min(left, 0.05))
        finally:
            self._selector.unregister(sock)

    @staticmethod
    def _connected(sock: socket.socket) -> bool:
        if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code))
        try:
            sock.getpeername()
        except OSError:
            return False
        return True

    def _read(self, peer: Peer) -> None:
        try:
            data = peer.sock.recv(READ)
        except BlockingIOError:
            return
        except OSError as error:
            self._ended(peer, error)
            return
        if data:
            peer.listener(data)
            if len(peer.heard) > FLOODED:
                actual = f"more than {FLOODED // 1_000_000} MB came for {peer.name}"
                raise Broken("clients receive only what others say", actual)
        else:
            self._ended(peer, None)

    def _ended(self, peer: Peer, error: OSError | None) -> None:
        peer.end = "reset" if error else "closed"
        if peer.reads:
            self._selector.unregister(peer.sock)

    def _close(self, peer: Peer) -> None:
        if not peer.gone:
            if peer.reads and not peer.end:
                self._selector.unregister(peer.sock)
            peer.sock.close()
