"""What was measured, as a record: as a table, as JSON, as a picture."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from chatlib.bench.plot import picture
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
            KeyError: It was not measured with so many clients; the message says why, if that is known.
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
        """Returns a picture: deliveries per second, latency and memory, by the number of clients."""
        return picture(self.rows, self.plan.service)

    def json(self) -> str:
        """Returns everything as JSON."""
        rows = [{**asdict(row), "ratio_to_floor": self.ratio(row)} for row in self.rows]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        content = {"written": now, "computer": self.computer, "plan": asdict(self.plan), "rows": rows}
        return json.dumps(content, indent=1)

    def __str__(self) -> str:
        return table(self.plan, self.rows, self.computer, self.ratio)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """What a notebook shows: the picture. Its text has no figures, as they are others each time."""
        names = ", ".join(dict.fromkeys(row.server for row in self.rows if row.figures))
        numbers = ", ".join(map(str, sorted({row.clients for row in self.rows if row.figures})))
        text = f"{names}\nmeasured with {numbers} clients; print(...) shows the figures"
        return {"image/svg+xml": self.svg(), "text/plain": text}
