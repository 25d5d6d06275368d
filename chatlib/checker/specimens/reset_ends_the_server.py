"""Expects no error from a connection: one client that vanishes ends the loop, and so the server."""

import selectors

from chatlib.checker.specimens.loop import Client, Loop


class ResetEndsTheServer(Loop):
    def handle(self, client: Client, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self.write(client)
        if events & selectors.EVENT_READ:
            self.read(client)
