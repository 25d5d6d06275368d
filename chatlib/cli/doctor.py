"""`python -m chatlib doctor`: what is missing on this computer."""

import argparse

from chatlib.cli.output import write
from chatlib.diagnosis import doctor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(_: argparse.Namespace) -> int:
    """Looks, and prints what it has found. Blocks for at most 3 s."""
    report = doctor()
    write(str(report))
    return 0 if report.well else 1
