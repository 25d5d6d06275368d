"""A line below a notebook cell that says how far a check has come, and is gone when it has ended."""

from typing import Any

from IPython.display import display

from chatlib.checker.case import Verdict


class ProgressLine:
    """Is told of each verdict. Any thread may tell it.

    It is empty at first, and again at the end: so a saved notebook does not depend on how far it came.
    """

    def __init__(self) -> None:
        self._shown: Any = None

    def __call__(self, verdict: Verdict, done: int, total: int) -> None:
        if not self._shown:
            self._shown = display({"text/plain": ""}, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        self._say(f"{done} of {total}: {verdict.case.title}")

    def close(self) -> None:
        """Leaves nothing of it on the page."""
        if self._shown:
            self._say("")

    def _say(self, text: str) -> None:
        self._shown.update({"text/plain": text}, raw=True)
