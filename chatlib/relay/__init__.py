"""Beyond one machine: several servers, of any kind, share one room through Redis Streams.

    python -m chatlib serve threading --service chat --relay redis://127.0.0.1:6379
    python -m chatlib serve asyncio   --service chat --relay redis://127.0.0.1:6379

What survives which fault, and how a client says from which line it goes on: docs/reliability.md.
"""

from chatlib.relay.cable import Cable
from chatlib.relay.chat import SharedChat
from chatlib.relay.rooms import SharedRoom
from chatlib.relay.start_redis import redis_server

__all__ = ["Cable", "SharedChat", "SharedRoom", "redis_server"]
