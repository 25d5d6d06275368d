"""Exercise 06b: an outbox with a limit. One thread posts, another one sends, and the client may sleep."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from chatlib.checker.case import Case, step
from chatlib.checker.errors import Broken
from chatlib.teach.exercises.ex06b_reader import PATIENCE, Reader
from chatlib.teach.exercises.exercise import Exercise, is_subclass_of
from chatlib.teach.exercises.sandbox import Trial, told

LESSON = "06 The sleeper"
LIMIT = 100
"""Bytes that may wait."""

IDLE_WITHIN = 0.3
"""Seconds in which `send_all` should have come to wait for a line."""


@runtime_checkable
class Posting(Protocol):
    """A class with the methods that are asked for."""

    def post(self, line: bytes) -> None:
        """Adds a line; never waits."""

    def send_all(self) -> None:
        """Sends the lines, in a thread of its own."""


@dataclass(frozen=True)
class Room:
    """An outbox at work: its client, and the thread that runs `send_all`."""

    trial: Trial
    client: Reader
    outbox: Any
    errors: list[Exception] = field(default_factory=list)
    """What `send_all` has raised."""

    def send_all(self) -> None:
        """Runs the learner's method, and keeps what it raises."""
        try:
            self.outbox.send_all()
        except Exception as error:
            self.errors.append(error)

    def post(self, *lines: bytes) -> None:
        """Posts lines, none of which may wait."""
        for line in lines:
            self.trial.attempt(
                lambda line=line: self.outbox.post(line),  # type: ignore[misc]
                "post returns at once, though the client sleeps",
                rescue=self.client.shutdown,
            )

    def post_to_sleeper(self, first: bytes, *lines: bytes) -> None:
        """Posts the first line, waits until its `sendall` waits for the client, then posts the others.

        Without that, all could be posted before the other thread runs, and one that holds the lock while it
        sends would hold up no post.
        """
        self.post(first)
        self.expect("send_all calls client.sendall", lambda: self.client.offered > 0 or self.client.cut_off)
        self.post(*lines)

    def expect(self, wanted: str, condition: Callable[[], bool]) -> None:
        """Waits for what the client should come to.

        Raises:
            Broken: It did not, or `send_all` has failed.
        """
        if self.client.comes_to(condition):
            return
        if self.errors:
            raise Broken(wanted, f"send_all ended: {told(self.errors[0])}")
        end = "it was cut off" if self.client.cut_off else "it is still connected"
        count = len(self.client.received)
        raise Broken(
            wanted,
            f"it has received {count} line{'s' * (count != 1)}, and {end}",
            certain=self.client.cut_off,
        )


def wait_until_idle(thread: threading.Thread) -> None:
    """Waits until a thread waits for the first line. Else a `post` that forgets to wake it could be lucky."""
    deadline = time.monotonic() + IDLE_WITHIN
    while time.monotonic() < deadline:
        frame = sys._current_frames().get(thread.ident or 0)
        if not frame or frame.f_code.co_name == "wait":  # of a Condition: also that of a Queue
            return
        time.sleep(0.001)


@contextlib.contextmanager
def at_work(trial: Trial, asleep: bool = True) -> Iterator[tuple[Room, threading.Thread]]:
    """Makes an outbox and runs its `send_all` in a thread. Afterwards the thread is ended."""
    client = Reader(asleep)
    outbox = trial.attempt(lambda: trial.answer(client, LIMIT), "it can be made: with a client and a limit")
    room = Room(trial, client, outbox)
    thread = threading.Thread(target=room.send_all, name="sends", daemon=True)
    thread.start()
    wait_until_idle(thread)
    try:
        yield room, thread
    finally:
        client.shutdown()  # first: `close` waits for the lock, which a wrong `send_all` holds while it sends
        with contextlib.suppress(Broken):
            trial.attempt(outbox.close, "close returns")
        thread.join(PATIENCE)


def numbered(count: int) -> list[bytes]:
    """Returns so many lines of ten bytes."""
    return [b"line %4d\n" % number for number in range(count)]


@step("the client reads; 3 lines are posted")
def send(trial: Trial) -> None:
    """All come, in order."""
    with at_work(trial, asleep=False) as (room, _):
        room.post(*numbered(3))
        room.expect("the client receives the 3 lines, in order", lambda: room.client.received == numbered(3))


@step("the client sleeps; 5 lines are posted; then it wakes up")
def wake(trial: Trial) -> None:
    """No post waits, and later all lines come."""
    with at_work(trial) as (room, _):
        room.post_to_sleeper(*numbered(5))
        room.client.wake()
        room.expect("the client receives the 5 lines, in order", lambda: room.client.received == numbered(5))


@step("the client reads; 30 lines of 10 bytes are posted, each after it has received the one before")
def go_on(trial: Trial) -> None:
    """What was sent waits no longer."""
    with at_work(trial, asleep=False) as (room, _):
        for count, line in enumerate(numbered(30), 1):
            room.post(line)
            room.expect(
                f"the client receives line {count}, as few bytes wait",
                lambda count=count: len(room.client.received) == count,  # type: ignore[misc]
            )


