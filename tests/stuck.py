"""Small programs of real threads and sockets, and what is wrong with each: `python stuck.py NAME`.

Each is a process of its own, as some of them can only be ended with it. It ends as soon as a film says what
is expected, or when a deadline is over, and prints what the film said last, as JSON.
"""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import queue
import select
import selectors
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import chatlib
from chatlib.api import Film, xray
from chatlib.film.verdict.judge import verdict_of

DEADLINE = 30.0
"""Seconds within which the verdict must be there. Only a failing test waits so long."""

LOOKS = 3
"""How often a program that is fine is looked at."""

Lock = Any
Ready = Callable[[], object] | None


@dataclasses.dataclass(frozen=True)
class Program:
    """One program, and what is to be said of it."""

    run: Callable[[], Ready]
    kind: str
    """Of the finding; empty, if the program is fine."""
    words: str
    """A part of its sentence."""
    certain: bool
    alone: bool
    """Whether the thread that looks counts as none of the program's, as with `xray --live`."""


PROGRAMS: dict[str, Program] = {}


def stuck(
    kind: str, words: str, certain: bool = False, alone: bool = False
) -> Callable[[Callable[[], Ready]], Callable[[], Ready]]:
    """Registers a program. It starts threads, and returns at once; what it returns blocks until it is so."""

    def register(run: Callable[[], Ready]) -> Callable[[], Ready]:
        PROGRAMS[run.__name__] = Program(run, kind, words, certain, alone)
        return run

    return register


fine = stuck("", "")


def thread(name: str, target: Callable[..., object], *args: Any) -> threading.Thread:
    """Starts one. As a daemon: the process ends although it waits."""
    started = threading.Thread(target=target, args=args, name=name, daemon=True)
    started.start()
    return started


def listener() -> socket.socket:
    """A socket that clients connect to."""
    return socket.create_server(("127.0.0.1", 0))


KEPT: list[Any] = []
"""Sockets, which would be closed if no variable held them any more."""


def dial(server: socket.socket | Any) -> socket.socket:
    """A client's end; its calls have no time limit."""
    address = server.getsockname() if isinstance(server, socket.socket) else server.server_address
    client = socket.create_connection(address)
    KEPT.append(client)
    return client


def ask(server: Any, *lines: bytes) -> None:
    """A client that sends, and waits for an answer."""
    client = dial(server)
    for line in lines:
        client.sendall(line)
    client.recv(100)


# Ten deadlocks


def crossed(first: Lock, second: Lock, meet: threading.Barrier) -> None:
    """Takes two locks, when another thread has taken one."""
    with first:
        meet.wait()
        with second:
            pass


@stuck("deadlock", "'alice' waits for the lock that 'bob' holds, and 'bob' for the one that 'alice'", True)
def two_locks() -> Ready:
    """Each has one, and wants that of the other."""
    here, there, meet = threading.Lock(), threading.Lock(), threading.Barrier(2)
    thread("alice", crossed, here, there, meet)
    thread("bob", crossed, there, here, meet)
    return None


@stuck("deadlock", "'alice' waits for the lock that 'bob' holds, and 'bob' for the one that 'alice'", True)
def two_rlocks_without_with() -> Ready:
    """An RLock can only be released by the thread that has it."""

    def take(first: Lock, second: Lock) -> None:
        first.acquire()
        meet.wait()
        second.acquire()

    here, there, meet = threading.RLock(), threading.RLock(), threading.Barrier(2)
    thread("alice", take, here, there)
    thread("bob", take, there, here)
    return None


@stuck("deadlock", "Deadlock, unless another thread releases a lock: 'alice' waits for the lock that 'bob'")
def two_locks_without_with() -> Ready:
    """A plain lock could be released by any thread: so it is not certain."""

    def take(first: Lock, second: Lock) -> None:
        first.acquire()
        meet.wait()
        second.acquire()

    here, there, meet = threading.Lock(), threading.Lock(), threading.Barrier(2)
    thread("alice", take, here, there)
    thread("bob", take, there, here)
    return None


