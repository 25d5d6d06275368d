"""A server that runs in a background thread of this process: a class in a notebook cell, for example."""

import contextlib
import gc
import inspect
import socket
import socketserver
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chatlib.background import POLL_INTERVAL
from chatlib.checker.errors import TargetError
from chatlib.checker.targets.capture import overheard
from chatlib.checker.targets.target import Instance, Need, Usage
from chatlib.film.film import Film
from chatlib.film.record.waiters import number_of
from chatlib.film.verdict.judge import verdict_of
from chatlib.kill_thread import end_by_force
from chatlib.own_code import is_own
from chatlib.resources import OwnProcess, Spinner, psutil
from chatlib.sockets import LOOPBACK, Address

STARTS_WITHIN = 3.0
"""Seconds in which it has to be made, and to listen."""

LOOKS = 0.5
"""Seconds in which each of its threads is expected to wait for something, unless one is busy."""

_alone = threading.Lock()
"""Held while servers run in this process: two checks at once would take each other's threads for theirs."""


class InProcessTarget:
    """A class, or a function that makes a server. In its `with` block, what other threads print is kept.

    Args:
        make: It is called with an address, if it takes one.
    """

    workers = 1  # several at once could not be told apart in one process
    in_process = True

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make
        self.name = getattr(make, "__name__", type(make).__name__)
        self.takes_address = _takes_arguments(make)
        self._printed: deque[str] = deque()
        self._held = contextlib.ExitStack()
        offers = {Need.START}
        offers |= {Need.PORT} if self.takes_address else set()
        self.offers = frozenset(offers | ({Need.USAGE} if psutil else set()))

    def __enter__(self) -> "InProcessTarget":
        if not _alone.acquire(blocking=False):
            raise TargetError(
                "another check of a class is under way in this process: wait until it has ended"
            )
        self._held.callback(_alone.release)
        self._printed = self._held.enter_context(overheard())
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def start(self, port: int = 0, descriptors: int = 0, within: float = STARTS_WITHIN) -> Instance:
        self._printed.clear()
        before, held = set(threading.enumerate()), OwnProcess(list).descriptors() if psutil else 0
        server = self._made((LOOPBACK[0], port))
        return InProcessInstance(server, self._printed, before, held)

    def close(self) -> None:
        """Nothing is left: each instance ends its own threads."""

    def _made(self, address: Address) -> Any:
        result: list[Any] = []
        error: list[BaseException] = []

        def make() -> None:
            try:
                result.append(self.make(address) if self.takes_address else self.make())
            except BaseException as raised:
                error.append(raised)

        thread = _in_thread(make, STARTS_WITHIN)
        if error:
            raise TargetError(self._excuse(error[0], address))
        if not result:
            end_by_force(thread)
            why = "did not return: a server must not serve before serve_forever"
            raise TargetError(f"{self.name}(...) {why}")
        for verb in ("serve_forever", "shutdown", "server_close"):
            if not hasattr(result[0], verb):
                why = "a server has serve_forever, shutdown and server_close"
                raise TargetError(f"{self.name} has no {verb}: {why}")
        return result[0]

    def _excuse(self, error: BaseException, address: Address) -> str:
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, TypeError) and "argument" in str(error):
            reason += ". Give a function that needs only the address, the pair of host and port: "
            reason += f"lambda address: {self.name}(address, ...), or {self.name}(*address)"
        return f"{self.name}({address!r}) failed: {reason}"


