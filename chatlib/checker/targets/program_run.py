"""One run of a program: started under limits, watched while it runs, and killed with all its children."""

import contextlib
import ipaddress
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from chatlib.checker.errors import TargetError
from chatlib.checker.targets.capture import KEPT, last_lines
from chatlib.checker.targets.folder import StandIns
from chatlib.checker.targets.target import PORT
from chatlib.film.film import Film
from chatlib.resources import process_tree, psutil
from chatlib.sockets import LOOPBACK, Address

MEMORY = 1 << 30
"""Bytes that a program and its children may use; more, and it is killed."""

PROCESSES = 300
"""Processes that a program may be."""

ELSEWHERE = 1.5
"""Seconds for which it may be reached elsewhere only: some open another socket first, for other things."""

LIMITS = {
    "RLIMIT_CPU": 120,
    "RLIMIT_CORE": 0,
    "RLIMIT_FSIZE": 64 << 20,
    "RLIMIT_DATA": 4 << 30,
    "RLIMIT_NOFILE": 4096,
}
"""What the system itself holds a program to (POSIX)."""

ANY = {"0.0.0.0": LOOPBACK[0], "::": "::1", "*": LOOPBACK[0]}
"""What stands for all addresses of this computer, and one of them."""

COOKIE = "CHATLIB_CHECK"
"""An environment variable by which what a program has left behind is found."""

_TOO_LARGE = re.compile(rb"file too large|EFBIG", re.IGNORECASE)

SUPERVISOR = Path(__file__).with_name("supervisor.py")
POSIX = os.name == "posix"


class ProgramInstance:
    """Starts the program; does not wait until it listens.

    Args:
        command: Its words; `{port}` stands for the port.
        run: Tells the programs of this check from those of others.
        port: Where it is to listen.
        folders: Has one in which it is started.
        descriptors: How many it may have; as many as it likes if 0.

    Raises:
        TargetError: There is no such program.
    """

    server: Any = None
    thread: threading.Thread | None = None

    def __init__(
        self, command: list[str], run: str, port: int, folders: StandIns, descriptors: int = 0
    ) -> None:
        self.address: Address = (LOOPBACK[0], port)
        self.killed = ""
        """Why it was killed, if it was."""
        self._discarded = False
        self._cookie = f"{run}-{uuid.uuid4().hex}"  # not the port: a second server may be started on it
        self._printed = bytearray()
        self._folders, self._folder = folders, folders.take()
        command = [word.replace(PORT, str(port)) for word in command]
        if POSIX:
            limits = _limits() | ({"RLIMIT_NOFILE": descriptors} if descriptors else {})
            command = [sys.executable, "-I", "-S", str(SUPERVISOR), json.dumps(limits), *command]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", COOKIE: self._cookie}
        try:
            self._process = _spawn(command, environment, self._folder.path)
        except BaseException:
            folders.give_back(self._folder)
            raise
        assert self._process.stdin and self._process.stdout
        self._leash, self._output = self._process.stdin, self._process.stdout
        # The supervisor says first which process the program is. It says something else if it has failed,
        # and nothing if it was killed before.
        first = self._output.readline() if POSIX else b""
        self._pid = self._process.pid
        if first.strip().isdigit():
            self._pid = int(first)
        else:
            self._printed += first
        self._drain = threading.Thread(target=self._keep_output, daemon=True)
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
                silent = self._process.poll() == 0 and not self.printed().strip()
                cure = ". It ran to its end: a script has to start the server, and keep it running" * silent
                why = f"{ended}, before it listened on a port{self._quoted()}{cure}"
                raise TargetError(why, silent=silent)
            begun = time.monotonic()
            listeners = self.usage.listeners() if self.usage else set()
            if hosts := {host for host, port in listeners if port == wanted}:
                self.address = reachable(hosts, wanted), wanted
                return
            elsewhere = elsewhere_of(listeners, wanted) or self._not_by_tcp()
            elsewhere_since = (elsewhere_since or time.monotonic()) if elsewhere else 0.0
            if elsewhere and time.monotonic() - elsewhere_since > ELSEWHERE:
                raise TargetError(elsewhere, runs=True)
            # The system's table may be long: most of the time is the program's, not ours.
            time.sleep(min(max(0.005, 3 * (time.monotonic() - begun)), 0.2))
        why = f"it runs, but after {within:.0f} s it listens on no port (does it ask for input?)"
        raise TargetError(why + self._quoted(), runs=True)

    def _not_by_tcp(self) -> str:
        sockets = self.usage.other_sockets() if self.usage else []
        return f"it has {sockets[0]}: only TCP is checked" if sockets else ""

    def ended(self, within: float = 0.0) -> str:
        if self.killed:
            return f"the server was stopped: {self.killed}"
        if self._discarded:  # how the checker itself has ended it is no news
            return ""
        try:
            code = self._process.wait(within)
        except subprocess.TimeoutExpired:
            return ""
        self._drain.join(1.0)  # its last lines may still be on their way
        if code > 128 and POSIX:
            with contextlib.suppress(ValueError):
                return f"the server has ended: killed by {signal.Signals(code - 128).name}"
        return f"the server has ended, with exit code {code}"

    def printed(self) -> str:
        # In a traceback, its own file has no folder: the student knows nothing of the copy.
        return bytes(self._printed).decode("utf-8", "replace").replace(f"{self._folder.path}{os.sep}", "")

    def says(self, text: str) -> bool:
        return text in self.printed() or self._folder.contains(text.encode())

    def waiting(self, film: Film) -> tuple[str, ...]:
        return ()

    def limit(self) -> str:
        size, code = LIMITS["RLIMIT_FSIZE"], self._process.poll()
        too_large = _TOO_LARGE.search(bytes(self._printed)) or self._folder.largest() >= size
        if too_large or (POSIX and code == 128 + signal.SIGXFSZ):
            return f"a file that it wrote reached {size >> 10:,} KiB"
        if POSIX and code == 128 + signal.SIGXCPU:
            return f"it used {LIMITS['RLIMIT_CPU']} s of processor time"
        return ""

    def guard(self) -> None:
        if self.usage and not self.killed and self._process.poll() is None:
            memory = self.usage.memory_of_each()
            if len(memory) > PROCESSES:
                self.killed = f"it became more than {PROCESSES} processes"
            elif sum(memory) > MEMORY and (self.usage.own_memory() or 0) > MEMORY:
                self.killed = f"it used more than {MEMORY >> 20} MiB of memory"
            if self.killed:
                self._kill()

    def stop(self, seconds: float) -> str:
        if sys.platform == "win32":  # pragma: no cover
            self._process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGINT)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"Ctrl-C did not end it: it still ran {seconds:.0f} s later"
        return ""

    def discard(self) -> None:
        self._discarded = True
        self._kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)
        self._drain.join(0.2)
        if self._drain.is_alive():  # a child in a session of its own still holds the other end
            reap(self._cookie)
            self._drain.join(1.0)
        self._folders.give_back(self._folder)

    def _kill(self) -> None:
        children = self.usage.processes() if self.usage else []  # before they lose their parent
        with contextlib.suppress(OSError):
            self._leash.close()  # its supervisor kills it then
        for process in children:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _keep_output(self) -> None:
        output: Any = self._output
        with output:  # closed here: `close` in another thread would wait for this read
            while data := output.read1(4096):
                self._printed += data
                del self._printed[:-KEPT]

    def _quoted(self) -> str:
        self._drain.join(0.2)
        said = "\n".join(f"  {line}" for line in last_lines(self.printed()))
        return f". Its last lines:\n{said}" if said else ", and printed nothing"


