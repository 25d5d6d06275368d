"""What a verdict says, and what it does not say: records made up by hand, a rule each."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from films import SERVER, A, B, Script, cell
from hypothesis import given, settings
from test_drawing import of_class, parsed, recordings, words

from chatlib.film.place import Place
from chatlib.film.recording import Recording
from chatlib.film.render.findings import wrapped
from chatlib.film.render.labels import FONT, width_of
from chatlib.film.render.svg import svg
from chatlib.film.render.text import story
from chatlib.film.spans import BUSY, HIDDEN, PAIR, Ends, Until
from chatlib.film.verdict.judge import is_ripe, verdict_of
from chatlib.sockets import Address

HERE, THERE = (PAIR, 0), (PAIR, 1)
NOW = 5.0
NAMES: dict[Address, str] = {A: "alice", B: "bob"}
ENDLESS, OWNED = Until(endless=True), Until(endless=True, owned=True)


class Scene(Script):
    """A script whose open calls have lasted since second 1, at a line of a notebook each."""

    def __init__(self, *threads: str) -> None:
        super().__init__()
        self._names, self._line = list(threads), 0

    def waits(
        self,
        thread: str,
        call: str,
        ends: Ends = (None, None),
        subject: str = "",
        until: Until | None = ENDLESS,
        since: float = 1.0,
    ) -> None:
        """Adds a call that has not returned."""
        self._line += 1
        self.add(thread, call, since, None, *ends, place=cell(self._line, call), subject=subject, until=until)

    def lock(self, thread: str, holder: str, until: Until | None = OWNED, since: float = 1.0) -> None:
        """A thread waits for the lock that another one holds."""
        subject = f"the lock that {self.named(holder)} holds"
        self.waits(thread, "acquire", subject=subject, until=until, since=since)

    def join(self, thread: str, other: str) -> None:
        """A thread waits for the end of another one."""
        self.waits(thread, "join", subject=f"the end of {self.named(other)}")

    def named(self, thread: str) -> str:
        """How a subject refers to a thread: idents are given in the order of the threads."""
        return f"\0{self._names.index(thread) + 1} {thread}\0"

    def gone(
        self, thread: str, call: str, at: float, ends: Ends, size: int = 0, outcome: str = "done"
    ) -> None:
        """Adds a call that has returned at once."""
        self.add(thread, call, at, at + 0.001, *ends, size, outcome)

    def taken(
        self, free: Iterable[int] | None = (), looker: int = 0, named: bool = False, dropped: int = 0
    ) -> Recording:
        """The record at second 5. The clients may be `named`."""
        recording = self.recording(NOW, NAMES if named else {}, dropped)
        idents = {name: number for number, name in enumerate(self._names, 1)}
        spans = tuple(span._replace(ident=idents[span.thread]) for span in recording.spans)
        known = None if free is None else frozenset(free)
        return replace(recording, spans=spans, free=known, looker=looker)


def told(recording: Recording) -> list[str]:
    """The sentences."""
    return [finding.sentence for finding in verdict_of(recording).findings]


# Circles


def crossed(until: Until = OWNED, since: float = 1.0) -> Scene:
    """Two threads that each wait for the other's lock."""
    scene = Scene("alice", "bob", "carol")
    scene.lock("alice", "bob", until, since)
    scene.lock("bob", "alice", until, since)
    return scene


def test_two_threads_with_a_lock_each() -> None:
    """It is certain, whoever else is busy; and it says which waits for which."""
    [finding] = verdict_of(crossed().taken(free=[7])).findings
    assert str(finding) == (
        "Deadlock: 'alice' waits for the lock that 'bob' holds, and 'bob' for the one that 'alice' holds"
        " (lines 1 and 2)"
    )
    assert (finding.kind, finding.certain) == ("deadlock", True)
    assert (finding.lanes, finding.waits) == ((1, 2), ((1, 2), (2, 1)))


def test_a_thread_behind_a_circle_is_named_as_well() -> None:
    """And one behind that; each once."""
    scene = crossed()
    scene.join("carol", "bob")
    assert told(scene.taken())[0].endswith("; 'carol' waits behind that")
    crowd = [f"guest {number}" for number in range(1, 41)]
    scene = Scene("alice", "bob", *crowd)
    scene.lock("alice", "bob")
    scene.lock("bob", "alice")
    for one, before in zip(crowd, ["bob", *crowd], strict=False):
        scene.join(one, before)
    [finding] = verdict_of(scene.taken()).findings
    assert str(finding).endswith("; 'guest 1', 'guest 2', 'guest 3' and 37 others wait behind that")


