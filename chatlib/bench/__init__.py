"""Load, measured: what each way to wait costs on this computer.

    results = chatlib.bench.measure(["threading", "selectors"], [10, 100], seconds=0.2)

The command is `python -m chatlib bench`; the method is described in docs/benchmarks.md.
"""

from typing import TYPE_CHECKING, Any

from chatlib.bench.records import Figures, Plan, Row

if TYPE_CHECKING:
    from chatlib.bench.measurement import measure
    from chatlib.bench.results import Results

__all__ = ["Figures", "Plan", "Results", "Row", "measure"]


def __getattr__(name: str) -> Any:
    # Loaded when they are first used: `import chatlib` would take a fifth longer.
    if name == "measure":
        from chatlib.bench.measurement import measure

        return measure
    if name == "Results":
        from chatlib.bench.results import Results

        return Results
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
