"""Looks whether a name is taken, then waits a little, then takes it: meanwhile another may do the same."""

import time

from chatlib.checker.specimens.threads import BudgetChat, Client


class TwoAlices(BudgetChat):
    def enter(self, client: Client, name: str) -> None:
        if not self.is_legal(name) or self.is_taken(name):
            self.refuse(client)
        time.sleep(0.01)  # writes it into the visitors' book, say
        self.admit(client, name)