@stuck("deadlock", "'b' for the one that 'c' holds, and 'c' for the one that 'a' holds", True)
def three_in_a_ring() -> Ready:
    """Each philosopher has one fork."""
    forks, meet = [threading.Lock() for _ in range(3)], threading.Barrier(3)
    for number, name in enumerate("abc"):
        thread(name, crossed, forks[number], forks[(number + 1) % 3], meet)
    return None


@stuck("deadlock", "Deadlock: 'alice' waits for the lock that it holds itself", True)
def one_lock_twice() -> Ready:
    """A function that has the lock calls another one that takes it."""

    def add() -> None:
        with lock:
            pass

    def add_two() -> None:
        with lock:
            add()

    lock = threading.Lock()
    thread("alice", add_two)
    return None


@stuck("deadlock", "'alice' waits for the end of 'bob', and 'bob' for the end of 'alice'", True)
def two_joins() -> Ready:
    """Each waits until the other has ended."""
    both, begun = list[threading.Thread](), threading.Event()

    def join(other: int) -> None:
        begun.wait()
        both[other].join()

    both += [thread("alice", join, 1), thread("bob", join, 0)]
    begun.set()
    return None


@stuck("deadlock", "'boss' waits for the end of 'worker', and 'worker' for the lock that 'boss' holds", True)
def join_with_a_lock() -> Ready:
    """The worker needs what the boss keeps while it waits for it."""

    def work() -> None:
        with lock:
            pass

    def order() -> None:
        with lock:
            thread("worker", work).join()

    lock = threading.Lock()
    thread("boss", order)
    return None


@stuck("starved", "'eats' waits for an item in a queue", certain=True, alone=True)
def lock_and_queue() -> Ready:
    """The one that eats waits for an item, and has the lock that is needed to put one in."""

    def eat() -> None:
        with lock:
            begun.set()
            box.get()

    def cook() -> None:
        begun.wait()
        with lock:
            box.put(1)

    lock, box, begun = threading.Lock(), queue.Queue[int](), threading.Event()
    thread("eats", eat)
    thread("cooks", cook)
    return None


@stuck("starved", "and no thread is left that puts one in", certain=True, alone=True)
def two_queues() -> Ready:
    """Each waits for an item from the other before it puts one."""

    def swap(mine: "queue.Queue[int]", other: "queue.Queue[int]") -> None:
        mine.get()
        other.put(1)

    here, there = queue.Queue[int](), queue.Queue[int]()
    thread("alice", swap, here, there)
    thread("bob", swap, there, here)
    return None


@stuck("starved", "'boss' waits for the end of 'worker', and 'worker' waits for an item in a queue")
def no_sentinel() -> Ready:
    """The boss has put all jobs, and waits for a worker that waits for more."""

    def work() -> None:
        while box.get():
            box.task_done()

    def order() -> None:
        worker = thread("worker", work)
        for job in range(1, 4):
            box.put(job)
        worker.join()

    box = queue.Queue[int]()
    thread("boss", order)
    return None


# Ten stuck peers


class Shout(socketserver.StreamRequestHandler):
    """Answers each line."""

    def handle(self) -> None:
        """Until its client has left."""
        for line in self.rfile:
            self.wfile.write(line.upper())


@stuck("held-up", "bob waits for the server, and the server waits for alice, which says nothing")
def silent_client() -> Ready:
    """A server of one thread serves alice, which is silent; bob has said something."""
    server = chatlib.start(chatlib.SyncServer)
    KEPT.append(chatlib.connect(server, "alice"))
    KEPT.append(bob := chatlib.connect(server, "bob"))
    bob.send("hello")
    thread("bob", bob.receive, DEADLINE)
    return None


