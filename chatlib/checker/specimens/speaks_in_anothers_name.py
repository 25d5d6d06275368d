"""Keeps in one place who is speaking: if two speak at once, a line may have the name of the other."""

import time

from chatlib.checker.specimens.threads import BudgetChat, Client


class SpeaksInAnothersName(BudgetChat):
    speaking = b""

    def hear(self, client: Client, line: bytes) -> None:
        if client.name is None:
            super().hear(client, line)
            return
        self.speaking = client.name.encode()
        time.sleep(0.001)  # looks into the visitors' book, say
        self.broadcast(client, b"[%b] %b\n" % (self.speaking, line))
