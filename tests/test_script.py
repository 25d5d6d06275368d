"""`python -m chatlib xray`: a script that has never heard of us, filmed by a real process."""

import html
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults import SOON, ended

from chatlib.cli import main

TEXTBOOK = """
from socket import *
import sys, threading

server = socket()
server.bind(("127.0.0.1", 0))
server.listen()
print(server.getsockname()[1], flush=True)
clients = []

def serve(client):
    while message := client.recv(1024):
        for other in clients:
            if other is not client:
                other.sendall(message)

while True:
    client, _ = server.accept()
    clients.append(client)
    threading.Thread(target=serve, args=(client,), daemon=True).start()
"""


ASYNCIO = """
import asyncio

async def serve(reader, writer):
    line = await reader.readline()
    writer.write(line)
    await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()

asyncio.run(main())
"""

THREADING_TCP_SERVER = """
import socketserver

class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        line = self.rfile.readline()
        self.wfile.write(line)

class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

with Server(("127.0.0.1", 0), Handler) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
"""

HTTP_SERVER = """
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.wfile.write(b"hello")

    def log_message(self, *arguments):
        pass

server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""

UNMODIFIED = {
    "asyncio": (
        ASYNCIO,
        b"ping\n",
        {
            "task serve for peer 1": [
                "  waits in await StreamReader.readline for peer 1, line 5: line = await reader.readline()",
            ],
            "task main": [
                "  waits in await Server.serve_forever, line 14: await server.serve_forever()",
            ],
            "the main program": [
                "  accepts peer 1, line 16: asyncio.run(main())",
                "  receives 5 bytes from peer 1 (recv), line 16: asyncio.run(main())",
                "  sends 5 bytes to peer 1 (send), line 6: writer.write(line)",
            ],
        },
    ),
    "socketserver": (
        THREADING_TCP_SERVER,
        b"ping\n",
        {
            "serves peer 1": [
                "  receives 5 bytes from peer 1 (recv_into), line 6: line = self.rfile.readline()",
                "  sends 5 bytes to peer 1 (sendall), line 7: self.wfile.write(line)",
            ],
            "the main program": ["  accepts peer 1, line 14: server.serve_forever()"],
        },
    ),
    "http.server": (
        HTTP_SERVER,
        b"GET / HTTP/1.0\r\n\r\n",
        {
            "the main program": [
                "  accepts peer 1, line 13: server.serve_forever()",
                "  receives 18 bytes from peer 1 (recv_into), line 13: server.serve_forever()",
                '  sends 5 bytes to peer 1 (sendall), line 6: self.wfile.write(b"hello")',
            ],
        },
    ),
}


STRIKES = """
import signal, sys
def strike(*_):
    signal.raise_signal({number})
"""

MOMENTS = {
    "while the film begins": (
        """
from chatlib.film.film import Film
start = Film.start
Film.start = lambda film: strike() or start(film)
""",
        "print('the script runs')",
        0,
    ),
    "while a thread is started": (
        "",
        """
import threading
def trace(frame, event, _):
    if (event, frame.f_code.co_name) == ("return", "_release_save"):
        sys.settrace(None)
        strike()
    return trace
may_start = threading.Lock()
may_start.acquire()
threading.Thread(target=may_start.acquire, daemon=True).start()
sys.settrace(trace)
threading.Event().wait(60)
""",
        0,
    ),
    "while an object is freed": (
        "",
        """
import threading
class Struck:
    __del__ = strike
Struck()
threading.Event().wait(60)
""",
        0,
    ),
    "and once more, while the script ends": (
        """
from chatlib.film.interrupts import Interrupts
keep, strikes = Interrupts.keep, iter([lambda: None, strike, lambda: None])
Interrupts.keep = lambda interrupts: next(strikes)() or keep(interrupts)
""",
        "strike()",
        0,
    ),
    "while the page is written": (
        """
from chatlib.film.render import svg
page = svg.page
svg.page = lambda *arguments: strike() or page(*arguments)
""",
        "sys.exit(3)",
        3,
    ),
    "while functions run at the end": ("", "import atexit; atexit.register(strike); sys.exit(3)", 3),
    "while Python ends": (
        "",
        """
