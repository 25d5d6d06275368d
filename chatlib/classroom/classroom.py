"""A room that is open: its server, and what the class has to know to come in."""

import contextlib
import re
import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

from chatlib import background, notebook_cells
from chatlib.classroom.ballot import Ballot
from chatlib.classroom.poster import Poster, bracketed
from chatlib.classroom.room import Room
from chatlib.door import Door
from chatlib.servers import MODELS, Limits
from chatlib.servers.core.server import Server
from chatlib.sockets import Address, is_loopback

if TYPE_CHECKING:
    from chatlib.classroom.page import Page

LAN = "lan"
"""In place of a host: the address that this computer has on its local network."""

LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""A code has six of these. None looks like another one, 0 like O, say; and there are 880 million codes."""

LIMITS = {"line": 1000, "outbox": 262_144}
"""Bytes in a line of a class, and bytes that may wait for one client."""


class Classroom:
    """A room on a server that runs. Ended by `close`, by the end of a `with` block, or by a cell's next run.

    Args:
        title: What the room is called.
        host: Where to listen: this computer only, if not given; `"lan"` for the local network.
        port: 0 for any free one.
        code: What clients have to know. Made up, if not given, wherever other computers can connect.
        open: True if clients need no code, also on other computers.
        model: How the server waits: one of `chatlib.MODELS`.
        door: Who may connect: by default, 60 clients of private networks, at most 4 from one address.
        page_port: Where the page for telephones listens; None for no page. It needs tornado, which comes
            with JupyterLab.

    Raises:
        OSError: The address is not available.
        ValueError: There is no such model, or one that cannot serve several clients that share a room; or the
            code has blanks, so no client could say it.
    """

    def __init__(
        self,
        title: str = "the room",
        host: str = "127.0.0.1",
        port: int = 0,
        code: str | None = None,
        open: bool = False,
        model: str = "threading",
        door: Door | None = None,
        page_port: int | None = 0,
    ) -> None:
        if model not in MODELS or model in ("sync", "forking"):
            raise ValueError(
                f"{model!r} cannot serve a class: take threading, raw-threads, selectors or asyncio"
            )
        if code and not re.fullmatch(r"[!-~]+", code):
            raise ValueError(f"a code is letters and digits without blanks, not {code!r}")
        host = lan_address() if host == LAN else host
        alone = is_loopback(host)
        self.code = "" if open else code if code is not None else "" if alone else new_code()
        if not (alone or open or self.code):
            raise ValueError(f"a room without a code on {host} needs open=True: anybody there could come in")
        self.is_exposed = not (alone or self.code)
        """Whether other computers can come in without a code."""
        self.room = Room(title, self.code, door)
        limits = Limits(**LIMITS, door=self.room.door)
        self.server: Server = background.start(MODELS[model], (host, port), self.room, limits)
        self.page: Page | None = None
        """Where telephones come in."""
        shown = lan_address() if host in ("0.0.0.0", "::") else host
        if page_port is not None:
            try:
                self._open_page((host, page_port), {shown, "127.0.0.1", "localhost"})
            except BaseException:  # its port is taken, say
                background.stop(self.server)
                raise
        link = f"http://{bracketed(shown)}:{self.page.port}/" if self.page else ""
        self.poster = Poster(self.room.title, shown, int(self.server.server_address[1]), self.code, link)
        self._closed = threading.Event()
        self._clock = threading.Thread(target=self._sweep, name="the room's clock", daemon=True)
        self._clock.start()
        notebook_cells.remember(self, Classroom.close)

    @property
    def address(self) -> str:
        """Host and port, as `chatlib.connect` takes them."""
        return self.poster.address

    def ask(self, question: str, choices: Sequence[str], changed: Callable[[], None]) -> Ballot:
        """Puts a question to all: see `chatlib.predict`."""
        return self.room.ask(question, choices, changed)

    def close_vote(self, measured: str = "") -> None:
        """Ends the vote: see `chatlib.predict`."""
        self.room.close_vote(measured)

    def close(self) -> None:
        """Ends the room: all connections are closed. Blocks for at most 6 s; harmless when called twice."""
        self._closed.set()
        if self.page:
            self.page.close()
        background.stop(self.server)
        if self._clock is not threading.current_thread():
            self._clock.join(1.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        return str(self.poster)

    __repr__ = __str__  # what a notebook shows

    def _open_page(self, address: Address, names: set[str]) -> None:
        """Opens the page for telephones, if tornado is installed."""
        with contextlib.suppress(ModuleNotFoundError):
            from chatlib.classroom.page import Page

            self.page = Page(self.room, address, names, self._projected)

    def _projected(self) -> str:
        present = [one for one in self.room.who() if one.name]
        return self.poster.html(len(present), self.room.ballot)

    def _sweep(self) -> None:
        """Once a second, until the room is closed, sends out clients that do not say their name."""
        while not self._closed.wait(1.0):
            self.room.sweep()


def new_code() -> str:
    """Makes up a code that nobody can foresee."""
    return "".join(secrets.choice(LETTERS) for _ in range(6))


def lan_address() -> str:
    """Returns the address of this computer on its local network; that of itself, if it is on none.

    On several networks, it is the one that leads out: say which you mean, if that is wrong.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        # UDP: nothing is sent, the kernel only chooses the way. (The address is one for examples, RFC 5737.)
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return "127.0.0.1"
