"""Does not look whether a name is taken."""

from chatlib.checker.specimens.threads import BudgetChat


class AllowsTheSameName(BudgetChat):
    def is_taken(self, name: str) -> bool:
        return False
