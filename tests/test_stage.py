"""The playground without its buttons: whatever is clicked, the sentence is true, and nothing is left."""

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psutil
import pytest
from faults import SOON, eventually

import chatlib
from chatlib.film.render.svg import svg
from chatlib.stage.actor import Actor
from chatlib.stage.stage import FADES, NAMES, SERVICES, WAYS, Side, Stage

ONE_BY_ONE, THREADS, LOOP, COROUTINES = WAYS
CAPITALS, OTHERS, CHAT = SERVICES

DEEDS = (
    Actor.say,
    Actor.say_half,
    Actor.fall_silent,
    Actor.stop_reading,
    Actor.read_again,
    Actor.leave,
    Actor.vanish,
)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """One client at a time, beside a thread for each."""
    made = Stage((ONE_BY_ONE, THREADS), CAPITALS)
    yield made
    made.close()


def told(stage: Stage, side: int = 0) -> str:
    """Returns the sentence of a side, as it is now."""
    return stage.sides[side].look(stage.film)[1]


def says(stage: Stage, text: str, side: int = 0) -> bool:
    """Waits until the sentence of a side has this in it."""
    return eventually(lambda: text in told(stage, side))


def come(stage: Stage, *names: str) -> None:
    """Has clients come, one after the other."""
    for name in names:
        assert stage.enter(name) == ""
        for side in stage.sides:
            assert eventually(partial(getattr, side.present[name], "is_here"))


def test_one_silent_client_makes_the_others_wait_and_with_threads_it_does_not(stage: Stage) -> None:
    """The lesson of the whole course, without a line of code."""
    come(stage, "alice", "bob", "carol")
    assert says(stage, "bob and carol wait for alice: the server's only thread waits in recv for alice,")
    assert says(stage, "Nobody waits for anybody else: each client has a thread of its own", side=1)
    stage.act(Actor.say, "bob")
    assert says(stage, "It has not read what bob said.")
    assert eventually(lambda: stage.sides[1].present["bob"].heard == 1)
    assert stage.sides[0].present["bob"].heard == 0
    stage.act(Actor.leave, "alice")
    assert says(stage, "carol waits for bob")
    assert eventually(lambda: stage.sides[0].present["bob"].heard == 1)


def test_what_the_holder_of_the_thread_does_is_said(stage: Stage) -> None:
    """It says nothing, or half a line, or has been told to be silent."""
    come(stage, "alice", "bob")
    assert says(stage, "for alice, who says nothing now.")
    stage.act(Actor.fall_silent, "alice")
    assert says(stage, "for alice, who is silent.")
    stage.act(Actor.say_half, "alice")
    assert says(stage, "for alice, who has said half a line.")
    assert says(stage, "alice has said half a line: the server keeps it until the rest comes.", side=1)
    stage.act(Actor.say, "alice")
    assert says(stage, "for alice, who says nothing now.")
    assert eventually(lambda: stage.sides[1].present["alice"].heard == 1)


def test_lines_that_nobody_reads_are_counted(stage: Stage) -> None:
    """They lie in the buffers, until they are read after all."""
    come(stage, "alice")
    stage.act(Actor.stop_reading, "alice")
    assert says(stage, "alice reads nothing: no lines wait to be read.")
    stage.act(Actor.say, "alice")
    assert says(stage, "alice reads nothing: 1 line waits to be read.")
    stage.act(Actor.say, "alice")
    assert says(stage, "alice reads nothing: 2 lines wait to be read.", side=1)
    stage.act(Actor.read_again, "alice")
    assert eventually(lambda: "reads nothing" not in told(stage))
    assert eventually(lambda: stage.sides[0].present["alice"].heard == 2)


def test_all_speak_but_those_who_are_silent(stage: Stage) -> None:
    """And who is not here is no reason for an error."""
    assert stage.all_speak() == "Nobody is here who would speak."
    come(stage, "alice", "bob")
    stage.act(Actor.fall_silent, "alice")
    assert stage.all_speak() == ""
    bob, alice = (stage.sides[1].present[name] for name in ("bob", "alice"))
    assert eventually(lambda: bob.heard == 1)
    assert alice.said == 0


