"""The picture of a benchmark: four panels of curves by matplotlib, as SVG. All scales are logarithmic."""

import contextlib
import io
import logging
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from chatlib.bench.records import FLOOR, Figures, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import Formatter

NO_MATPLOTLIB = "the picture needs the package matplotlib: pip install matplotlib"

INK = "#797979"
"""Text and frames, for matplotlib, which knows no variables of CSS. In the picture, one takes its place."""

STYLE = (
    ".chatbench{--ink:var(--jp-ui-font-color1,#444);--paper:var(--jp-layout-color0,#fff)}"
    "@media(prefers-color-scheme:dark){"
    ".chatbench{--ink:var(--jp-ui-font-color1,#ccc);--paper:var(--jp-layout-color0,#111)}}"
    ".chatbench:not(:root){max-width:100%;height:auto}"
)
"""JupyterLab's colours. They do not reach an image: that paints its paper, and asks the reader's system."""

INLINE = "(at=>at.innerHTML=decodeURIComponent(at.firstChild.src.split(',',2)[1]))"
"""Puts the picture itself in the place of its image."""

FLOOR_LOOK: dict[str, Any] = {"color": INK, "marker": "_", "linestyle": (0, (6, 3))}

LOOKS: tuple[dict[str, Any], ...] = (
    {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    {"color": "#D55E00", "marker": "s", "linestyle": (0, (5, 1))},
    {"color": "#009E73", "marker": "^", "linestyle": (0, (4, 1, 1, 1))},
    {"color": "#CC79A7", "marker": "D", "linestyle": (0, (2, 1))},
    {"color": "#C98500", "marker": "X", "linestyle": "-"},
    {"color": "#3A9BD0", "marker": "P", "linestyle": (0, (5, 1))},
    {"color": "#A0522D", "marker": "v", "linestyle": (0, (4, 1, 1, 1))},
    {"color": "#7A5CC8", "marker": "*", "linestyle": (0, (2, 1))},
    {"color": "#BE4B6A", "marker": "p", "linestyle": (0, (1, 1))},
    {"color": "#5F8A2F", "marker": "h", "linestyle": (0, (1, 1))},
)
"""A colour, a mark and a kind of line for each curve, so that colour is never the only sign. The colours are
those by Okabe and Ito, each moved until it contrasts with white and with black by at least 3 to 1."""

SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud, and is small
    "svg.hashsalt": "chatlib",  # otherwise ids are random, and two pictures of the same figures differ
    "text.parse_math": False,
    "font.size": 12,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    **{"axes.grid": True, "axes.axisbelow": True, "grid.color": INK, "grid.alpha": 0.3},
    **{"axes.titlesize": 12.5, "axes.titleweight": "bold", "axes.titlelocation": "left"},
    **{"lines.linewidth": 2.2, "lines.markersize": 7},
}

NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))

LEAST = 1e-9
"""Less than this is drawn as this: nothing has no logarithm."""

Value = Callable[[Figures], float | None]


