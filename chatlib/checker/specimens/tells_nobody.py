"""Writes down what is said, and forgets to send it to anybody."""

from chatlib.checker.specimens.threads import Client, Threads


class TellsNobody(Threads):
    def hear(self, client: Client, line: bytes) -> None:
        print("received:", line.decode("utf-8", "replace"))
