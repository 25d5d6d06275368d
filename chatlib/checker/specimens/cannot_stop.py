"""Closes only its listening socket when it stops: its clients stay connected, and hear nothing more."""

from chatlib.checker.specimens.threads import Threads


class CannotStop(Threads):
    def server_close(self) -> None:
        self.listener.close()
