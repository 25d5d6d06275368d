"""`python -m chatlib serve`: a server until Ctrl-C."""

import argparse
import sys

from chatlib import background
from chatlib.cli.arguments import port
from chatlib.cli.output import this_python, warn_of_open_door
from chatlib.cli.signals import listen_to_signals
from chatlib.client import address_of
from chatlib.descriptors import make_room
from chatlib.servers import MODELS, Limits
from chatlib.services import Broadcast, Chat, Service, Shout
from chatlib.sockets import is_loopback

SERVICES: dict[str, type[Service]] = {"shout": Shout, "broadcast": Broadcast, "chat": Chat}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the command takes."""
    parser.add_argument("model", choices=MODELS, help="how it waits: %(choices)s")
    parser.add_argument("--service", choices=SERVICES, default="shout", help="what is said: %(choices)s")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other computers in")
    parser.add_argument("--relay", metavar="URL", help="redis://HOST:PORT: share the room with other servers")
    parser.add_argument("--room", default="main", help="the room to share (default: %(default)s)")
    parser.add_argument("--port", type=port, default=0, help="0 to 65535 (default: 0, any free one)")


def service_for(options: argparse.Namespace) -> Service:
    """Returns what is said: in a room of this server alone, or one that it shares."""
    if not options.relay:
        return SERVICES[options.service]()
    from chatlib.relay import SharedChat, SharedRoom

    shared = {"broadcast": SharedRoom, "chat": SharedChat}
    if options.service not in shared:
        raise ValueError("shout has no room to share: add --service broadcast or --service chat")
    return shared[options.service](options.relay, options.room)


def run(options: argparse.Namespace) -> int:
    """Prints where the server listens, and serves. Blocks until SIGINT or SIGTERM."""
    told_to_stop = listen_to_signals()
    make_room(Limits().clients)  # first, while there is only this thread: see there
    address, service = (options.host, options.port), service_for(options)
    with background.running(MODELS[options.model], address, service) as server:
        print("listening on {}:{}".format(*server.server_address[:2]), flush=True)
        if not is_loopback(options.host):
            warn_of_open_door()
        if sys.stderr and sys.stderr.isatty():  # for a person, not for a program
            where = "{}:{}".format(*address_of(server))
            chat = f"{this_python()} -m chatlib chat {where} --name alice"
            print(f"from another terminal: {chat}", file=sys.stderr)
        while not told_to_stop(0.5):
            pass
    return 0
