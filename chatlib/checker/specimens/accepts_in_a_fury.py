"""Tries to accept again at once when no descriptor is left, as fast as it can."""

import contextlib

from chatlib.checker.specimens.threads import Client, Threads


class AcceptsInAFury(Threads):
    def serve_forever(self) -> None:
        with self.serving:
            while not self.stopping.is_set():
                with contextlib.suppress(OSError):  # nobody has come within the time limit
                    self.welcome(Client(self.listener.accept()[0]))
