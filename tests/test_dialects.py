"""How the checker finds out what a server speaks, and what it says of one that speaks something else."""

import socketserver
import ssl
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import pytest
from checked import RELAY, Deaf, script
from faults import SOON, environment

import chatlib
from chatlib.checker import foreign


@pytest.mark.parametrize(
    ("dialect", "service"),
    [("lines", chatlib.Broadcast), ("shout", chatlib.Shout), ("budget-chat", chatlib.Chat)],
)
def test_the_dialect_is_found_by_talking(dialect: str, service: type[chatlib.Service]) -> None:
    """Three services, three dialects."""
    report = chatlib.check(
        lambda address: chatlib.ThreadingServer(address, service()),
        "auto",
        cases=["delivery.reach", "delivery.answer"],
    )
    assert (report.dialect.name, report.asked, report.passed) == (dialect, "auto", True)


def test_a_server_without_framing_is_found_to_be_raw_and_fails_as_lines(tmp_path: Path) -> None:
    """As raw it promises no lines; as lines it is held to them."""
    path = script(tmp_path, RELAY)
    assert chatlib.check(path, "auto", cases=["delivery.reach"]).dialect.name == "raw"
    report = chatlib.check(path, "lines", cases=["delivery", "framing"])
    assert set(report.failed) == {"framing.split", "framing.joined", "framing.letter"}


@pytest.mark.parametrize(("prompt", "echo"), [("Name: ", True), ("", False)])
def test_names_and_echoes_are_found_out(tmp_path: Path, prompt: str, echo: bool) -> None:
    """With and without a question for the name; the sender hears itself or does not."""
    text = RELAY.replace(
        "    try:\n        while data := client.recv(1024):\n",
        f"    client.sendall({prompt.encode()!r})\n"
        "    name = client.recv(100).strip()\n    clients.append(client)\n"
        "    try:\n        while data := client.recv(1024):\n            data = name + b': ' + data\n",
    ).replace("    clients.append(client)\n    threading", "    threading")
    text = text.replace("if other is not client", "if True") if echo else text
    report = chatlib.check(script(tmp_path, text), "auto", cases=["delivery.reach", "delivery.sender"])
    assert report.passed, str(report)
    assert (report.dialect.name_first, report.dialect.prefix, report.dialect.echo) == (True, True, echo)


def test_who_confuses_two_that_come_together_is_understood_all_the_same(tmp_path: Path) -> None:
    """A thread that looks up whom it serves only a moment later: found to be raw, as it is."""
    confused = RELAY.replace(
        "def serve(client):\n", "def serve(_):\n    time.sleep(0.02)\n    client = clients[-1]\n"
    )
    path = script(tmp_path, confused.replace("import socket, sys", "import socket, sys, time"))
    assert chatlib.check(path, "auto", cases=["delivery.reach"]).dialect.name == "raw"


LATER = """
import queue, socket, sys, threading, time
clients, owed = [], queue.Queue()
def serve(client):
    while data := client.recv(1024):
        owed.put((client, data))
def deliver():
    while True:
        time.sleep(0.4)
        while not owed.empty():
            client, data = owed.get()
            for other in clients[:]:
                if other is not client:
                    other.sendall(data)
threading.Thread(target=deliver, daemon=True).start()
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = listener.accept()
    clients.append(client)
    threading.Thread(target=serve, args=(client,), daemon=True).start()
"""
"""Passes on what each recv brings, and does so only now and then."""


def test_a_server_that_collects_what_it_sends_is_not_taken_for_one_of_lines(tmp_path: Path) -> None:
    """Half a line is passed on, as soon as anything is."""
    assert chatlib.check(script(tmp_path, LATER), "auto", cases=["delivery.reach"]).dialect.name == "raw"


@pytest.mark.parametrize("prompt", [b"", b"Alias? ", b"Welcome to the room. Introduce yourself!\n"])
def test_a_first_line_that_is_taken_in_is_a_name(tmp_path: Path, prompt: bytes) -> None:
    """Whatever the question says, and also if nothing is asked; no line says who spoke."""
    takes = f"    client.sendall({prompt!r})\n    client.recv(100)\n    clients.append(client)\n    try:\n"
    text = RELAY.replace("    try:\n", takes, 1).replace(
        "    clients.append(client)\n    threading", "    threading"
    )
    report = chatlib.check(script(tmp_path, text), "auto", cases=["delivery.reach"])
    assert report.passed and report.dialect.name_first, str(report)