class Struck:
    def __del__(self, raise_signal=signal.raise_signal):
        raise_signal({number})
struck = Struck()
sys.exit(3)
""",
        3,
    ),
}
"""When a signal may come: what is done to chatlib, so that it comes just then; the script; its status."""


@contextmanager
def xray(script: Path, *arguments: str, options: tuple[str, ...] = ()) -> Iterator["subprocess.Popen[str]"]:
    """Runs the command in the script's folder; ends it, if the test has not."""
    command = [sys.executable, "-m", "chatlib", "xray", *options, script.name, *arguments]
    with ended(started(command, script.parent)) as process:
        yield process


def started(command: list[str], folder: Path) -> "subprocess.Popen[str]":
    """Starts a program in a folder, with pipes to talk to it."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=folder)


def dial(port: int) -> socket.socket:
    """Connects to a port of this computer."""
    return socket.create_connection(("127.0.0.1", port), SOON)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A file to write a script into."""
    return tmp_path / "script.py"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals between processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_textbook_chat_is_filmed_until_ctrl_c(script: Path, number: signal.Signals) -> None:
    """The page names call, peer and line of the thread that waits; it refers to nothing outside itself."""
    script.write_text(TEXTBOOK)
    with xray(script) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        with dial(port) as one, dial(port) as two:
            two.sendall(b"hello")  # the later one speaks: so both have been accepted
            assert one.recv(5) == b"hello"
            process.send_signal(number)
            _, said = process.communicate(timeout=SOON)
    assert (process.returncode, said) == (0, "the film is in film.html\n")
    page = (script.parent / "film.html").read_text("utf-8")
    assert "while message := client.recv(1024):" in page
    assert "client, _ = server.accept()" in page
    assert "src=" not in page
    assert "href=" not in page


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process that raises SIGTERM in itself")
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_moment_ends_in_a_page(tmp_path: Path, moment: str, number: signal.Signals) -> None:
    """No traceback, the status of the script or 0, and the sentence."""
    prelude, script, status = MOMENTS[moment]
    strikes = STRIKES.format(number=int(number))
    (tmp_path / "script.py").write_text(strikes + script.replace("{number}", str(int(number))))
    run = f"{strikes}{prelude}\nfrom chatlib.cli import main\nsys.exit(main(['xray', 'script.py']))"
    with ended(started([sys.executable, "-c", run], tmp_path)) as process:
        printed, said = process.communicate(timeout=SOON)
    assert (process.returncode, printed) == (status, ""), said
    assert re.fullmatch("the film is in film.html(, and empty: no call has waited that .*)?\n", said)
    assert (tmp_path / "film.html").read_text("utf-8").endswith("</html>\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals between processes")
@pytest.mark.parametrize("name", UNMODIFIED)
def test_the_story_of_an_unmodified_program(script: Path, name: str) -> None:
    """It names call, peer and line of what each thread and task did."""
    program, question, expected = UNMODIFIED[name]
    script.write_text(program)
    with xray(script) as process:
        assert process.stdout
        with dial(int(process.stdout.readline())) as client:
            client.sendall(question)
            answer = client.makefile("rb").read()
        assert answer
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SOON)
    page = (script.parent / "film.html").read_text("utf-8")
    [story] = re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)
    lanes = dict(re.findall(r"^(\S.*)\n((?:  .*\n?)*)", html.unescape(story), re.MULTILINE))
    for lane, lines in expected.items():
        told = iter(lanes[lane].splitlines())
        assert all(line in told for line in lines), lanes[lane]  # in this order


def test_a_script_keeps_its_arguments_and_its_status(script: Path) -> None:
    """It sees what it was called with, and its exit status is that of the command."""
    script.write_text("import sys; print(sys.argv, __name__); sys.exit(int(sys.argv[2]))")
    with xray(script, "--live", "7") as process:
        printed, _ = process.communicate(timeout=SOON)
    assert printed == "['script.py', '--live', '7'] __main__\n"
    assert process.returncode == 7


