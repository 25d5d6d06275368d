"""The page for a telephone's browser: one file and a web socket, by tornado, in a thread of its own."""

import asyncio
import base64
import contextlib
import hashlib
import logging
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.web import Application, HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler

from chatlib.classroom.phone import Phone
from chatlib.classroom.poster import bracketed
from chatlib.classroom.room import Room
from chatlib.door import Door
from chatlib.journal import Journal
from chatlib.servers.core.session import call_service
from chatlib.sockets import Address, explaining
from chatlib.wire import printable

HTML = (Path(__file__).parent / "static" / "phone.html").read_text("utf-8")

MESSAGE_LIMIT = 1000
"""Bytes in a message of a web socket, as in a line of the room."""

PATIENCE = 10.0
"""Seconds for a browser to say what it wants."""

LOGGERS = "tornado.access", "tornado.application", "tornado.general", "asyncio"

TABS = 8
"""Connections that a browser may open for one client of the room: they come and go."""


class Page:
    """Serves the page, and telephones as members of a room.

    Args:
        room: Where telephones come in, by the same door as all others.
        address: Where to listen.
        names: Hosts by which browsers know this computer. A page of any other may not open the web socket.
        poster: Returns the page to project.

    Raises:
        OSError: The address is not available.
        TimeoutError: The computer is too busy to start the thread of the page.
    """

    def __init__(self, room: Room, address: Address, names: set[str], poster: Callable[[], str]) -> None:
        self.room, self.poster = room, poster
        self.phones: dict[Phone, None] = {}
        self.door = Door(TABS * room.door.clients, TABS * room.door.per_address, room.door.networks)
        with explaining(address):
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            self._listener = socket.create_server(address, family=family, backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self.hosts = {f"{bracketed(name)}:{self.port}" for name in names}
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready)), name="the page", daemon=True
        )
        self._thread.start()
        if not ready.wait(PATIENCE):
            self._listener.close()
            raise TimeoutError(f"the page has not started within {PATIENCE:g} s")

    def close(self) -> None:
        """Ends all connections. Blocks for at most 2 s."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(2.0)

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        handlers: list[Any] = [("/", Front), ("/projector", Projector), ("/room", RoomSocket)]
        application = Application(
            [(path, handler, {"page": self}) for path, handler in handlers],
            websocket_max_message_size=MESSAGE_LIMIT,
            websocket_ping_interval=30,  # a telephone that has left the Wi-Fi says nothing
            log_function=lambda handler: None,  # the journal says who comes; a server thread never prints
        )
        server = Listener(
            application,
            idle_connection_timeout=PATIENCE,
            body_timeout=PATIENCE,
            max_header_size=8192,
            max_body_size=1000,
        )
        server.door, server.streams = self.door, set()
        quiet = Quiet(self.room.journal)
        for name in LOGGERS:
            logging.getLogger(name).addFilter(quiet)
        self._listener.setblocking(False)
        server.add_sockets([self._listener])
        ready.set()
        await self._stopping.wait()
        server.stop()
        for phone in list(self.phones):
            phone.abort("the server stopped")
        for stream in list(server.streams):
            stream.close()
        await asyncio.sleep(0)  # the handlers hear of it
        for name in LOGGERS:
            logging.getLogger(name).removeFilter(quiet)


class Quiet(logging.Filter):
    """Takes what the thread of a page logs into the journal: on the teacher's screen, nobody needs it.

    Made in that thread. Others log as before: a notebook's kernel has the same loggers.
    """

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal, self._thread = journal, threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Says whether a record is logged."""
        if record.thread == self._thread:
            self._journal.add("failed", "the page", printable(record.getMessage())[:200])
        return record.thread != self._thread


