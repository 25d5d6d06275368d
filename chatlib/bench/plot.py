"""What was measured, as a picture: four panels of curves, written as SVG. All scales are logarithmic."""

import html
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from chatlib.bench.records import FLOOR, Figures, Row

LOOKS = (
    ("#0072B2", "m-7 0a7 7 0 1 0 14 0a7 7 0 1 0-14 0z"),  # circle
    ("#D55E00", "m-6-6h12v12h-12z"),  # square
    ("#009E73", "m0-8l8 14h-16z"),  # triangle
    ("#CC79A7", "m0-9l9 9l-9 9l-9-9z"),  # diamond
    ("#E69F00", "m-6-6l12 12m0-12l-12 12"),  # cross
    ("#56B4E9", "m-8 0h16m-8-8v16"),  # plus
    ("#000000", "m0 8l8-14h-16z"),  # triangle, upside down
    ("#7F3C00", "m-7-7h14l-14 14h14z"),  # hourglass
)
"""A colour and a mark for each curve. Colour-blind readers can tell them apart: the colours are those by
Okabe and Ito, but for yellow, which is too pale on paper: here it is brown."""

FLOOR_LOOK = ("#555", "m-8 0h16")

WIDTH, HEIGHT = 1240, 1040
TOP, BOTTOM = 70, 440
STYLE = (
    "text{font:18px system-ui,'DejaVu Sans',sans-serif;fill:#111}"
    ".head{font-size:21px;font-weight:600}.name{font-weight:600}"
    ".grid{stroke:#ddd}.curve{fill:none;stroke-width:3.5;stroke-linejoin:round}"
)


@dataclass(frozen=True)
class Curve:
    """What one server did, with how many clients."""

    name: str
    points: tuple[tuple[float, float], ...]
    colour: str
    mark: str
    """Its outline, as SVG draws it."""


@dataclass(frozen=True)
class Panel:
    """A part of the picture: where it stands, and what its scales reach."""

    left: float
    right: float
    numbers: tuple[float, ...]
    """Clients: each has a line of its own."""
    low: int
    high: int
    """The values, as powers of ten."""

    def x(self, clients: float) -> float:
        """Returns how far right."""
        first, last = math.log(self.numbers[0]), math.log(self.numbers[-1])
        part = 0.5 if first == last else (math.log(clients) - first) / (last - first)
        return self.left + 20 + part * (self.right - self.left - 40)

    def y(self, value: float) -> float:
        """Returns how far down."""
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return BOTTOM - part * (BOTTOM - TOP)


