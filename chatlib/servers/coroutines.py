"""One thread for everybody, written as if each client had its own: a coroutine for each, on `asyncio`."""

import asyncio
import contextlib
from socket import socket
from typing import Any

from chatlib.servers.base import PAUSE
from chatlib.servers.conversation import CHUNK
...
