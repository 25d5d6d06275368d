"""Keeps the connections of clients that have left, and never closes them."""

import threading

from chatlib.checker.specimens.threads import Address, Client, Threads


class NeverCloses(Threads):
    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self.kept: list[Client] = []

    def finish(self, client: Client, writer: threading.Thread) -> None:
        with client.news:
            client.leaving = True
            client.news.notify()
        self.kept.append(client)
