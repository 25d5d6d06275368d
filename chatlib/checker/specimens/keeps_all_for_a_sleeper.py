"""Keeps what a client does not read, however much that gets."""

from chatlib.checker.specimens.threads import Client, Threads


class KeepsAllForASleeper(Threads):
    def post(self, client: Client, data: bytes) -> None:
        with client.news:
            if client.leaving:
                raise ConnectionError("this client has left")
            client.owed += data
            client.news.notify()
