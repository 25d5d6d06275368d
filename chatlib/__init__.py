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

from chatlib import bench as bench
from chatlib.background import running, start, stop, stop_all
from chatlib.checker.check import check
from chatlib.checker.errors import TargetError
from chatlib.checker.report import Report
from chatlib.client import Client, Disconnected, connect
from chatlib.diagnosis import doctor
from chatlib.film.film import Film, xray
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
from chatlib.teach.exercises.exercise import exercise
from chatlib.teach.predict import predict
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
    # what every thread is waiting for
    "xray",
    "Film",
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