@pytest.mark.parametrize("late", [0.0, 0.2])
def test_a_name_may_be_asked_before_the_next_client_is_accepted(tmp_path: Path, late: float) -> None:
    """The second client is asked only when the first has answered; then all are told its name."""
    asks = (
        f"    __import__('time').sleep({late})\n"
        "    client.sendall(b'NICK')\n    notice = client.recv(100) + b' joined!'\n"
        "    [other.sendall(notice) for other in clients]\n    clients.append(client)\n"
    )
    text = RELAY.replace("    clients.append(client)\n", asks)
    report = chatlib.check(script(tmp_path, text), "auto", cases=["delivery.reach"])
    assert report.passed and report.dialect.name_first, str(report)


COUNTS = 'b"#%d %.6f | " % (next(number), time.time()) + data'
PROMPTS = 'b"\\r(%d): " % client.getpeername()[1] + data + b">> "'
QUOTES = 'b"%r\\n" % data.decode().strip().encode()'
WELCOME = "client.sendall(b'*** Welcome! ***\\n>>')"
NOTICE = "[one.sendall(b'Another has come.\\n') for one in clients if one is not client]"


@pytest.mark.parametrize(
    ("greeting", "line"),
    [(WELCOME, COUNTS), (WELCOME, PROMPTS), (NOTICE, QUOTES)],
    ids=["counters", "prompts", "a notice"],
)
def test_a_first_line_that_is_passed_on_is_no_name(tmp_path: Path, greeting: str, line: str) -> None:
    """Also where each line has another number, or where the others are told that a client has come."""
    text = RELAY.replace("    try:\n", f"    {greeting}\n    try:\n", 1)
    text = text.replace("sendall(data)", f"sendall({line})").replace("import", "import itertools, time,", 1)
    text = text.replace("clients = []", "clients, number = [], itertools.count(1)")
    report = chatlib.check(script(tmp_path, text), "auto", cases=["delivery.reach"])
    assert report.passed and not report.dialect.name_first, str(report)


def test_a_server_that_reads_a_little_and_sleeps_is_not_taken_for_one_of_lines(tmp_path: Path) -> None:
    """It passes on half a line, when it comes to it."""
    text = RELAY.replace("recv(1024)", "recv(100)").replace("import", "import time,", 1)
    text = text.replace("sendall(data)\n", "sendall(data)\n            time.sleep(1)\n")
    assert chatlib.check(script(tmp_path, text), "auto", cases=["delivery.reach"]).dialect.name == "raw"


class Same(socketserver.BaseRequestHandler):
    """Answers with the same bytes."""

    def handle(self) -> None:
        """Until the client has left."""
        while data := self.request.recv(1024):
            self.request.sendall(data)


