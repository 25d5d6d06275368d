"""Keeps in one place who has come: a goodbye has the name of the newest client."""

from chatlib.checker.specimens.threads import BudgetChat, Client


class LeavesInAnothersName(BudgetChat):
    newest = ""

    def admit(self, client: Client, name: str) -> None:
        super().admit(client, name)
        self.newest = name

    def leave(self, client: Client) -> None:
        if client.name is not None:
            client.name = self.newest
        super().leave(client)
