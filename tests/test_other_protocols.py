"""What the checker says of a server that speaks another protocol, or nothing at all."""

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
