"""What views are made of: buttons, and rows that break where there is no room."""

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets  # type: ignore[import-untyped]


def row(widgets: Sequence[ipywidgets.Widget]) -> ipywidgets.HBox:
    """Returns widgets beside each other, in several lines if there is no room."""
    return ipywidgets.HBox(widgets, layout={"flex_flow": "row wrap"})


def button(words: str, act: Callable[..., None], *args: Any) -> ipywidgets.Button:
    """Returns a button as wide as its words. A click calls the function with these arguments."""
    made = ipywidgets.Button(description=words, layout={"width": "auto"})
    made.on_click(lambda _: act(*args))
    return made
