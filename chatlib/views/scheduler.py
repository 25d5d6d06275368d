"""The reader as the scheduler: a button for each thread, and the picture of the order so far."""

import threading
from collections.abc import Sequence
from html import escape
from typing import Any

import ipywidgets  # type: ignore[import-untyped]
from IPython.display import display

from chatlib import notebook_cells
from chatlib.schedules.order import Order
from chatlib.schedules.result import TOLD, Orders
from chatlib.views.controls import button, row

Choices = Sequence[tuple[int, int]]


class Scheduler(ipywidgets.VBox):  # type: ignore[misc]
    """Buttons that give a thread its next turn, take one back, and begin again.

    Each click runs the whole order once more, as far as it goes: so no thread ever waits for a click. No
    button is ever disabled, as it would lose the keyboard: what cannot be is answered.

    Args:
        orders: What was found out. The shortest order that does not end right is shown first.
    """

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._lock = threading.RLock()  # a click may be handled in another thread than the one before
        self._told, self._picture = ipywidgets.HTML(), ipywidgets.HTML(layout={"overflow": "auto"})
        turns = [button(f"{name} goes on", self._go_on, name) for name in orders.threads]
        others = [button("one turn back", self._step_back), button("begin again", self._play)]
        self._order = orders.shortest or orders.play(())
        if orders.shortest:
            others.append(button("the shortest that ends badly", self._play, orders.shortest.choices))
        found = ipywidgets.HTML(
            f"<b>{escape(orders.sentence)}</b><br>You are the scheduler: whose turn is it?"
        )
        super().__init__([found, row(turns), row(others), self._told, self._picture])
        self._draw(self._order)

    def show(self) -> None:
        """Shows it below the running cell; it is closed when that cell runs again."""
        notebook_cells.remember(self, Scheduler.close)
        display(self)  # type: ignore[no-untyped-call]

    def _go_on(self, name: str) -> None:
        with self._lock:
            order = self._order
            if name in order.ready:
                self._play([*order.choices, (order.ready.index(name), len(order.ready))])
            else:
                why = f"waits for {order.waits[name]}" if name in order.waits else "has ended"
                self._tell([f"{name} cannot go on: it {why}.", *_told(order)])

    def _step_back(self) -> None:
        with self._lock:
            self._play(self._order.choices[:-1])

    def _play(self, choices: Choices = ()) -> None:
        with self._lock:
            try:
                self._draw(self._orders.play(choices))
            except RuntimeError as error:  # it is not the same any more
                self._tell([str(error)])

    def _draw(self, order: Order) -> None:
        self._order = order
        self._tell(_told(order))
        self._picture.value = order.picture()

    def _tell(self, lines: Sequence[str]) -> None:
        self._told.value = "<br>".join(map(escape, lines))

    def __repr__(self) -> str:
        return str(self._orders)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        """Adds picture and text, for readers without a kernel, to what shows the widget."""
        return {**super()._repr_mimebundle_(), **self._orders._repr_mimebundle_()}


def _told(order: Order) -> list[str]:
    """Says what each thread does next, or how the order has ended."""
    if order.ending != "open":
        return [f"This order {TOLD[order.ending][0]}."]
    return [
        f"{name} waits for {order.waits[name]}" if name not in order.ready else f"{name} comes to: {line}"
        for name, line in order.next_lines.items()
    ]
