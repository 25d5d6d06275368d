"""Starts the servers of one check, watches over them, and ends all that still run."""

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

from chatlib.checker.errors import Halted
from chatlib.checker.harness.dialect import Dialect
from chatlib.checker.harness.session import Session
from chatlib.checker.harness.timeouts import Timeouts
from chatlib.checker.targets.target import Instance, Need, Target

GUARDED_EVERY = 0.1
"""Seconds between two looks at what programs use: one may fill the memory in a second."""


class Launcher:
    """A context: if an exception ends it, all servers and all waits end at once.

    Args:
        target: What servers are started from.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._halted, self._over = threading.Event(), threading.Event()
        self._running: set[Instance] = set()
        # A server that runs already may be checked twice at the same time: no two clients have one name.
        self._numbers = itertools.count(1 if Need.START in target.offers else random.randrange(100, 900))

        def watch() -> None:
            while not self._over.wait(GUARDED_EVERY):
                for instance in list(self._running):
                    instance.guard()

        self._guard = threading.Thread(target=watch, name="guards programs", daemon=True)

    def __enter__(self) -> "Launcher":
        self._guard.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        try:
            if kind:
                self.halt()
        finally:  # also after a second Ctrl-C
            self._over.set()
            self._guard.join(1.0)

    @contextlib.contextmanager
    def session(
        self, dialect: Dialect, timeouts: Timeouts, deadline: float, descriptors: int = 0
    ) -> Iterator[Session]:
        """Starts a server for one case; at the end its clients leave, and it is ended. Blocks for both.

        Args:
            dialect: What is spoken.
            timeouts: How long to wait for what.
            deadline: Seconds after which no wait goes on.
            descriptors: How many the server may have; as many as it likes if 0.

        Raises:
            TargetError: It does not start.
            Halted: `halt` was called.
        """
        number, instance = next(self._numbers), self._start(descriptors)
        over = time.monotonic() + deadline
        session: Session | None = None  # it is not made if no descriptor is left
        try:
            session = Session(self.target, instance, dialect, timeouts, number, self._halted, over)
            yield session
        finally:
            try:
                if session:
                    # The next case on a server that runs already must not find resets that are not its own.
                    session.clients.close(politely=Need.START not in self.target.offers)
            finally:
                # A step may have started another one in its place.
                (session.instance if session else instance).discard()
                self._running.discard(instance)

    def try_start(self) -> None:
        """Starts a server and ends it: one that does not start at all breaks no promise.

        Raises:
            TargetError: It does not start.
        """
        instance = self._start()
        instance.discard()
        self._running.discard(instance)  # afterwards: `halt` must find it, if Ctrl-C comes meanwhile

    def halt(self) -> None:
        """Ends every server, and every wait of every session. Any thread may call it."""
        self._halted.set()
        for instance in list(self._running):
            instance.discard()
        self.target.close()  # those that another thread is just starting, too

    def _start(self, descriptors: int = 0) -> Instance:
        if self._halted.is_set():
            raise Halted
        instance = self.target.start(descriptors=descriptors)
        self._running.add(instance)
        if self._halted.is_set():  # `halt` may have looked just before it was added
            instance.discard()
            raise Halted
        return instance
