"""The servers: one file for each way to wait. What is said is the same in all of them."""

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from chatlib.lazy import lazily
from chatlib.servers.core.limits import Limits
from chatlib.servers.core.server import Server

if TYPE_CHECKING:  # the same as _HOMES, for those who read without running
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

_HOMES = {
    "chatlib.servers.coroutines": "AsyncioServer",
    "chatlib.servers.event_loop": "SelectorServer",
    "chatlib.servers.one_at_a_time": "SyncServer",
    "chatlib.servers.process_per_client": "ForkingServer",
    "chatlib.servers.raw_threads": "RawThreadServer",
    "chatlib.servers.thread_per_client": "ThreadingServer",
}
"""Where each server lives. Only what is used is imported: asyncio takes as long as all the others."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)


class _Models(Mapping[str, type[Server]]):
    """Names and servers. Looking one up imports that server; walking through the values, all of them."""

    _classes = {
        "sync": "SyncServer",
        "threading": "ThreadingServer",
        "raw-threads": "RawThreadServer",
        "forking": "ForkingServer",
        "selectors": "SelectorServer",
        "asyncio": "AsyncioServer",
    }

    def __getitem__(self, name: str) -> type[Server]:
        found: type[Server] = getattr(sys.modules[__name__], self._classes[name])
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)

    def __repr__(self) -> str:
        return repr(dict(self))


MODELS = _Models()
"""Every server, by the name that the command line gives it."""
