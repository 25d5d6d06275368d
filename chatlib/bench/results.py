"""What was measured, as a record: as a table, as JSON, as a picture."""

import contextlib
import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from chatlib.bench.plot import fragment, svg
from chatlib.bench.records import FLOOR, Figures, Plan, Row
from chatlib.bench.table import table


@dataclass(frozen=True)
class Results:
    """All that a run of the benchmark has measured. As text, a table; in a notebook, a picture."""

    plan: Plan
    rows: tuple[Row, ...]
    computer: str
    """Where it was measured."""

    @property
    def passed(self) -> bool:
        """True if no server lost, doubled, tore or reordered a line."""
        return not any(row.failed for row in self.rows)

    def figures(self, server: str, clients: int) -> Figures:
        """Returns what was measured on one server.

        Raises:
            KeyError: It was not measured with this number of clients; the message says why, if that is known.
        """
        for row in self.rows:
            if (row.server, row.clients) == (server, clients):
                if row.figures:
                    return row.figures
                raise KeyError(f"{server} with {clients} clients: {row.reason}")
        raise KeyError(f"{server} with {clients} clients was not measured")

    def ratio(self, row: Row) -> float | None:
        """Returns deliveries per second as a ratio to the floor with as many clients."""
        floors = [one.figures for one in self.rows if (one.server, one.clients) == (FLOOR, row.clients)]
        if row.figures and floors and floors[0] and floors[0].deliveries_per_s:
            return row.figures.deliveries_per_s / floors[0].deliveries_per_s
        return None

    def svg(self) -> str:
        """Returns a picture: deliveries per second, latency and memory, by the number of clients.

        Raises:
            ImportError: The package matplotlib is not installed; the message says so.
        """
        return svg(self.rows, self.plan.service)

    def json(self) -> str:
        """Returns everything as JSON."""
        rows = [{**asdict(row), "ratio_to_floor": self.ratio(row)} for row in self.rows]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        content = {"written": now, "computer": self.computer, "plan": asdict(self.plan), "rows": rows}
        return json.dumps(content, indent=1)

    def write(self, folder: Path) -> list[str]:
        """Writes `bench.json` and `bench.svg`. Returns a sentence on each: where it is, or why it is missing.

        Raises:
            OSError: It cannot write there.
        """
        said = []
        for name, text_of in ("bench.json", self.json), ("bench.svg", self.svg):
            try:
                (folder / name).write_text(text_of() + "\n", encoding="utf-8")
                said.append(f"written: {folder / name}")
            except ImportError as error:
                said.append(f"not written: {folder / name}: {error}")
        return said

    def __str__(self) -> str:
        return table(self.plan, self.rows, self.computer, self.ratio)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """What a notebook shows: the picture. Its text has no figures, as they are others each time."""
        names = ", ".join(dict.fromkeys(row.server for row in self.rows if row.figures))
        numbers = ", ".join(map(str, sorted({row.clients for row in self.rows if row.figures})))
        shown = {"text/plain": f"{names}\nmeasured with {numbers} clients; print(...) shows the figures"}
        try:
            shown["image/svg+xml"] = picture = self.svg()
            shown["text/html"] = fragment(picture)
        except ImportError as error:
            shown["text/plain"] += f"\n{error}"
        return shown


def this_computer() -> str:
    """Returns what has an influence on the figures: system, processor, cores, Python."""
    cores = os.cpu_count() or 1
    with contextlib.suppress(AttributeError):  # only Linux says which cores this process may use
        cores = len(os.sched_getaffinity(0))
    python_is = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{platform.system()} {platform.machine()}, {cores} core{'s' * (cores > 1)}, {python_is}"
