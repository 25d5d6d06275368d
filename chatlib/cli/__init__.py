"""The commands: `python -m chatlib serve | chat | class | check | xray | bench | doctor`."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from chatlib.cli.arguments import Parser
from chatlib.ctrl_c import is_interrupt

COMMANDS = {
    "serve": "run a server until Ctrl-C",
    "chat": "talk to a server from this terminal; Ctrl-C or Ctrl-D to leave",
    "class": "open a room for a class, on the local network, until Ctrl-C",
    "check": "say which promises a server keeps",
    "xray": "run a script and film what its threads wait for",
    "bench": "measure what each way to wait costs on this computer",
    "doctor": "say what is missing on this computer, and how to mend it",
}
"""Each is a module of this package: `add_arguments` says what it takes, `run` carries it out."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns its exit status: 0 well, 1 something is missing, 2 a mistake in the call,
    130 ended by Ctrl-C."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        return int(options.run(options))
    except OSError as error:
        file = f"{error.filename}: " if error.filename else ""
        print(f"chatlib: {file}{error.strerror or error}", file=sys.stderr)
    except (ValueError, OverflowError, NotImplementedError) as error:
        print(f"chatlib: {error}", file=sys.stderr)
    except (KeyboardInterrupt, RuntimeError) as error:
        if not is_interrupt(error):
            raise
        print("chatlib: stopped", file=sys.stderr)
        return 130
    return 2


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Returns the options of a command, and `run`, which carries it out. Ends the program at a mistake.

    Only the command that was asked for is imported: `serve` would take three times as long to start if it
    loaded what `check`, `xray` and `bench` need.
    """
    parser = Parser(prog="chatlib", description="What it means for a server to wait.")
    commands = parser.add_subparsers(required=True, metavar=" | ".join(COMMANDS), dest="a command")
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose)
        if name in arguments[:1]:
            module = importlib.import_module(f"chatlib.cli.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser.parse_args(arguments)
