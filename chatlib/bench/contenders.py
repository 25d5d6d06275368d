"""The servers that are measured: their commands, the sign that one is ready, the reason to leave one out."""

import itertools
import os
import shutil
import socket
from dataclasses import dataclass, replace
from pathlib import Path

from chatlib.bench.child import python
from chatlib.bench.records import FLOOR, Plan, Row
from chatlib.servers import MODELS, Limits

MAX_PROCESSES = 200
"""With more clients than this, a server with a process for each client is left out."""


@dataclass(frozen=True)
class Contender:
    """A server that can be started."""

    command: list[str]
    """What starts it. A rival's holds `{port}`, for the port that it is told to take."""
    protocol: str
    """How it wants lines to be written on the wire: a name in `PROTOCOLS`."""
    sign: str = "listening on "
    """It is ready when it prints a line with this in it. The address follows, unless `port` is set."""
    port: int = 0
    """The port that it was told to take; 0 if it chooses one, and says which."""

    def address(self, line: str) -> tuple[str, int]:
        """Returns where it listens, after it has printed this line."""
        host, _, port = line.rpartition(self.sign)[2].strip().rpartition(":")
        return ("127.0.0.1", self.port) if self.port else (host, int(port))


RIVALS = {
    "redis": Contender(
        ["redis-server", "--bind", "127.0.0.1", "--port", "{port}", "--save", "", "--appendonly", "no"],
        "redis",
        "Ready to accept connections",
    ),
    "nats": Contender(["nats-server", "--addr", "127.0.0.1", "--port", "{port}"], "nats", "Server is ready"),
}
"""Programs of others that can be measured, too."""

TEXTBOOK = {
    "textbook-threads": ("textbook.py", "threads"),
    "textbook-asyncio": ("textbook.py", "asyncio"),
}
"""Servers as a textbook writes them: the file in this folder, and its first word."""

ON_A_PAGE = {FLOOR: ("baseline.py",), **TEXTBOOK}
"""These, and the floor."""

AGAINST = (*RIVALS, *TEXTBOOK)
"""Servers that ours can be compared with."""


def contender(server: str, service: str) -> Contender:
    """Returns what starts a server of this name."""
    if server in ON_A_PAGE:  # -P: what stands beside the file must not hide the standard library
        file, *words = ON_A_PAGE[server]
        return Contender(python("-P", str(Path(__file__).with_name(file)), *words, service), service)
    if server in RIVALS:
        # Another program may take the port before the rival: then the rival ends, and the table says why.
        with socket.create_server(("127.0.0.1", 0)) as probe:
            rival, port = RIVALS[server], int(probe.getsockname()[1])
        return replace(rival, command=[word.format(port=port) for word in rival.command], port=port)
    return Contender(python("-m", "chatlib", "serve", server, "--service", service), service)


def schedule(plan: Plan) -> list[Row]:
    """Returns what is to be measured, in order, the floor first; what is left out has its reason already."""
    pairs: dict[tuple[str, int], None] = {}  # each once, even if it is named twice
    for number, server in itertools.product(plan.clients, (*plan.models, *plan.against)):
        pairs[server, 1 if (server, plan.service) == ("sync", "shout") else number] = None
    rows = [Row(server, number, reason=left_out(server, number, plan)) for server, number in pairs]
    floors = {row.clients: Row(FLOOR, row.clients) for row in rows if not row.reason}
    return sorted((*floors.values(), *rows), key=lambda row: row.clients)


def left_out(server: str, clients: int, plan: Plan) -> str:
    """Returns the reason why a server is not measured with this number of clients; empty if it is."""
    if os.name != "posix" and clients > Limits().clients:
        return f"more than {Limits().clients} clients are too many for select on this system"
    if plan.service == "shout":
        if server in RIVALS:
            return "it passes lines on to others; it does not shout"
        too_many = server == "forking" and clients > MAX_PROCESSES
        return f"more than {MAX_PROCESSES} processes are too many" if too_many else ""
    if server == "sync":
        return "it serves one client at a time, so nobody would hear a sender: see --service shout"
    if server == "forking":
        return "its processes share nothing, so nobody would hear a sender: see --service shout"
    if clients <= plan.least:
        return f"{plan.least + 1} clients are the least: the senders, and one client that hears them"
    if server in RIVALS and not shutil.which(program := RIVALS[server].command[0]):
        return f"{program} is not installed, or not on the PATH"
    return ""


def check_names(models: tuple[str, ...], against: tuple[str, ...]) -> None:
    """Raises ValueError if there is no server of such a name."""
    for names, known, option in (models, tuple(MODELS), "--models"), (against, AGAINST, "--against"):
        for name in names:
            if name not in known:
                raise ValueError(f"there is no server {name!r}: {option} takes {', '.join(known)}")
