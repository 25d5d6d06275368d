"""`python -m chatlib bench`: what each way to wait costs."""

import argparse
import signal
import sys
from pathlib import Path

from chatlib.bench.contenders import AGAINST
from chatlib.bench.measurement import measure
from chatlib.cli.arguments import names, numbers
from chatlib.cli.output import allow_any_letter, write
from chatlib.servers import MODELS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the command takes."""
    parser.epilog = (
        "Exit status: 0 all lines arrived, 1 a server lost or changed some, 2 a mistake in the call."
    )
    add = parser.add_argument
    add("--models", type=names, default=tuple(MODELS), help=f"default: {','.join(MODELS)}")
    add("--clients", type=numbers, default=(10, 100, 1000), help="default: 10,100,1000")
    add("--senders", type=int, help="how many of them send (default: 1; in shout, all)")
    add("--window", type=int, default=64, help="lines that each may have under way (default: 64)")
    add("--service", choices=("broadcast", "shout"), default="broadcast", help="%(choices)s")
    add("--seconds", type=float, default=1.0, help="under load, for each line of the table")
    add("--against", type=names, default=(), help=f"other servers: {','.join(AGAINST)}")
    add("--output", type=Path, default=Path(), metavar="DIR", help="for bench.json, bench.svg")


def run(options: argparse.Namespace) -> int:
    """Measures, prints the table, and writes the files. Blocks for seconds, or minutes."""
    # Both by hand: a shell's background jobs ignore SIGINT, and SIGTERM would leave the servers behind.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    options.output.mkdir(parents=True, exist_ok=True)
    results = measure(
        options.models,
        options.clients,
        service=options.service,
        senders=options.senders,
        window=options.window,
        seconds=options.seconds,
        against=options.against,
        progress=_show_measurement,
    )
    allow_any_letter()
    write(str(results))
    print(*results.write(options.output), sep="\n", file=sys.stderr)
    return 0 if results.passed else 1


def _show_measurement(server: str, clients: int, place: int, total: int) -> None:
    """A line for each measurement: it takes a while, also where its output goes to a file."""
    print(f"[{place:2}/{total}] {server}, {clients} clients", file=sys.stderr, flush=True)