def test_a_script_that_fails_shows_its_own_error(script: Path) -> None:
    """Its traceback, status 1, and the film all the same."""
    script.write_text("1 / 0")
    with xray(script, options=("--output", "other.html")) as process:
        _, said = process.communicate(timeout=SOON)
    assert process.returncode == 1
    assert "ZeroDivisionError: division by zero" in said
    assert (script.parent / "other.html").exists()


def test_a_script_ends_when_its_last_thread_does(script: Path) -> None:
    """As Python has it: threads that are no daemons are waited for; `--live` says what each waits for.

    A name from the program does not steer the terminal: it stays one line, and what is no letter is spelled.
    """
    script.write_text(
        "import sys, threading\nmay = threading.Event()\n"
        "def rest():\n    may.wait(60)\n    print('rested')\n"
        "def listen():\n    sys.stdin.readline()\n    may.set()\n"
        "threading.Thread(target=rest, name='\\x1b[31mred\\nFAKE').start()\n"
        "threading.Thread(target=listen).start()\n"
    )
    with xray(script, options=("--live",)) as process:
        assert process.stderr
        assert any(line.startswith("\\x1b[31mred\\nFAKE: wait an event, ") for line in process.stderr)
        printed, _ = process.communicate("go on\n", timeout=SOON)
    assert (printed, process.returncode) == ("rested\n", 0)


def test_a_script_may_say_why_it_ends(script: Path) -> None:
    """`sys.exit` with a text prints it, and the status is 1."""
    script.write_text("import sys; sys.exit('no more')")
    with xray(script) as process:
        _, said = process.communicate(timeout=SOON)
    assert process.returncode == 1
    assert said.startswith("no more\n")


def test_no_such_script_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 2, and the line names it."""
    monkeypatch.chdir(tmp_path)
    assert main(["xray", "script.py"]) == 2
    assert capsys.readouterr() == ("", "chatlib: there is no script script.py\n")


def test_a_script_that_exits_waits_for_its_threads(script: Path) -> None:
    """Also those that its threads have started, as Python does."""
    script.write_text(
        "import sys, threading, time\n"
        "def nap():\n    time.sleep(0.3)\n    print('rested')\n"
        "def begin():\n    threading.Thread(target=nap).start()\n"
        "threading.Thread(target=begin).start()\n"
        "sys.exit(3)\n"
    )
    with xray(script) as process:
        printed, _ = process.communicate(timeout=SOON)
    assert (printed, process.returncode) == ("rested\n", 3)
    assert "time.sleep(0.3)" in (script.parent / "film.html").read_text("utf-8")


def test_a_page_that_cannot_be_written_is_said_before_the_script_runs(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names the page."""
    script.write_text("print('run')")
    assert main(["xray", "--output", str(script.parent / "nowhere" / "film.html"), str(script)]) == 2
    printed, said = capsys.readouterr()
    assert printed == ""
    assert "nowhere" in said
    assert said.count("\n") == 1


