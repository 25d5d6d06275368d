"""Load, measured: what each way to wait costs on this computer.

    results = chatlib.bench.measure(["threading", "selectors"], [10, 100], seconds=0.2)

The command is `python -m chatlib bench`; the method is described in docs/benchmarks.md.
"""

from chatlib.bench.records import Figures, Plan, Row
from chatlib.bench.results import Results
from chatlib.bench.run import measure

__all__ = ["Figures", "Plan", "Results", "Row", "measure"]