def test_a_lock_that_any_thread_may_release() -> None:
    """It is not certain, unless no thread is left."""
    assert told(crossed(ENDLESS).taken(free=[7])) == [
        "Deadlock, unless another thread releases a lock: 'alice' waits for the lock that 'bob' holds, and"
        " 'bob' for the one that 'alice' holds (lines 1 and 2)"
    ]
    assert verdict_of(crossed(ENDLESS).taken(free=[])).findings[0].certain


@pytest.mark.parametrize("until", [Until(owned=True), None])
def test_a_wait_with_a_time_limit_is_no_deadlock(until: Until | None) -> None:
    """Nor one of which that is not known."""
    scene = Scene("alice", "bob")
    scene.lock("alice", "bob")
    scene.lock("bob", "alice", until)
    assert told(scene.taken()) == []


def test_a_wait_that_has_just_begun_is_not_judged() -> None:
    """The other thread may have been woken, and only has to run."""
    young = crossed(since=NOW - 0.1).taken()
    assert told(young) == []
    assert not is_ripe(young)
    assert is_ripe(crossed().taken())


def test_a_lock_that_its_own_thread_waits_for() -> None:
    """Of a plain lock that is said only if no other thread does anything: two may hand it to each other."""
    scene = Scene("ping", "pong")
    scene.lock("ping", "ping", ENDLESS)
    assert told(scene.taken(free=[9])) == [
        "Deadlock, unless another thread releases a lock: 'ping' waits for the lock that it holds itself"
        " (line 1)"
    ]
    scene.waits("pong", "sleep", subject="1 s", until=None)
    assert told(scene.taken(free=[9])) == []


def receives(*others: str) -> Scene:
    """Both ends of a connection wait to receive."""
    scene = Scene("alice", "bob", *others)
    scene.gone("alice", "sendall", 0.1, (HERE, THERE), 5)
    scene.gone("bob", "recv", 0.2, (THERE, HERE), 5)
    scene.waits("alice", "recv", (HERE, THERE))
    scene.waits("bob", "recv", (THERE, HERE))
    return scene


def test_both_sides_wait_to_receive() -> None:
    """For ever, if no thread is left; if one may act, as long as it does not."""
    both = "Both sides wait to receive, 'alice' and 'bob' (lines 1 and 2)"
    assert told(receives().taken()) == [f"{both}: nobody will ever speak"]
    assert verdict_of(receives().taken()).findings[0].certain
    assert told(receives("carol").taken(free=[3], looker=3)) == [
        f"{both}; as long as no other thread sends or closes, that stays so"
    ]
    assert told(receives().taken(free=None)) == []


def test_bytes_that_lie_there_will_wake_a_thread() -> None:
    """It only has to run."""
    scene = receives()
    scene.gone("bob", "sendall", 0.3, (THERE, HERE), 5)
    assert told(scene.taken()) == []


@pytest.mark.parametrize("call", ["sleep", "get", "recv"])
def test_another_thread_may_speak(call: str) -> None:
    """One that sleeps, one that waits for what to send, one that hears something from outside."""
    scene = receives("speaks")
    ends = (SERVER, A) if call == "recv" else (None, None)
    scene.waits("speaks", call, ends, subject="an item in a queue" if call == "get" else "")
    assert told(scene.taken(free=[9], looker=9)) == []


def test_the_thread_that_looks_may_be_the_one_that_speaks() -> None:
    """It has made the connection."""
    scene = receives("main")
    scene.gone("main", "connect", 0.0, (HERE, THERE))
    assert told(scene.taken(free=[3], looker=3)) == []


def test_an_end_that_has_left_is_heard_of() -> None:
    """That wakes the thread."""
    scene = receives()
    scene.gone("bob", "shutdown", 0.3, (THERE, HERE))
    assert told(scene.taken()) == []


def test_the_other_end_is_not_in_the_film() -> None:
    """Nothing is known of it, so nothing is said."""
    scene = Scene("alice")
    scene.waits("alice", "recv", (A, SERVER))
    verdict = verdict_of(scene.taken())
    assert str(verdict) == "Nothing is known to be stuck."


