"""Running a cell again: in a real kernel, with the messages that a notebook sends."""

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Connect, Serve
from faults import POSIX, SOON, environment, eventually

import chatlib
from chatlib import notebook_cells

KernelManager = pytest.importorskip("jupyter_client").KernelManager
pytest.importorskip("ipykernel")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Notebook:
    """A kernel of its own, which runs cells as a front end asks it to.

    Args:
        manager: Who started the kernel.
        client: Connected to it.
    """

    def __init__(self, manager: Any, client: Any) -> None:
        self.manager, self.client = manager, client
        self.displays: list[Any] = []
        """What was displayed, or changed in a display, in all cells so far."""

    def send(self, code: str, cell: str | None) -> str:
        """Asks for a cell to be run, and does not wait; returns the id of the request."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "allow_stdin": False,
            "stop_on_error": False,
        }
        metadata = {"cellId": cell} if cell else {}
        message = self.client.session.msg(
            "execute_request", {**content, "user_expressions": {}}, metadata=metadata
        )
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def output(self, request: str) -> str:
        """Waits until a cell has run; returns what it showed, or the name of the error that ended it."""
        shown = ""
        while True:
            message = self.client.get_iopub_msg(timeout=3 * SOON)
            kind, content = message["msg_type"], message["content"]
            if kind in ("display_data", "update_display_data"):
                self.displays.append(content)
            if message["parent_header"].get("msg_id") != request:
                continue
            if kind == "status" and content["execution_state"] == "idle":
                self.client.get_shell_msg(timeout=SOON)
                return shown.strip()
            if kind == "stream":
                shown += content["text"]
            elif kind == "execute_result":
                shown += content["data"]["text/plain"]
            elif kind == "error":
                shown += content["ename"]

    def run(self, code: str, cell: str | None = "elsewhere") -> str:
        """Runs a cell; returns what it showed."""
        return self.output(self.send(code, cell))

    def is_open(self, name: str) -> bool:
        """Returns whether the server or client of that name in the notebook is still open."""
        return self.run(f"{name}.socket.fileno() != -1") == "True"


@pytest.fixture(scope="module")
def kernel() -> Iterator[Notebook]:
    """One kernel for this file: starting one takes a second."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env=environment())
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=6 * SOON)
        yield Notebook(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
        manager.cleanup_resources()


@pytest.fixture
def notebook(kernel: Notebook) -> Iterator[Notebook]:
    """The kernel, with chatlib imported, nothing started, and no cell remembered."""
    kernel.run("import chatlib; from chatlib import notebook_cells; chatlib.stop_all()")
    kernel.run("notebook_cells._opened.clear()")
    yield kernel
    kernel.run("chatlib.stop_all()")


START = "earlier = globals().get('server'); server = chatlib.start(chatlib.ThreadingServer)"


def test_a_server_is_replaced_when_its_cell_runs_again(notebook: Notebook) -> None:
    """The one before is stopped, the new one runs."""
    assert notebook.run(START, "a") == ""
    assert notebook.run(START, "a") == ""
    assert not notebook.is_open("earlier")
    assert notebook.is_open("server")
    assert notebook.run("len(chatlib.background._running)") == "1"


def test_a_port_set_by_hand_is_free_again(notebook: Notebook) -> None:
    """A cell with a fixed port can be run again and again, with clients of other cells there."""
    notebook.run(
        "import socket; s = socket.create_server(('127.0.0.1', 0)); port = s.getsockname()[1]; s.close()"
    )
    start = "server = chatlib.start(chatlib.SyncServer, ('127.0.0.1', port))"
    for number in range(3):
        assert notebook.run(start, "a") == ""
        assert notebook.run(f"c{number} = chatlib.connect(server)", f"client {number}") == ""


def test_a_connection_is_replaced_when_its_cell_runs_again(notebook: Notebook) -> None:
    """The one before is closed politely: the server hears that it left."""
    notebook.run(START, "a")
    code = "earlier = globals().get('alice'); alice = chatlib.connect(server, 'alice')"
    notebook.run(code, "b")
    notebook.run(code, "b")
    assert not notebook.is_open("earlier")
    assert notebook.is_open("alice")
    assert notebook.run("server.service.journal.wait_for('left', timeout=30)") == "True"
    assert notebook.run("server.service.journal.find('left')[0].text", "c") == "''"


def test_what_other_cells_opened_stays(notebook: Notebook) -> None:
    """Only the cell that runs again loses what it had."""
    notebook.run("one = chatlib.start(chatlib.SyncServer)", "a")
    notebook.run("two = chatlib.start(chatlib.SyncServer); alice = chatlib.connect(two)", "b")
    notebook.run("one = chatlib.start(chatlib.SyncServer)", "a")
    assert notebook.is_open("two")
    assert notebook.is_open("alice")


def test_one_cell_may_open_several(notebook: Notebook) -> None:
    """What the same run has opened stays; the next run closes all of it."""
    code = """
olds = globals().get("news", [])
server = chatlib.start(chatlib.ThreadingServer)
news = [server, chatlib.start(chatlib.SyncServer), *(chatlib.connect(server) for _ in range(3))]
"""
    notebook.run(code, "a")
    assert notebook.run("[thing.socket.fileno() == -1 for thing in news]") == str([False] * 5)
    notebook.run(code, "a")
    assert notebook.run("[thing.socket.fileno() == -1 for thing in olds]") == str([True] * 5)
    assert notebook.run("[thing.socket.fileno() == -1 for thing in news]") == str([False] * 5)


def test_a_cell_that_was_edited_is_the_same_cell(notebook: Notebook) -> None:
    """The front end's id counts, not the text."""
    notebook.run("one = chatlib.start(chatlib.SyncServer)", "a")
    notebook.run("two = chatlib.start(chatlib.ThreadingServer)", "a")
    assert not notebook.is_open("one")


def test_without_ids_the_text_tells_cells_apart(notebook: Notebook) -> None:
    """Some front ends send no id: a cell is then what it says."""
    notebook.run(START, None)
    notebook.run("other = chatlib.start(chatlib.SyncServer)", None)
    notebook.run(START, None)
    assert not notebook.is_open("earlier")
    assert notebook.is_open("other")


def test_starting_what_runs_leaves_it_alone(notebook: Notebook) -> None:
    """`start(server)` with a server that runs, again and again, does not stop it."""
    notebook.run("server = chatlib.SyncServer()", "a")
    for _ in range(3):
        assert notebook.run("chatlib.start(server) is server", "b") == "True"
        assert notebook.is_open("server")
        assert eventually(lambda: notebook.run("threads = server.threads; len(threads)") == "1")


def test_a_stock_server_is_replaced_as_well(notebook: Notebook) -> None:
    """Those of `socketserver` are stopped when their cell runs again."""
    code = """
import socketserver
earlier = globals().get("stock")
stock = chatlib.start(socketserver.ThreadingTCPServer, ("127.0.0.1", 0), socketserver.BaseRequestHandler)
"""
    notebook.run(code, "a")
    notebook.run(code, "a")
    assert not notebook.is_open("earlier")
    assert notebook.is_open("stock")


def test_what_is_gone_is_not_held(notebook: Notebook) -> None:
    """What a cell has opened and dropped is not kept alive by the memory of it."""
    notebook.run("import weakref, gc; server = chatlib.start(chatlib.SyncServer)", "a")
    notebook.run("alice = chatlib.connect(server); seen = weakref.ref(alice); alice.close(); del alice", "b")
    assert notebook.run("gc.collect(); seen() is None") == "True"


@POSIX
def test_interrupting_a_wait_leaves_all_usable(notebook: Notebook) -> None:
    """The stop button ends `receive`; the connection and the server work on."""
    notebook.run(START, "a")
    notebook.run("alice = chatlib.connect(server)", "b")
    waiting = notebook.send("print('waiting', flush=True); alice.receive(60)", "c")
    while notebook.client.get_iopub_msg(timeout=SOON)["msg_type"] != "stream":
        pass
    notebook.manager.interrupt_kernel()
    assert notebook.output(waiting) == "KeyboardInterrupt"
    assert notebook.run("alice.send('hello'); alice.receive(30)", "d") == "'HELLO'"
    assert notebook.run(START, "a") == ""
    assert notebook.is_open("server")


def test_a_kernel_with_clients_connected_ends(notebook: Notebook) -> None:
    """Shutting the kernel down waits for no client."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env=environment())
    with contextlib.closing(manager):
        manager.close = manager.cleanup_resources
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=6 * SOON)
        other = Notebook(manager, client)
        assert other.run("import chatlib; server = chatlib.start(chatlib.SyncServer)", "a") == ""
        assert other.run("alice, bob = chatlib.connect(server), chatlib.connect(server)", "b") == ""
        client.shutdown()
        manager.finish_shutdown(waittime=SOON)
        ended = not manager.is_alive()
        client.stop_channels()
        if not ended:
            manager.shutdown_kernel(now=True)
        assert ended


# Films


def test_a_live_film_leaves_its_picture(notebook: Notebook) -> None:
    """It is a widget while it runs; then what needs no kernel takes its place, in the same output."""
    pytest.importorskip("anywidget")
    notebook.displays.clear()
    assert notebook.run("film = chatlib.xray().start(); film", "a") == ""
    notebook.run("import time; time.sleep(0.01)", "b")
    assert notebook.run("film.running", "b") == "True"
    notebook.run(
        "film.stop(); import threading\n"
        "for one in threading.enumerate():\n    one.name == 'draws the film' and one.join(30)",
        "c",
    )
    live, left = notebook.displays
    assert live["transient"]["display_id"] == left["transient"]["display_id"]
    assert "application/vnd.jupyter.widget-view+json" in live["data"]
    assert live["data"]["text/plain"] == "Nothing has happened yet."
    assert set(left["data"]) == {"text/html", "image/svg+xml", "text/plain"}
    assert "waits in sleep for 0.01 s, line 1: import time; time.sleep(0.01)" in left["data"]["text/plain"]


def test_an_earlier_view_of_a_film_stays_as_it_was(notebook: Notebook) -> None:
    """Two moments of one film can be compared: the next view is the one that moves."""
    pytest.importorskip("anywidget")
    notebook.displays.clear()
    notebook.run("import time; film = chatlib.xray().start(); time.sleep(0.01); film", "a")
    notebook.run("time.sleep(0.02); film", "b")
    first, left, second = notebook.displays
    assert left["transient"]["display_id"] == first["transient"]["display_id"]
    assert second["transient"]["display_id"] != first["transient"]["display_id"]
    assert "text/html" in left["data"]
    assert "application/vnd.jupyter.widget-view+json" in second["data"]
    notebook.run("film.stop()", "c")


def test_what_a_later_cell_shows_of_a_film_stays_as_it_was_then(notebook: Notebook) -> None:
    """It moves until the next cell begins. The view of the cell that began the film moves along with all."""
    pytest.importorskip("anywidget")
    notebook.displays.clear()
    notebook.run("import time; film = chatlib.xray().start()", "a")
    notebook.run("time.sleep(0.01)\nfilm", "b")
    notebook.run("time.sleep(0.02)", "c")
    notebook.run("film.stop(); film = chatlib.xray().start(); film", "a")
    notebook.run("time.sleep(0.03)", "c")
    shown, left, moves = notebook.displays
    assert shown["transient"]["display_id"] == left["transient"]["display_id"]
    assert "application/vnd.jupyter.widget-view+json" in shown["data"]
    assert "waits in sleep for 0.01 s" in left["data"]["text/plain"]
    assert "0.02 s" not in left["data"]["text/plain"]
    assert 'data-ended="as it was then"' in left["data"]["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in moves["data"]
    notebook.run("film.stop()", "c")


def test_a_film_ends_when_its_cell_runs_again(notebook: Notebook) -> None:
    """Only the latest costs time."""
    notebook.run("film = chatlib.xray().start()", "a")
    notebook.run("earlier = film", "b")
    notebook.run("film = chatlib.xray().start()", "a")
    assert notebook.run("earlier.running, film.running", "b") == "(False, True)"
    notebook.run("film.stop()", "b")


@POSIX
def test_an_interrupted_film_leaves_all_as_it_was(notebook: Notebook) -> None:
    """The stop button ends a cell that films, and nothing is watched any more."""
    notebook.run("import socket, time; before = dict(vars(socket.socket))", "a")
    asleep = notebook.send(
        "with chatlib.xray() as film:\n    time.sleep(0.01); print('asleep', flush=True); time.sleep(60)", "b"
    )
    while notebook.client.get_iopub_msg(timeout=SOON)["msg_type"] != "stream":
        pass
    notebook.manager.interrupt_kernel()
    assert notebook.output(asleep) == "KeyboardInterrupt"
    assert notebook.run("dict(vars(socket.socket)) == before", "c") == "True"
    assert "waits in sleep for 0.01 s" in notebook.run("print(film.story())", "c")


# Predictions

ASK = "guess = chatlib.predict('What comes?', ['an answer', 'nothing'])\nguess"


def click(notebook: Notebook, choice: str) -> None:
    """Chooses, as the button in a browser does."""
    comm = notebook.run("print(guess._view.comm.comm_id)")
    data = {"method": "custom", "content": {"choice": choice}}
    message = notebook.client.session.msg("comm_msg", {"comm_id": comm, "data": data})
    notebook.client.shell_channel.send(message)


def test_a_click_is_set_beside_what_was_measured(notebook: Notebook) -> None:
    """In the result of the cell that measures, and in the place of the buttons."""
    pytest.importorskip("anywidget")
    notebook.displays.clear()
    assert notebook.run(ASK, "a") == ""
    click(notebook, "an answer")
    told = notebook.run("guess.measured('nothing')", "b")
    assert told == "You said: an answer\nMeasured: nothing\nNot as you said: worth a closer look."
    asked, left = notebook.displays
    assert asked["transient"]["display_id"] == left["transient"]["display_id"]
    assert asked["data"]["text/plain"] == "What comes?\n  1. an answer\n  2. nothing"
    assert "application/vnd.jupyter.widget-view+json" in asked["data"]
    assert set(left["data"]) == {"text/html", "text/plain"}


def test_an_answer_that_is_not_measured_yet_outlives_another_run_of_its_cell(notebook: Notebook) -> None:
    """After a click on a choice, Shift + Enter runs the cell of the question before it goes on."""
    pytest.importorskip("anywidget")
    notebook.run(ASK, "a")
    click(notebook, "nothing")
    notebook.run(ASK, "a")
    assert notebook.run("guess._view.answer", "b") == "'nothing'"
    click(notebook, "an answer")  # one may still change one's mind
    assert notebook.run("guess.measured('nothing')", "b").startswith("You said: an answer\n")


def test_a_prediction_is_asked_afresh_once_it_is_measured_or_changed(notebook: Notebook) -> None:
    """The one before is closed, also in the browser; the new one has no answer."""
    pytest.importorskip("anywidget")
    notebook.run(ASK, "a")
    click(notebook, "nothing")
    notebook.run("earlier = guess", "b")
    notebook.run(ASK.replace("What comes?", "And now?"), "a")
    assert notebook.run("earlier.answer, earlier._view.comm, guess.answer", "b") == "('nothing', None, None)"
    assert notebook.run("guess.measured('nothing')", "b") == "Measured: nothing"
    notebook.run(ASK.replace("What comes?", "And now?"), "a")
    assert notebook.run("guess.answer, guess.outcome", "b") == "(None, None)"


def test_a_prediction_that_was_closed_can_be_shown_again(notebook: Notebook) -> None:
    """With its answer, whatever else its cell has closed."""
    pytest.importorskip("anywidget")
    notebook.run("guess = chatlib.predict('What comes?', ['an answer', 'nothing'])", "a")
    show = "server = chatlib.start(chatlib.SyncServer)\nguess"
    notebook.run(show, "b")
    click(notebook, "nothing")
    notebook.run(show, "b")
    assert notebook.run("guess._view.answer", "c") == "'nothing'"
    assert notebook.run("guess._view.comm is None", "c") == "False"


def test_a_film_of_a_notebook_does_not_show_its_clicks(notebook: Notebook) -> None:
    """Nothing of a prediction waits."""
    pytest.importorskip("anywidget")
    notebook.run("film = chatlib.xray().start()", "f")
    notebook.run(ASK, "a")
    click(notebook, "nothing")
    notebook.run("guess.measured('nothing')", "b")
    notebook.run("film.stop()", "c")
    assert notebook.run("print(film.story())", "c") == "Nothing has happened yet."


# Outside a notebook


def test_a_script_has_no_cell() -> None:
    """Without IPython nothing is remembered, and nothing is closed."""
    assert notebook_cells.running_cell() is None
    notebook_cells.remember(object(), print)
    notebook_cells.close_earlier()
    assert not notebook_cells._opened


def test_ipython_in_a_terminal_has_no_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """There, too, nothing runs twice."""
    shell = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell
    ipython = sys.modules["IPython"]
    monkeypatch.setattr(ipython, "get_ipython", lambda: shell.__new__(shell))
    assert notebook_cells.running_cell() is None


def test_a_script_may_start_and_connect_as_often_as_it_likes(serve: Serve, connect: Connect) -> None:
    """Nothing that is open is closed behind a script's back."""
    servers = [serve(chatlib.SyncServer) for _ in range(3)]
    clients = [connect(server) for server in servers]
    assert all(server.socket.fileno() != -1 for server in servers)
    assert all(client.socket.fileno() != -1 for client in clients)


@pytest.mark.parametrize("make", ["chatlib.SyncServer", "socketserver.TCPServer"])
def test_a_port_that_another_cells_server_has_is_told_with_that_cell(kernel: Notebook, make: str) -> None:
    """By its number and its first line, and how to free it; also of a stock server."""
    handler = ", socketserver.BaseRequestHandler" if make.startswith("socketserver") else ""
    kernel.run("import chatlib, socketserver\nchatlib.stop_all()")
    kernel.run(f"# Here\nfirst = chatlib.start({make}, ('127.0.0.1', 0){handler})", "one")
    said = kernel.run(
        f"try:\n    chatlib.start({make}, ('127.0.0.1', first.server_address[1]){handler})\n"
        "except OSError as error:\n    print(error)",
        "another",
    )
    kernel.run("chatlib.stop_all()")
    line = re.escape(f"first = chatlib.start({make}, ('127.0.0.1', 0){handler})")
    ending = r"; to free it, run chatlib\.stop_all\(\) in a cell"
    assert re.search(rf"in use, by the server of the cell \[\d+\], {line}{ending}$", said), said