class Listener(HTTPServer):
    """Closes connections that the door does not let in, before a byte of them is read."""

    door: Door
    streams: set[IOStream]
    """Connections that talk HTTP: a browser may keep one that it does not use."""

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """A browser has connected."""
        if self.door.enter(str(address[0])):
            stream.close()
        else:
            self.streams.add(stream)
            super().handle_stream(stream, address)

    def on_close(self, server_conn: Any) -> None:
        """It has been served, or has left."""
        super().on_close(server_conn)
        self.streams.discard(server_conn.stream)
        self.door.leave(server_conn.context.address[0])


class Front(RequestHandler):
    """The page itself: one file, which loads nothing else."""

    def initialize(self, page: Page) -> None:
        """Takes what the application gives."""
        self.page = page

    def prepare(self) -> None:
        """Refuses other names than this computer's: a site could make its own lead here (DNS rebinding)."""
        if self.request.host not in self.page.hosts:
            raise HTTPError(403)
        self.set_header("Content-Security-Policy", f"{self.policy()}; frame-ancestors 'none'")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")
        self.set_header("Connection", "close")  # a browser would keep it open, for nothing

    def policy(self) -> str:
        """Says what a browser may do with the page: run its one script, and connect to the room."""
        script, style = (
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
            for name in ("script", "style")
            for text in re.findall(f"<{name}>(.*?)</{name}>", HTML, re.DOTALL)
        )
        sockets = " ".join(f"ws://{host}" for host in sorted(self.page.hosts))
        load = f"default-src 'none'; img-src data:; script-src {script}; style-src {style}"
        return f"{load}; connect-src {sockets}"

    def get(self) -> None:
        """Gives the page."""
        self.finish(HTML)


class Projector(Front):
    """What the teacher projects: it shows the code, so only this computer gets it."""

    def policy(self) -> str:
        """It has no script, and its style stands in it."""
        return "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

    def get(self) -> None:
        """Gives the page to a browser of this computer: both ends of its connection have one address."""
        here = self.request.connection.stream.socket.getsockname()[0]  # type: ignore[union-attr]
        if self.request.remote_ip != here:
            raise HTTPError(403)
        self.finish(self.page.poster())


class RoomSocket(WebSocketHandler):
    """The web socket of one telephone."""

    def initialize(self, page: Page) -> None:
        """Takes what the application gives."""
        self.page = page
        self.phone: Phone | None = None

    def prepare(self) -> None:
        """Refuses the pages of other sites: their scripts run in a browser that is in this network."""
        origin, host = self.request.headers.get("Origin", ""), self.request.host
        if origin != f"http://{host}" or host not in self.page.hosts:
            self.page.room.journal.add("refused", "a browser", f"{self.request.remote_ip}: from another page")
            raise HTTPError(403)

    def check_origin(self, origin: str) -> bool:
        """`prepare` has looked, also where a browser sends no origin."""
        return True

    def open(self, *_: str, **__: str) -> None:
        """A telephone has come."""
        assert self.ws_connection and self.ws_connection.stream
        self.set_nodelay(True)
        room, host = self.page.room, str(self.request.remote_ip)
        phone = Phone(self.ws_connection.stream, host, self.write_message, self.close)
        if problem := room.door.enter(host):
            room.journal.add("refused", phone.name, problem)
            self.write_message(f"* {problem}\n")
            phone.close()
            phone.abort(problem)  # at once: nobody counts it, and it may never answer a close
            return
        self.phone = phone
        self.page.phones[phone] = None
        call_service(room, phone, lambda: room.joined(phone))
        room.flush()

    def on_message(self, message: str | bytes) -> None:
        """It has said a line, or several."""
        phone, room = self.phone, self.page.room
        if phone and not phone.ended and isinstance(message, str):
            call_service(room, phone, lambda: room.heard(phone, message.split("\n")))
            room.flush()

    def on_close(self) -> None:
        """It has left."""
        if phone := self.phone:
            self.phone = None
            del self.page.phones[phone]
            phone.close()
            self.page.room.door.leave(phone.address)
            call_service(self.page.room, phone, lambda: self.page.room.left(phone, phone.ended))
            self.page.room.flush()