@step("the client sleeps; {count} lines of {size} bytes are posted; 100 may wait")
def fill(trial: Trial, count: int, size: int, fits: bool) -> None:
    """The limit counts bytes; and who is owed more is cut off."""
    with at_work(trial) as (room, _):
        room.post_to_sleeper(*[b"x" * (size - 1) + b"\n"] * count)
        if not fits:
            room.expect(
                "the client is cut off: client.shutdown(socket.SHUT_RDWR)", lambda: room.client.cut_off
            )
            kept = sum(map(len, list(getattr(room.outbox, "waiting", ()))))
            if kept > LIMIT:
                raise Broken("a line that does not fit is not kept", f"{kept} bytes wait: more than {LIMIT}")
        elif room.client.cut_off:
            raise Broken("the client stays: no more than 100 bytes wait", "it was cut off")


@step("the client sleeps and is cut off; then one more line is posted")
def end(trial: Trial) -> None:
    """The thread of an outbox ends with its client, quietly."""
    with at_work(trial) as (room, thread):
        room.post_to_sleeper(*numbered(20))
        room.client.shutdown()
        room.post(b"too late\n")
        thread.join(PATIENCE)
        wanted = "send_all returns: its client has gone"
        if room.errors:
            raise Broken(wanted, told(room.errors[0]))
        if thread.is_alive():
            raise Broken(wanted, "it goes on", certain=False)


@step("the client sleeps; 25 lines of 10 bytes are posted; then it wakes up")
def drop(trial: Trial) -> None:
    """The latest lines are kept, the client stays, and the rest is gone."""
    lines = numbered(25)
    with at_work(trial) as (room, _):
        room.post_to_sleeper(*lines)
        if room.client.cut_off:
            raise Broken("the client stays, and the oldest lines are dropped", "it was cut off")
        room.client.wake()
        received = room.client.received
        wanted = "the client receives the last lines, up to the 25th, in order"
        room.expect(wanted, lambda: lines[-1] in received)
        if received[-10:] != lines[-10:]:
            raise Broken(
                wanted, "some of the last 10 lines, which have room, are missing, or in another order"
            )
        if len(received) > 11:  # one was on its way when the outbox was full
            raise Broken("no more than 100 bytes wait", f"{10 * len(received)} bytes had waited")


CASES = (
    Case(
        "outbox.sends",
        "Lines are sent, in order",
        "What is posted is sent to the client, line by line.",
        steps=(send(),),
        hint="post puts the line into self.waiting and wakes the other thread: self.changed.notify(). "
        "send_all is a loop: take a line, send it.",
        lesson=LESSON,
    ),
    Case(
        "outbox.waits",
        "A post never waits",
        "A client that sleeps holds up no thread but its own; when it wakes up, nothing is missing.",
        steps=(wake(),),
        hint="Does post send? Only send_all may. And does send_all hold self.changed while it sends? "
        "Then post waits for it.",
        lesson=LESSON,
    ),
    Case(
        "outbox.room",
        "What was sent makes room",
        "The limit is on what waits now, not on all that was ever posted.",
        steps=(go_on(),),
        hint="Count the bytes in self.waiting at the moment: sum(len(line) for line in self.waiting).",
        lesson=LESSON,
    ),
    Case(
        "outbox.limit",
        "A limit, in bytes",
        "When a line does not fit any more, the client is cut off.",
        steps=(fill(10, 10, True), fill(1, 100, True), fill(12, 10, False), fill(1, 101, False)),
        hint="Before a line is added: does it fit? If it does not, self.client.shutdown(socket.SHUT_RDWR). "
        "Lines differ in length: count bytes, not lines.",
        lesson=LESSON,
    ),
    Case(
        "outbox.end",
        "The end of the client ends its thread",
        "When the connection is gone, send_all returns, and a post does no harm.",
        steps=(end(),),
        hint="sendall raises an OSError then: with contextlib.suppress(OSError) around the loop, not inside.",
        lesson=LESSON,
    ),
)

STRETCH_CASES = (
    Case(
        "outbox.oldest",
        "The oldest are dropped",
        "The client stays, and the latest lines are kept.",
        steps=(drop(),),
        hint="While the new line does not fit, take the first one out of self.waiting: popleft().",
        lesson=LESSON,
    ),
)

STRETCH = Exercise(
    title="drop the oldest",
    name="DropOldest",
    takes="the class itself, without brackets",
    fits=is_subclass_of(Posting),
    cases=STRETCH_CASES,
    lesson=LESSON,
)

EXERCISE = Exercise(
    title="an outbox with a limit",
    name="Outbox",
    takes="the class itself, with the methods post and send_all, without brackets",
    fits=is_subclass_of(Posting),
    cases=CASES,
    lesson=LESSON,
    stretch=STRETCH,
)
