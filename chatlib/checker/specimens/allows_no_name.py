"""Looks whether all signs of a name are letters and digits: that is so, too, if there is none."""

import string

from chatlib.checker.specimens.threads import BudgetChat


class AllowsNoName(BudgetChat):
    def is_legal(self, name: str) -> bool:
        return all(sign in string.ascii_letters + string.digits for sign in name)
