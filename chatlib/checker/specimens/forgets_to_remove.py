"""Leaves clients that have gone in its list: to post to one raises, and ends the thread of the speaker."""

from chatlib.checker.specimens.threads import Client, Threads


class ForgetsToRemove(Threads):
    def leave(self, client: Client) -> None:
        pass
