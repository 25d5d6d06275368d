"""Takes anything for a name, unless it is empty."""

from chatlib.checker.specimens.threads import BudgetChat


class AllowsAnyName(BudgetChat):
    def is_legal(self, name: str) -> bool:
        return name != ""
