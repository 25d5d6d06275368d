"""chatlib: what it means for a server to wait.

Start a real TCP server in the background, connect real clients, and see who waits for whom:

    import chatlib

    server = chatlib.start(chatlib.SyncServer)
    alice = chatlib.connect(server, name="alice")
    bob = chatlib.connect(server, name="bob")
    bob.send("hello")
    bob.waits(0.5)  # True: the server waits for alice, who says nothing
    chatlib.stop(server)
"""

from typing import TYPE_CHECKING

from chatlib.lazy import lazily

if TYPE_CHECKING:  # the same as _HOMES, for those who read without running: type checkers, editors
    from chatlib import bench as bench
    from chatlib import relay as relay
    from chatlib.api import Film, Orders, check, exercise, open_film, orders, playground, predict, xray
    from chatlib.background import running, start, stop, stop_all
    from chatlib.checker.errors import TargetError
    from chatlib.checker.report import Report
    from chatlib.classroom.classroom import Classroom
    from chatlib.client import Client, Disconnected, connect
    from chatlib.diagnosis import doctor
    from chatlib.journal import Entry, Journal
    from chatlib.servers import (
        MODELS,
        AsyncioServer,
        ForkingServer,
        Limits,
        RawThreadServer,
        SelectorServer,
        Server,
        SyncServer,
        ThreadingServer,
    )
    from chatlib.services import Broadcast, Chat, Member, Service, Shout
    from chatlib.wire import LineReader, encode

__version__ = "0.1.0"

__all__ = [
    # servers: how the waiting is done
    "SyncServer",
    "ThreadingServer",
    "RawThreadServer",
    "ForkingServer",
    "SelectorServer",
    "AsyncioServer",
    "Server",
    "Limits",
    "MODELS",
    # services: what is said
    "Shout",
    "Broadcast",
    "Chat",
    "Service",
    "Member",
    "Journal",
    "Entry",
    # in a notebook
    "start",
    "stop",
    "stop_all",
    "running",
    "connect",
    "Client",
    "Disconnected",
    "doctor",
    # a room for a class, on the local network
    "Classroom",
    # what every thread is waiting for
    "xray",
    "Film",
    "open_film",
    # two servers side by side, without a line of code
    "playground",
    # every order in which threads can take turns
    "orders",
    "Orders",
    # does a server keep its promises?
    "check",
    "Report",
    "TargetError",
    # what the reader expects, and what the reader has written
    "predict",
    "exercise",
    # lines in a stream of bytes
    "LineReader",
    "encode",
]

_HOMES = {
    "chatlib.api": "Film Orders check exercise open_film orders playground predict xray",
    "chatlib.background": "running start stop stop_all",
    "chatlib.bench": "bench",
    "chatlib.checker.errors": "TargetError",
    "chatlib.checker.report": "Report",
    "chatlib.classroom.classroom": "Classroom",
    "chatlib.client": "Client Disconnected connect",
    "chatlib.diagnosis": "doctor",
    "chatlib.journal": "Entry Journal",
    "chatlib.servers": "AsyncioServer ForkingServer Limits MODELS RawThreadServer SelectorServer Server"
    " SyncServer ThreadingServer",
    "chatlib.relay": "relay",
    "chatlib.services": "Broadcast Chat Member Service Shout",
    "chatlib.wire": "LineReader encode",
}
"""Where each name lives. Imported with the package, all of them would take five times as long as asyncio."""

if not TYPE_CHECKING:  # or a type checker would take every misspelt name for one that is found here
    __getattr__, __dir__ = lazily(__name__, _HOMES)