def test_three_that_wait_to_receive_in_a_ring() -> None:
    """Each from the next."""
    scene, ends = Scene("a", "b", "c"), [(PAIR, number) for number in range(6)]
    for number, name in enumerate("abc"):
        following = ends[(2 * number + 3) % 6]
        scene.waits(name, "recv", (ends[2 * number], following))
    for number, name in enumerate("abc"):
        earlier = ends[(2 * number - 2) % 6]
        scene.gone(name, "send", 0.1, (ends[2 * number + 1], earlier))
    assert told(scene.taken()) == [
        "All wait to receive, 'a', 'b' and 'c' (lines 1, 2 and 3): nobody will ever speak"
    ]


def test_both_sides_send() -> None:
    """As neither reads, the buffers are full."""
    scene = Scene("alice", "bob")
    scene.waits("alice", "sendall", (HERE, THERE))
    scene.waits("bob", "sendall", (THERE, HERE))
    [finding] = verdict_of(scene.taken(free=[9])).findings
    assert (finding.kind, finding.certain) == ("both-send", False)
    assert str(finding) == (
        "Both sides send, and neither reads, unless another thread reads: 'alice' waits for 'bob' to read,"
        " and 'bob' for 'alice' to read (lines 1 and 2)"
    )


def test_all_send() -> None:
    """Each to the next one; or one to itself."""
    ends = [(f"e{number}", number) for number in range(6)]
    scene = Scene("a", "b", "c")
    for number, name in enumerate(("a", "b", "c")):
        scene.waits(name, "sendall", (ends[2 * number], ends[(2 * number + 3) % 6]))
        scene.gone(name, "recv", 0.1, (ends[2 * number + 1], ends[(2 * number - 2) % 6]))
    assert told(scene.taken())[0].startswith(
        "All send, and none reads: 'a' waits for 'b' to read, 'b' for 'c'"
    )
    scene = Scene("alice")
    scene.waits("alice", "sendall", (HERE, THERE))
    scene.gone("alice", "recv", 0.1, (THERE, HERE))
    assert told(scene.taken())[0].startswith(
        "One thread has both ends, and sends: 'alice' waits for itself to read"
    )


# What no thread is left to do


@pytest.mark.parametrize(
    ("call", "subject", "acts"),
    [
        ("get", "an item in a queue", "puts one in"),
        ("put", "room in a queue", "takes an item out"),
        ("wait", "an event", "sets it"),
        ("acquire", "the lock that somebody holds", "releases it"),
    ],
)
def test_no_thread_is_left(call: str, subject: str, acts: str) -> None:
    """For ever, if all wait; nothing is said if one does something, or a client may come."""
    scene = Scene("works", "other")
    scene.waits("works", call, subject=subject)
    [finding] = verdict_of(scene.taken()).findings
    assert (finding.kind, finding.certain) == ("starved", True)
    assert str(finding) == f"'works' waits for {subject} (line 1), and no thread is left that {acts}"
    assert told(scene.taken(free=[2], looker=2)) == []
    scene.waits("other", "accept", (SERVER, None))
    assert told(scene.taken()) == []


def test_a_thread_waits_for_one_that_waits_for_work() -> None:
    """The thread that looks could still put some in."""
    scene = Scene("boss", "works", "main")
    scene.join("boss", "works")
    scene.waits("works", "get", subject="an item in a queue")
    assert told(scene.taken(free=[3], looker=3)) == [
        "'boss' waits for the end of 'works', and 'works' waits for an item in a queue (lines 1 and 2);"
        " as long as no other thread puts one in, that stays so"
    ]


def test_those_that_used_the_other_end_have_ended() -> None:
    """Without closing it: no thread is left that sends."""
    scene = Scene("serves", "alice")
    scene.gone("alice", "connect", 0.1, (A, SERVER))
    scene.gone("serves", "accept", 0.2, (SERVER, A))
    scene.waits("serves", "recv", (SERVER, A))
    assert told(scene.taken()) == [
        "'serves' waits for bytes from 'alice' (line 1), and no thread is left that sends"
    ]


# A thread that others wait for


def served() -> Scene:
    """A server's only thread is in a call; a client has connected, and waits."""
    scene = Scene("the server", "bob", "carol")
    scene.gone("the server", "accept", 0.1, (SERVER, A))
    scene.gone("bob", "connect", 0.2, (B, SERVER))
    return scene


def test_a_client_waits_for_a_server_that_waits_for_a_silent_one() -> None:
    """It has said something, or has not even been accepted."""
    scene = served()
    scene.waits("the server", "recv", (SERVER, A))
    scene.waits("bob", "recv", (B, SERVER), until=Until())
    sentence = "bob waits for the server, and the server waits for alice, which says nothing (lines 2 and 1)"
    assert told(scene.taken(free=[9], named=True)) == [sentence]
    assert told(scene.taken(free=[9], named=True, dropped=1)) == []  # perhaps it was accepted
    scene.gone("bob", "sendall", 0.3, (B, SERVER), 6)
    assert told(scene.taken(free=[9], named=True)) == [sentence]


