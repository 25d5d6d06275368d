"""What waits to be sent: it keeps order, loses nothing, and disconnects a client that reads too slowly."""

import contextlib
import functools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, SupportsIndex

import pytest
from faults import (
    POSIX,
    SOON,
    eventually,
    hasty_switching,
    jam,
    no_thread_starts,
    read_exactly,
    read_to_the_end,
    together,
)

from chatlib.outbox import OUTBOX_LIMIT, PIECES, Flusher, Outbox, PlainSelector
from chatlib.servers.core.thread_flusher import ThreadFlusher
from chatlib.sockets import Wakeup, hang_up

BUFFER = 65_536
"""Bytes that the kernel is asked to hold at each end, so that a reader stalls soon."""

BIG = 2_000_000
"""Bytes: far more than the kernel takes for a connection whose peer does not read."""


class Line:
    """A connection: an outbox at one end, a plain socket at the other.

    Args:
        flusher: What it is flushed with.
        limit: How much may wait, in bytes.
    """

    def __init__(self, flusher: Flusher, limit: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.peer = socket.socket()
            self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            self.peer.settimeout(SOON)
            self.peer.connect(listener.getsockname())
            self.connection, _ = listener.accept()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self.connection.settimeout(SOON)
        self.outbox = Outbox(self.connection, "client 1", flusher, limit)

    def close(self) -> None:
        self.outbox.close()
        self.connection.close()
        self.peer.close()


Connect = Callable[..., Line]


@pytest.fixture
def flusher() -> Iterator[Flusher]:
    """One flusher, closed at the end."""
    with contextlib.closing(ThreadFlusher()) as flusher:
        yield flusher


@pytest.fixture
def line(flusher: Flusher) -> Iterator[Connect]:
    """Makes connections, closed at the end."""
    with contextlib.ExitStack() as stack:

        def connect(limit: int = OUTBOX_LIMIT) -> Line:
            return stack.enter_context(contextlib.closing(Line(flusher, limit)))

        yield connect


def pattern(size: int) -> bytes:
    """Bytes in which every place can be told from the others."""
    return b"".join(b"%09d " % number for number in range(size // 10))


def flusher_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "the flusher"]


def test_nothing_is_sent_before_a_flush(flusher: Flusher, line: Connect) -> None:
    """Posting only adds; what was posted goes out together, in order, with the flush."""
    here = line()
    here.outbox.post(b"one ")
    here.outbox.post(b"two")
    here.peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        here.peer.recv(1)
    here.peer.settimeout(SOON)
    flusher.flush()
    assert here.peer.recv(100) == b"one two"


def test_each_outbox_is_flushed_once(flusher: Flusher, line: Connect) -> None:
    """However often something is posted, an outbox waits once for its flush."""
    first, second = line(), line()
    for _ in range(5):
        first.outbox.post(b"a")
        second.outbox.post(b"b")
    assert list(flusher.posted) == [first.outbox, second.outbox]
    flusher.flush()
    assert not flusher.posted
    assert (first.peer.recv(100), second.peer.recv(100)) == (b"aaaaa", b"bbbbb")


def test_posting_nothing_costs_nothing(flusher: Flusher, line: Connect) -> None:
    """A chunk that completed no line queues no outbox."""
    line().outbox.post(b"")
    assert not flusher.posted


def test_while_all_read_there_is_no_thread(flusher: Flusher, line: Connect) -> None:
    """The flusher's thread starts only when a client stalls."""
    here = line()
    for _ in range(20):
        here.outbox.post(bytes(50_000))
        flusher.flush()
        assert len(read_exactly(here.peer, 50_000)) == 50_000
    assert not flusher_threads()


def test_a_flush_never_waits_and_the_rest_follows(flusher: Flusher, line: Connect) -> None:
    """With a reader that stalls, flush returns; as it reads on, a thread sends everything, in order."""
    here, data = line(limit=2 * BIG), pattern(BIG)
    here.outbox.post(data)
    flusher.flush()  # would never return if it waited: the peer does not read yet
    assert len(flusher_threads()) == 1
    here.outbox.post(b"the end")
    flusher.flush()
    assert read_exactly(here.peer, BIG + 7) == data + b"the end"


def test_one_thread_serves_all_stalled_clients(flusher: Flusher, line: Connect) -> None:
    """Several stalled readers share the one thread, and each gets its own."""
    lines = [line(limit=2 * BIG) for _ in range(5)]
    for number, here in enumerate(lines):
        here.outbox.post(bytes([number]) * BIG)
        flusher.flush()
    assert len(flusher_threads()) == 1
    for number, here in reversed(list(enumerate(lines))):
        assert read_exactly(here.peer, BIG) == bytes([number]) * BIG


def test_a_reader_may_stall_again_and_again(flusher: Flusher, line: Connect) -> None:
    """Stalling, catching up and stalling once more loses nothing."""
    here, data = line(limit=2 * BIG), pattern(BIG)
    for _ in range(4):
        here.outbox.post(data)
        flusher.flush()
        assert read_exactly(here.peer, BIG) == data


def test_posts_while_the_thread_sends_keep_their_order(flusher: Flusher, line: Connect) -> None:
    """One thread posts and flushes while the flusher's catches up: all arrives, in the order of posting."""
    here, blocks = line(limit=1 << 30), [b"%07d\n" % number * 1250 for number in range(2000)]

    def post() -> None:
        for block in blocks:
            here.outbox.post(block)
            flusher.flush()

    with hasty_switching():
        thread = threading.Thread(target=post)
        thread.start()
        received = read_exactly(here.peer, 2000 * 10_000)
        thread.join(SOON)
    assert received == b"".join(blocks)


def test_over_the_limit_it_is_cut(flusher: Flusher, line: Connect) -> None:
    """A client that is owed more than the limit gets the beginning and then the end; the reason is kept."""
    here, data = line(limit=100_000), pattern(4_000_000)
    for start in range(0, len(data), 50_000):
        here.outbox.post(data[start : start + 50_000])
        flusher.flush()
    assert here.outbox.closed
    assert here.outbox.ended == "it read too slowly: more than 100000 bytes waited for it"
    heard = read_to_the_end(here.peer)
    assert heard
    assert data.startswith(heard)


def test_a_cut_leaves_the_others_alone(flusher: Flusher, line: Connect) -> None:
    """The outbox next to one that is cut off goes on."""
    slow, healthy = line(limit=100_000), line(limit=100_000)
    for _ in range(300):
        for here in (slow, healthy):
            here.outbox.post(bytes(50_000))
        flusher.flush()
        assert len(read_exactly(healthy.peer, 50_000)) == 50_000
    assert slow.outbox.closed
    assert not healthy.outbox.ended


def test_a_post_over_the_limit_is_sent_if_the_kernel_has_room(flusher: Flusher, line: Connect) -> None:
    """A reader that is not slow is not disconnected only because the flush came late."""
    here = line(limit=1000)
    for _ in range(10):
        here.outbox.post(bytes(900))
    flusher.flush()
    assert not here.outbox.ended
    assert len(read_exactly(here.peer, 9000)) == 9000


def test_after_finish_nothing_is_added_but_all_is_sent(flusher: Flusher, line: Connect) -> None:
    """`finish` keeps what is owed and refuses more; the first reason stays."""
    here = line()
    here.outbox.post(b"owed")
    here.outbox.finish("first")
    here.outbox.finish("second")
    here.outbox.post(b"too late")
    flusher.flush()
    assert here.outbox.ended == "first"
    here.connection.shutdown(socket.SHUT_WR)
    assert read_to_the_end(here.peer) == b"owed"


def test_a_cut_wakes_the_thread_that_receives(line: Connect) -> None:
    """Closing alone would not wake it: a cut does."""
    here, received = line(), list[bytes]()
    thread = threading.Thread(target=lambda: received.append(here.connection.recv(1)))
    thread.start()
    here.outbox.abort("enough")
    thread.join(SOON)
    assert received == [b""]
    assert here.outbox.ended == "enough"
    assert read_to_the_end(here.peer) == b""


def test_the_first_reason_stays(line: Connect) -> None:
    """Cutting what has been cut, or closed, changes nothing."""
    here = line()
    here.outbox.abort("first")
    here.outbox.abort("second")
    assert here.outbox.ended == "first"
    closed = line()
    closed.outbox.close()
    closed.outbox.abort("too late")
    assert closed.outbox.ended == ""


@pytest.mark.parametrize("end", ["peer", "connection"])
def test_a_broken_connection_is_noticed_by_sending(flusher: Flusher, line: Connect, end: str) -> None:
    """A send that fails ends this conversation, says why and raises nothing."""
    here = line()
    hang_up(getattr(here, end))
    here.peer.close()
    for _ in range(1000):
        here.outbox.post(bytes(10_000))
        flusher.flush()
        if here.outbox.closed:
            break
    assert here.outbox.ended


@POSIX
def test_hanging_up_ends_both_directions_and_may_be_repeated(line: Connect) -> None:
    """The client may be gone already; the descriptor stays open, as another thread may be using it."""
    here = line()
    here.peer.close()
    hang_up(here.connection)
    hang_up(here.connection)
    assert here.connection.recv(1) == b""
    with pytest.raises(BrokenPipeError):  # the first send to a peer that has gone would succeed
        here.connection.send(b"x")


def test_closing_forgets_what_is_owed_and_keeps_the_descriptor(flusher: Flusher, line: Connect) -> None:
    """The connection still works after its outbox is closed: it is not the outbox's to close."""
    here = line()
    here.outbox.post(b"forgotten")
    here.outbox.close()
    here.outbox.post(b"too late")
    flusher.flush()
    here.connection.sendall(b"still open")
    assert here.peer.recv(100) == b"still open"


def test_a_new_connection_with_an_old_descriptor_is_served(flusher: Flusher, line: Connect) -> None:
    """A stalled client that is closed makes room for another one that stalls, on the same descriptor."""
    numbers = set()
    for _ in range(4):
        here, data = line(limit=2 * BIG), pattern(BIG)
        numbers.add(here.connection.fileno())
        here.outbox.post(data)
        flusher.flush()
        there = line(limit=2 * BIG)
        there.outbox.post(data)
        flusher.flush()
        here.close()
        assert read_exactly(there.peer, BIG) == data
        there.close()
    assert len(numbers) < 4


# Draining


def test_draining_waits_until_the_client_has_taken_all(flusher: Flusher, line: Connect) -> None:
    """`drain` returns when nothing is owed any more."""
    here, received = line(limit=2 * BIG), list[bytes]()
    here.outbox.post(pattern(BIG))
    flusher.flush()
    reader = threading.Thread(target=lambda: received.append(read_exactly(here.peer, BIG)))
    reader.start()
    here.outbox.drain(SOON)
    here.connection.shutdown(socket.SHUT_WR)
    reader.join(SOON)
    assert received == [pattern(BIG)]


def test_draining_has_a_deadline(flusher: Flusher, line: Connect) -> None:
    """When the client reads nothing, `drain` returns after its time, and the rest is still owed."""
    here = line(limit=2 * BIG)
    here.outbox.post(bytes(BIG))
    flusher.flush()
    start = time.monotonic()
    together(lambda: here.outbox.drain(0.1))
    assert time.monotonic() - start > 0.09
    assert here.outbox.owed


def test_draining_may_leave_some(flusher: Flusher, line: Connect) -> None:
    """`leave` says how much may still be owed when it returns; the rest follows by itself."""
    here, data = line(limit=2 * BIG), pattern(BIG)
    here.outbox.post(data)
    flusher.flush()
    reader = threading.Thread(target=read_exactly, args=(here.peer, BIG // 2))
    reader.start()
    here.outbox.drain(SOON, leave=BIG - 1000)
    reader.join(SOON)
    assert not reader.is_alive()
    assert read_exactly(here.peer, BIG // 2) == data[BIG // 2 :]


def test_draining_before_the_flush_loses_nothing(flusher: Flusher, line: Connect) -> None:
    """The reader's thread may drain between another thread's post and that thread's flush."""
    here, data = line(limit=2 * BIG), pattern(BIG)
    here.outbox.post(data)
    here.outbox.drain(0.01, leave=1000)
    flusher.flush()
    assert read_exactly(here.peer, BIG) == data


@pytest.mark.parametrize("end", ["reset", "cut", "close"])
def test_draining_ends_when_the_conversation_does(flusher: Flusher, line: Connect, end: str) -> None:
    """A client that goes, or is cut off, meanwhile does not hold it up."""
    here = line(limit=2 * BIG)
    here.outbox.post(bytes(BIG))
    flusher.flush()
    thread = threading.Thread(target=here.outbox.drain, args=(3 * SOON,))
    thread.start()
    if end == "reset":
        here.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        here.peer.close()
    elif end == "cut":
        here.outbox.abort("enough")
    else:
        here.outbox.close()
        here.connection.shutdown(socket.SHUT_RDWR)
    thread.join(SOON)
    assert not thread.is_alive()


def test_draining_after_closing_returns(flusher: Flusher, line: Connect) -> None:
    """Nothing is owed any more, so `drain` does not wait, however patient it is."""
    here = line()
    here.outbox.post(b"forgotten")
    here.outbox.close()
    together(lambda: here.outbox.drain(10 * SOON), within=SOON)
    assert not here.outbox.owed


# When the system gives out


def test_without_a_thread_the_next_flush_goes_on(flusher: Flusher, line: Connect) -> None:
    """If the flusher's thread cannot be started, nothing is lost: each flush sends what it can."""
    here, data = line(limit=2 * BIG), pattern(BIG)
    with no_thread_starts("the flusher"):
        here.outbox.post(data)
        flusher.flush()
        assert not flusher_threads()
        assert here.outbox.owed
    first = read_exactly(here.peer, 1000)
    flusher.flush()
    assert len(flusher_threads()) == 1
    assert first + read_exactly(here.peer, BIG - 1000) == data


def test_large_posts_do_not_pile_up_until_the_flush(flusher: Flusher, line: Connect) -> None:
    """A service may post a hundred megabytes in one answer: kept is the limit, and a post."""
    here, block, most = line(limit=BIG), bytes(BIG // 10), 0
    while not here.outbox.ended:
        here.outbox.post(block)
        most = max(most, here.outbox.owed)
    assert most <= BIG + 2 * len(block)
    assert here.outbox.ended.startswith("it read too slowly")


def test_without_a_thread_a_stalled_outbox_is_queued_once(flusher: Flusher, line: Connect) -> None:
    """Otherwise each post would add a flush, and each flush would try all of them."""
    here = line(limit=4 * BIG)
    with no_thread_starts("the flusher"):
        here.outbox.post(bytes(BIG))
        for _ in range(10):
            flusher.flush()
            here.outbox.post(b"more")
        assert list(flusher.posted) == [here.outbox]


def test_many_short_posts_take_no_more_memory_than_they_have_bytes(flusher: Flusher, line: Connect) -> None:
    """An object for each line would take thirty times as much."""
    here = line(limit=4 * BIG)
    here.outbox.post(bytes(BIG))
    flusher.flush()
    assert here.outbox.stalled
    for _ in range(10_000):
        here.outbox.post(b"x\n")
    assert here.outbox.owed > 20_000
    assert len(here.outbox._news) <= PIECES + 1


@POSIX
def test_without_a_descriptor_the_next_flush_goes_on(flusher: Flusher, line: Connect) -> None:
    """If the flusher cannot make what wakes it, nothing is lost either."""
    import resource

    here, data = line(limit=2 * BIG), pattern(BIG)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            Wakeup()
        here.outbox.post(data)
        flusher.flush()
        here.outbox.drain(0.01)  # needs none either
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not flusher_threads()


def test_without_a_thread_draining_loses_nothing(flusher: Flusher, line: Connect) -> None:
    """When a thread can be had again, the next flush sends on, also after a drain in between."""
    here, data = line(limit=2 * BIG), pattern(BIG)
    with no_thread_starts("the flusher"):
        here.outbox.post(data)
        flusher.flush()
        first = read_exactly(here.peer, 50_000)  # so there is room for a little more
        here.outbox.drain(0.1)
    flusher.flush()
    assert first + read_exactly(here.peer, BIG - len(first)) == data


# The flusher's end


def test_closing_the_flusher_ends_its_thread(flusher: Flusher, line: Connect) -> None:
    """Its thread ends, also with readers that stall for ever; later flushes do no harm."""
    here = line(limit=2 * BIG)
    here.outbox.post(bytes(BIG))
    flusher.flush()
    (thread,) = flusher_threads()
    flusher.close()
    assert not thread.is_alive()
    flusher.close()
    here.outbox.post(b"more")
    flusher.flush()
    assert not flusher_threads()


def test_after_closing_no_thread_is_started(flusher: Flusher, line: Connect) -> None:
    """A client that stalls only then is not sent on to."""
    here = line(limit=2 * BIG)
    flusher.close()
    here.outbox.post(bytes(BIG))
    flusher.flush()
    assert not flusher_threads()


def test_many_threads_may_post_and_flush_at_once(flusher: Flusher, line: Connect) -> None:
    """Each outbox gets each block once, whichever thread sends it; those of one thread in their order."""
    lines, blocks = [line() for _ in range(5)], [[b"%d %097d" % (n, i) for i in range(200)] for n in range(4)]

    def talk(number: int) -> None:
        for block in blocks[number]:
            for here in lines:
                here.outbox.post(block + b"\n")
            flusher.flush()

    with hasty_switching():
        together(*(functools.partial(talk, number) for number in range(4)), within=3 * SOON)
    for here in lines:
        received = read_exactly(here.peer, 80_000).splitlines()
        assert [[block for block in received if block[0] == mine[0][0]] for mine in blocks] == blocks


class Glass(list[bytes]):
    """News that are watched: `look` is called before they are counted, and after some were forgotten."""

    def __init__(self, look: Callable[[], object]) -> None:
        super().__init__()
        self.look = look

    def __iter__(self) -> Iterator[bytes]:
        self.look()
        return super().__iter__()

    def __delitem__(self, which: SupportsIndex | slice) -> None:
        super().__delitem__(which)
        self.look()


def test_an_adopted_outbox_is_marked_as_stalled_already(line: Connect) -> None:
    """An event loop looks at it in another thread, and would not wait for room otherwise."""

    class Loop(ThreadFlusher):
        def adopt(self, outbox: Outbox) -> bool:
            seen.append(outbox.stalled)
            return super().adopt(outbox)

    seen = list[bool]()
    with contextlib.closing(Loop()) as loop, contextlib.closing(Line(loop, 2 * BIG)) as here:
        here.outbox.post(bytes(BIG))
        loop.flush()
    assert seen == [True]


@pytest.mark.parametrize("data", ["text", 5, [b"line"], None, bytearray(b"line")])
def test_what_is_no_bytes_is_refused_at_once(flusher: Flusher, line: Connect, data: Any) -> None:
    """Later, it would fail in whichever thread flushes, and harm other clients."""
    here = line()
    with pytest.raises(TypeError, match="a member is sent bytes: write member.post"):
        here.outbox.post(data)
    assert not flusher.posted


def test_what_is_owed_is_seen_while_it_moves(flusher: Flusher, line: Connect) -> None:
    """A thread that sees nothing owed closes. So the rest is there before the news are forgotten."""
    here, seen = line(limit=2 * BIG), list[bytearray | None]()
    here.outbox._news = Glass(lambda: seen.append(here.outbox._rest))
    here.outbox.post(bytes(BIG))
    flusher.flush()
    assert seen and all(seen)


def test_bytes_that_move_while_they_are_counted_are_not_missed(flusher: Flusher, line: Connect) -> None:
    """Another thread may send at the very moment when the news are counted."""
    here = line(limit=2 * BIG)
    here.outbox.post(bytes(BIG))
    news = here.outbox._news
    here.outbox._news = glass = Glass(flusher.flush)
    glass.extend(news)
    assert here.outbox.owed


# What wakes a selector


def test_a_wakeup_wakes_and_can_be_cleared() -> None:
    """Set any number of times it is readable; cleared, it is not."""
    with contextlib.closing(Wakeup()) as wakeup:
        reader = wakeup._reader.dup()
        with reader:
            for _ in range(3):
                wakeup.set()
            assert reader.recv(1) == b"!"
            wakeup.clear()
            with pytest.raises(BlockingIOError):
                reader.recv(1)


def test_a_full_wakeup_does_not_wait() -> None:
    """It is awake already."""
    with contextlib.closing(Wakeup()) as wakeup:
        assert jam(wakeup._writer) > 0
        wakeup.set()
        wakeup.clear()


def test_a_closed_wakeup_is_harmless() -> None:
    """`set` and `clear` may come late."""
    wakeup = Wakeup()
    wakeup.close()
    wakeup.set()
    wakeup.clear()
    assert wakeup.fileno() == -1


def test_the_thread_goes_idle(flusher: Flusher, line: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once every client has caught up, the flusher's thread sleeps: it asks for nothing any more."""
    rounds, select = list[int](), PlainSelector.select

    def counted(*arguments: Any) -> Any:
        rounds.append(1)
        return select(*arguments)

    def is_still() -> bool:
        before = len(rounds)
        threading.Event().wait(0.05)
        return len(rounds) == before

    monkeypatch.setattr(PlainSelector, "select", counted)
    here = line(limit=2 * BIG)
    here.outbox.post(bytes(BIG))
    flusher.flush()
    assert len(read_exactly(here.peer, BIG)) == BIG
    assert eventually(lambda: not here.outbox.stalled)
    assert eventually(is_still)
    assert rounds


def test_what_no_thread_has_adopted_is_sent_by_draining(flusher: Flusher, line: Connect) -> None:
    """Where no thread or descriptor is left for the flusher, draining sends all: no other thread would."""
    with no_thread_starts("the flusher"):
        here = line()
        here.outbox.post(bytes(BIG // 4))
        flusher.flush()
        reader = threading.Thread(target=read_exactly, args=(here.peer, BIG // 4))
        reader.start()
        here.outbox.drain(SOON, leave=BIG)
        reader.join(SOON)
    assert not reader.is_alive()