def reachable(hosts: set[str], port: int) -> str:
    """Returns the address of this computer by which a program can be reached that listens on these.

    Raises:
        TargetError: There is none.
    """
    for host in sorted(hosts):  # 127.0.0.1 before ::1
        if host in ANY or ipaddress.ip_address(host).is_loopback:
            return ANY.get(host, host)
    raise TargetError(
        f"it listens on {min(hosts)}:{port}, an address in a network: only this computer's own address is"
        f" attacked, so let it bind {LOOPBACK[0]}",
        runs=True,
    )


def elsewhere_of(listeners: set[tuple[str, int]], wanted: int) -> str:
    """Says that a program listens on another port than it was told; nothing if it does not listen."""
    if not listeners:
        return ""
    port = min(port for _, port in listeners)
    why = f"it listens on port {port}, not on {wanted}, which it was told: let it take that"
    always = f"if it takes {port} each time, say --port {port}"
    return f"{why} from its command line (in Python: int(sys.argv[1])); or, {always}"


def reap(cookie: str) -> None:
    """Kills the processes whose environment tells that they are ours. Blocks for some milliseconds.

    A supervisor is told to end, with all that it has: killed, it would lose a child that is just becoming
    another program, and has no environment at that moment.
    """
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(COOKIE, "").startswith(cookie):
                supervises = POSIX and str(SUPERVISOR) in process.cmdline()
                (process.terminate if supervises else process.kill)()


def _spawn(command: list[str], environment: dict[str, str], folder: Path) -> "subprocess.Popen[bytes]":
    # In a session or group of its own, so that Ctrl-C in the terminal reaches the checker alone.
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":  # pragma: no cover
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        return subprocess.Popen(command, env=environment, cwd=folder, **pipes, **apart)
    except OSError as error:
        raise TargetError(f"cannot run {command[0]}: {error.strerror}") from None


def _limits() -> dict[str, int]:
    """Returns what a program is held to. All of a user's processes and threads count as processes."""
    if sys.platform == "win32" or os.getuid() == 0:  # the system does not hold root to a number of processes
        return LIMITS
    present = 0
    for process in psutil.process_iter(["uids", "num_threads"]):
        uids = process.info["uids"]
        if uids and uids.real == os.getuid():
            present += process.info["num_threads"] or 0
    return LIMITS | {"RLIMIT_NPROC": present + 1000}