def test_what_has_just_been_sent_may_be_read_in_a_moment() -> None:
    """And what was read already is being answered."""
    scene = served()
    scene.gone("the server", "recv", 0.3, (SERVER, B))
    scene.gone("bob", "sendall", NOW - 0.1, (B, SERVER), 6)
    scene.waits("the server", "recv", (SERVER, A))
    scene.waits("bob", "recv", (B, SERVER), until=Until())
    assert told(scene.taken(free=[9], named=True)) == []


def test_a_server_that_sleeps() -> None:
    """It keeps all waiting, but the one whom it serves may be given the time that an answer takes."""
    scene = served()
    scene.gone("the server", "recv", 0.3, (SERVER, A), 2)
    scene.waits("the server", "sleep", subject="9 s", until=Until())
    scene.waits("bob", "recv", (B, SERVER))
    assert told(scene.taken(free=[9], named=True)) == [
        "bob waits for the server, and the server waits in `time.sleep` (lines 2 and 1)"
    ]
    scene = served()
    scene.gone("the server", "recv", 0.3, (SERVER, B), 0)
    scene.gone("bob", "sendall", 0.4, (B, SERVER), 6)
    scene.waits("the server", "sleep", subject="9 s", until=Until())
    scene.waits("bob", "recv", (B, SERVER))
    assert told(scene.taken(free=[9], named=True)) == []


def test_a_lock_is_held_by_a_thread_that_sends() -> None:
    """To a peer in the film that does not read, or to one that is not filmed."""
    scene = served()
    scene.gone("carol", "connect", 0.1, (A, SERVER))
    scene.gone("the server", "sendall", 0.2, (SERVER, A), 3_900_000)
    scene.gone("carol", "recv", 1.0, (A, SERVER), 5)
    scene.waits("the server", "sendall", (SERVER, A))
    scene.lock("bob", "the server")
    [finding] = verdict_of(scene.taken(free=[3], named=True)).findings
    assert (finding.kind, finding.waits) == ("unread", ((2, 1), (1, 3)))
    assert str(finding) == (
        "'bob' waits for the lock that the server holds, and the server waits for alice, which has not read"
        " for 4.0 s: 3.9 MB or more lie there unread (lines 2 and 1)"
    )
    scene = Scene("the server", "bob")
    scene.waits("the server", "sendall", (SERVER, A))
    scene.lock("bob", "the server")
    assert told(scene.taken(free=[9], named=True)) == [
        "'bob' waits for the lock that the server holds, and the server waits to send to alice"
        " (lines 2 and 1)"
    ]


def test_a_peer_that_does_not_read() -> None:
    """It is said after a second, also if no other thread waits; not of one that waits for bytes just now."""
    scene = Scene("serves", "sam")
    scene.gone("sam", "recv", 0.1, (THERE, HERE))
    scene.gone("serves", "sendall", 0.2, (HERE, THERE), 70)
    scene.waits("serves", "sendall", (HERE, THERE))
    assert told(scene.taken(free=[2])) == [
        "'serves' waits for 'sam', which has not read for 4.9 s: 70 bytes or more lie there unread (line 1)"
    ]
    scene.waits("sam", "recv", (THERE, HERE))
    assert told(scene.taken()) == []


def test_a_chain_of_locks() -> None:
    """Each link is a sentence."""
    scene = Scene("a", "b", "c")
    scene.lock("a", "b")
    scene.lock("b", "c")
    scene.waits("c", "recv", (SERVER, A))
    assert told(scene.taken(free=[9], named=True)) == [
        "'a' waits for the lock that 'b' holds, and 'b' waits for the lock that 'c' holds (lines 1 and 2)",
        "'b' waits for the lock that 'c' holds, and 'c' waits for alice, which says nothing (lines 2 and 3)",
    ]


def test_bytes_of_which_the_film_has_lost_count() -> None:
    """A call that was broken off has sent a part: so whether any lie there is not known."""
    scene = served()
    scene.gone("carol", "sendall", 0.1, (A, SERVER), 0, "timeout")
    scene.waits("the server", "recv", (SERVER, A))
    scene.waits("bob", "recv", (B, SERVER))
    assert told(scene.taken(free=[3], named=True)) == []


