"""The servers: one file for each way to wait. What is said is the same in all of them."""

from chatlib.servers.core.limits import Limits
from chatlib.servers.core.server import Server
from chatlib.servers.coroutines import AsyncioServer
from chatlib.servers.event_loop import SelectorServer
from chatlib.servers.one_at_a_time import SyncServer
from chatlib.servers.process_per_client import ForkingServer
from chatlib.servers.raw_threads import RawThreadServer
from chatlib.servers.thread_per_client import ThreadingServer

__all__ = [
    "MODELS",
    "AsyncioServer",
    "ForkingServer",
    "Limits",
    "RawThreadServer",
    "SelectorServer",
    "Server",
    "SyncServer",
    "ThreadingServer",
]

MODELS: dict[str, type[Server]] = {
    "sync": SyncServer,
    "threading": ThreadingServer,
    "raw-threads": RawThreadServer,
    "forking": ForkingServer,
    "selectors": SelectorServer,
    "asyncio": AsyncioServer,
}
"""Every server, by the name that the command line gives it."""
