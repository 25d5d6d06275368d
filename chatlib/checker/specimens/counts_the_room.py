"""Tells a newcomer how many are there, not who."""

from chatlib.checker.specimens.threads import BudgetChat


class CountsTheRoom(BudgetChat):
    def room(self) -> str:
        return f"* In the room: {len(self.present())}"
