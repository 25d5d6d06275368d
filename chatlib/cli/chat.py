"""`python -m chatlib chat`: a conversation with a server, from a terminal."""

import argparse
import sys

from chatlib.cli.output import allow_any_letter
from chatlib.client import connect
from chatlib.ctrl_c import is_interrupt
from chatlib.terminal import chat, here


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the command takes."""
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--name", help="your name, if the server asks for one")


def run(options: argparse.Namespace) -> int:
    """Talks until the server or the keyboard ends it. Blocks."""
    if sys.stdin is None or sys.stdout is None:
        raise ValueError("there is no terminal to chat in")
    allow_any_letter()
    with connect(options.address, options.name or "this terminal") as client:
        why = ""
        try:
            print("connected; Ctrl-C leaves", file=sys.stderr)
            why = chat(client, here(options.name), options.name)
        except (KeyboardInterrupt, RuntimeError) as error:
            if not is_interrupt(error):
                raise
        print(why or f"{client.name} has left", file=sys.stderr)
    return 0
