"""Asks for a name, and does not end the line."""

from chatlib.checker.specimens.threads import BudgetChat, Client


class AsksWithoutANewline(BudgetChat):
    def greet(self, client: Client) -> None:
        self.post(client, b"Welcome! What is your name? ")
