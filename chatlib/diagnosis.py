"""Is everything there that the lessons need? What is missing is named, with the cure."""

import contextlib
import importlib.util
import socket
import sys
from typing import NamedTuple

from chatlib.relay.start_redis import installed


class Finding(NamedTuple):
    """One thing that was looked at."""

    what: str
    ok: bool
    cure: str

    def __str__(self) -> str:
        return f"ok      {self.what}" if self.ok else f"MISSING {self.what}: {self.cure}"


class Report(tuple[Finding, ...]):
    """All findings; as text, a line for each."""

    @property
    def well(self) -> bool:
        """True when nothing is missing."""
        return all(finding.ok for finding in self)

    def __str__(self) -> str:
        last = "Everything is there." if self.well else "Mend what is missing, then ask again."
        return "\n".join([*map(str, self), last])

    __repr__ = __str__


def doctor() -> Report:
    """Looks at Python, the packages and the network of this computer. Blocks for at most 3 s."""
    return Report(
        [
            Finding("Python 3.11 or newer", sys.version_info >= (3, 11), "install it from python.org"),
            *map(_package, ("jupyterlab", "ipykernel", "ipywidgets", "anywidget", "psutil", "matplotlib")),
            _redis(),
            _loopback(),
        ]
    )


def _package(name: str) -> Finding:
    there = importlib.util.find_spec(name) is not None
    return Finding(f"the package {name}", there, "use the Python of .venv, which python3 run.py lab makes")


def _redis() -> Finding:
    there = installed() or importlib.util.find_spec("fakeredis")
    return Finding("a Redis for lesson 13", bool(there), "install redis-server, or pip install fakeredis")


def _loopback() -> Finding:
    cure = "allow Python to talk on 127.0.0.1 in the firewall of this computer"
    heard = b""
    with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname(), 1.0) as client:
            client.sendall(b"?")
        listener.settimeout(1.0)
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(1.0)
            heard = connection.recv(1)
    return Finding("a server and a client can talk on 127.0.0.1", heard == b"?", cure)
