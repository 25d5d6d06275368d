"""Waits for room, for ever, when a line is longer than it has room for."""

import time

from chatlib.checker.specimens.loop import TICK, Client, Loop


class ChokesOnALongLine(Loop):
    def receive(self, client: Client) -> bytes:
        data = super().receive(client)
        while len(client.rest + data) > 68_000 and not self.stopping:
            time.sleep(TICK)
        return data