def test_what_makes_no_sense_is_answered(stage: Stage) -> None:
    """Nothing is raised, and no button has to be disabled."""
    assert stage.act(Actor.say, "bob") == "bob is not here: first, bob has to come."
    come(stage, "alice")
    assert stage.enter("alice") == "alice is here already."


def test_a_name_that_is_taken_is_told(stage: Stage) -> None:
    """The server ends the conversation, and nobody seems to have left by itself."""
    stage.restage((THREADS, LOOP), CHAT)
    side = stage.sides[0]
    with socket.create_connection(side.server.server_address, SOON) as other:
        other.sendall(b"alice\n")
        assert side.server.service.journal.wait_for("named", timeout=SOON)
        assert stage.enter("alice") == ""
        assert says(stage, "The server has hung up on alice.")


def test_each_picture_shows_its_own_side(stage: Stage) -> None:
    """Both are filmed by one film, and have clients of the same names."""
    come(stage, "alice", "bob")
    assert says(stage, "bob waits for alice")
    lanes = [set(side.look(stage.film)[0].lanes.values()) for side in stage.sides]
    assert lanes[0] == {"the server", "alice", "bob"}
    assert eventually(
        lambda: (
            set(stage.sides[1].look(stage.film)[0].lanes.values())
            == {"the server", "alice", "bob", "serves alice", "serves bob"}
        )
    )
    recording, _ = stage.sides[0].look(stage.film)
    picture = svg(recording, 16, 380)
    assert ">the server<" in picture and "server 1" not in picture


def test_who_left_long_ago_is_in_the_picture_no_more(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the lanes would pile up."""
    come(stage, "alice", "bob")
    stage.act(Actor.vanish, "alice")
    assert eventually(lambda: "alice" not in stage.sides[1].present)
    side = stage.sides[1]
    assert FADES > 1 and "alice" in side.look(stage.film)[0].lanes.values()
    assert eventually(lambda: len(side.server.threads) == 2)
    monkeypatch.setattr("chatlib.stage.stage.FADES", 0.0)
    lanes = {"the server", "bob", "serves bob"}  # as soon as that thread has told bob, and waits again
    assert eventually(lambda: set(side.look(stage.film)[0].lanes.values()) == lanes)


class Expected:
    """What must be so on one side: worked out from the clicks alone."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.here: list[str] = []
        self.half: set[str] = set()
        self.asleep: set[str] = set()

    def click(self, deed: Callable[..., Any], name: str) -> None:
        """Takes a click in."""
        if deed is Stage.enter and name not in self.here:
            self.here.append(name)
        elif name not in self.here:
            return
        elif deed in (Actor.leave, Actor.vanish):
            self.here.remove(name)
            self.half.discard(name)
            self.asleep.discard(name)
        elif deed is Actor.say_half:
            self.half.add(name)
        elif deed is Actor.say:
            self.half.discard(name)
        elif deed is Actor.stop_reading:
            self.asleep.add(name)
        elif deed is Actor.read_again:
            self.asleep.discard(name)

    def agrees(self, side: Side, stage: Stage) -> bool:
        """Whether the sentence says all that is so, and nothing else; and the server knows who is here."""
        text = side.look(stage.film)[1].replace(", who has", " has")
        served = self.here[:1] if self.way == ONE_BY_ONE else self.here
        outside = self.here[len(served) :]
        waits = "waits" if len(outside) == 1 else "wait"
        who = " and ".join(filter(None, [", ".join(outside[:-1]), *outside[-1:]]))
        first = f"{who} {waits} for {served[0]}: the server's only thread" if outside else ""
        return all(
            (
                text.startswith(first),
                ("only thread waits in recv" in text) == bool(outside),
                "to be served" not in text,
                all((f"{name} has said half" in text) == (name in self.half) for name in served),
                all((f"{name} reads nothing:" in text) == (name in self.asleep) for name in served),
                not any(name in text for name in {*NAMES} - {*self.here}),
                len(side.server.clients) == len(served),
            )
        )


def walk(seed: int, clicks: int) -> None:
    """Clicks at random. After each click the sentences must come to be true; in the end nothing is left."""
    chance, threads = random.Random(seed), threading.active_count()
    ways: list[str] = [ONE_BY_ONE, THREADS]
    expected, service, ports = [Expected(way) for way in ways], CAPITALS, set()
    with contextlib.closing(Stage(ways, CAPITALS)) as stage:
        for click in range(clicks):
            name, deed = (
                chance.choice(NAMES),
                chance.choice((Stage.enter, *DEEDS, Stage.all_speak, Stage.restage)),
            )
            if deed is Stage.restage and chance.random() < 0.2:
                ways, service = chance.choices([*WAYS], k=2), chance.choice([*SERVICES])
                stage.restage(ways, service)
                expected = [Expected(way) for way in ways]
            elif deed is Stage.enter:
                stage.enter(name)
            elif deed is Stage.all_speak:
                silent = {actor.name for actor in stage.sides[0].present.values() if actor.silent}
                stage.all_speak()
                for wanted in expected:
                    wanted.half -= {*NAMES} - silent
            elif deed in DEEDS:
                stage.act(deed, name)
            for wanted in expected:
                wanted.click(deed, name)
            for side, wanted in zip(stage.sides, expected, strict=True):
                ports.add(side.server.server_address)
                agrees = partial(wanted.agrees, side, stage)
                assert eventually(agrees), (
                    f"seed {seed}, click {click}: {deed.__name__} {name} with {wanted.way}, {service}: "
                    f"{side.look(stage.film)[1]!r}, but {vars(wanted)}"
                )
    assert eventually(lambda: threading.active_count() == threads), threading.enumerate()
    # Not by connecting: another process may have been given the port by now.
    own = {
        each.laddr[1] for each in psutil.Process().net_connections("tcp") if each.status == psutil.CONN_LISTEN
    }
    assert not own & {port for _, port in ports}
    assert not stage.film.running


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in (2, 3))])
def test_after_each_of_five_hundred_clicks_the_sentence_is_true_and_nothing_is_left(seed: int) -> None:
    """The order of clicks is one of chance, but the same each time."""
    walk(seed, clicks=500)


