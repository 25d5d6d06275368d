"""Misses a line that is said while another client comes in."""

import threading
import time

from chatlib.checker.specimens.threads import Address, Client, Threads


class MissesWhatIsSaidMeanwhile(Threads):
    def __init__(self, address: Address) -> None:
        self.door = threading.Lock()
        super().__init__(address)

    def welcome(self, client: Client) -> None:
        with self.door:
            time.sleep(0.01)  # it looks up where the client comes from, say
        super().welcome(client)

    def broadcast(self, sender: Client, data: bytes) -> None:
        if not self.door.locked():
            super().broadcast(sender, data)