class Threads(socketserver.ThreadingTCPServer):
    """A textbook's, with a thread for each client."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


def threads(handler: type[socketserver.BaseRequestHandler]) -> Callable[[tuple[str, int]], Threads]:
    """Returns what makes such a server."""
    return lambda address: Threads(address, handler)


def test_a_plain_echo_server_has_a_dialect_of_its_own() -> None:
    """What comes back is the line as it was; nobody else hears it."""
    report = chatlib.check(threads(Same), "auto", cases=["delivery", "framing"])
    assert (report.dialect.name, report.passed) == ("echo", True), str(report)
    assert "found: echo: it answers each line with the same line" in str(report)
    assert chatlib.check(threads(Same), "shout", cases=["delivery"]).failed == ("delivery.answer",)


class Web(BaseHTTPRequestHandler):
    """A page."""

    def do_GET(self) -> None:
        """Answers with nothing."""
        self.send_response(204)
        self.end_headers()


class WebSocket(socketserver.StreamRequestHandler):
    """Answers the first words of a web socket only."""

    def handle(self) -> None:
        """Hangs up if a client says something else."""
        lines = [self.rfile.readline()]
        while lines[0].startswith(b"GET ") and lines[-1].strip():
            lines.append(self.rfile.readline())
        if b"Upgrade: websocket\r\n" in lines:
            self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")


class Once(Same):
    """Closes after one answer."""

    def handle(self) -> None:
        """One recv, one send."""
        self.request.sendall(self.request.recv(1024))


class Polite(Same):
    """Says something of its own to the sender."""

    def handle(self) -> None:
        """Each time."""
        while self.request.recv(1024):
            self.request.sendall(b"thank you\n")


class Login(Same):
    """Lets nobody in."""

    def handle(self) -> None:
        """Whatever is said."""
        self.request.sendall(b"login: ")
        while self.request.recv(1024):
            self.request.sendall(b"Login incorrect\nlogin: ")


class Json(Same):
    """Wants objects."""

    def handle(self) -> None:
        """And says so, in one."""
        while self.request.recv(1024):
            self.request.sendall(b'{"error": "no object"}\n')


class Frames(Same):
    """Takes the first four bytes for a length, and waits for the rest. Its operator is asked something."""

    def handle(self) -> None:
        """A letter is a large number."""
        print("Server: ", end="")
        frame = self.request.makefile("rb")
        frame.read(int.from_bytes(frame.read(4), "big"))


class Greets(Same):
    """Greets a client, and leaves it when it says something."""

    def handle(self) -> None:
        """Whatever that is."""
        self.request.sendall(b"room 1\n")
        self.request.recv(1024)


class Fleeting(socketserver.StreamRequestHandler):
    """Passes on what each says first, and nothing after that."""

    room: ClassVar[list[Any]] = []

    def handle(self) -> None:
        """Until the client has left."""
        self.room.append(self.wfile)
        line = self.rfile.readline()
        for other in self.room:
            if other is not self.wfile and not other.closed:
                other.write(line)
        self.rfile.read()


@pytest.mark.parametrize(
    ("handler", "sentence"),
    [
        (Web, 'It speaks HTTP: "HTTP/1.0 '),
        (WebSocket, 'It speaks WebSocket: "HTTP/1.1 101 Switching Protocols".'),
        (Once, "It closes the connection after one answer: "),
        (Polite, "It answers the sender only, and not with the lines that were said: "),
        (Login, "It asks for a login: "),
        (Json, "It speaks JSON: "),
        (Fleeting, "Alice's first line reached bob, and her last one did not. He received "),
        (Frames, "neither heard anything. It printed: Server: Server: (does it ask for input?)."),
        (
            Greets,
            'It greets a client with "room 1\\n". When a client said a line, its connection was closed.',
        ),
    ],
)
def test_what_another_protocol_is_is_said(handler: Any, sentence: str) -> None:
    """Nothing is judged, and the message says what was seen, and how to have it judged all the same."""
    with pytest.raises(chatlib.TargetError) as caught:
        chatlib.check(threads(handler), "auto")
    text = str(caught.value)
    assert text.startswith("not judged: ") and sentence in text and "as in --dialect lines" in text
    assert "Try auto" not in text


def test_brackets_without_an_end_are_no_json() -> None:
    """However many: a million would be more than Python's own reader bears."""
    assert not foreign._is_json(b"[" * 1_000_000)
    assert foreign._is_json(b'{"error": "no object"}\n')


def test_a_server_that_expects_tls_is_recognised(tmp_path: Path) -> None:
    """It answers a handshake, if only with an alert: it has no certificate here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    class Encrypted(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                context.wrap_socket(self.request, server_side=True)
            except OSError as error:
                print(f"no TLS: {error}")

    with pytest.raises(chatlib.TargetError, match=r"It expects TLS: .* It printed: no TLS: "):
        chatlib.check(threads(Encrypted), "auto")


def test_of_a_program_the_status_says_that_nothing_was_judged(tmp_path: Path) -> None:
    """2, as for one that does not start; its last words are quoted."""
    path = script(tmp_path, RELAY.replace("data := client.recv(1024)", "data := int(client.recv(1024))"))
    command = [sys.executable, "-m", "chatlib", "check", path, "--dialect", "auto"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=SOON)
    assert (done.returncode, done.stdout) == (2, "")
    assert "ValueError: invalid literal for int()" in done.stderr and "Traceback" not in done.stderr


def test_a_deaf_server_speaks_no_dialect() -> None:
    """Its clients are connected, and that is all."""
    with pytest.raises(chatlib.TargetError, match="Two clients said lines, and neither heard anything"):
        chatlib.check(Deaf, "auto")