@stuck("held-up", "'bob' and 'carol' wait for 'serves', and 'serves' waits for peer 1, which says nothing")
def a_server_of_ones_own() -> Ready:
    """It accepts a client when the one before has left; that has not even said anything."""

    def serve() -> None:
        while True:
            with door.accept()[0] as client:
                while line := client.recv(100):
                    client.sendall(line)

    door = listener()
    dial(door)
    thread("serves", serve)
    thread("bob", ask, door, b"hello")
    thread("carol", ask, door)  # it waits for a greeting
    return None


@stuck("unread", "'serves' waits for 'sam', which has not read for")
def peer_that_does_not_read() -> Ready:
    """The server sends more than the buffers take."""

    def serve() -> None:
        door.accept()[0].sendall(bytes(50_000_000))

    def listen() -> None:
        client = dial(door)
        client.recv(10)
        over.wait()

    door, over = listener(), threading.Event()
    thread("serves", serve)
    thread("sam", listen)
    return None


@stuck("both-receive", "Both sides wait to receive, 'serves' and 'alice'")
def both_sides_are_polite() -> Ready:
    """The client waits for a greeting, and the server for a name."""
    door = listener()
    thread("serves", lambda: door.accept()[0].recv(100))
    thread("alice", ask, door)
    return None


@stuck("both-receive", ": nobody will ever speak", certain=True, alone=True)
def no_half_close() -> Ready:
    """The server reads to the end before it answers; the client does not say that this was all."""

    def serve() -> None:
        client = door.accept()[0]
        while client.recv(100):
            pass
        client.sendall(b"thank you")

    door = listener()
    thread("serves", serve)
    thread("alice", ask, door, b"all that I have to say")
    return None


@stuck("both-receive", "'serves' and 'alice'")
def half_a_message() -> Ready:
    """The server waits for ten bytes, and the client has sent five."""

    def serve() -> None:
        client, message = door.accept()[0], b""
        while len(message) < 10:
            message += client.recv(10 - len(message))
        client.sendall(b"ok")

    door = listener()
    thread("serves", serve)
    thread("alice", ask, door, b"hello")
    return None


@stuck("both-send", "Both sides send, and neither reads", certain=True, alone=True)
def both_sides_send() -> Ready:
    """Each sends all before it reads."""

    def swap(end: socket.socket) -> None:
        end.sendall(bytes(50_000_000))
        end.recv(100)

    KEPT.extend(socket.socketpair())
    thread("alice", swap, KEPT[0])
    thread("bob", swap, KEPT[1])
    return None


@stuck("unread", "'bob' and 'carol' wait for the lock that 'alice' holds, and 'alice' waits for 'sam', which")
def broadcast_with_a_lock() -> Ready:
    """One that reads nothing holds up all who want to send."""

    def send_to_all() -> None:
        with lock:
            KEPT[0].sendall(bytes(50_000_000))

    KEPT.extend(socket.socketpair())
    KEPT[0].sendall(b"x")
    lock, over = threading.Lock(), threading.Event()
    thread("sam", lambda: (KEPT[1].recv(1), over.wait()))
    for name in ("alice", "bob", "carol"):
        sends = thread(name, send_to_all)
        while name == "alice" and not lock.locked():
            sends.join(0.001)
    return None


@stuck("both-receive", "One thread has both ends, and waits to receive, 'alice'")
def talks_to_itself() -> Ready:
    """It waits for what it would have to send itself."""

    def greet() -> None:
        here, there = socket.socketpair()
        KEPT.extend((here, there))
        there.sendall(b"hello")
        here.recv(100)
        here.recv(100)

    thread("alice", greet)
    return None


@stuck(
    "deadlock",
    "unless another thread sends or closes: 'alice' waits for the lock that 'bob' holds, and 'bob' for bytes",
)
def receives_with_a_lock() -> Ready:
    """The answer can only be sent by one that waits for the lock."""

    def receive() -> None:
        with lock:
            KEPT[0].sendall(b"go on")
            KEPT[0].recv(100)

    def answer() -> None:
        KEPT[1].recv(100)
        with lock:
            KEPT[1].sendall(b"yes")

    KEPT.extend(socket.socketpair())
    lock = threading.Lock()
    thread("alice", answer)
    thread("bob", receive)
    return None


