"""A server that is a program of its own, in any language."""

import socket
import sys
import uuid
from pathlib import Path

from chatlib.checker.errors import TargetError
from chatlib.checker.targets.folder import StandIns
from chatlib.checker.targets.program_run import POSIX, ProgramInstance, reap
from chatlib.checker.targets.target import PORT, STARTS_WITHIN, Instance, Need
from chatlib.resources import psutil
from chatlib.sockets import LOOPBACK

IN_USE = (
    "port {} is still in use: by another program, or by connections of the server before, if it does not"
    " set SO_REUSEADDR (see the case lifecycle.again)"
)
"""Why a program that always listens on one port may not start."""


class ProgramTarget:
    """A command that starts a server.

    Args:
        command: Its words; `{port}` stands for the port.
        port: Where it always listens, if the command does not say.

    Raises:
        TargetError: The package psutil is missing.
    """

    in_process = False

    def __init__(self, command: list[str], port: int = 0) -> None:
        if psutil is None:  # pragma: no cover
            raise TargetError("to check a program, the package psutil is needed: pip install psutil")
        self.command, self.port = command, port
        self.name = " ".join("python" if word == sys.executable else word for word in command)
        offers = {Need.START, Need.USAGE, Need.PORT}
        self.offers = frozenset(offers | ({Need.LIMITS} if POSIX else set()))
        # Where the port is fixed, there can be only one at a time.
        self.workers = 4 if any(PORT in word for word in command) else 1
        self._run, self._folders = uuid.uuid4().hex, StandIns(Path.cwd())

    def __enter__(self) -> "ProgramTarget":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, port: int = 0, descriptors: int = 0, within: float = STARTS_WITHIN) -> Instance:
        tries = 1 if port or self.port else 3
        while True:
            tries -= 1
            chosen = port or self.port or _bound(0)
            program = ProgramInstance(self.command, self._run, chosen, self._folders, descriptors)
            try:
                program.wait_until_it_listens(within)
                return program
            except BaseException as error:
                program.discard()
                if not isinstance(error, TargetError) or _bound(chosen):
                    raise
                if self.port and not port:
                    raise TargetError(f"{error}\n{IN_USE.format(self.port)}") from None
                if not tries:  # otherwise, another program has taken the port since it was found to be free
                    raise

    def close(self) -> None:
        """Kills what still runs of its programs, also what they have left behind in sessions of their own."""
        reap(self._run)
        self._folders.close()


def _bound(port: int) -> int:
    """Binds a port for a moment; any that is free, if 0. Returns its number, or 0 if it is taken."""
    try:
        with socket.create_server((LOOPBACK[0], port)) as listener:
            return int(listener.getsockname()[1])
    except OSError:
        return 0
