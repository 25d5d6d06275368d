"""Does not look how much of a line `send` has taken: what does not fit is lost."""

import contextlib

from chatlib.checker.specimens.loop import Client, Loop


class BelievesInOneSend(Loop):
    def post(self, client: Client, data: bytes) -> None:
        with contextlib.suppress(OSError):  # it has vanished, or there is no room
            client.sock.send(data)
