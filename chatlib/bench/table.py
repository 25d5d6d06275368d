"""What was measured, as a table for a terminal or a page."""

from collections.abc import Callable

from chatlib.bench.records import BUSY, FLOOR, IDLE, Figures, Plan, Row

HEAD = (
    *("clients", "server", "deliveries/s", "x floor", "p50", "p99"),
    *("CPU/delivery", "memory/client", "joins/s", "busy: server", "load"),
)

SATURATED = (
    f"! The load generator itself was busy for more than {BUSY:.0%} of the time:"
    " that server may be faster than is said here."
)
DISTURBED = (
    f"? For more than {IDLE:.0%} of the time neither the server nor the load generator ran: other programs"
    " had the processors. Measure again when the computer has nothing else to do."
)


def table(plan: Plan, rows: tuple[Row, ...], computer: str, ratio: Callable[[Row], float | None]) -> str:
    """Returns a title, a line for each row with figures, and below them what has none, with the reason."""
    grid = [HEAD, *(_line(row, row.figures, ratio(row)) for row in rows if row.figures)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    lines = [_title(plan), computer, "", *(_aligned(line, widths) for line in grid), ""]
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if not row.figures:
            what = f"{row.server} {'FAILED' if row.failed else 'was left out'}: {row.reason}"
            reasons.setdefault(what, []).append(str(row.clients))
    lines += [f"{what} (clients: {', '.join(numbers)})" for what, numbers in reasons.items()]
    found = [row.figures for row in rows if row.figures]
    lines += [SATURATED] * any(figures.saturated for figures in found)
    lines += [DISTURBED] * any(figures.disturbed for figures in found)
    lines.append(f"x floor: deliveries/s as a ratio to `{FLOOR}`, a program that does nothing but the sends.")
    return "\n".join(lines)


def _title(plan: Plan) -> str:
    who = f"{plan.least} sender{'s' * (plan.least > 1)}"
    under_way = f"{plan.window} line{'s' * (plan.window > 1)} under way"
    if plan.service == "shout" and plan.senders is None:
        who = "all clients send"
    return f"{plan.service}: {who}, {under_way} for each; {plan.seconds:g} s under load"


def _line(row: Row, figures: Figures, ratio: float | None) -> tuple[str, ...]:
    return (
        str(row.clients),
        row.server,
        f"{figures.deliveries_per_s:,.0f}",
        "-" if ratio is None else f"{ratio:.2f}",
        _time(figures.p50_us),
        _time(figures.p99_us),
        "-" if figures.cpu_us is None else f"{figures.cpu_us:.2f} us",
        "-" if figures.kib_per_client is None else f"{figures.kib_per_client:.1f} KiB",
        f"{figures.joins_per_s:,.0f}",
        "-" if figures.server_busy is None else f"{figures.server_busy:.0%}",
        f"{figures.load_busy:.0%}" + "!" * figures.saturated + "?" * figures.disturbed,
    )


def _time(microseconds: float) -> str:
    return f"{microseconds:.0f} us" if microseconds < 1000 else f"{microseconds / 1000:.1f} ms"


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    pairs = enumerate(zip(cells, widths, strict=True))
    return "  ".join(cell.ljust(width) if place == 1 else cell.rjust(width) for place, (cell, width) in pairs)
