"""What views are made of: buttons, and rows that break where there is no room."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets  # type: ignore[import-untyped]
import traitlets


class OneOf(anywidget.AnyWidget):
    """Words, one of which is chosen by a click on its button.

    It looks like `ToggleButtons` of ipywidgets, which tells a screen reader nothing of which one is chosen.
    """

    _esm = (Path(__file__).parent / "static" / "one_of.js").read_text("utf-8")
    label = traitlets.Unicode().tag(sync=True)
    words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    value = traitlets.Unicode().tag(sync=True)


def row(widgets: Sequence[ipywidgets.Widget]) -> ipywidgets.HBox:
    """Returns widgets beside each other, in several lines if there is no room."""
    return ipywidgets.HBox(widgets, layout={"flex_flow": "row wrap"})


def button(words: str, act: Callable[..., None], *args: Any) -> ipywidgets.Button:
    """Returns a button as wide as its words. A click calls the function with these arguments."""
    made = ipywidgets.Button(description=words, layout={"width": "auto"})
    made.on_click(lambda _: act(*args))
    return made
