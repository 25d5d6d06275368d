"""Notes at the first line who is there, and sends to these and nobody else from then on."""

import time

from chatlib.checker.specimens.threads import Address, Client, Threads


class KnowsOnlyTheFirst(Threads):
    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self.members: list[Client] = []

    def hear(self, client: Client, line: bytes) -> None:
        if not self.members:
            time.sleep(0.2)  # until all are there
            self.members = list(self.clients)
        super().hear(client, line)

    def present(self) -> list[Client]:
        return [client for client in self.members if client in self.clients]
