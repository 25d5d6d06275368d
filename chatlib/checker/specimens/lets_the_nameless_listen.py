"""Counts a client among those who are present before it has said its name."""

from chatlib.checker.specimens.threads import BudgetChat, Client


class LetsTheNamelessListen(BudgetChat):
    def present(self) -> list[Client]:
        return self.clients
