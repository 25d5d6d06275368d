"""Has room for 50 clients, and closes the connection of any other without a word."""

from chatlib.checker.specimens.threads import Client, Threads


class DropsWhenBusy(Threads):
    def welcome(self, client: Client) -> None:
        if len(self.clients) < 50:
            super().welcome(client)
        else:
            client.sock.close()
