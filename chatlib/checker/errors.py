"""What can come of a check besides that all is well: a broken promise, no judgement, an end, no target."""


class Broken(Exception):
    """The server does something else than it should.

    Args:
        expected: What should have happened, for a beginner to read.
        actual: What did happen.
        certain: False if it is only that nothing came in time: that is tried again before it counts.
        hint: What to look at, where the hint of the case would mislead.
    """

    def __init__(self, expected: str, actual: str, certain: bool = True, hint: str = "") -> None:
        super().__init__(expected, actual)
        self.expected, self.actual, self.certain, self.hint = expected, actual, certain, hint


class Unjudged(Exception):
    """This case says nothing about this server.

    Args:
        why: For a beginner to read.
        blocked: True if another fault of the server is the reason.
        certain: False if a second look, with more time, may say more.
    """

    def __init__(self, why: str, blocked: bool = False, certain: bool = True) -> None:
        super().__init__(why)
        self.blocked, self.certain = blocked, certain


class Halted(Exception):
    """The check was interrupted, by Ctrl-C for example: every wait ends with this."""


class TargetError(ValueError):
    """There is nothing to check; the message says why, in one sentence.

    Args:
        message: The sentence.
        runs: True if the program did not end by itself.
        silent: True if it ended as if all were well, and said nothing.
    """

    def __init__(self, message: str, runs: bool = False, silent: bool = False) -> None:
        super().__init__(message)
        self.runs, self.silent = runs, silent
