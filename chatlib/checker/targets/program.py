"""A server that is a program of its own, in any language: it runs under limits, and is killed at the end."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from pathlib import Path
from typing import Any

from chatlib.checker.errors import TargetError
from chatlib.checker.targets.capture import last_lines
from chatlib.checker.targets.target import PORT, STARTS_WITHIN, Instance, Need
from chatlib.resources import process_tree, psutil
from chatlib.sockets import LOOPBACK, Address

MEMORY = 1 << 30
"""Bytes that a program and its children may use; more, and it is killed."""

ELSEWHERE = 1.5
"""Seconds for which it may listen on other ports only: some open one for other things first."""

IN_USE = (
    "port {} is still in use: by another program, or by connections of the server before, if it does not"
    " set SO_REUSEADDR (see the case lifecycle.again)"
)
"""Why a program that always listens on one port may not start."""

PROCESSES = 300
"""Processes that a program may be."""

LIMITS = {
    "RLIMIT_CPU": 120,
    "RLIMIT_CORE": 0,
    "RLIMIT_FSIZE": 64 << 20,
    "RLIMIT_DATA": 4 << 30,
    "RLIMIT_NOFILE": 4096,
}
"""What the system itself holds a program to (POSIX)."""

COOKIE = "CHATLIB_CHECK"
"""An environment variable by which what a program has left behind is found."""

SUPERVISOR = Path(__file__).with_name("supervisor.py")
POSIX = os.name == "posix"


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
        self.told = any(PORT in word for word in command)
        offers = {Need.START, Need.USAGE, Need.PORT}
        self.offers = frozenset(offers | ({Need.LIMITS} if POSIX else set()))
        self.workers = 4 if self.told else 1  # where the port is fixed, there can be only one at a time
        self.cookie = uuid.uuid4().hex

    def __enter__(self) -> "ProgramTarget":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, port: int = 0, descriptors: int = 0, within: float = STARTS_WITHIN) -> Instance:
        tries = 1 if port or self.port else 3
        while True:
            tries -= 1
            chosen = port or self.port or _free_port()
            process = ProgramInstance(self, chosen, descriptors)
            try:
                process.wait_until_it_listens(within)
                return process
            except BaseException as error:
                process.discard()
                if not isinstance(error, TargetError) or not _taken(chosen):
                    raise
                if self.port and not port:
                    raise TargetError(f"{error}\n{IN_USE.format(self.port)}") from None
                if not tries:  # otherwise, somebody else has taken the port since it was found to be free
                    raise

    def close(self) -> None:
        """Kills what still runs of its programs, also what they have left behind in sessions of their own."""
        _reap(self.cookie)


class ProgramInstance:
    """One run of a program.

    Args:
        program: Which.
        port: Where it is to listen.
        descriptors: How many it may have; as many as it likes if 0.
    """

    server: Any = None
    thread: threading.Thread | None = None

    def __init__(self, program: ProgramTarget, port: int, descriptors: int) -> None:
        self.address: Address = (LOOPBACK[0], port)
        self.killed = ""
        """Why it was killed, if it was."""
        self._printed: deque[bytes] = deque(maxlen=64)
        command = [word.replace(PORT, str(port)) for word in program.command]
        limits = LIMITS | _process_limit() | ({"RLIMIT_NOFILE": descriptors} if descriptors else {})
        if POSIX:
            command = [sys.executable, "-I", "-S", str(SUPERVISOR), json.dumps(limits), *command]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", COOKIE: f"{program.cookie}-{port}"}
        self._cookie = environment[COOKIE]
        self._process = _spawn(command, environment)
        self._pid = self._process.pid
        if POSIX:
            self._pid = int(self._process.stdout.readline() or self._pid)  # type: ignore[union-attr]
        self._drain = threading.Thread(target=self._keep, daemon=True)
        self._drain.start()
        self.usage: Any = process_tree(self._pid)

    def wait_until_it_listens(self, within: float) -> None:
        """Looks into the system's table: to connect would already be a client that comes and goes.

        Blocks for at most `within` seconds.

        Raises:
            TargetError: It ends, listens elsewhere, or not at all.
        """
        wanted, deadline = self.address[1], time.monotonic() + within
        elsewhere_since = 0.0
        while time.monotonic() < deadline:
            if ended := self.ended():
                quiet = self._process.poll() == 0 and not self.said()
                cure = (
                    ". It ran to its end: a script has to start the server, and keep it running"
                    if quiet
                    else ""
                )
                raise TargetError(
                    f"{ended}, before it listened on a port{self._quoted()}{cure}", silent=quiet
                )
            ports = self.usage.ports() if self.usage else set()
            if wanted in ports:
                return
            elsewhere_since = (elsewhere_since or time.monotonic()) if ports else 0.0
            if ports and time.monotonic() - elsewhere_since > ELSEWHERE:
                raise TargetError(_elsewhere(min(ports), wanted), runs=True)
            time.sleep(0.005)
        silent = f"it runs, but after {within:.0f} s it listens on no port (does it ask for input?)"
        raise TargetError(silent + self._quoted(), runs=True)

    def ended(self, within: float = 0.0) -> str:
        if self.killed:
            return f"the server was stopped: {self.killed}"
        try:
            code = self._process.wait(within)
        except subprocess.TimeoutExpired:
            return ""
        self._drain.join(1.0)
        if code > 128 and POSIX:
            with contextlib.suppress(ValueError):
                return f"the server has ended: killed by {signal.Signals(code - 128).name}"
        return f"the server has ended, with exit code {code}"

    def said(self) -> tuple[str, ...]:
        return last_lines(b"".join(list(self._printed)).decode("utf-8", "replace"))

    def waiting(self) -> tuple[str, ...]:
        return ()

    def guard(self) -> None:
        """Kills it if it uses too much."""
        if self.usage and not self.killed and self._process.poll() is None:
            if len(self.usage.processes()) > PROCESSES:
                self.killed = f"it became more than {PROCESSES} processes"
            elif self.usage.memory() > MEMORY and (self.usage.own_memory() or 0) > MEMORY:
                self.killed = f"it used more than {MEMORY >> 20} MiB of memory"
            if self.killed:
                self._kill()

    def stop(self, seconds: float) -> str:
        if POSIX:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGINT)
        else:  # pragma: no cover
            self._process.send_signal(signal.CTRL_BREAK_EVENT)  # type: ignore[attr-defined]
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"Ctrl-C did not end it: it still ran {seconds:.0f} s later"
        return ""

    def discard(self) -> None:
        self._kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)
        self._drain.join(0.2)
        if self._drain.is_alive():  # somebody else holds the other end: a child in a session of its own
            _reap(self._cookie)
            self._drain.join(1.0)

    def _kill(self) -> None:
        children = self.usage.processes() if self.usage else []  # before they lose their parent
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr] # the leash: its supervisor kills it
        for process in children:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _keep(self) -> None:
        stream: Any = self._process.stdout
        with stream:  # closed here: close would wait for a thread that still reads
            while data := stream.read1(4096):
                self._printed.append(data)

    def _quoted(self) -> str:
        self._drain.join(0.2)
        said = "\n".join(f"  {line}" for line in self.said())
        return f". Its last lines:\n{said}" if said else ", and printed nothing"


def _elsewhere(port: int, wanted: int) -> str:
    return (
        f"it listens on port {port}, not on {wanted}, which it was told: let it take that from"
        f" its command line (in Python: int(sys.argv[1])), or say --port {port}"
    )


def _spawn(command: list[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    options: dict[str, Any] = {}
    if not POSIX:  # pragma: no cover
        options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP  # type: ignore[attr-defined]
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.STDOUT,
            start_new_session=POSIX,
            **options,
        )
    except OSError as error:
        raise TargetError(f"cannot run {command[0]}: {error.strerror}") from None


def _reap(cookie: str) -> None:
    """Kills the processes whose environment tells that they are ours."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(COOKIE, "").startswith(cookie):
                process.kill()


def _process_limit() -> dict[str, int]:
    """The limit counts all processes and threads of this user, so it is set above what there are already."""
    if not POSIX or os.getuid() == 0:  # the system does not hold root to it
        return {}
    present = 0
    for process in psutil.process_iter(["uids", "num_threads"]):
        uids = process.info["uids"]
        if uids and uids.real == os.getuid():
            present += process.info["num_threads"] or 0
    return {"RLIMIT_NPROC": present + 1000}


def _free_port() -> int:
    with socket.create_server(LOOPBACK) as probe:
        return int(probe.getsockname()[1])


def _taken(port: int) -> bool:
    try:
        socket.create_server((LOOPBACK[0], port)).close()
    except OSError:
        return True
    return False