def test_the_page_is_where_it_was_asked_for(script: Path, tmp_path: Path) -> None:
    """Wherever the script goes meanwhile; and the lines are still those of the script."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    script.write_text(f"import os, time\nos.chdir({str(elsewhere)!r})\ntime.sleep(0.001)")
    with xray(script) as process:
        _, said = process.communicate(timeout=SOON)
    assert "time.sleep(0.001)" in (script.parent / "film.html").read_text("utf-8")
    assert said == "the film is in film.html\n"


def test_an_empty_film_is_said_to_be_empty(script: Path) -> None:
    """The command says so; and no more than that, as a call may have waited and not been seen."""
    script.write_text("1 + 1")
    with xray(script) as process:
        _, said = process.communicate(timeout=SOON)
    assert said == "the film is in film.html, and empty: no call has waited that the X-ray can see\n"


def test_a_call_that_cannot_be_seen_is_in_the_list_and_on_the_page(script: Path) -> None:
    """A list is never empty; what looks is no thread of the script."""
    script.write_text("import threading\ntext = input()\nprint(text, threading.active_count())\n")
    words = "in a call that the X-ray cannot see, line 2: text = input()"
    with xray(script, options=("--live",)) as process:
        assert process.stderr
        assert process.stderr.readline() == "--- who waits\n"
        assert re.fullmatch(rf"the main program: {re.escape(words)}, \d+\.\d s\n", process.stderr.readline())
        printed, _ = process.communicate("hello\n", timeout=SOON)
    assert printed == "hello 1\n"
    # On a busy computer it may be found at work as well, on its way there or afterwards.
    assert re.search(
        rf"the main program\n(  busy, .*\n)*  {re.escape(words)}",
        (script.parent / "film.html").read_text("utf-8"),
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import queue\nqueue.Queue().get()\n",
            "the main program waits for an item in a queue (line 2), and no thread is left that puts one in",
        ),
        (
            "import threading\nlock = threading.Lock()\nwith lock:\n    lock.acquire()\n",
            "Deadlock: the main program waits for the lock that it holds itself (line 4)",
        ),
        (
            "import threading\nthreading.Thread(target=threading.Event().wait, name='rests').start()\n",
            "'rests' waits for an event, and no thread is left that sets it",
        ),
    ],
    ids=["queue", "lock", "the main thread has ended"],
)
def test_the_list_says_what_is_stuck_for_ever(script: Path, code: str, said: str) -> None:
    """No thread of the script is left, as the one that looks is none of it."""
    script.write_text(code)
    with xray(script, options=("--live",)) as process:
        assert process.stderr
        assert any(line == f"stuck for ever: {said}\n" for line in process.stderr)


def test_a_line_of_pythons_library_is_listed_by_its_file(script: Path) -> None:
    """Its number would be taken for one of the script's."""
    script.write_text(
        "import socketserver, threading\n"
        "server = socketserver.TCPServer(('127.0.0.1', 0), None)\n"
        "threading.Thread(target=server.serve_forever, daemon=True, name='serves').start()\n"
        "input()\n"
    )
    with xray(script, options=("--live",)) as process:
        assert process.stderr
        line = next(line for line in process.stderr if line.startswith("serves"))
        process.communicate("\n", timeout=SOON)
    assert re.match(r"serves: select a connection, socketserver\.py: ready = selector\.select", line)


def test_a_script_that_ends_its_process_at_once_is_filmed(script: Path) -> None:
    """By `os._exit`, with its status; but a child that does so ends with its own, and writes nothing."""
    script.write_text(
        "import os, time\ntime.sleep(0.001)\n"
        "if hasattr(os, 'fork') and not os.fork():\n    os._exit(5)\n"
        "os._exit(4)\n"
    )
    with xray(script) as process:
        _, said = process.communicate(timeout=SOON)
    assert (process.returncode, said) == (4, "the film is in film.html\n")
    assert "time.sleep(0.001)" in (script.parent / "film.html").read_text("utf-8")


def test_the_page_of_a_script_that_is_killed_says_so(script: Path) -> None:
    """It is neither empty nor that of an earlier run."""
    page = script.parent / "film.html"
    page.write_text("an earlier film")
    script.write_text("print('ready', flush=True)\ninput()\n")
    with xray(script) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.kill()
        process.wait(SOON)
    assert page.read_text("utf-8").startswith("This film is not finished: the script ")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
def test_a_forked_child_writes_no_film(script: Path) -> None:
    """The page is that of the process that was started."""
    script.write_text(
        "import os, time\nchild = os.fork()\ntime.sleep(0.001 if child else 0.1)\n"
        "child and os.waitpid(child, 0)\n"
    )
    with xray(script) as process:
        _, said = process.communicate(timeout=SOON)
    assert said == "the film is in film.html\n"  # nor does Python warn of a thread that is not the script's


def test_a_script_finds_the_builtins_where_python_puts_them(script: Path) -> None:
    """As a module, whose attributes it may ask for, or set."""
    script.write_text("print(__builtins__.len([1, 2]))\n")
    with xray(script) as process:
        printed, _ = process.communicate(timeout=SOON)
    assert printed == "2\n"


