"""The page for telephones and the one to project: in a browser, and attacked by hand."""

import asyncio
import contextlib
import logging
import re
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import browser
import pytest
from faults import LINUX, SOON, eventually
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

import chatlib
from chatlib import Classroom
from chatlib.classroom.page import TABS
from chatlib.door import Door
from chatlib.services import THE_ROOM_CONTAINS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CODE = "K7M4QX"


@pytest.fixture
def classroom() -> Iterator[Classroom]:
    """A room with a code and a page, on this computer."""
    with Classroom("Networks", code=CODE) as classroom:
        yield classroom


def host_of(classroom: Classroom) -> str:
    """Returns host and port of the page."""
    assert classroom.page
    return f"127.0.0.1:{classroom.page.port}"


@contextlib.asynccontextmanager
async def dialled(classroom: Classroom) -> AsyncIterator[WebSocketClientConnection]:
    """Opens a web socket, as the room's own page does; and closes it."""
    host = host_of(classroom)
    phone = await websocket_connect(HTTPRequest(f"ws://{host}/room", headers={"Origin": f"http://{host}"}))
    protocol: Any = phone.protocol
    try:
        yield phone
    finally:
        phone.close()
        protocol.stream.close()  # the loop ends soon, perhaps before it has seen the end of the connection


async def lines_from(phone: WebSocketClientConnection, wanted: str) -> list[str]:
    """Returns what comes, up to a line that begins so."""
    lines: list[str] = []
    async with asyncio.timeout(SOON):
        while not any(line.startswith(wanted) for line in lines):
            message = await phone.read_message()
            assert isinstance(message, str), lines
            lines += message.split("\n")
    return lines


def get(
    classroom: Classroom, path: str = "/", host: str = "", source: str = "127.0.0.1", more: str = ""
) -> str:
    """Asks for a page by hand; returns all that comes."""
    host, kind = host or host_of(classroom), "Upgrade" if more else "close"
    where = host_of(classroom).split(":")
    with socket.create_connection((where[0], int(where[1])), SOON, source_address=(source, 0)) as sock:
        sock.settimeout(SOON)
        with contextlib.suppress(ConnectionError):
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: {kind}\r\n{more}\r\n".encode())
            if more:  # the connection may stay open
                return sock.recv(65_536).decode()
            return b"".join(iter(lambda: sock.recv(65_536), b"")).decode()
    return ""


def test_a_telephone_and_a_terminal_talk(classroom: Classroom) -> None:
    """They are members of the same room; the journal says who came, and no code."""

    async def talk() -> None:
        async with dialled(classroom) as phone:
            await phone.write_message(f"{CODE} anna")
            assert f"{THE_ROOM_CONTAINS}bob" in await lines_from(phone, THE_ROOM_CONTAINS)
            await phone.write_message("hello")
            assert bob.receive(SOON) == "* anna has entered the room"
            assert bob.receive(SOON) == "[anna] hello"
            bob.send("hi")
            assert "[bob] hi" in await lines_from(phone, "[")

    with chatlib.connect(classroom.address, "bob", SOON, CODE) as bob:
        asyncio.run(talk())
        assert bob.receive(SOON) == "* anna has left the room"
    assert CODE not in str(classroom.room.journal)


