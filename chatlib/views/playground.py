"""The playground: buttons for what clients do, and beside each other what two servers make of it."""

import threading
from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any

import ipywidgets  # type: ignore[import-untyped]

from chatlib import notebook_cells
from chatlib.film.recording import Recording
from chatlib.film.render.svg import both
from chatlib.stage.actor import Actor
from chatlib.stage.stage import NAMES, SERVICES, WAYS, Stage
from chatlib.views.controls import Acts, button, row
from chatlib.views.live import LiveFilm

STEPS, ROOM = 16, 380.0
"""Steps that each picture shows, and how wide they are: two pictures stand beside each other."""

WIDE = "420px"
"""What each side needs at least; if there is less room, they stand one below the other."""


DEEDS: dict[str, Callable[[Actor], None]] = {
    "says a line": Actor.say,
    "says half a line": Actor.say_half,
    "falls silent": Actor.fall_silent,
    "reads nothing": Actor.stop_reading,
    "reads again": Actor.read_again,
    "leaves": Actor.leave,
    "vanishes": Actor.vanish,
}
"""What a client can do, in words."""


# As high as four lines always: or the picture would jump.
_BIG = "font-size: 1.4em; line-height: 1.35; margin: 0; min-height: 5.4em"


class Playground(ipywidgets.VBox):  # type: ignore[misc]
    """Two servers and up to five clients, without a line of code.

    No click on what a client does waits for anybody: it is passed on, and the pictures follow. A button is
    never disabled, as it would lose the keyboard: what makes no sense is answered.
    """

    def __init__(self) -> None:
        ways = [*WAYS]
        self._ways = [_choice("left", ways, ways[0]), _choice("right", ways, ways[1])]
        self._service = _choice("they say", [*SERVICES], [*SERVICES][0])
        self._answer = ipywidgets.HTML()
        self._lock = threading.Lock()  # a click may be handled in another thread than the one before
        self._stage = Stage([choice.value for choice in self._ways], self._service.value)
        self._views = [_View(), _View()]
        for choice in (*self._ways, self._service):
            choice.observe(self._restage, names="value")
        self._acts: dict[str, Callable[[str], str]] = {
            "comes": self._stage.enter,
            **{words: partial(self._stage.act, deed) for words, deed in DEEDS.items()},
            "everybody says a line": lambda _: self._stage.all_speak(),
        }
        again = button("begin again", self._restage)
        super().__init__(
            [
                row([*self._ways, self._service, again]),
                Acts(NAMES, [*self._acts], self._do),
                self._answer,
                row(self._views),
            ]
        )
        self._show_sides()
        notebook_cells.remember(self, Playground.close)

    def close(self) -> None:
        """Ends it: the servers, the clients, and the pictures. Blocks for a moment."""
        with self._lock:
            for view in self._views:
                view.leave()
            self._stage.close()
        for child in self.children:
            for widget in getattr(child, "children", ()):
                widget.close()  # or ipywidgets would keep it, and it all of this
            child.close()
        super().close()

    def _do(self, who: str, act: str) -> None:
        with self._lock:
            if self._stage.film.running:  # or it was closed while the click waited
                self._answer.value = self._acts[act](who)

    def _restage(self, *_: object) -> None:
        with self._lock:
            if not self._stage.film.running:
                return
            self._stage.restage([choice.value for choice in self._ways], self._service.value)
            self._answer.value = ""
            self._show_sides()

    def _show_sides(self) -> None:
        for view, side, choice in zip(self._views, self._stage.sides, self._ways, strict=True):
            view.show(choice.value, partial(side.look, self._stage.film))

    def __repr__(self) -> str:
        return "The playground: in JupyterLab, run this cell."

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        """Adds text, for readers without a kernel, to what shows the widget."""
        return {**super()._repr_mimebundle_(), "text/plain": repr(self)}


class _View(ipywidgets.VBox):  # type: ignore[misc]
    """One side: how its server waits, the sentence, and below it the picture, which may be high."""

    def __init__(self) -> None:
        self._title, self._sentence = ipywidgets.HTML(), ipywidgets.HTML()
        self._film: LiveFilm | None = None
        super().__init__([self._title, self._sentence], layout={"flex": f"1 1 {WIDE}", "min_width": WIDE})

    def show(self, title: str, look: Callable[[], tuple[Recording, str]]) -> None:
        """Shows another server."""

        def take() -> Recording:
            recording, told = look()
            shown = f'<p style="{_BIG}">{escape(told)}</p>'
            if shown != self._sentence.value:
                self._sentence.value = shown
            return recording

        self.leave()
        self._title.value = f'<h3 style="margin: 0.5em 0 0">{escape(title)}</h3>'
        self._film = LiveFilm(take, draw=lambda recording: both(recording, STEPS, ROOM))
        self.children = [self._title, self._sentence, self._film]

    def leave(self) -> None:
        """Ends the picture, if there is one."""
        if self._film:
            self._film.close()


def _choice(words: str, options: list[str], value: str) -> ipywidgets.Dropdown:
    return ipywidgets.Dropdown(options=options, value=value, description=words, layout={"width": "auto"})
