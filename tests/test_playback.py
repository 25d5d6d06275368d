"""What a page needs to play a film: its events in order, and the lines of the program, as data."""

import json
import linecache
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from faults import POSIX
from films import Script, cell, crowd, one_at_a_time, three_into_one

import chatlib
from chatlib.film.excerpts import AROUND, MOST, excerpts_of
from chatlib.film.place import Place
from chatlib.film.recording import Recording
from chatlib.film.render.layout import MOST as DRAWN
from chatlib.film.render.layout import plan
from chatlib.film.render.playback import Excerpt, playback

CODE = "import time\n\n\ndef rest():\n\ttime.sleep(0.001)  # \x1b[31m\n\n\nrest()\n"


def played(*arguments: Any, **options: Any) -> dict[str, Any]:
    """What the page is told."""
    told: dict[str, Any] = json.loads(playback(*arguments, **options))
    assert set(told) == {"events", "steps", "code"}
    return told


def at(place: Place) -> Recording:
    """A film of one call, at a line."""
    script = Script()
    script.add("MainThread", "sleep", 0.0, 1.0, place=place)
    return script.recording(1.0)


# Events


@pytest.mark.parametrize("recording", [one_at_a_time(), three_into_one(), crowd(2000)])
def test_each_step_begins_and_ends_once(recording: Recording) -> None:
    """In order of time, and of place in both pictures; what is open does not end before the film."""
    events, steps = played(recording)["events"], played(recording)["steps"]
    for before, after in pairwise(events):
        assert all(early <= late for early, late in zip(before[::2], after[::2], strict=True))
        assert before[3] <= after[3]
    keys = [key for _, key, _, _ in events]
    bars = plan(recording).bars
    assert keys.pop() == ""
    assert set(keys) == set(steps) == {bar.key for bar in bars}
    assert all(keys.count(bar.key) == 1 + (not bar.open) for bar in bars)


def test_events_lie_where_they_are_drawn() -> None:
    """In the picture that is shown first, and in the other."""
    recording = one_at_a_time()
    bars = {bar.key: bar for bar in plan(recording).bars}
    scaled = {bar.key: bar for bar in plan(recording, to_scale=True).bars}
    first = {key: places for _, key, *places in reversed(played(recording)["events"])}
    for key in bars:
        assert first[key] == pytest.approx([bars[key].begin, scaled[key].begin], abs=0.06)
    turned = {key: places for _, key, *places in reversed(played(recording, to_scale=True)["events"])}
    assert turned == {key: places[::-1] for key, places in first.items()}


def test_at_one_moment_a_step_ends_before_another_begins() -> None:
    """And one that took no time begins before it ends."""
    script = Script()
    script.add("MainThread", "recv", 0.0, 1.0)
    script.add("MainThread", "send", 1.0, 1.0)
    script.add("MainThread", "recv", 1.0000001, 2.0)
    events = played(script.recording(2.0))["events"]
    keys = [key for _, key, _, _ in events]
    assert keys == ["1-0", "1-0", "1-989680", "1-989680", "1-989681", "1-989681", ""]


def test_a_step_that_lasts_does_not_say_how_it_ends() -> None:
    """Neither a size nor a FIN is known before."""
    told = [text for text, _ in played(three_into_one())["steps"].values()]
    assert set(told) == {
        "accept A",
        "sleep",
        "A: send to the server",
        "recv from A",
        "A: close towards the server",
        "close towards A",
    }


def test_what_is_told_of_a_long_film_is_bounded() -> None:
    """As its picture is."""
    text = playback(crowd(10_000))
    assert len(json.loads(text)["events"]) == 2 * DRAWN + 1
    assert len(text) < 100_000


def test_nothing_has_happened_yet() -> None:
    """Then there is nothing to play."""
    assert len(played(Recording(()))["events"]) == 1


# Lines of the program


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A program in a file."""
    path = tmp_path / "rest.py"
    path.write_text(CODE, "utf-8")
    linecache.checkcache()
    return path


def test_a_line_has_its_neighbours(script: Path) -> None:
    """As many as there are, up to three before and after; without what would steer a terminal."""
    place = Place(str(script), 5, "rest", CODE.splitlines()[4].strip())
    excerpts = excerpts_of(at(place))
    assert excerpts == {place: Excerpt(2, tuple(CODE.splitlines()[1:8]))}
    [[name, here, first, lines]] = played(at(place), excerpts=excerpts)["code"]
    assert (name, here, first) == ("rest.py", 5, 2)
    assert lines[3] == "    time.sleep(0.001)  # \\x1b[31m"
    assert len(lines) == AROUND + 1 + AROUND


def test_a_line_whose_file_was_changed_stands_alone(script: Path) -> None:
    """What is there now was not run."""
    for place in (
        Place(str(script), 5, "rest", "time.sleep(2)"),
        Place(str(script), 50, "rest", "rest()"),
        Place(str(script), 0, "rest", "rest()"),
        Place(str(script), 2, "rest", ""),
        Place(str(script) + "x", 8, "<module>", "rest()"),
    ):
        assert excerpts_of(at(place)) == {}
        [[_, here, first, lines]] = played(at(place))["code"]
        assert (here, first, lines) == (place.line, place.line, [place.source])


@POSIX
def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    """That would wait for its other end."""
    os.mkfifo(tmp_path / "pipe")
    assert excerpts_of(at(Place(str(tmp_path / "pipe"), 1, "<module>", "rest()"))) == {}


def test_a_cell_has_no_name() -> None:
    """That of its file means nothing."""
    assert played(at(cell(3, "a")))["code"] == [["", 3, 3, ["a"]]]


def test_how_many_lines_have_neighbours_is_bounded(script: Path) -> None:
    """The latest have them."""
    film = Script()
    for number in range(MOST + 50):
        place = Place(str(script), 8, f"number {number}", "rest()")
        film.add("MainThread", "sleep", float(number), number + 0.5, place=place)
    excerpts = excerpts_of(film.recording(1000.0))
    assert len(excerpts) == MOST
    assert place in excerpts


def test_a_film_of_this_process_has_its_lines_and_one_that_was_opened_has_not(tmp_path: Path) -> None:
    """Whoever made a file would choose which files are read: it may name any."""
    with chatlib.xray() as film, chatlib.running(chatlib.SyncServer) as server, chatlib.connect(server, "A"):
        pass
    film.save(tmp_path / "a.film")
    saved = chatlib.open_film(tmp_path / "a.film")
    assert film.excerpts(film.recording())
    assert saved.excerpts(saved.recording()) == {}
    for known, shown in (True, film), (True, film.to_scale()), (False, saved), (False, saved.to_scale()):
        [play] = re.findall('data-play="data:application/json,(.*?)"', shown._repr_mimebundle_()["text/html"])
        alone = [len(lines) == 1 for *_, lines in json.loads(unquote(play))["code"]]
        assert alone
        assert all(alone) is not known
