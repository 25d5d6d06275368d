"""Films that nobody has shot: records made up by hand, to try the pictures with."""

import threading
import time
from collections.abc import Mapping

from chatlib.film.place import Place
from chatlib.film.recording import Recording
from chatlib.film.spans import Span, Until
from chatlib.sockets import Address

A: Address = ("127.0.0.1", 50001)
B: Address = ("127.0.0.1", 50002)
SERVER: Address = ("127.0.0.1", 9999)
HOSTILE = "<img src=x onerror=\"document.title='owned'\">\x1b[31m & 'friends'\x00"

LOOP = Place("/tmp/ipykernel_7/1.py", 9, "handle", "while data := self.request.recv(1024):")
ANSWER = Place("/tmp/ipykernel_7/1.py", 11, "handle", "self.request.sendall(data.upper())")


def cell(line: int, source: str) -> Place:
    """A line of a notebook."""
    return Place("/tmp/ipykernel_7/2.py", line, "<module>", source)


class Script:
    """Collects calls in any order; numbers and offsets come by themselves."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._idents: dict[str, int] = {}
        self._gone: dict[tuple[object, ...], int] = {}

    def add(
        self,
        thread: str,
        call: str,
        start: float,
        end: float | None,
        local: Address | None = None,
        peer: Address | None = None,
        size: int = 0,
        outcome: str = "done",
        place: Place | None = None,
        subject: str = "",
        until: Until | None = None,
    ) -> None:
        """Adds one call."""
        ident = self._idents.setdefault(thread, len(self._idents) + 1)
        way = local, peer, call.startswith("send")
        offset = self._gone.get(way, 0)
        self._gone[way] = offset + size
        ends = local, peer, start, end
        span = Span(0, thread, ident, call, subject, *ends, size, offset, outcome, place, until=until)
        self._spans.append(span)

    def recording(
        self, now: float, names: Mapping[Address, str] | None = None, dropped: int = 0
    ) -> Recording:
        """All of it, as a film would hand it out."""
        spans = sorted(self._spans, key=lambda span: (span.end is None, span.end or span.start))
        numbered = tuple(span._replace(number=number) for number, span in enumerate(spans))
        return Recording(numbered, {A: "A", B: "B"} if names is None else names, now, dropped)


def one_at_a_time() -> Recording:
    """A is connected and silent; B has sent, and nobody reads it."""
    script = Script()
    for start in (0.0, 0.05, 0.10, 0.15):
        script.add("the server", "select", start, start + 0.0499, subject="a connection", outcome="nothing")
    script.add("the server", "select", 0.2, 0.21, subject="a connection")
    script.add("MainThread", "connect", 0.2095, 0.21005, A, SERVER, place=cell(1, "a = connect(server)"))
    script.add("the server", "accept", 0.2101, 0.21012, SERVER, A)
    script.add("the server", "recv", 0.2103, None, SERVER, A, place=LOOP)
    script.add("MainThread", "connect", 0.211, 0.2111, B, SERVER, place=cell(2, "b = connect(server)"))
    script.add("MainThread", "sendall", 0.2113, 0.21132, B, SERVER, 12, place=cell(3, 'b.send("quick")'))
    script.add("MainThread", "recv", 0.2115, 0.7118, B, SERVER, 0, "timeout", cell(4, "print(b.waits(0.5))"))
    return script.recording(1.0)


def three_into_one() -> Recording:
    """Three sends arrive as one; one send arrives as two; then the client leaves, and the server."""
    script = Script()
    script.add("the server", "accept", 0, 0.01, SERVER, A)
    script.add("the server", "sleep", 0.0101, 0.21, place=cell(8, "time.sleep(0.2)"))
    for number, start in enumerate((0.05, 0.06, 0.07)):
        script.add("MainThread", "send", start, start + 2e-5, A, SERVER, 6, place=cell(number, "a.send(...)"))
    script.add("the server", "recv", 0.2102, 0.21022, SERVER, A, 18, place=LOOP)
    script.add("the server", "recv", 0.2104, 0.31, SERVER, A, 10, place=LOOP)
    script.add("MainThread", "send", 0.3095, 0.30952, A, SERVER, 20, place=cell(6, "a.send(...)"))
    script.add("the server", "recv", 0.3102, 0.3103, SERVER, A, 10, place=LOOP)
    script.add("the server", "recv", 0.3104, 0.35, SERVER, A, 0, "end", LOOP)
    script.add("MainThread", "close", 0.349, 0.3491, A, SERVER, place=cell(7, "a.close()"))
    script.add("the server", "close", 0.3501, 0.35012, SERVER, A)
    return script.recording(0.36)


def side_by_side() -> Recording:
    """Calls of 20 µs, so close that their labels stand one above the other, and an arrow."""
    script = Script()
    for number, call in enumerate(("connect", "sendall", "recv", "send")):
        begin, client = 0.001 * number, cell(number, "...")
        script.add("MainThread", call, begin, begin + 2e-5, A, SERVER, 6, place=client)
    script.add("the server", "recv", 0.0, 0.002, SERVER, A, 6, place=LOOP)
    return script.recording(0.3)


def broken_off() -> Recording:
    """The client resets the connection."""
    script = Script()
    script.add("the server", "accept", 0, 0.01, SERVER, A)
    script.add("the server", "recv", 0.02, 0.4, SERVER, A, 0, "reset", LOOP)
    script.add("MainThread", "close", 0.3995, 0.3997, A, SERVER, place=cell(3, "a.reset()"))
    return script.recording(0.5)


def crowd(spans: int = 10_000, threads: int = 63) -> Recording:
    """One client sends all the time; many threads take turns at reading it."""
    half = spans // 2
    made = list[Span]()
    for number in range(half):
        start, offset = number * 0.001, number * 14
        place = cell(3, "alice.send('x')")
        sent = ("MainThread", 1, "sendall", "", A, SERVER, start, start + 2e-5, 14, offset, "done", place)
        read = (start, start + 5e-4, 14, offset, "done", LOOP)
        reader = f"reader {number % threads}"
        made.append(Span(2 * number, *sent))
        made.append(Span(2 * number + 1, reader, 2 + number % threads, "recv", "", SERVER, A, *read))
    return Recording(tuple(made), {A: "alice"}, half * 0.001, dropped=77)


class Program:
    """Something that happens while one looks: a chat between the notebook and a server, made up on the way.

    Args:
        name: What the client is called.
        seconds: For how long it goes on.
    """

    def __init__(self, name: str = "alice", seconds: float = 60.0) -> None:
        self._name, self._seconds = name, seconds
        self._ended, self._rounds, self._begin = threading.Event(), 0, time.perf_counter()
        self._thread = threading.Thread(target=self._run, name="makes up a chat", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while self._rounds * 0.1 < self._seconds and not self._ended.wait(0.1):
            self._rounds += 1

    def stop(self) -> None:
        """Ends the chat."""
        self._ended.set()
        self._thread.join()

    def finished(self) -> bool:
        """Whether the chat has ended."""
        return not self._thread.is_alive()

    def take(self) -> Recording:
        """What has happened so far."""
        script, now = Script(), self._rounds * 0.1
        place = cell(3, f"client.send({HOSTILE!r})")
        script.add("the server", "accept", 0.0, 0.01, SERVER, A)
        for number in range(self._rounds):
            start = 0.02 + number * 0.1
            script.add("the server", "recv", start, start + 0.09, SERVER, A, 14, place=LOOP)
            script.add("MainThread", "sendall", start + 0.0895, start + 0.0896, A, SERVER, 14, place=place)
        script.add("the server", "recv", now + 0.02, None, SERVER, A, place=LOOP)
        elapsed = time.perf_counter() - self._begin
        return script.recording(max(now + 0.03, elapsed), {A: self._name})