def svg(rows: tuple[Row, ...], service: str) -> str:
    """Returns the picture on one line, the same for the same figures.

    Blocks for about a second the first time, and for many seconds if matplotlib has never run here: then it
    looks for the fonts of this computer.

    Raises:
        ImportError: matplotlib is not installed; the message says so.
    """
    with borrowed_matplotlib():
        from matplotlib.figure import Figure
        from matplotlib.ticker import EngFormatter, FormatStrFormatter

        figure = Figure(figsize=(10.5, 5.2), layout="constrained")  # 1008 pixels wide, 499 high
        rate, late, memory, half = figure.subplots(2, 2, sharex=True).flat
        what = "answers" if service == "shout" else "deliveries"
        # Made for each panel: a formatter belongs to one axis.
        count, time = EngFormatter, partial(EngFormatter, unit="s")
        kib = partial(FormatStrFormatter, "%g KiB")
        _panel(rate, f"{what} per second (more is better)", count, rows, lambda one: one.deliveries_per_s)
        _panel(late, f"99 of 100 {what} within (less is better)", time, rows, lambda one: one.p99_us / 1e6)
        _panel(memory, "memory for each client (less is better)", kib, rows, memory_of)
        _panel(half, f"half of the {what} within (less is better)", time, rows, lambda one: one.p50_us / 1e6)
        numbers = sorted({row.clients for row in rows if row.figures})
        half.set_xticks(numbers, map(str, numbers))
        half.set_xticks([], minor=True)
        memory.set_xlabel("clients")
        half.set_xlabel("clients")
        if curves := rate.get_lines():
            figure.legend(handles=curves, loc="outside lower center", ncols=7, frameon=False)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata=NO_METADATA)
    # A notebook wants no XML declaration; on one line, a rule of nbval can tell where the picture ends.
    start, _, rest = " ".join(drawn.getvalue().split()).partition("<svg")[2].partition(">")
    title = f"{what} per second, latency and memory, by the number of clients"
    head = f'<svg{start} class="chatbench" role="img"><title>{title}</title><style>{STYLE}</style>'
    paper = '<rect width="100%" height="100%" style="fill: var(--paper)"/>'
    # matplotlib's own style is meant for all that a page has: in a notebook, that would be more than this.
    return head + paper + rest.replace("*{", ".chatbench *{").replace(INK, "var(--ink)")


def fragment(picture: str) -> str:
    """Returns a part of an HTML page with a picture. Where no scripts are run, it is an image."""
    image = f'<img src="data:image/svg+xml,{quote(picture)}" alt="The figures, as curves">'
    return f"<div>{image}</div><script>{INLINE}(document.currentScript.previousElementSibling)</script>"


def memory_of(figures: Figures) -> float | None:
    """Returns the KiB for a client; a few clients may fit into pages that the server had before: 0.1 then."""
    return None if figures.kib_per_client is None else max(figures.kib_per_client, 0.1)


def looks(rows: tuple[Row, ...]) -> dict[str, dict[str, Any]]:
    """Returns how each server is drawn, alike in all panels; the floor first, so that it lies below."""
    names = list(dict.fromkeys(row.server for row in rows if row.server != FLOOR))
    return {FLOOR: FLOOR_LOOK, **{name: LOOKS[place % len(LOOKS)] for place, name in enumerate(names)}}


@contextlib.contextmanager
def borrowed_matplotlib() -> Iterator[None]:
    """Lends matplotlib our settings and no others: what a notebook has set holds again afterwards."""
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.ERROR)  # on stderr it warns that it builds a cache of fonts, and where
    try:
        import matplotlib

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(SETTINGS)
            yield
    except ImportError as error:
        raise ImportError(NO_MATPLOTLIB, name="matplotlib") from error
    finally:
        log.setLevel(level)


def _panel(
    axes: "Axes", title: str, unit: "Callable[[], Formatter]", rows: tuple[Row, ...], value: Value
) -> None:
    """Draws a curve for each server of which this value is known."""
    lowest, highest = math.inf, -math.inf
    for name, look in looks(rows).items():
        found = [(row.clients, value(row.figures)) for row in rows if row.server == name and row.figures]
        if points := sorted((n, max(known, LEAST)) for n, known in found if known is not None):
            clients, values = zip(*points, strict=True)
            axes.plot(clients, values, label=name, clip_on=False, **look)
            lowest, highest = min(lowest, *values), max(highest, *values)
    axes.set(title=title, xscale="log", yscale="log")
    if lowest <= highest:  # from one power of ten to another, for a scale of half of one says little
        low, high = math.floor(math.log10(lowest)), math.ceil(math.log10(highest))
        axes.set_ylim(10.0**low, 10.0 ** max(high, low + 1))
        axes.yaxis.set_major_formatter(unit())
    else:
        axes.text(0.5, 0.5, "not known", transform=axes.transAxes, horizontalalignment="center")
        axes.set_yticks([])
    axes.set_yticks([], minor=True)
