"""`python -m chatlib class`: a room for a class on the local network, until Ctrl-C."""

import argparse
import sys
from ipaddress import ip_network

from chatlib.classroom.classroom import LAN, Classroom
from chatlib.cli.arguments import port
from chatlib.cli.output import allow_any_letter, warn_of_open_door, write
from chatlib.cli.signals import listen_to_signals
from chatlib.descriptors import make_room
from chatlib.door import PRIVATE, Door, Network
from chatlib.journal import Entry
from chatlib.sockets import is_loopback
from chatlib.wire import printable

SHOWN = ("named", "refused", "left", "failed", "paused")
"""What the teacher sees of the journal: who comes and goes, and not what is said."""

AT_ONCE = 10
"""Lines of it that are shown at a time: an attack must not fill the screen."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the command takes."""
    add = parser.add_argument
    add("--name", default="the room", help="what the room is called")
    add("--host", default=LAN, help="where to listen (default: this computer's address on the local network)")
    add("--port", type=port, default=8888, help="0 to 65535 (default: %(default)s; 0, any free one)")
    page = "where the page for telephones listens (default: the next port)"
    add("--page-port", type=port, help=page)
    add("--model", default="threading", help="how it waits: threading, raw-threads, selectors, asyncio")
    add("--clients", type=int, default=60, help="how many at once (default: %(default)s)")
    add("--per-address", type=int, default=4, help="how many from one computer (default: %(default)s)")
    allow = "a network that may come in, like 192.168.1.0/24; repeatable (default: all private ones)"
    add("--allow", action="append", type=network, default=[], metavar="NETWORK", help=allow)
    add("--open", action="store_true", help="no code: anybody in those networks may come in")


def network(text: str) -> Network:
    """Returns a network."""
    try:
        return ip_network(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a network like 192.168.1.0/24") from None


def run(options: argparse.Namespace) -> int:
    """Prints how to come in, then who comes and goes. Blocks until SIGINT or SIGTERM."""
    allow_any_letter()
    told_to_stop = listen_to_signals()
    make_room(4 * options.clients)  # first, while there is only this thread: see there
    door = Door(options.clients, options.per_address, options.allow or PRIVATE)
    next_port = options.port + 1 if 0 < options.port < 65535 else 0
    with Classroom(
        options.name,
        options.host,
        options.port,
        open=options.open,
        model=options.model,
        door=door,
        page_port=next_port if options.page_port is None else options.page_port,
    ) as classroom:
        write(str(classroom))
        if options.host == LAN and is_loopback(classroom.poster.host):
            print("no local network was found: --host ADDRESS, if this computer is on one", file=sys.stderr)
        if classroom.is_exposed:
            warn_of_open_door()
        number = 0
        while not told_to_stop(0.5):
            entries, number = classroom.room.journal.after(number)
            show(entries)
    return 0


def show(entries: list[Entry]) -> None:
    """Says who has come or gone, of these entries of the journal."""
    lines = [printable(str(entry)) for entry in entries if entry.what in SHOWN]
    if len(lines) > AT_ONCE:
        lines[AT_ONCE - 1 :] = [f"... and {len(lines) - AT_ONCE + 1} more"]
    for line in lines:
        print(line, file=sys.stderr, flush=True)
