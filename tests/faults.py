"""What goes wrong on a network, by name: each helper does one rude thing, or watches what comes of it."""

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import chatlib

SOON = 60.0
"""Seconds within which anything must have happened. Only a failing test waits so long."""

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")

Server = chatlib.Server


def eventually(condition: Callable[[], object], within: float = SOON) -> bool:
    """Waits for what is not announced: a count of descriptors, an entry in a table of the system."""
    deadline, never = time.monotonic() + within, threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        never.wait(0.005)
    return True


def dial(server: Any, receive_buffer: int = 0) -> socket.socket:
    """Returns a plain connected socket, whose every call has a deadline."""
    sock = socket.socket()
    try:
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(SOON)
        sock.connect(server.server_address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def read_exactly(sock: socket.socket, count: int) -> bytes:
    """Returns `count` bytes, or fewer if the stream ends before."""
    received = bytearray()
    while len(received) < count and (chunk := sock.recv(min(65_536, count - len(received)))):
        received += chunk
    return bytes(received)


def read_to_the_end(sock: socket.socket) -> bytes:
    """Returns all that comes until the other side closes (FIN); a reset raises."""
    received = bytearray()
    while chunk := sock.recv(65_536):
        received += chunk
    return bytes(received)


def reset(sock: socket.socket) -> None:
    """Closes with a reset (RST), as when a program crashes."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if os.name == "nt" else "ii", 1, 0))
    sock.close()


def jam(sock: socket.socket) -> int:
    """Fills the kernel's buffers towards a peer that does not read; returns how many bytes they took."""
    sock.setblocking(False)
    taken = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            taken += sock.send(bytes(65_536))
    return taken


def together(*jobs: Callable[[], object], within: float = SOON) -> None:
    """Runs the jobs at the same moment, a thread each, and raises what the first of them raised."""
    barrier, errors = threading.Barrier(len(jobs)), list[BaseException]()

    def run(job: Callable[[], object]) -> None:
        try:
            barrier.wait(SOON)
            job()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(within)
        assert not thread.is_alive(), "a job did not end"
    if errors:
        raise errors[0]


@contextlib.contextmanager
def no_thread_starts(prefix: str) -> Iterator[None]:
    """The system has no thread left for these names. (A stand-in: the real limit does not bind root.)"""
    start = threading.Thread.start

    def fail(thread: threading.Thread) -> None:
        if thread.name.startswith(prefix):
            raise RuntimeError("can't start new thread")
        start(thread)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        yield


@contextlib.contextmanager
def hasty_switching() -> Iterator[None]:
    """Lets the interpreter change threads as often as it can, so that rare races happen."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def resident_bytes() -> int:
    """Memory of this process that is really in use (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_descriptors() -> int:
    """How many descriptors this process has open (Linux)."""
    return len(os.listdir("/proc/self/fd"))


def server_threads() -> list[threading.Thread]:
    """The threads of any server of ours that are alive, by their names."""
    names = ("the server", "serves ", "the flusher")
    return [thread for thread in threading.enumerate() if thread.name.startswith(names)]


class Tripwire(chatlib.Shout):
    """A service with a mistake in it: some lines make it raise, or stop its own server."""

    server: Server

    def answer(self, member: chatlib.Member, lines: list[str]) -> None:
        for line in lines:
            if line == "boom":
                raise LookupError("no such thing")
            if line == "exit":
                raise SystemExit(3)
            if line == "stop":
                self.server.shutdown()
        super().answer(member, lines)


class Sleeper(chatlib.Shout):
    """A service that blocks in `answer`, until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep, self.awake = threading.Event(), threading.Event()

    def answer(self, member: chatlib.Member, lines: list[str]) -> None:
        if lines:
            self.asleep.set()
            self.awake.wait(SOON)


class Child:
    """Another Python process: it runs a script, then answers expressions, so that a test can look inside.

    Args:
        script: What it runs first.
    """

    LOOP = "\nimport sys\nfor line in sys.stdin:\n    print(repr(eval(line)), flush=True)\n"

    def __init__(self, script: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script + self.LOOP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def ask(self, expression: str) -> Any:
        """Returns the value of an expression in the child, which must be a literal."""
        import ast

        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()
        killer = threading.Timer(3 * SOON, self.process.kill)
        killer.start()
        try:
            return ast.literal_eval(self.process.stdout.readline())
        finally:
            killer.cancel()
            killer.join()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        with self.process:  # closes the pipes: the child's loop ends
            assert self.process.stdin
            self.process.stdin.close()
            try:
                self.process.wait(SOON)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise


@contextlib.contextmanager
def ended(process: "subprocess.Popen[str]", within: float = 6 * SOON) -> Iterator["subprocess.Popen[str]"]:
    """Ends a child process whatever happens, also while its output is waited for: no wait here is endless."""
    with process:
        killer = threading.Timer(within, process.kill)
        killer.start()
        try:
            yield process
        finally:
            killer.cancel()
            process.kill()


def jupyter_of(process: "subprocess.Popen[Any]", runtime: Path) -> dict[str, Any]:
    """Waits until a JupyterLab listens; returns what it says of itself, as its `url` and `port`.

    Args:
        process: It.
        runtime: What it was given as JUPYTER_RUNTIME_DIR.
    """
    file, said = runtime / f"jpserver-{process.pid}.json", dict[str, Any]()

    def listens() -> bool:
        with contextlib.suppress(OSError, ValueError):  # not there yet, not all of it, or a moment too early
            said.update(json.loads(file.read_text(encoding="utf-8")))
            socket.create_connection((said["hostname"], said["port"]), SOON).close()
            return True
        return process.poll() is not None

    assert eventually(listens, 10 * SOON) and process.poll() is None, "JupyterLab does not start"
    return said


def environment(traced: bool = True) -> dict[str, str]:
    """Returns the environment for a child process that imports this very chatlib.

    Args:
        traced: False to leave the child out of what is measured of the coverage: it is faster, and on
            Python 3.11 a traced thread that is ended by force may stand still for ever.
    """
    names = [name for name in list(os.environ) if traced or not name.startswith("COVERAGE_")]
    # A pool's thread may ask for it while pytest, in another one, takes a name out again.
    kept = {name: value for name in names if (value := os.environ.get(name)) is not None}
    return {**kept, "PYTHONPATH": str(Path(chatlib.__file__).parents[1])}


def untraced(work: Callable[[], object]) -> list[str]:
    """Runs a function of a test module in a child process without coverage; returns the lines it prints."""
    child = subprocess.run(
        [sys.executable, "-c", f"import {work.__module__} as tests; tests.{work.__name__}()"],
        cwd=Path(__file__).parent,
        env=environment(traced=False),
        capture_output=True,
        text=True,
        timeout=6 * SOON,
    )
    assert child.returncode == 0, child.stderr
    return child.stdout.splitlines()
