"""Who is measured: each server's command, the sign that it is ready, and the reason why it is left out."""

import itertools
import os
import shutil
import socket
from dataclasses import dataclass, replace
from pathlib import Path

from chatlib.bench.child import python
from chatlib.bench.records import FLOOR, Plan
from chatlib.servers import MODELS, Limits

PROCESSES = 200
"""A process for each client: with more than so many clients, it is left out."""


@dataclass(frozen=True)
class Contender:
    """A server that can be started."""

    command: list[str]
    """What starts it. A rival's holds `{port}`, for the port that it is told to take."""
    dialect: str
    """What is spoken with it: a name in `DIALECTS`."""
    sign: str = "listening on "
    """It is ready when it prints a line with this in it. After it comes the address, unless `port` is set."""
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
"""Servers of others that can be measured, too."""


def contender(server: str, service: str) -> Contender:
    """Returns what starts a server of this name."""
    if server == FLOOR:  # -P: what stands beside the file must not hide the standard library
        return Contender(python("-P", str(Path(__file__).with_name("baseline.py")), service), service)
    if server in RIVALS:
        rival, port = RIVALS[server], _free_port()
        return replace(rival, command=[word.format(port=port) for word in rival.command], port=port)
    return Contender(python("-m", "chatlib", "serve", server, "--service", service), service)


def _free_port() -> int:
    # Somebody may take it before the rival does: then that one ends, and the table says why.
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def schedule(plan: Plan) -> list[tuple[str, int]]:
    """Returns what is measured, in order: pairs of a server and a number of clients, the floor first."""
    pairs: dict[tuple[str, int], None] = {}  # each once, even if somebody names it twice
    for number, server in itertools.product(plan.clients, (*plan.models, *plan.against)):
        pairs[server, 1 if (server, plan.service) == ("sync", "shout") else number] = None
    floors = {(FLOOR, number) for server, number in pairs if not left_out(server, number, plan)}
    return sorted((*floors, *pairs), key=lambda pair: pair[1])


def left_out(server: str, clients: int, plan: Plan) -> str:
    """Returns the reason why a server is not measured with so many clients; empty if it is."""
    if os.name != "posix" and clients > Limits().clients:
        return f"more than {Limits().clients} clients are too many for select on this system"
    if plan.service == "shout":
        return _left_out_of_shout(server, clients)
    if server == "sync":
        return "it serves one client at a time, so nobody would hear a sender: see --service shout"
    if server == "forking":
        return "its processes share nothing, so nobody would hear a sender: see --service shout"
    if clients <= plan.least:
        return f"{plan.least + 1} clients are the least: who sends, and one who hears it"
    if server in RIVALS and not shutil.which(program := RIVALS[server].command[0]):
        return f"{program} is not installed, or not on the PATH"
    return ""


def _left_out_of_shout(server: str, clients: int) -> str:
    if server in RIVALS:
        return "it passes lines on to others; it does not shout"
    if server == "forking" and clients > PROCESSES:
        return f"more than {PROCESSES} processes are too many"
    return ""


def check_names(models: tuple[str, ...], against: tuple[str, ...]) -> None:
    """Raises ValueError if a name is none of a server."""
    for names, known, option in (models, tuple(MODELS), "--models"), (against, tuple(RIVALS), "--against"):
        for name in names:
            if name not in known:
                raise ValueError(f"there is no server {name!r}: {option} takes {', '.join(known)}")
