"""`python -m chatlib serve`: a server until Ctrl-C."""

import argparse
import contextlib
import queue
import signal
import sys

from chatlib import background
from chatlib.cli.arguments import port
from chatlib.client import address_of
from chatlib.descriptors import make_room
from chatlib.servers import MODELS, Limits
from chatlib.services import Broadcast, Chat, Service, Shout

SERVICES: dict[str, type[Service]] = {"shout": Shout, "broadcast": Broadcast, "chat": Chat}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the command takes."""
    parser.add_argument("model", choices=MODELS, help="how it waits: %(choices)s")
    parser.add_argument("--service", choices=SERVICES, default="shout", help="what is said: %(choices)s")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other computers in")
    parser.add_argument("--port", type=port, default=0, help="0 to 65535 (default: 0, any free one)")


def run(options: argparse.Namespace) -> int:
    """Prints where the server listens, and serves. Blocks until SIGINT or SIGTERM."""
    # A SimpleQueue, because its `put` may be interrupted by itself: signals can come close together.
    asked_to_stop: queue.SimpleQueue[int] = queue.SimpleQueue()
    # Both by hand: a program that a shell starts in the background would ignore SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: asked_to_stop.put(number))
    make_room(Limits().clients)  # first, while there is only this thread: see there
    address, service = (options.host, options.port), SERVICES[options.service]()
    with background.running(MODELS[options.model], address, service) as server:
        print("listening on {}:{}".format(*server.server_address[:2]), flush=True)
        if sys.stderr and sys.stderr.isatty():  # for a person, not for a program
            where = "{}:{}".format(*address_of(server))
            print(f"from another terminal: python -m chatlib chat {where} --name alice", file=sys.stderr)
        while asked_to_stop.empty():
            with contextlib.suppress(queue.Empty):  # the limit: on Windows, Ctrl-C is only noticed in between
                asked_to_stop.get(timeout=0.5)
                break
    return 0