def test_the_buttons_do_what_they_say_and_nothing_any_more_once_it_is_closed() -> None:
    """The playground itself, without a browser."""
    pytest.importorskip("anywidget")
    view = chatlib.playground()
    choices, acts, answer, sides = view.children
    again = choices.children[-1]

    def click(who: str, act: str) -> None:
        acts._handle_custom_msg({"who": who, "act": act}, [])

    click("alice", "says a line")
    assert answer.value == "alice is not here: first, alice has to come."
    click("alice", "comes")
    assert eventually(lambda: "waits for alice" in sides.children[0].children[1].value)  # or bob may be first
    click("bob", "comes")
    assert acts.chosen == "bob"
    assert eventually(lambda: "bob waits for alice" in sides.children[0].children[1].value)
    assert eventually(lambda: "Nobody waits" in sides.children[1].children[1].value)
    choices.children[0].value = LOOP
    assert eventually(lambda: "Nobody is here" in sides.children[0].children[1].value)
    assert LOOP in sides.children[0].children[0].value
    click("bob", "everybody says a line")
    assert answer.value == "Nobody is here who would speak."
    again.click()
    assert answer.value == "" and "run this cell" in repr(view)
    strangers: list[Any] = [
        None,
        [],
        {},
        {"who": "mallory", "act": "comes"},
        {"who": "alice", "act": ["comes"]},
    ]
    for nonsense in strangers:
        acts._handle_custom_msg(nonsense, [])
    assert answer.value == ""
    state = {"method": "update", "state": {"names": ["mallory"]}, "buffer_paths": []}
    acts._handle_msg({"content": {"data": state}, "buffers": []})  # a browser may say so
    acts._handle_custom_msg({"who": "mallory", "act": "comes"}, [])
    assert acts.chosen == "bob"
    view.close()
    threads = threading.active_count()
    click("alice", "comes")
    again.click()
    assert threading.active_count() <= threads