def test_a_script_that_counts_its_threads_is_alone(script: Path) -> None:
    """Also while a thread of the film tells who waits: a script may wait until it is alone."""
    script.write_text("import threading, time\nprint(threading.enumerate() == [threading.main_thread()])\n")
    with xray(script, options=("--live",)) as process:
        printed, _ = process.communicate(timeout=SOON)
    assert printed == "True\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
def test_a_forked_child_can_be_ended_at_once(script: Path) -> None:
    """The signal finds no handler of the film's there, however early it comes; no process holds it up."""
    script.write_text(
        "import os, signal, time\nends, mask = set(), signal.pthread_sigmask(signal.SIG_BLOCK, [])\n"
        "for _ in range(30):\n    if not (child := os.fork()):\n        time.sleep(60)\n"
        "    os.kill(child, signal.SIGTERM)\n    ends.add(os.waitpid(child, 0)[1])\n"
        "print(ends == {signal.SIGTERM}, signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask)\n",
        encoding="utf-8",
    )
    with xray(script) as child:
        assert child.communicate(timeout=SOON)[0] == "True True\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
@pytest.mark.parametrize("own", [True, False])
def test_a_forked_child_has_the_handlers_that_it_has_without_a_film(script: Path, own: bool) -> None:
    """Those that the script has set, as servers do that fork; else Python's own: they run each `finally`."""
    script.write_text(
        "import os, signal\n" + "signal.signal(signal.SIGTERM, len)\n" * own + "if child := os.fork():\n"
        "    os.waitpid(child, 0)\nelse:\n"
        "    for number in (signal.SIGINT, signal.SIGTERM):\n"
        "        print(signal.getsignal(number), flush=True)\n    os._exit(0)\n"
    )
    with xray(script) as process:
        filmed, _ = process.communicate(timeout=SOON)
    with ended(started([sys.executable, script.name], script.parent)) as process:
        assert process.communicate(timeout=SOON)[0] == filmed


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals between processes")
def test_a_second_ctrl_c_ends_threads_that_go_on(script: Path) -> None:
    """The first ends the film and says what still runs."""
    script.write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,), name='stubborn').start()\n"
        "print('ready', flush=True)\ntime.sleep(60)\n"
    )
    with xray(script) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == "the film is in film.html\n"
        assert process.stderr.readline() == "threads of the script still run: stubborn; Ctrl-C ends them\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SOON)
    assert process.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals between processes")
@pytest.mark.parametrize("goes_on", [False, True], ids=["daemons", "executor"])
def test_ctrl_c_while_a_pool_works(script: Path, goes_on: bool) -> None:
    """Daemons end with the script, and nothing is said of them; the threads of an executor go on."""
    pool = (
        "concurrent.futures import ThreadPoolExecutor"
        if goes_on
        else "multiprocessing.pool import ThreadPool"
    )
    work = "pool.submit(rest)" if goes_on else "pool.apply_async(rest)"
    script.write_text(
        f"import threading\nfrom {pool} as Pool\npool, begun = Pool(1), threading.Event()\n"
        f"def rest():\n    begun.set()\n    threading.Event().wait(60)\n{work}\n"
        "begun.wait(60)\nprint('ready', flush=True)\nthreading.Event().wait(60)\n"
    )
    with xray(script) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == "the film is in film.html\n"
        if goes_on:
            left = "threads of the script still run: ThreadPoolExecutor-0_0; Ctrl-C ends them\n"
            assert process.stderr.readline() == left
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=SOON)
    assert (process.returncode, said) == (0, "")


def test_a_script_that_leaves_an_executor_open_ends(script: Path) -> None:
    """Python tells its threads to end; so does the film."""
    script.write_text(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "print(ThreadPoolExecutor().submit(pow, 2, 3).result())\n"
    )
    with xray(script) as process:
        printed, _ = process.communicate(timeout=SOON)
    assert (printed, process.returncode) == ("8\n", 0)