# Ten loops


def in_a_loop(block: Callable[[], object]) -> None:
    """An event loop with two tasks that wait, and one that does what no task should."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.01)

    async def hog() -> None:
        await asyncio.sleep(0.05)
        block()

    async def main() -> None:
        await asyncio.gather(tick(), tick(), hog())

    thread("loops", asyncio.run, main())


@stuck("blocked-loop", "The event loop has been in `time.sleep` for")
def sleep_in_a_coroutine() -> Ready:
    """`time.sleep` instead of `asyncio.sleep`."""
    in_a_loop(lambda: time.sleep(DEADLINE))
    return None


@stuck("blocked-loop", "The event loop has been in `recv`, which waits for the other end,")
def recv_in_a_coroutine() -> Ready:
    """A socket that blocks."""
    KEPT.extend(socket.socketpair())
    in_a_loop(lambda: KEPT[0].recv(1))
    return None


@stuck("blocked-loop", "The event loop has been in `acquire`, which waits for the lock that the main program")
def lock_in_a_coroutine() -> Ready:
    """A lock of threads, not of asyncio."""
    lock = threading.Lock()
    lock.acquire()
    in_a_loop(lock.acquire)
    return None


@stuck("blocked-loop", "The event loop has been busy for")
def sum_in_a_coroutine() -> Ready:
    """It calculates."""

    def calculate() -> None:
        while True:
            sum(range(100))

    in_a_loop(calculate)
    return None


@stuck("blocked-loop", "The event loop has been in `get`, which waits for an item in a queue,")
def queue_in_a_coroutine() -> Ready:
    """A queue of threads, not of asyncio."""
    box = queue.Queue[int]()
    in_a_loop(box.get)
    return None


@stuck("polling", "Polling: 'serves' has made")
def selects_what_has_left() -> Ready:
    """A connection that has ended can always be read: it should have been closed."""

    def serve(sock: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    key.fileobj.recv(100)  # type: ignore[union-attr]

    here, there = socket.socketpair()
    KEPT.append(here)
    thread("serves", serve, here)
    there.close()
    return None


@stuck("polling", "Polling: 'accepts' has made")
def accepts_in_vain() -> Ready:
    """It fails each time, as it forgot to listen, and asks again at once."""

    def accept(sock: socket.socket) -> None:
        while True:
            with contextlib.suppress(OSError):
                sock.accept()

    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    KEPT.append(sock)
    thread("accepts", accept, sock)
    return None


# Tasks, which wait for each other as threads do


def in_tasks(*works: Callable[[asyncio.Lock, asyncio.Lock], Any]) -> None:
    """An event loop with two locks, and a task for each of some coroutine functions, called by its name."""

    async def main() -> None:
        one, two = asyncio.Lock(), asyncio.Lock()
        tasks = [asyncio.create_task(work(one, two), name=work.__name__) for work in works]
        await asyncio.gather(*tasks, return_exceptions=True)

    thread("loops", asyncio.run, main())


async def left(one: asyncio.Lock, two: asyncio.Lock) -> None:
    """Takes both, in this order."""
    async with one:
        await asyncio.sleep(0.05)
        async with two:
            pass


async def right(one: asyncio.Lock, two: asyncio.Lock) -> None:
    """Takes both, in the other order."""
    await left(two, one)


BOTH = "task left waits for the lock that task right holds, and task right for the one that task left holds"


@stuck("deadlock", f"Deadlock, unless another task cancels one of them: {BOTH} (line")
def tasks_in_a_circle() -> Ready:
    """Two locks of asyncio, taken in different orders."""
    in_tasks(left, right)
    return None


@stuck("deadlock", "task again waits for the lock that it holds itself (line")
def a_task_that_locks_twice() -> Ready:
    """A lock of asyncio cannot be taken twice, not even by the same task. Others go on meanwhile."""

    async def again(one: asyncio.Lock, two: asyncio.Lock) -> None:
        async with one, one:
            pass

    async def ticks(one: asyncio.Lock, two: asyncio.Lock) -> None:
        while True:
            await asyncio.sleep(0.01)

    in_tasks(again, ticks)
    return None


@stuck("deadlock", "Deadlock, unless another task cancels one of them: task ")
def tasks_that_await_each_other() -> Ready:
    """Each wants to go on when the other has ended."""

    async def main() -> None:
        async def first() -> None:
            await asyncio.sleep(0)
            await tasks[1]

        async def second() -> None:
            await tasks[0]

        tasks = [asyncio.create_task(work(), name=work.__name__) for work in (first, second)]
        await asyncio.sleep(DEADLINE)

    thread("loops", asyncio.run, main())
    return None


@fine
def tasks_with_a_time_limit() -> Ready:
    """Their circle ends by itself."""

    async def hurries(one: asyncio.Lock, two: asyncio.Lock) -> None:
        await asyncio.wait_for(left(one, two), DEADLINE)

    async def waits(one: asyncio.Lock, two: asyncio.Lock) -> None:
        await asyncio.wait_for(right(one, two), DEADLINE)

    in_tasks(hurries, waits)
    return None


@fine
def tasks_that_hand_on_a_lock() -> Ready:
    """Each takes it for a moment, and releases what another one has taken."""

    async def plays(one: asyncio.Lock, two: asyncio.Lock) -> None:
        while True:
            await one.acquire()
            await asyncio.sleep(0.3)
            two.release()

    async def answers(one: asyncio.Lock, two: asyncio.Lock) -> None:
        await two.acquire()
        await plays(two, one)

    in_tasks(answers, plays)
    return None


@stuck("polling", "Polling: 'asks' has made")
def polls_a_socket() -> Ready:
    """It asks a socket that does not block, again and again."""

    def poll() -> None:
        while True:
            with contextlib.suppress(BlockingIOError):
                KEPT[0].recv(1)

    KEPT.extend(socket.socketpair())
    KEPT[0].setblocking(False)
    thread("asks", poll)
    return None


@stuck("polling", "Polling: 'asks' has made")
def selects_for_no_time() -> Ready:
    """`select` with a timeout of 0."""

    def poll() -> None:
        while not select.select([KEPT[0]], [], [], 0)[0]:
            pass

    KEPT.extend(socket.socketpair())
    thread("asks", poll)
    return None


@stuck("polling", "Polling: 'asks' has made")
def polls_with_a_selector() -> Ready:
    """The same, with an object."""

    def poll() -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(KEPT[0], selectors.EVENT_READ)
            while not selector.select(timeout=0):
                pass

    KEPT.extend(socket.socketpair())
    thread("asks", poll)
    return None


@stuck("polling", "that brought nothing, as the other side has left")
def reads_beyond_the_end() -> Ready:
    """`recv` gives b"" at once when the other side has left, and it is asked for more."""

    def serve() -> None:
        client, lines = door.accept()[0], b""
        while b"\n" not in lines:
            lines += client.recv(100)

    door = listener()
    thread("serves", serve)
    dial(door).close()
    return None


@stuck("polling", "Polling: 'asks' has made")
def polls_for_clients() -> Ready:
    """A listener that does not block."""

    def poll() -> None:
        while True:
            with contextlib.suppress(BlockingIOError):
                door.accept()

    door = listener()
    door.setblocking(False)
    thread("asks", poll)
    return None


# Ten that are fine


@fine
def idle_server() -> Ready:
    """It waits for a connection."""
    chatlib.start(chatlib.SyncServer)
    chatlib.start(socketserver.TCPServer(("127.0.0.1", 0), Shout))
    return None


@fine
def idle_clients() -> Ready:
    """Threads wait for clients that say nothing just now."""
    server = chatlib.start(chatlib.ThreadingServer)
    for name in ("alice", "bob"):
        KEPT.append(client := chatlib.connect(server, name))
        client.send("hello")
        client.receive()
    return None


@fine
def idle_event_loops() -> Ready:
    """One thread for all, by hand and with asyncio."""
    for model in (chatlib.SelectorServer, chatlib.AsyncioServer):
        KEPT.append(client := chatlib.connect(chatlib.start(model), "alice"))
        client.send("hello")
        client.receive()
    return None


@fine
def worker_with_a_producer() -> Ready:
    """The worker waits for jobs, the boss for the worker, and one job comes now and then."""

    def produce() -> None:
        while True:
            box.put(1)
            time.sleep(0.4)

    def work() -> None:
        while box.get():
            done.set()

    box, done = queue.Queue[int](), threading.Event()
    thread("boss", thread("worker", work).join)
    thread("produces", produce)
    return done.wait


@fine
def ping_pong() -> Ready:
    """Two threads hand two locks to each other: each releases what the other has taken."""

    def play(mine: Lock, other: Lock) -> None:
        while True:
            mine.acquire()
            time.sleep(0.3)
            other.release()

    ping, pong = threading.Lock(), threading.Lock()
    pong.acquire()
    thread("ping", play, ping, pong)
    thread("pong", play, pong, ping)
    return None


@fine
def pool_without_work() -> Ready:
    """Its threads wait for work, which has been done."""
    pool = concurrent.futures.ThreadPoolExecutor(2)
    KEPT.append(pool)
    assert list(pool.map(abs, [1, -1])) == [1, 1]
    return None


@fine
def long_sum() -> Ready:
    """One calculates, and another waits for it."""

    def calculate() -> None:
        while True:
            sum(range(1000))

    thread("boss", thread("calculates", calculate).join)
    return None


@fine
def quiet_chat() -> Ready:
    """Two threads for each end: one receives, one sends what it is given. Nobody has anything to say yet."""

    def send(end: socket.socket, words: "queue.Queue[bytes]") -> None:
        while word := words.get():
            end.sendall(word)

    for end in socket.socketpair():
        KEPT.append(end)
        thread("hears", end.recv, 100)
        thread("speaks", send, end, queue.Queue[bytes]())
    return None


@fine
def slow_reader_that_reads() -> Ready:
    """The sender waits, but for one that takes what comes."""

    def read() -> None:
        while KEPT[1].recv(100_000):
            time.sleep(0.02)

    def send() -> None:
        while True:
            KEPT[0].sendall(bytes(1_000_000))

    KEPT.extend(socket.socketpair())
    thread("reads", read)
    thread("sends", send)
    return None


@fine
def patient_polling() -> Ready:
    """It asks now and then, and rests in between."""

    def poll() -> None:
        while not select.select([KEPT[0]], [], [], 0.1)[0]:
            time.sleep(0.05)

    KEPT.extend(socket.socketpair())
    thread("asks", poll)
    return None


def verdict(film: Film, program: Program) -> list[dict[str, Any]]:
    """Returns what is said of it now."""
    found = film.verdict()
    if program.alone:
        recording = film.recording()
        free = (recording.free or frozenset()) - {recording.looker}
        found = verdict_of(dataclasses.replace(recording, free=free, looker=0))
    return [dataclasses.asdict(finding) for finding in found.findings]


def is_as_expected(program: Program, found: list[dict[str, Any]]) -> bool:
    """Whether one of the sentences names the cause."""
    told = [each["sentence"] for each in found if each["certain"] == program.certain]
    return any(program.words in sentence for sentence in told)


def main(name: str) -> None:
    """Runs a program, and prints what is said of it. Ends the process, whatever waits in it."""
    program, deadline, found = PROGRAMS[name], time.monotonic() + DEADLINE, list[dict[str, Any]]()
    with xray() as film:
        if ready := program.run():
            ready()
        if program.kind:
            while not is_as_expected(program, found) and time.monotonic() < deadline:
                found = verdict(film, program)
        else:
            for _ in range(LOOKS):
                found += verdict(film, program)
        print(json.dumps(found), flush=True)
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
