"""Looks for a file whose name is said; a name with a NUL in it ends the loop, and so the server."""

import contextlib
import os

from chatlib.checker.specimens.loop import Client, Loop


class OpensWhatIsSaid(Loop):
    def hear(self, client: Client, line: bytes) -> None:
        with contextlib.suppress(OSError):  # there is no such file
            line += b" (%d bytes)" % os.path.getsize(line)
        super().hear(client, line)
