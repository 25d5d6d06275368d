"""What views are made of: buttons, and rows that break where there is no room."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets  # type: ignore[import-untyped]
import traitlets


class Acts(anywidget.AnyWidget):
    """Names, one of which is chosen, and a button for each act. It looks like the buttons of ipywidgets.

    Args:
        names: Of those who act. The first is chosen.
        acts: Words on the buttons.
        do: Is told of each click: who, and which act.
    """

    _esm = (Path(__file__).parent / "static" / "acts.js").read_text("utf-8")
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    acts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    chosen = traitlets.Unicode().tag(sync=True)
    """Who has acted last."""

    def __init__(self, names: Sequence[str], acts: Sequence[str], do: Callable[[str, str], None]) -> None:
        self._do, self._given = do, (frozenset(names), frozenset(acts))  # a browser could change the others
        super().__init__(names=list(names), acts=list(acts), chosen=names[0])
        self.on_msg(self._clicked)

    def _clicked(self, _: object, content: Any, __: object) -> None:
        """Takes what a browser sends: nothing but a name and an act that it was given counts."""
        who, act = (content.get(key) for key in ("who", "act")) if isinstance(content, dict) else ("", "")
        names, given = self._given
        if isinstance(who, str) and isinstance(act, str) and who in names and act in given:
            self.chosen = who
            self._do(who, act)


def row(widgets: Sequence[ipywidgets.Widget]) -> ipywidgets.HBox:
    """Returns widgets beside each other, in several lines if there is no room."""
    return ipywidgets.HBox(widgets, layout={"flex_flow": "row wrap"})


def button(words: str, act: Callable[..., None], *args: Any) -> ipywidgets.Button:
    """Returns a button as wide as its words. A click calls the function with these arguments."""
    made = ipywidgets.Button(description=words, layout={"width": "auto"})
    made.on_click(lambda _: act(*args))
    return made
