"""Answers each line as it came, not in upper case."""

from chatlib.checker.specimens.threads import Client, Shout


class AnswersInLowerCase(Shout):
    def hear(self, client: Client, line: bytes) -> None:
        self.post(client, line + b"\n")
