"""`python -m chatlib xray -- a.py :: b.py`: several programs in one film."""

import html
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from faults import SOON

from chatlib.cli import main
from chatlib.cli.xray import commands_in

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
SERVER = """
import socketserver, sys

class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())

class Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True

with Server(("127.0.0.1", int(sys.argv[1])), Handler) as server:
    server.serve_forever()
"""
CLIENT = """
import socket, sys

with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    connection.sendall(sys.argv[2].encode() + b"\\n")
    print(connection.recv(100).decode(), end="", flush=True)
"""
SILENT = CLIENT.replace('connection.sendall(sys.argv[2].encode() + b"\\n")', 'print("here", flush=True)')


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A free port; the programs lie in the working folder."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("server.py", SERVER), ("client.py", CLIENT), ("silent.py", SILENT)):
        (tmp_path / name).write_text(text)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])


def xray(*words: str) -> list[str]:
    """Returns the command that films programs."""
    return [sys.executable, "-m", "chatlib", "xray", "--output", "film.html", "--", *words]


def story() -> str:
    """Returns the page."""
    return Path("film.html").read_text("utf-8")


def test_a_server_and_its_clients_are_in_one_film(port: str) -> None:
    """It is over when the clients have ended; the server is ended then, without a word."""
    command = xray("server.py", port, "::", "client.py", port, "a", "::", "client.py", port, "b")
    done = subprocess.run(command, capture_output=True, text=True, timeout=SOON, check=True)
    assert done.stdout == "A\nB\n"
    assert done.stderr == "the film is in film.html\n"
    told = story()
    assert "<h1>server.py and client.py and client.py</h1>" in told
    assert "client.py (2)\n  connects to the server, line 4" in told
    assert "sends 2 bytes to client.py (2) (sendall)" in told
    socket.create_server(("127.0.0.1", int(port))).close()  # it is free again


def test_a_module_is_a_program_too(port: str) -> None:
    """As `python -m` runs it; Python's own server is filmed with a client that fetches a page."""
    address = f"http://127.0.0.1:{port}/"
    Path("fetch.py").write_text(f"import urllib.request\nurllib.request.urlopen('{address}').read()\n")
    command = xray("-m", "http.server", port, "--bind", "127.0.0.1", "::", "fetch.py")
    subprocess.run(command, capture_output=True, text=True, timeout=SOON, check=True)
    assert "http.server: " in story()
    assert "to the server (sendall), line 2: urllib.request.urlopen(" in story()


@pytest.mark.usefixtures("port")
def test_one_program_that_is_a_module_is_filmed() -> None:
    """Its status is that of the command."""
    Path("failing.py").write_text("import time\ntime.sleep(0.01)\nraise SystemExit(3)\n")
    done = subprocess.run(xray("-m", "failing"), capture_output=True, text=True, timeout=SOON, check=False)
    assert done.returncode == 3
    assert "waits in sleep for 0.01 s, line 2" in story()


def test_lesson_00_films_three_programs(port: str) -> None:
    """As it says: bob's line lies unread until alice has left."""
    lesson = nbformat.read(NOTEBOOKS / "00_start_here.ipynb", as_version=4)
    [make] = [cell.source for cell in lesson.cells if cell.source.startswith("## Make")]
    make = make.replace("9998", port)
    for name, text in re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)```", make, re.S):
        Path(name).write_text(text)
    [command] = re.findall(r"python (-m chatlib xray .*)", make)
    done = subprocess.run([sys.executable, *command.split()], capture_output=True, text=True, timeout=SOON)
    assert (done.returncode, done.stderr) == (0, "the film is in film.html\n")
    assert done.stdout.endswith("HELLO FROM BOB\n")
    told = html.unescape(story())
    assert "alice: waits in recv for the server in vain" in told
    assert re.search(r"learns that alice has left.*receives 15 bytes from bob", told, re.S)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals between processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_film_and_all_programs(port: str, number: int) -> None:
    """A client that waits for a server that waits for it."""
    command = xray("server.py", port, "::", "silent.py", port)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as filming:
        assert filming.stdout
        assert filming.stdout.readline() == "here\n"
        os.kill(filming.pid, number)
        out, err = filming.communicate(timeout=SOON)
    assert filming.returncode == 0
    assert (out, err) == ("", "the film is in film.html\n")
    assert "silent.py\n  connects to the server" in story()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows starts another process instead")
@pytest.mark.parametrize("end", ["os._exit(5)", "os.execvp(sys.executable, [sys.executable, '-c', AGAIN])"])
def test_a_script_that_ends_at_once_leaves_only_its_page(tmp_path: Path, end: str) -> None:
    """And the program that it becomes has no film, nor its environment."""
    again = "import os, sys; print(os.environ.get('PYTHONPATH')); sys.exit(5)"
    script, temporary = tmp_path / "once.py", tmp_path / "temporary"
    script.write_text(f"import os, sys, time\nAGAIN = {again!r}\ntime.sleep(0.01)\n{end}\n")
    temporary.mkdir()
    command = [sys.executable, "-m", "chatlib", "xray", "--output", str(tmp_path / "page.html"), str(script)]
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=SOON, env={**outside, "TMPDIR": str(temporary)}
    )
    assert (done.returncode, done.stdout) == (5, "None\n" if "exec" in end else "")
    assert "waits in sleep for 0.01 s, line 3" in (tmp_path / "page.html").read_text("utf-8")
    assert not list(temporary.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals between processes")
def test_the_status_of_a_program_that_was_killed_is_that_of_a_shell(port: str) -> None:
    """128, and the number of the signal."""
    assert port
    killed = subprocess.run(
        xray("-c", "import os; os.kill(os.getpid(), 9)"), capture_output=True, timeout=SOON
    )
    assert killed.returncode == 128 + signal.SIGKILL


def test_a_program_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Before any is started."""
    assert main(["xray", "--", "nowhere.py", "::", "-c", "pass"]) == 2
    assert capsys.readouterr().err == "chatlib: there is no script nowhere.py\n"
    assert main(["xray", "--", "-c", "pass", "::"]) == 2
    assert capsys.readouterr().err == "chatlib: a program is missing beside ::\n"


def test_programs_stand_between_colons() -> None:
    """With their arguments."""
    words = ["a.py", "1", "::", "b.py", "::", "c.py", "--x"]
    assert list(commands_in(words)) == [["a.py", "1"], ["b.py"], ["c.py", "--x"]]