def test_a_call_from_before_the_film_may_have_taken_the_bytes() -> None:
    """It was not seen to return."""
    scene = Scene("serves", "bob")
    scene.gone("serves", "recv", 0.1, (SERVER, B), 0, "unseen")
    scene.gone("bob", "sendall", 0.2, (B, SERVER), 5)
    scene.waits("serves", "recv", (SERVER, A))
    scene.waits("bob", "recv", (B, SERVER))
    assert told(scene.taken(free=[9], named=True)) == []


# Loops


BOBS = "the lock that \x004 bob\x00 holds"


def loop(call: str, subject: str = "", since: float = 3.0, until: Until | None = None) -> Scene:
    """An event loop's thread is in a call; two of its tasks wait. It last looked for events at second 2."""
    scene = Scene("loops", "task a", "task b", "bob")
    for task in ("task a", "task b"):
        scene.waits(task, "await", subject="sleep", until=Until(loop=1, turned=2.0))
    scene.waits("loops", call, subject=subject, since=since, until=until)
    return scene


@pytest.mark.parametrize(
    ("call", "subject", "said"),
    [
        ("sleep", "9 s", "in `time.sleep` for 2.0 s"),
        (BUSY, "", "busy for 3.0 s"),
        (HIDDEN, "", f"{HIDDEN} for 3.0 s"),
        ("get", "an item in a queue", "in `get`, which waits for an item in a queue, for 2.0 s"),
        (
            "acquire",
            BOBS,
            "in `acquire`, which waits for the lock that 'bob' holds, for 2.0 s",
        ),
    ],
)
def test_an_event_loop_that_is_held_up(call: str, subject: str, said: str) -> None:
    """Its tasks wait for it; one that calculates has been at it since the loop last came round."""
    [finding] = verdict_of(loop(call, subject).taken(free=[4])).findings
    assert str(finding) == f"The event loop has been {said} (line 3): nobody else can run, and 2 tasks wait"
    assert (finding.kind, finding.lanes) == ("blocked-loop", (2, 3, 1))
    assert finding.waits == ((2, 1), (3, 1))


def test_an_event_loop_that_looks_for_events() -> None:
    """Or that has been in a call for a moment only."""
    assert told(loop("select", "an event", until=Until(loop=1)).taken()) == []
    assert told(loop("sleep", "9 s", since=4.9).taken()) == []


def test_a_loop_with_one_task_and_one_without_a_thread() -> None:
    """One task waits; of a loop whose thread makes no call nothing is known."""
    scene = Scene("loops", "task a")
    scene.waits("task a", "await", subject="sleep", until=Until(loop=1, turned=2.0))
    assert told(scene.taken()) == []
    scene.waits("loops", "sleep", subject="9 s", until=None)
    assert told(scene.taken())[0].endswith(": nobody else can run, and 1 task waits")


def asks(outcome: str, count: int = 200, step: float = 0.001, until: float = NOW) -> Scene:
    """A thread asks again and again, and gets nothing."""
    scene = Scene("asks")
    for number in range(count, 0, -1):
        start = until - number * step
        scene.add("asks", "recv", start, start + step / 2, A, SERVER, 0, outcome, cell(9, "recv"))
    return scene


def test_a_thread_that_polls() -> None:
    """It says how often, and that the other side has left."""
    said = "Polling: 'asks' has made 200 calls in 0.2 s that brought nothing"
    assert told(asks("nothing").taken(free=[1])) == [f"{said} (line 9)"]
    assert told(asks("end").taken(free=[1])) == [f"{said}, as the other side has left (line 9)"]


def test_what_is_no_polling() -> None:
    """Few calls, some now and then, those of a thread that has ended, those that have brought something."""
    assert told(asks("nothing", count=50).taken(free=[1])) == []
    assert told(asks("timeout", step=0.1).taken(free=[1])) == []
    assert told(asks("nothing").taken(free=[])) == []
    assert told(asks("nothing", count=2000, until=NOW - 1).taken(free=[1])) == []
    scene = asks("nothing")
    scene.gone("asks", "recv", NOW, (A, SERVER), 5)
    assert told(scene.taken(free=[1])) == []


def test_a_busy_thread_that_only_asks() -> None:
    """Its calls are not in the record: only how many there were."""
    scene = Scene("asks")
    scene.waits("asks", BUSY, until=Until(asked=31_000))
    assert told(scene.taken()) == [
        "Polling: 'asks' has made 31,000 calls in 4.0 s that brought nothing (line 1)"
    ]


# Words


