"""Load, measured: what each way to wait costs on this computer.

    results = chatlib.bench.measure(["threading", "selectors"], [10, 100], seconds=0.2)

The command is `python -m chatlib bench`; the method is described in docs/benchmarks.md.
"""

from typing import TYPE_CHECKING

from chatlib.lazy import lazily

if TYPE_CHECKING:
    from chatlib.bench.measurement import measure
    from chatlib.bench.records import Figures, Plan, Row
    from chatlib.bench.results import Results

__all__ = ["Figures", "Plan", "Results", "Row", "measure"]

_HOMES = {
    "chatlib.bench.measurement": "measure",
    "chatlib.bench.records": "Figures Plan Row",
    "chatlib.bench.results": "Results",
}
"""Where each name lives. The load generator imports this package, too, and needs less than all of it."""

if not TYPE_CHECKING:  # or a type checker would take every misspelt name for one that is found here
    __getattr__, __dir__ = lazily(__name__, _HOMES)
