"""From a class, a function, a script, a command or HOST:PORT to a server that can be connected to."""

import ipaddress
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chatlib.checker.errors import TargetError
from chatlib.checker.targets.in_process import InProcessTarget
from chatlib.checker.targets.program import ProgramTarget
from chatlib.checker.targets.remote import Remote
from chatlib.checker.targets.target import PORT, Target


def target_of(what: Any, port: int = 0, lan: bool = False) -> Target:
    """Returns what servers can be started from. Blocks for at most three seconds, for `HOST:PORT`.

    Args:
        what: A server class, or a function that makes a server from an address; the path of a script; a
            command, as a list, with `{port}` in it; `HOST:PORT`, or a server that runs.
        port: Where a program always listens, if it does not let itself be told.
        lan: Whether a private address other than this computer's may be attacked.

    Raises:
        TargetError: There is no such thing.
    """
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise TargetError(f"{port!r} is not a port: ports are numbers from 1 to 65535")
    if isinstance(what, (str, Path)) and str(what):
        host, _, number = str(what).rpartition(":")
        if number.isdecimal() and host and not Path(what).exists():
            return _remote(host.strip("[]"), int(number), lan)
        return ProgramTarget(_command([str(what)], port), port)
    if isinstance(what, Sequence) and what and all(isinstance(word, str) for word in what):
        return ProgramTarget(_command(list(what), port), port)
    if not isinstance(what, type) and isinstance(address := getattr(what, "server_address", None), tuple):
        return _remote(address[0], address[1], lan)
    if callable(what):
        return InProcessTarget(what)
    raise TargetError(f"{what!r} cannot be checked: give a server class, the path of a script, or HOST:PORT")


def _remote(host: str, port: int, lan: bool) -> Remote:
    if not 0 < port <= 65535:
        raise TargetError(f"{port} is not a port: ports are numbers from 1 to 65535")
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "localhost": "127.0.0.1", "::": "::1"}.get(host, host)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise TargetError(f"{host} is a name: give the address itself, like 127.0.0.1:{port}") from None
    if not address.is_loopback:
        if not address.is_private or address.is_multicast or address.is_reserved:
            raise TargetError(f"{host} is a public address: only servers on this computer are checked")
        if not lan:
            raise TargetError(f"{host} is another computer: if it is yours, say --lan (in Python: lan=True)")
    try:
        socket.create_connection((host, port), timeout=3.0).close()
    except OSError as error:
        refused = isinstance(error, ConnectionRefusedError)
        why = "nobody listens there" if refused else error.strerror or "no answer"
        raise TargetError(f"cannot connect to {host}:{port}: {why}") from None
    return Remote((host, port))


def _command(words: list[str], port: int) -> list[str]:
    """Returns the command that starts a program, with `{port}` in it where it can be told its port."""
    first = Path(words[0])
    alone = len(words) == 1
    if alone and first.is_dir():
        raise TargetError(f"{first} is a directory: give the script in it that starts the server")
    if alone and not first.exists():
        raise TargetError(f"there is no {first}: give a script, HOST:PORT, or a command after --")
    if alone and first.suffix == ".py":
        words = [sys.executable, str(first)]
    elif alone and not (os.access(first, os.X_OK) and first.is_file()):
        raise TargetError(f"{first} is no Python script: say how it is run, as in -- node server.js {PORT}")
    if any(PORT in word for word in words) or port:
        return words
    if alone:
        return [*words, PORT]
    raise TargetError(f"the command does not say where the port goes: write {PORT} there, or give --port")
