"""The buttons of a prediction: a notebook shows them and passes clicks on, Python decides what is chosen."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, Protocol

import anywidget
import traitlets
from IPython.display import display

from chatlib import notebook_cells

_STATIC = Path(__file__).parent / "static"
_SCRIPT = (_STATIC / "choices.js").read_text("utf-8")
_STYLE = (_STATIC / "choices.css").read_text("utf-8")


class Asked(Protocol):
    """A prediction, as far as its view knows it."""

    @property
    def question(self) -> str: ...
    @property
    def choices(self) -> Sequence[str]: ...
    @property
    def answer(self) -> str | None: ...
    @property
    def outcome(self) -> str | None: ...
    @property
    def marks(self) -> list[str]: ...
    @property
    def told(self) -> str: ...
    def choose(self, choice: str, /) -> None: ...


class Choices(anywidget.AnyWidget):
    """A question with a button for each choice, until one of them is measured.

    Args:
        asked: The prediction. It is told of each click, and has the last word.
    """

    _esm, _css = _SCRIPT, _STYLE
    question = traitlets.Unicode().tag(sync=True)
    choices = traitlets.List(traitlets.Unicode()).tag(sync=True)
    answer = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    outcome = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    marks = traitlets.List(traitlets.Unicode()).tag(sync=True)
    told = traitlets.Unicode().tag(sync=True)

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._shown: list[Any] = []
        super().__init__(question=asked.question, choices=list(asked.choices))
        self.on_msg(self._clicked)

    def show(self) -> None:
        """Shows it below the running cell; it is closed when that cell runs again."""
        notebook_cells.remember(self, Choices.close)
        self._shown.append(display(self, display_id=True))  # type: ignore[no-untyped-call]
        self.refresh()

    def refresh(self) -> None:
        """Shows what the prediction knows by now. Once it is measured, the buttons give way to what stays.

        A saved notebook is then complete without its kernel, which alone knows what a widget consists of.
        """
        asked = self._asked
        with self.hold_sync():  # one message, not four
            self.answer, self.outcome = asked.answer, asked.outcome
            self.marks, self.told = asked.marks, asked.told
        if asked.outcome is not None:
            for shown in self._shown:
                shown.update({"text/html": self._card(), "text/plain": repr(self)}, raw=True)

    def _clicked(self, _: object, content: Any, __: object) -> None:
        """Takes what a browser sends: nothing but one of the choices counts."""
        choice = content.get("choice") if isinstance(content, dict) else None
        if choice in self.choices:
            self._asked.choose(choice)

    def _card(self) -> str:
        """Returns what it looks like, as HTML without buttons."""
        rows = ""
        for number, (choice, mark) in enumerate(zip(self.choices, self.marks, strict=True), 1):
            signs = {"said": choice == self.answer, "measured": choice == self.outcome}
            classes = " ".join(["choice", *(name for name, there in signs.items() if there)])
            rows += f'<div class="{classes}"><span>{number}. {escape(choice)}</span> <b>{mark}</b></div>'
        question, told = escape(self.question), escape(self.told).replace("\n", "<br>")
        return (
            f'<style>{_STYLE}</style><div class="chatlib-choices"><div class="question">{question}</div>'
            f'{rows}<div class="told">{told}</div></div>'
        )

    def __repr__(self) -> str:
        return repr(self._asked)

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        """Adds the text, for readers without a kernel, to what shows the widget."""
        data, metadata = super()._repr_mimebundle_() or ({}, {})
        return data | {"text/plain": repr(self)}, metadata