class InProcessInstance:
    """One such server, served by a thread of its own. Blocks until its address is known.

    Args:
        server: The server.
        printed: What it prints.
        before: The threads that were there without it.
        held: How many descriptors were, if that can be seen.

    Raises:
        TargetError: It cannot be connected to.
    """

    def __init__(self, server: Any, printed: deque[str], before: set[threading.Thread], held: int) -> None:
        self.server, self._printed, self._before, self._held = server, printed, before, held
        self.usage: Usage | None = OwnProcess(self._threads) if psutil else None
        self._error = ""
        self._thread = threading.Thread(target=self._serve, name="the server", daemon=True)
        self.thread: threading.Thread | None = self._thread
        self.address: Address = "", -1  # that of no socket, until it is known
        self._thread.start()
        try:
            self.address = self._address()
        except BaseException:
            self.discard()
            raise

    def ended(self, within: float = 0.0) -> str:
        self._thread.join(within)
        if self._error:
            return f"the server has ended: {self._error}"
        return "" if self._thread.is_alive() else "the server's serve_forever has returned"

    def printed(self) -> str:
        return "".join(list(self._printed))

    def says(self, text: str) -> bool:
        return text in self.printed()

    def waiting(self, film: Film) -> tuple[str, ...]:
        def threads() -> set[str]:
            return {thread.name for thread in self._threads()}

        with film:  # it may run already
            recording = film.when_all_wait(threads, LOOKS)
        lanes = set(map(number_of, self._threads()))  # names may be those of others, too
        its = replace(recording, spans=tuple(span for span in recording.spans if span.ident in lanes))
        tasks = {span.ident for span in recording.spans if span.until and span.until.loop in lanes}
        found = verdict_of(recording).findings
        stuck = [each.sentence for each in found if not (lanes | tasks).isdisjoint(each.lanes)]
        # Where a thread waits in our own lines, the X-ray of a student's server does not name them.
        present = (
            str(one._replace(place=None) if one.place and is_own(one.place.file) else one)
            for one in its.present
        )
        return (*stuck, *present)

    def limit(self) -> str:
        return ""

    def guard(self) -> None:
        """It shares this process, so it cannot be killed alone."""

    def stop(self, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        for verb in ("shutdown", "server_close"):
            if not self._called(verb, deadline - time.monotonic()):
                return f"{verb}() had not returned {seconds:.0f} s later"
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return f"serve_forever() still ran {seconds:.0f} s later" if self._thread.is_alive() else ""

    def discard(self) -> None:
        """Ends it; blocks for a second or two. A thread that goes on, in a busy loop, is ended by force."""
        self.stop(0.5)
        threads = self._threads()
        if _joined(threads, 0.3) and self.usage and self.usage.descriptors() <= self._held:
            return  # nothing of it is left
        self._close_connections()
        if not _joined(threads, 0.3):
            self._wake_accept()
            for thread in threads:
                end_by_force(thread)
            _joined(threads, 0.5)  # while what they raise is still kept from the notebook
        self._called("server_close", 0.3)  # if `shutdown` did not return, the listener is still open
        for thread in threads:  # one that is left must not be taken for one of the next server
            thread.name = f"{thread.name}, of an earlier case"

    def _wake_accept(self) -> None:
        """Connects: a thread may still wait in `accept`, although its listener was closed meanwhile."""
        with contextlib.suppress(OSError, OverflowError):
            socket.create_connection(self.address, 0.2).close()

    def _close_connections(self) -> None:
        """Shuts the server's sockets down, so that handlers stuck in `recv` get an error.

        A connection that the server has forgotten is closed, too: collected later, it would change the count
        of descriptors while the next server is watched.
        """
        # Sifted first, and in one go: there may be a million objects, which takes a tenth of a second.
        for connection in [thing for thing in gc.get_objects() if issubclass(type(thing), socket.socket)]:
            with contextlib.suppress(OSError, IndexError):  # closed or reset before; or not of the internet
                if connection.getsockname()[1] == self.address[1]:
                    try:
                        # Wakes a thread that waits in it; close alone does not.
                        connection.shutdown(socket.SHUT_RDWR)
                    finally:
                        connection.close()

    def _threads(self) -> list[threading.Thread]:
        others = {*self._before, threading.current_thread()}
        found = [thread for thread in threading.enumerate() if thread not in others]
        return [thread for thread in found if not isinstance(thread, Spinner)]  # our own

    def _serve(self) -> None:
        stock = isinstance(self.server, socketserver.BaseServer)
        sys.set_coroutine_origin_tracking_depth(1)  # in this thread: a lost coroutine is told with its line
        try:
            self.server.serve_forever(*([POLL_INTERVAL] if stock else []))
        except Exception as error:
            self._error = f"{type(error).__name__}: {error}"

    def _called(self, verb: str, seconds: float) -> bool:
        """Calls a method of the server, which may never return. Returns whether it has ended in time."""
        returned = threading.Event()  # not whether its thread has ended: that takes a moment more

        def call() -> None:
            try:
                with contextlib.suppress(Exception):
                    getattr(self.server, verb)()
            finally:
                returned.set()

        _in_thread(call, 0.0)
        return returned.wait(max(0.0, seconds))

    def _address(self) -> Address:
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline and not self._error:
            address = getattr(self.server, "server_address", None)
            if self._is_datagram() or isinstance(address, str | bytes):
                kind = "UDP" if self._is_datagram() else "Unix"
                raise TargetError(f"{type(self.server).__name__} has a {kind} socket: only TCP is checked")
            if isinstance(address, tuple) and len(address) >= 2 and address[1]:
                return (LOOPBACK[0] if address[0] in ("", "0.0.0.0") else address[0]), address[1]
            time.sleep(0.005)
        why = self._error or "its server_address must be the host and port on which it listens"
        raise TargetError(f"{type(self.server).__name__} cannot be connected to: {why}")

    def _is_datagram(self) -> bool:
        listener = getattr(self.server, "socket", None)
        return isinstance(listener, socket.socket) and listener.type == socket.SOCK_DGRAM


def _joined(threads: list[threading.Thread], seconds: float) -> bool:
    """Whether all have ended, after at most `seconds`."""
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)


def _takes_arguments(make: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(parameter.kind is not parameter.KEYWORD_ONLY for parameter in parameters)


def _in_thread(work: Callable[[], None], seconds: float) -> threading.Thread:
    """Calls something in a thread, and waits for it at most so long. Returns the thread, which may run on."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    return thread
