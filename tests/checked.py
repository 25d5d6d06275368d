"""What tests of the checker check: a relay as many write it, one that is deaf, one of a textbook."""

import socket
import socketserver
import threading
from pathlib import Path

from chatlib.checker.case import Case, Verdict
from chatlib.checker.harness.dialect import Dialect
from chatlib.checker.harness.launcher import Launcher
from chatlib.checker.harness.session import Session
from chatlib.checker.runner import Runner
from chatlib.checker.targets.target import Target


def script(folder: Path, text: str, name: str = "server.py") -> str:
    """Writes a program; returns its path."""
    path = folder / name
    path.write_text(text, "utf-8")
    return str(path)


RELAY = """
import socket, sys, threading
clients = []
def serve(client):
    try:
        while data := client.recv(1024):
            for other in clients[:]:
                if other is not client:
                    other.sendall(data)
    except OSError:
        pass
    finally:
        clients.remove(client)
        client.close()
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = listener.accept()
    clients.append(client)
    threading.Thread(target=serve, args=(client,), daemon=True).start()
"""
"""What many write: it passes on whatever one recv brings."""


def judge(target: Target, cases: list[Case[Session]], dialect: Dialect) -> list[Verdict]:
    """Takes cases of a test's own making."""
    with target, Launcher(target) as launcher:
        return Runner(launcher, dialect).run(cases)


class Deaf:
    """Accepts nobody, and says nothing; its clients wait in the kernel."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.listener = socket.create_server(address)
        self.server_address = self.listener.getsockname()
        self.over = threading.Event()

    def serve_forever(self) -> None:
        self.over.wait()

    def shutdown(self) -> None:
        self.over.set()

    def server_close(self) -> None:
        self.listener.close()


class Upper(socketserver.StreamRequestHandler):
    """A textbook's handler."""

    def handle(self) -> None:
        while line := self.rfile.readline():
            self.wfile.write(line.upper())


def textbook(address: tuple[str, int]) -> socketserver.TCPServer:
    """Returns a textbook's server: one at a time."""
    return socketserver.TCPServer(address, Upper)
