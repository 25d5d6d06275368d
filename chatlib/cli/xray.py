"""`python -m chatlib xray`: a film of a script."""

import argparse
from pathlib import Path

from chatlib.film.script import film_script


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the command takes."""
    parser.add_argument("--live", action="store_true", help="print once a second who waits")
    parser.add_argument(
        "--output", type=Path, default=Path("film.html"), help="the page (default: film.html)"
    )
    parser.add_argument("script", help="a program in Python; options of this command stand before it")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script is called with")


def run(options: argparse.Namespace) -> int:
    """Runs the script until it ends, and writes its film. Returns the status of the script."""
    return film_script(options.script, options.arguments, options.output, options.live)
