"""Takes who has gone out of the list while it walks that list: the next in it is left out."""

from chatlib.checker.specimens.threads import Client, Threads


class WalksAChangingList(Threads):
    def leave(self, client: Client) -> None:
        pass  # that will be seen when the next line is sent

    def broadcast(self, sender: Client, data: bytes) -> None:
        with self.lock:
            for client in self.clients:
                if client is not sender:
                    try:
                        self.post(client, data)
                    except ConnectionError:
                        self.clients.remove(client)