def picture(rows: tuple[Row, ...], service: str) -> str:
    """Returns the SVG, on one line."""
    what = "answers" if service == "shout" else "deliveries"
    rate = curves(rows, lambda figures: figures.deliveries_per_s)
    late = curves(rows, lambda figures: figures.p99_us)
    half = curves(rows, lambda figures: figures.p50_us)
    memory = curves(rows, _memory_per_client)
    parts = [
        _panel(rate, 80, f"{what} per second (more is better)", _count),
        _panel(late, 700, f"99 of 100 {what} within (less is better)", _time),
        f'<g transform="translate(0 {HEIGHT // 2})">',
        _panel(memory, 80, "memory for each client (less is better)", _kib),
        _panel(half, 700, f"half of the {what} within (less is better)", _time),
        "</g>",
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
    label = f"<title>{what} per second, latency and memory, by the number of clients</title>"
    paper = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
    return f"{head}{label}<style>{STYLE}</style>{paper}{''.join(parts)}</svg>"


def curves(rows: tuple[Row, ...], value: Callable[[Figures], float | None]) -> list[Curve]:
    """Returns a curve for each server that has values, the floor first, always in the same colours."""
    names = list(dict.fromkeys(row.server for row in rows if row.server != FLOOR))
    looks = {FLOOR: FLOOR_LOOK, **dict(zip(names, itertools.cycle(LOOKS), strict=False))}
    drawn = []
    for name, look in looks.items():
        measured = [(row.clients, row.figures) for row in rows if row.server == name and row.figures]
        known = [(float(n), value(figures)) for n, figures in measured]
        points = sorted((n, max(found, 1e-3)) for n, found in known if found is not None)
        if points:
            drawn.append(Curve(name, tuple(points), *look))
    return drawn


def _memory_per_client(figures: Figures) -> float | None:
    """Returns the memory for a client; with a few clients it may be so little that it was not noticed."""
    return None if figures.kib_per_client is None else max(figures.kib_per_client, 0.1)


def _panel(found: list[Curve], left: int, head: str, unit: Callable[[float], str]) -> str:
    values = [value for curve in found for _, value in curve.points] or [1.0]
    numbers = sorted({n for curve in found for n, _ in curve.points}) or [1.0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    panel = Panel(left, left + 380, tuple(numbers), low, max(high, low + 1))
    parts = [_text(left, 40, head, "head"), _text(left + 190, 500, "clients", anchor="middle")]
    parts += [_across(panel, 10.0**power, unit) for power in range(panel.low, panel.high + 1)]
    parts += [_down(panel, number) for number in numbers]
    parts += [_curve(panel, curve) for curve in found]
    return "".join(parts) + _names(panel, found)


def _across(panel: Panel, value: float, unit: Callable[[float], str]) -> str:
    y = panel.y(value)
    line = f'<path class="grid" d="M{panel.left} {y:.0f}H{panel.right}"/>'
    return line + _text(panel.left - 8, y + 6, unit(value), anchor="end")


def _down(panel: Panel, number: float) -> str:
    x = panel.x(number)
    line = f'<path class="grid" d="M{x:.0f} {TOP}V{BOTTOM}"/>'
    return line + _text(x, BOTTOM + 26, f"{number:g}", anchor="middle")


def _curve(panel: Panel, curve: Curve) -> str:
    places = [(panel.x(n), panel.y(value)) for n, value in curve.points]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dashed = ' stroke-dasharray="9 6"' if curve.name == FLOOR else ""
    line = f'<path class="curve" stroke="{curve.colour}"{dashed} d="M{path}"/>'
    return line + "".join(_mark(curve, x, y) for x, y in places)


def _mark(curve: Curve, x: float, y: float) -> str:
    paint = f'fill="{curve.colour}" stroke="{curve.colour}" stroke-width="3"'
    return f'<path {paint} d="M{x:.1f} {y:.1f}{curve.mark}"/>'


def _names(panel: Panel, found: list[Curve]) -> str:
    """Writes each curve's name beside its end; a thin line leads there, as names must not overlap."""
    ends = sorted(found, key=lambda curve: panel.y(curve.points[-1][1]))
    wanted = [panel.y(curve.points[-1][1]) for curve in ends]
    pairs = zip(ends, wanted, spread(wanted, 24.0, BOTTOM), strict=True)
    return "".join(_name(panel, curve, y, place) for curve, y, place in pairs)


def spread(wanted: list[float], apart: float, end: float) -> list[float]:
    """Returns places in the same order, near those wanted, each so far from the next, none beyond the end."""
    places: list[float] = []
    for y in wanted:
        places.append(max(y, places[-1] + apart) if places else y)
    limit = end
    for i in reversed(range(len(places))):
        places[i] = min(places[i], limit)
        limit = places[i] - apart
    return places


def _name(panel: Panel, curve: Curve, y: float, place: float) -> str:
    start, end = panel.x(curve.points[-1][0]) + 10, panel.right + 14
    lead = f'<path fill="none" stroke="{curve.colour}" d="M{start:.0f} {y:.0f}L{end:.0f} {place:.0f}h8"/>'
    return lead + _text(end + 12, place + 6, curve.name, "name")


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" class="{kind}">{html.escape(text)}</text>'


def _count(value: float) -> str:
    for size, letter in (1e9, "G"), (1e6, "M"), (1e3, "k"):
        if value >= size:
            return f"{value / size:g} {letter}"
    return f"{value:g}"


def _kib(kib: float) -> str:
    return f"{kib:g} KiB"


def _time(microseconds: float) -> str:
    for size, unit in (1e6, "s"), (1e3, "ms"):
        if microseconds >= size:
            return f"{microseconds / size:g} {unit}"
    return f"{microseconds:g} µs"