def test_a_wrong_code_is_refused_there_too(classroom: Classroom) -> None:
    """By the same rules; the telephone is told why, and the connection ends."""

    async def guess() -> None:
        async with dialled(classroom) as phone:
            await phone.write_message("AAAAAA mallory")
            await lines_from(phone, "* that is not the code")
            async with asyncio.timeout(SOON):
                assert await phone.read_message() is None

    asyncio.run(guess())
    assert classroom.room.journal.wait_for("left", timeout=SOON)
    assert eventually(lambda: classroom.room.door.inside == 0)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.example", ""),
        ("null", ""),
        ("", ""),
        ("http://127.0.0.1", ""),
        ("https://{host}", ""),
        ("http://evil.example:80", "evil.example:80"),
        ("http://localhost:{port}", ""),
        ("http://{host}", "evil.example:80"),
    ],
)
def test_a_page_of_another_site_cannot_join(classroom: Classroom, origin: str, host: str) -> None:
    """Its script runs in a browser of this network, and may not open the socket; nor under a name of its own
    that leads here. The journal says so, and the others notice nothing."""
    upgrade = (
        "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    )
    here = host_of(classroom)
    origin = origin.format(host=here, port=here.partition(":")[2])
    more = f"{upgrade}Origin: {origin}\r\n" if origin else upgrade
    assert get(classroom, "/room", host, more=more).startswith("HTTP/1.1 403")
    [entry] = classroom.room.journal
    assert str(entry) == "a browser refused (127.0.0.1: from another page)"


def test_what_tornado_complains_of_stands_in_the_journal_alone(
    classroom: Classroom, caplog: pytest.LogCaptureFixture
) -> None:
    """A request that it cannot read: the teacher's screen shows who is here. What others say is logged."""
    assert get(classroom, host="a:" + "9" * 4400) == ""
    assert classroom.room.journal.wait_for("failed", "the page", timeout=SOON)
    assert caplog.records == []
    logging.getLogger("tornado.application").error("of another thread")
    assert [record.message for record in caplog.records] == ["of another thread"]


def test_another_name_for_this_computer_gets_no_page(classroom: Classroom) -> None:
    """Or a site could make its own name lead here, and its scripts would count as ours."""
    assert get(classroom).startswith("HTTP/1.1 200")
    assert get(classroom, host="evil.example").startswith("HTTP/1.1 403")
    assert get(classroom, "/projector", host="evil.example").startswith("HTTP/1.1 403")


def test_the_page_runs_its_own_script_and_loads_nothing(classroom: Classroom) -> None:
    """It says so to the browser, and names no other address."""
    head, _, body = get(classroom).partition("\r\n\r\n")
    assert "default-src 'none'" in head
    assert "unsafe" not in head
    assert not re.search("https?:|//[a-z]+[.]", body)


def test_telephones_and_terminals_are_counted_together() -> None:
    """So many from one address, whatever they are."""

    async def come(classroom: Classroom) -> None:
        async with dialled(classroom) as phone:
            await lines_from(phone, "* 127.0.0.1 has 1 connections already")
        assert classroom.page
        left = asyncio.run_coroutine_threadsafe(tasks(), classroom.page._loop)
        assert not any("_send_on" in name for name in await asyncio.wrap_future(left))

    async def tasks() -> list[str]:
        return [task.get_coro().__qualname__ for task in asyncio.all_tasks()]  # type: ignore[union-attr]

    with Classroom(door=Door(per_address=1)) as classroom:
        with chatlib.connect(classroom.address, "bob", SOON, ""):
            asyncio.run(come(classroom))
        assert "telephone" in classroom.room.journal.find("refused")[0].who


def test_a_page_that_is_asked_for_by_very_many_connections_is_kept_for_the_others() -> None:
    """Of those that say nothing, an address may have a few; and they end."""
    with Classroom(door=Door(per_address=1)) as classroom, contextlib.ExitStack() as held:
        assert classroom.page
        for _ in range(3 * TABS):
            held.enter_context(socket.create_connection(("127.0.0.1", classroom.page.port), SOON))
        assert eventually(lambda: classroom.page and classroom.page.door.inside == TABS)
        assert get(classroom) == ""
        held.close()
        assert eventually(lambda: classroom.page and classroom.page.door.inside == 0)
        assert get(classroom).startswith("HTTP/1.1 200")


@LINUX
def test_only_this_computer_gets_the_page_with_the_code(classroom: Classroom) -> None:
    """A browser elsewhere does not: 127.0.0.2 is another address."""
    assert CODE in get(classroom, "/projector")
    assert get(classroom, "/projector", source="127.0.0.2").startswith("HTTP/1.1 403")
    assert get(classroom, source="127.0.0.2").startswith("HTTP/1.1 200")


def test_a_telephone_that_does_not_read_is_cut_off(classroom: Classroom) -> None:
    """At the limit on what may wait for it; the others hear all."""
    host = host_of(classroom)
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    hello = f"GET /room HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nUpgrade: websocket\r\n"
    join = f"{CODE} anna".encode()
    with socket.socket() as sock, chatlib.connect(classroom.address, "bob", SOON, CODE) as bob:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(SOON)
        sock.connect(("127.0.0.1", int(host.split(":")[1])))
        sock.sendall(f"{hello}Connection: Upgrade\r\n{key}\r\n".encode())
        sock.recv(100)
        sock.sendall(bytes([0x81, 0x80 | len(join)]) + bytes(4) + join)  # a frame whose mask is 0
        assert bob.receive(SOON) == "* anna has entered the room"
        said = 0
        while not classroom.room.journal.find("left"):
            classroom.room.say("x" * 50_000)
            said += 1
            assert said < 2000
            while (heard := bob.receive(SOON)) == "* anna has left the room":
                pass
            assert heard == "* " + "x" * 50_000
        assert "read too slowly" in classroom.room.journal.find("left")[0].text


def test_the_room_ends_with_telephones_in_it(classroom: Classroom) -> None:
    """They see the end, and nothing runs on."""

    async def stay() -> None:
        async with dialled(classroom) as phone:
            await lines_from(phone, "Welcome")
            await asyncio.to_thread(classroom.close)
            async with asyncio.timeout(SOON):
                assert await phone.read_message() is None

    asyncio.run(stay())
    assert classroom.page
    assert not classroom.page._thread.is_alive()


def test_a_port_that_is_taken_is_told_and_the_room_ends() -> None:
    """No half of it is left."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="cannot listen on 127.0.0.1:"),
    ):
        Classroom(page_port=taken.getsockname()[1])


def test_without_tornado_there_is_a_room_and_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed says what to install; without segno there is no QR code."""
    monkeypatch.delitem(sys.modules, "chatlib.classroom.page")
    monkeypatch.setitem(sys.modules, "tornado.httpserver", None)
    monkeypatch.setitem(sys.modules, "segno", None)
    with Classroom(code=CODE) as classroom:
        assert "pip install tornado" in str(classroom)
        assert "█" not in str(classroom)
        assert "<svg" not in classroom.poster.html(0)
        chatlib.connect(classroom.address, "alice", SOON, CODE).close()


# In a browser


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """A browser, if there is one."""
    program = browser.executable()
    if not program:
        pytest.skip("needs Chromium")
    with browser.chromium(program) as launched:
        yield launched


def fits(page: "Page") -> bool:
    """Says whether nothing sticks out at the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.parametrize(
    "width", [360, *(pytest.param(width, marks=pytest.mark.exhaustive) for width in (900, 1920))]
)
def test_the_pages_in_a_browser(chromium: "Browser", classroom: Classroom, width: int) -> None:
    """A student comes in with the printed link, talks, votes and leaves; nothing sticks out at any width."""
    problems: list[str] = []
    page = chromium.new_page(viewport={"width": width, "height": 700})
    page.set_default_timeout(SOON * 1000)
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    with chatlib.connect(classroom.address, "bob", SOON, CODE) as bob:
        page.goto(classroom.poster.link)
        page.get_by_label("Your name").fill("anna")
        page.get_by_role("button", name="Come in").click()
        assert bob.receive(SOON) == "* anna has entered the room"
        bob.send("<b>hi</b> " + "long" * 60)
        page.get_by_text("[bob] <b>hi</b>").wait_for()
        page.get_by_label("Your line").fill("good morning")
        page.keyboard.press("Enter")
        assert bob.receive(SOON) == "[anna] good morning"
        ballot = classroom.room.ask("What now?", ["this", "that"], lambda: None)
        page.get_by_role("button", name="2. that").click()
        page.get_by_role("button", name="2. that", pressed=True).wait_for()
        assert ballot.counts == {"this": 0, "that": 1}
        assert fits(page)
        projected = chromium.new_page(viewport={"width": width, "height": 700})
        projected.goto(f"{classroom.poster.page}projector")
        assert "answers so far: 1" in projected.inner_text("main")
        ballot.shown = True
        projected.reload()  # as it does by itself every two seconds
        assert "that: 1" in projected.inner_text("main")
        assert fits(projected)
        projected.close()
        classroom.room.close_vote()
        page.get_by_text("What now?").wait_for(state="hidden")
        classroom.room.remove("anna")
        page.get_by_text("* the teacher has sent you out").wait_for()
        page.get_by_text("The connection has ended.").wait_for()
    page.close()
    assert problems == []
