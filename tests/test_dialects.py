"""How the checker finds out what a server speaks."""

from pathlib import Path

import pytest
from checked import RELAY, script

import chatlib


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
