"""What was measured, as a table for a terminal or a page."""

from collections.abc import Callable

from chatlib.bench.records import BUSY, FLOOR, IDLE, Plan, Row

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
UNKNOWN = (
    "- Not known: the package psutil reads processor time and memory. It is not installed, or the system"
    " does not let it."
)
BELOW = f"x floor: deliveries/s as a ratio to `{FLOOR}`, a program that does nothing but the sends."


def table(plan: Plan, rows: tuple[Row, ...], computer: str, ratio: Callable[[Row], float | None]) -> str:
    """Returns a title, a line for each row with figures, and below them what has none, with the reason."""
    grid = [HEAD, *(cells(row, ratio(row)) for row in rows if row.figures)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    lines = [title(plan), computer, ""]
    for line in grid:
        aligned = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        aligned[1] = line[1].ljust(widths[1])  # the server's name
        lines.append("  ".join(aligned))
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if not row.figures:
            what = f"{row.server} {'FAILED' if row.failed else 'was left out'}: {row.reason}"
            reasons.setdefault(what, []).append(str(row.clients))
    lines += ["", *(f"{what} (clients: {', '.join(numbers)})" for what, numbers in reasons.items())]
    found = [row.figures for row in rows if row.figures]
    lines += [SATURATED] * any(figures.saturated for figures in found)
    lines += [DISTURBED] * any(figures.disturbed for figures in found)
    lines += [UNKNOWN] * any(None in (figures.cpu_us, figures.kib_per_client) for figures in found)
    return "\n".join([*lines, BELOW])


def title(plan: Plan) -> str:
    """Returns what was done, in one line."""
    senders = f"{plan.least} sender{'s' * (plan.least > 1)}"
    under_way = f"{plan.window} line{'s' * (plan.window > 1)} under way"
    if plan.service == "shout" and plan.senders is None:
        senders = "all clients send"
    return f"{plan.service}: {senders}, {under_way} for each; {plan.seconds:g} s under load"


def cells(row: Row, ratio: float | None) -> tuple[str, ...]:
    """Returns what stands in the columns of `HEAD`, for a row with figures."""
    assert row.figures
    figures = row.figures
    late = [f"{us:.0f} us" if us < 1000 else f"{us / 1000:.1f} ms" for us in (figures.p50_us, figures.p99_us)]
    return (
        str(row.clients),
        row.server,
        f"{figures.deliveries_per_s:,.0f}",
        "-" if ratio is None else f"{ratio:.2f}",
        *late,
        "-" if figures.cpu_us is None else f"{figures.cpu_us:.2f} us",
        "-" if figures.kib_per_client is None else f"{figures.kib_per_client:.1f} KiB",
        f"{figures.joins_per_s:,.0f}",
        "-" if figures.server_busy is None else f"{figures.server_busy:.0%}",
        f"{figures.load_busy:.0%}" + "!" * figures.saturated + "?" * figures.disturbed,
    )