def test_when_it_is_known_that_nothing_is_stuck() -> None:
    """No thread is in a wait that only another one could end, or in a call that cannot be seen."""
    scene = Scene("the server", "sleeps", "hidden")
    scene.waits("the server", "accept", (SERVER, None))
    scene.waits("sleeps", "sleep", subject="1 s", until=None)
    assert str(verdict_of(scene.taken())) == "Nothing is stuck."
    assert str(verdict_of(scene.taken(free=None))) == "Nothing is known to be stuck."
    scene.waits("hidden", HIDDEN)
    assert str(verdict_of(scene.taken())) == "Nothing is known to be stuck."


def test_lines_of_several_files_are_told_with_their_names() -> None:
    """Of a notebook's cells, they mean nothing; and a line that is not the program's own is left out."""
    recording = crossed().taken()

    def at(*places: Place) -> str:
        both = [span._replace(place=place) for span, place in zip(recording.spans, places, strict=True)]
        return told(replace(recording, spans=tuple(both)))[0].partition("holds (")[2]

    here, there = Place("a.py", 1, "f", "x"), Place("b.py", 2, "g", "y")
    assert at(here, there) == "line 1 of a.py and line 2 of b.py)"
    assert at(here, here) == "line 1)"
    assert at(here, there._replace(own=False)) == ""


def test_a_thread_that_has_made_no_call_is_named() -> None:
    """By what waits for it."""
    scene = loop("acquire", BOBS)
    assert "which waits for the lock that 'bob' holds" in told(scene.taken(free=[4]))[0]


# Its picture


@given(recordings())
@settings(max_examples=40)
def test_any_film_has_a_verdict(recording: Recording) -> None:
    """Whatever is in its records; with threads of which it is known that none is free."""
    known = replace(recording, free=frozenset())
    spans = tuple(span._replace(until=OWNED if span.end is None else None) for span in known.spans)
    assert str(verdict_of(replace(known, spans=spans)))
    parsed(svg(replace(known, spans=spans)))


def test_a_picture_says_who_is_stuck() -> None:
    """Above the time axis, within its width, with an arrow for each wait, and a legend; not in the story."""
    recording = crossed().taken()
    root = parsed(svg(recording))
    [above] = of_class(root, "cf-verdict")
    assert words(above).startswith("Deadlock: 'alice' waits for the lock that 'bob' holds")
    assert len(of_class(above, "cf-forever")) == 1
    assert len(of_class(root, "cf-tie")) == 3  # one is the legend's
    said = [words(text) for text in of_class(root, "cf-small")]
    assert {"stuck for ever", "waits for"} <= set(said)
    left, top, wide, high = map(float, root.get("viewBox", "").split())
    assert (left, top) < (0, 0.1) and top < -20
    for text in of_class(above, "cf-finding"):
        line = text.text or ""
        assert float(text.get("x", "")) + width_of(line, FONT, bold=True) <= wide
    assert high == float(root.get("height", ""))
    assert "Deadlock" not in story(recording)


def test_a_picture_of_what_is_fine_is_as_before() -> None:
    """It begins at 0, and the legend has no sign of a verdict."""
    scene = Scene("the server")
    scene.waits("the server", "accept", (SERVER, None))
    root = parsed(svg(scene.taken()))
    assert root.get("viewBox", "").startswith("0 0 ")
    assert not of_class(root, "cf-verdict") + of_class(root, "cf-tie") + of_class(root, "cf-now")


def test_three_findings_are_told_and_how_many_more() -> None:
    """Each begins a line. An arrow of a thread that waits for itself turns back."""
    scene = Scene(*"abcdef")
    for name in "abcde":
        scene.lock(name, name)
    root = parsed(svg(scene.taken()))
    [above] = of_class(root, "cf-verdict")
    assert len(of_class(above, "cf-forever")) == 3
    assert words(above).endswith("and 2 more")
    assert len(of_class(root, "cf-tie")) == 4


def test_what_is_so_for_now_has_another_sign() -> None:
    """An hourglass; it can be told without colours."""
    root = parsed(svg(loop("sleep", "9 s").taken(free=[4])))
    assert of_class(root, "cf-now") and not of_class(root, "cf-forever")


def test_a_long_sentence_has_several_lines() -> None:
    """None of them too wide, also if a name has no end."""
    lines = list(wrapped("a " * 50 + "b" * 500, 300))
    assert len(lines) > 2
    assert all(width_of(line, FONT, bold=True) <= 300 for line in lines)
    assert lines[-1].endswith("…")
