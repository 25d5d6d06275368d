"""Sends to each client directly: `sendall` waits for one that does not read, and all others wait, too."""

import contextlib

from chatlib.checker.specimens.threads import Client, Threads


class OneSlowReaderMutesAll(Threads):
    def post(self, client: Client, data: bytes) -> None:
        with contextlib.suppress(OSError):  # it has vanished
            client.sock.sendall(data)
