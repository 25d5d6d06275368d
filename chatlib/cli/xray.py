"""`python -m chatlib xray`: a film of a script, or of several programs."""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

from chatlib.film.programs import film_programs
from chatlib.film.script import film_script

BETWEEN = "::"
"""What stands between programs on the command line."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the command takes."""
    parser.add_argument("--live", action="store_true", help="print once a second who waits")
    parser.add_argument(
        "--output", type=Path, default=Path("film.html"), help="the page (default: film.html)"
    )
    parser.add_argument(
        "script", help="a program in Python; options of this command stand before it. Several: -- A :: B :: C"
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script is called with")


def run(options: argparse.Namespace) -> int:
    """Runs the script, or programs, until they end, and writes the film. Returns their status."""
    words = [options.script, *options.arguments]
    if BETWEEN not in words and not options.script.startswith("-"):
        return film_script(options.script, options.arguments, options.output, options.live)
    commands = list(commands_in(words))
    if not all(commands):
        raise ValueError(f"a program is missing beside {BETWEEN}")
    return film_programs(commands, options.output, options.live)


def commands_in(words: Iterable[str]) -> Iterator[list[str]]:
    """Gives the words of each program."""
    command = list[str]()
    for word in words:
        if word == BETWEEN:
            yield command
            command = []
        else:
            command.append(word)
    yield command
