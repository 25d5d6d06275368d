"""Does not tell the others that somebody has left."""

from chatlib.checker.specimens.threads import BudgetChat, Client, Threads


class LeavesInSilence(BudgetChat):
    def leave(self, client: Client) -> None:
        Threads.leave(self, client)
