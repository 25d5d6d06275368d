"""Another host, as far as one computer can have one: a network namespace with a cable of its own.

On Linux, and where that is allowed.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator

from faults import SOON


class NotHere(Exception):
    """This computer, or this account, cannot do it; the text says what."""


def run(*words: str) -> None:
    """Runs a command of the system.

    Raises:
        NotHere: It failed.
    """
    try:
        subprocess.run(words, check=True, capture_output=True, timeout=SOON, text=True)
    except FileNotFoundError:
        raise NotHere(f"needs {words[0]}, and so Linux") from None
    except subprocess.CalledProcessError as error:
        raise NotHere(f"not allowed here: {' '.join(words[:3])} ({error.stderr.splitlines()[0]})") from None


def ip(*words: str) -> None:
    """Runs `ip`."""
    run("ip", *words)


class Host:
    """Another host: its address, that of this one as it sees it, and the cable between them."""

    def __init__(self) -> None:
        number = os.getpid() % 250
        self.name = f"chatlib-{os.getpid()}"
        self.here, self.there = f"10.203.{number}.1", f"10.203.{number}.2"
        self._near, self._far = f"near{number}", f"far{number}"

    def open(self) -> None:
        """Makes it, and lays the cable."""
        ip("netns", "add", self.name)
        ip("link", "add", self._near, "type", "veth", "peer", "name", self._far)
        ip("link", "set", self._far, "netns", self.name)
        ip("addr", "add", f"{self.here}/24", "dev", self._near)
        ip("link", "set", self._near, "up")
        for words in (
            ["addr", "add", f"{self.there}/24", "dev", self._far],
            ["link", "set", self._far, "up"],
        ):
            ip("-n", self.name, *words)
        ip("-n", self.name, "link", "set", "lo", "up")

    @property
    def command(self) -> list[str]:
        """What stands before a command that is to run there."""
        return ["ip", "netns", "exec", self.name]

    def cut(self) -> None:
        """Pulls the cable out: packets vanish, and nobody is told."""
        ip("link", "set", self._near, "down")

    def mend(self) -> None:
        """Plugs it in again."""
        ip("link", "set", self._near, "up")

    def slow_down(self, milliseconds: int, loss: int) -> None:
        """Delays each packet to there, and loses so many of a hundred."""
        netem = ["delay", f"{milliseconds}ms", "loss", f"{loss}%"]
        run("tc", "qdisc", "add", "dev", self._near, "root", "netem", *netem)

    def close(self) -> None:
        """Removes it."""
        with contextlib.suppress(NotHere):
            ip("link", "del", self._near)
        with contextlib.suppress(NotHere):
            ip("netns", "del", self.name)


@contextlib.contextmanager
def another_host() -> Iterator[Host]:
    """Makes one, and removes it at the end."""
    host = Host()
    try:
        host.open()
        yield host
    finally:
        host.close()
