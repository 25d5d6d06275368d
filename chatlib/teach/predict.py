"""A prediction: what the reader expects, set beside what is then measured."""

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from chatlib import notebook_cells

_ASKED = "Choose one."
_OPEN = "You may change your mind until it is measured."


class Comparison(NamedTuple):
    """What was said, and what was measured; as text, a line for each."""

    said: str | None
    """None, if the reader has not answered."""
    measured: str

    def __repr__(self) -> str:
        measured = f"Measured: {self.measured}"
        if self.said is None:
            return measured
        verdict = "As you said." if self.said == self.measured else "Not as you said: worth a closer look."
        return f"You said: {self.said}\n{measured}\n{verdict}"


class Buttons(Protocol):
    """What shows a prediction in a notebook."""

    comm: Any
    """Its connection to the browser; None once it was closed."""

    def show(self) -> None:
        """Shows it below the running cell."""

    def refresh(self) -> None:
        """Shows what the prediction knows by now."""


class Votes(Protocol):
    """What counts the answers of a class."""

    shown: bool
    """Whether the counts may be seen."""

    @property
    def bars(self) -> list[str]:
        """How many have given each answer."""

    @property
    def total(self) -> int:
        """How many have answered."""

    def csv(self, names: bool = False) -> str:
        """Returns the answers as CSV, with the names of those who gave them if that is asked for."""


class Room(Protocol):
    """Where a class is asked."""

    def ask(self, question: str, choices: Sequence[str], changed: Callable[[], None], /) -> Votes:
        """Puts the question to all; what it returns counts the answers."""

    def close_vote(self, measured: str = "", /) -> None:
        """Ends the vote."""


class Prediction:
    """A question that the reader answers before the experiment does.

    As the last expression of a notebook cell it is the question, with its choices as buttons; in a terminal,
    and where no kernel runs, it is the same as text. No cell ever waits for an answer.

    Args:
        question: What is asked.
        choices: The possible answers.
        buttons: Makes what shows it in a notebook; without, it is text there, too.

    Raises:
        ValueError: There are fewer than two choices, or two are the same.
    """

    def __init__(
        self,
        question: str,
        choices: Sequence[str],
        buttons: "Callable[[Prediction], Buttons] | None" = None,
    ) -> None:
        if isinstance(choices, str) or not 2 <= len(choices) == len(set(choices)):
            raise ValueError(f"a prediction needs a list of two or more different choices, not {choices!r}")
        self.question, self.choices = question, tuple(choices)
        self._answer: str | None = None
        self._outcome: str | None = None
        self._buttons = buttons
        self._view: Buttons | None = None
        self._room: Room | None = None
        self.votes: Votes | None = None
        """The answers of a class, if it was asked: `guess.votes.csv()` is the table of them."""
        self._lock = threading.Lock()  # a click may be handled in another thread than the cell that measures

    @property
    def answer(self) -> str | None:
        """The choice that the reader has made, if any."""
        return self._answer

    @property
    def outcome(self) -> str | None:
        """The choice that was measured, as soon as it is."""
        return self._outcome

    def choose(self, choice: str) -> None:
        """Commits to one of the choices, as a click does. Once it is measured, the answer stays as it was.

        Raises:
            ValueError: It is none of the choices.
        """
        self._check(choice)
        with self._lock:
            if self._outcome is None:
                self._answer = choice
                self._refresh()

    def ask_in(self, room: Room) -> None:
        """Puts the question to a class, too. Its answers are counted, and shown after `show_votes`."""
        self._room, self.votes = room, room.ask(self.question, self.choices, self._refresh_safely)

    def show_votes(self) -> None:
        """Shows the answers of the class as bars, which go on growing until one of them is measured."""
        if not self.votes:
            raise ValueError("no class was asked: chatlib.predict(..., room=room)")
        self.votes.shown = True
        self._refresh_safely()

    def measured(self, choice: str) -> Comparison:
        """Says which of the choices has come true, and returns it beside the answer. May be said again.

        Raises:
            ValueError: It is none of the choices.
        """
        self._check(choice)
        if self._room:  # without our lock: a vote that is counted just now waits for it, and holds the room's
            self._room.close_vote(choice)
        with self._lock:
            self._outcome = choice
            self._refresh()
            return Comparison(self._answer, choice)

    @property
    def marks(self) -> list[str]:
        """What is to be said of each choice: it was the answer, it was measured, so many gave it."""
        both = (("you said", self._answer), ("measured", self._outcome))
        bars = self.votes.bars if self.votes and self.votes.shown else [""] * len(self.choices)
        return [
            ", ".join(filter(None, [*(mark for mark, marked in both if marked == choice), bar]))
            for choice, bar in zip(self.choices, bars, strict=True)
        ]

    @property
    def told(self) -> str:
        """How far it has come, in a sentence or three."""
        if self._outcome is not None:
            return repr(Comparison(self._answer, self._outcome))
        answers = f"\nAnswers of the class so far: {self.votes.total}" if self.votes else ""
        return f"{_ASKED if self._answer is None else f'You said: {self._answer}'}\n{_OPEN}{answers}"

    def __repr__(self) -> str:
        noted = [f" ({mark})" if mark else "" for mark in self.marks]
        lines = [f"  {number}. {self.choices[number - 1]}{note}" for number, note in enumerate(noted, 1)]
        return "\n".join([self.question, *lines])

    def _check(self, choice: str) -> None:
        if choice not in self.choices:
            raise ValueError(f"{choice!r} is none of the choices: {', '.join(map(repr, self.choices))}")

    def _refresh_safely(self) -> None:
        with self._lock:
            self._refresh()

    def _refresh(self) -> None:
        if self._view:
            self._view.refresh()

    def _ipython_display_(self) -> None:
        """Shows the buttons."""
        if not (self._buttons and notebook_cells.shows_widgets()):
            raise NotImplementedError  # then IPython asks for the text
        with self._lock:
            if not self._view or self._view.comm is None:  # it was closed, as its cell runs again
                self._view = self._buttons(self)
            self._view.show()


_asked: dict[str, Prediction] = {}
"""The latest of each notebook cell."""


def ask(
    question: str,
    choices: Sequence[str],
    buttons: Callable[[Prediction], Buttons],
    room: Room | None = None,
) -> Prediction:
    """Returns a prediction: the one that this notebook cell has asked before, if that is still open.

    A click on a choice makes its cell the active one. So Shift + Enter, which the reader then presses to go
    on, runs this cell once more: the answer must outlive that.
    """
    asked, run = Prediction(question, choices, buttons), notebook_cells.running_cell()
    before = _asked.get(run.cell) if run else None
    if before and before.outcome is None and (before.question, before.choices) == (question, asked.choices):
        return before
    if run:
        _asked[run.cell] = asked
    if room:
        asked.ask_in(room)
    return asked
