"""Fixtures: every server, started, and connections to it. All that a test opens is closed."""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import children
import ports
import pytest
import refresh
from faults import SOON, dial, eventually, server_threads
from hypothesis import HealthCheck, settings

import chatlib

# No test asks how fast the machine is, and nor does what makes examples for it.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

Serve = Callable[..., chatlib.Server]
Connect = Callable[..., chatlib.Client]
Dial = Callable[..., socket.socket]

# A forked child has its own journal, and its own members: see test_processes.py.
SHARING = {name: model for name, model in chatlib.MODELS.items() if model is not chatlib.ForkingServer}
SEVERAL_AT_ONCE = {name: model for name, model in SHARING.items() if model is not chatlib.SyncServer}
LONGEST = [
    "test_browser",
    "test_checker",
    "test_dialects",
    "test_servers",
    "test_specimens",
    "test_bench",
    "test_ex05",
    "test_other_protocols",
    "test_targets",
    "14_",
    "test_reports",
    "test_ex06b",
    "test_ex14",
    "test_verdict",
    "test_ex11",
    "test_ex08",
    "test_reference_servers",
]
BEGUN = time.monotonic()
ON_LINUX = "# on Linux"
"""So begin the cells of lesson 07 that show what systems do in different ways."""
THREADED = {"threading": chatlib.ThreadingServer, "raw-threads": chatlib.RawThreadServer}


def pytest_addoption(parser: pytest.Parser) -> None:
    """With `--exhaustive`, the tests marked so run, and no others: those are for the quick run."""
    parser.addoption("--exhaustive", action="store_true", help="run only the tests marked exhaustive")
    parser.addoption("--within", type=float, metavar="SECONDS", help="skip the tests that would begin later")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what is not asked for, or cannot run here; what takes longest begins first."""
    wanted: dict[bool, list[pytest.Item]] = {True: [], False: []}
    for item in items:
        exhaustive = item.get_closest_marker("exhaustive") is not None
        graded = refresh.GRADED in getattr(item, "cell", {}).get("source", "")  # for nbgrader alone
        wanted[exhaustive is config.getoption("exhaustive") and not graded].append(item)
    config.hook.pytest_deselected(items=wanted[False])
    items[:] = wanted[True]
    for item in [] if hasattr(os, "fork") else items:
        runs = item.path.suffix == ".ipynb" or item.path.name == "test_browser.py"
        if runs and "11_processes" in item.nodeid:
            item.add_marker(pytest.mark.skip(reason="this system cannot fork"))
    for item in [] if sys.platform == "linux" else items:
        if getattr(item, "cell", {}).get("source", "").startswith(ON_LINUX):
            item.options["check"] = False  # type: ignore[attr-defined]  # it runs, and may show something else
    # Files are shared out in this order: a long one at the end would keep all the others waiting.
    items.sort(
        key=lambda item: next(
            (at for at, name in enumerate(LONGEST) if item.path.name.startswith(name)), len(LONGEST)
        )
    )


def pytest_configure(config: pytest.Config) -> None:
    """All that this run starts can be found; where it is shared out, each process inherits that."""
    ports.choose_ours()
    # A shell that starts the tests in the background has SIGINT ignored, and what is ignored is inherited: no
    # Ctrl-C would reach what a test starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        os.environ[children.RUN] = str(os.getpid())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leaves out what is not reached in time, if that is limited."""
    within = item.config.getoption("within")
    if within is not None and time.monotonic() - BEGUN >= within:
        pytest.skip(f"not reached within {within:g} s")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Nothing runs on, also when a process with tests has crashed and so could not see to that itself."""
    if not hasattr(session.config, "workerinput"):
        children.end(children.started_by(children.RUN))


@pytest.fixture(scope="module", autouse=True)
def _nothing_runs_on() -> Iterator[None]:
    """After each file: every thread and process that its tests have started has ended."""
    os.environ[children.WORKER] = str(os.getpid())
    before = _threads()
    yield
    left = children.end(children.started_by(children.WORKER), within=SOON)
    assert not left, f"still running: {left}"
    # A film in the next file would see a thread that waits on.
    assert eventually(lambda: not _threads() - before), _threads() - before


def _threads() -> set[threading.Thread]:
    """Those of Python. Of others it keeps a stand-in for ever."""
    return {one for one in threading.enumerate() if not isinstance(one, threading._DummyThread)}


@pytest.fixture(params=list(SHARING.values()), ids=list(SHARING))
def model(request: pytest.FixtureRequest) -> Any:
    """Every kind of server that serves in this process."""
    return request.param


@pytest.fixture(params=list(SEVERAL_AT_ONCE.values()), ids=list(SEVERAL_AT_ONCE))
def several(request: pytest.FixtureRequest) -> Any:
    """Every kind of server that serves several clients at once."""
    return request.param


@pytest.fixture(params=list(THREADED.values()), ids=list(THREADED))
def threaded(request: pytest.FixtureRequest) -> Any:
    """Every kind of server with a thread for each client."""
    return request.param


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """After each test: no server runs, and no thread of one is alive."""
    yield
    chatlib.stop_all()
    for thread in server_threads():
        thread.join(SOON)
        assert not thread.is_alive(), f"{thread.name!r} is still alive"


@pytest.fixture
def serve(_nothing_is_left: None) -> Iterator[Serve]:
    """Starts a server, which is stopped at the end."""
    with contextlib.ExitStack() as stack:

        def start(model: type[chatlib.Server], *args: Any, **kwargs: Any) -> chatlib.Server:
            server = model(*args, **kwargs)
            stack.callback(server.server_close)
            return chatlib.start(server)

        yield start


@pytest.fixture
def server(serve: Serve, model: type[chatlib.Server]) -> chatlib.Server:
    """A started server of every kind; it shouts."""
    return serve(model)


@pytest.fixture
def connect(serve: Serve) -> Iterator[Connect]:
    """Connects a client, which is closed at the end: before its server is stopped."""
    with contextlib.ExitStack() as stack:

        def open_client(target: Any, name: str | None = None) -> chatlib.Client:
            return stack.enter_context(chatlib.connect(target, name, timeout=SOON))

        yield open_client


@pytest.fixture
def plug(serve: Serve) -> Iterator[Dial]:
    """Connects a plain socket, which is closed at the end: before its server is stopped."""
    with contextlib.ExitStack() as stack:

        def open_socket(target: Any, receive_buffer: int = 0) -> socket.socket:
            return stack.enter_context(dial(target, receive_buffer))

        yield open_socket
