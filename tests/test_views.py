"""The live view without a browser: what its thread sends, how often, and when it ends."""

import gc
import re
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from faults import SOON
from films import A, Program, one_at_a_time, three_into_one

from chatlib.film.recording import Recording
from chatlib.film.render.svg import both, bundle
from chatlib.film.render.text import story

pytest.importorskip("anywidget", reason="the live view needs anywidget, which is not installed")

from chatlib.views import live  # noqa: E402


class Projector:
    """Hands out a recording that can be exchanged, and counts how often it is looked at."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.ended = False
        self.taken = threading.Semaphore(0)
        self.times: list[float] = []

    def take(self) -> Recording:
        """What a film would hand out."""
        self.times.append(time.monotonic())
        self.taken.release()
        return self.recording

    def finished(self) -> bool:
        """Whether the film has ended."""
        return self.ended

    def looked_at(self, times: int) -> bool:
        """Waits until the view has looked that often."""
        return all(self.taken.acquire(timeout=SOON) for _ in range(times))


@pytest.fixture
def views() -> Iterator[list[live.LiveFilm]]:
    """The views in this list are closed at the end, and their threads are gone."""
    opened: list[live.LiveFilm] = []
    yield opened
    for view in opened:
        view.close()
        assert view.wait(SOON)


def sent(view: live.LiveFilm) -> list[str]:
    """From now on, collects each picture that is set."""
    pictures: list[str] = []
    view.observe(lambda change: pictures.append(change["new"]), "picture")
    return pictures


def test_the_picture_is_there_at_once(views: list[live.LiveFilm]) -> None:
    """A view that is shown has what has happened so far, before its thread has done anything."""
    views.append(view := live.LiveFilm(Projector(one_at_a_time()).take))
    assert (view.picture, view.other) == both(one_at_a_time(), live.LATEST)
    assert view.story == story(one_at_a_time())


def test_what_happens_is_sent(views: list[live.LiveFilm]) -> None:
    """A new recording becomes a new picture, without being asked for."""
    projector = Projector(one_at_a_time())
    views.append(view := live.LiveFilm(projector.take))
    arrived = threading.Event()
    view.observe(lambda _: arrived.set(), "story")
    projector.recording = three_into_one()
    assert arrived.wait(SOON)
    assert view.story == story(three_into_one())


def test_nothing_is_sent_while_nothing_happens(views: list[live.LiveFilm]) -> None:
    """No thread waits, nothing is new: the same picture is not sent again."""
    projector = Projector(three_into_one())
    views.append(view := live.LiveFilm(projector.take))
    pictures = sent(view)
    assert projector.looked_at(5)
    assert pictures == []


def test_updates_are_bounded(views: list[live.LiveFilm]) -> None:
    """However much happens, at most `RATE` looks a second; while a thread waits, the picture moves."""
    program = Program()
    projector = Projector(program.take())
    views.append(view := live.LiveFilm(lambda: projector.take() and program.take()))
    pictures = sent(view)
    assert projector.looked_at(9)
    assert len(pictures) >= 5
    pauses = projector.times[8] - projector.times[0]
    assert 8 / pauses <= live.RATE * 1.1
    program.stop()


def test_the_end_of_the_film_ends_the_thread(views: list[live.LiveFilm]) -> None:
    """The last picture is the whole film; then the view does not look any more."""
    projector = Projector(one_at_a_time())
    views.append(view := live.LiveFilm(projector.take, projector.finished))
    projector.recording, projector.ended = three_into_one(), True
    assert view.wait(SOON)
    assert (view.finished, view.picture, view.other) == (True, *both(three_into_one()))


def test_what_is_left_takes_the_place_of_the_view(views: list[live.LiveFilm]) -> None:
    """Wherever it was shown: something to explore, a picture and the story, and no widget."""
    projector = Projector(one_at_a_time())
    views.append(view := live.LiveFilm(projector.take, projector.finished))
    updates: list[Any] = []

    class Shown:
        def update(self, data: Any, raw: bool) -> None:
            updates.append((data, raw))

    view._shown = [Shown(), Shown()]
    projector.ended = True
    assert view.wait(SOON)
    assert updates == [(bundle(one_at_a_time()), True)] * 2


def test_closing_the_view_ends_the_thread() -> None:
    """Nothing is left: no thread, and no reference to the view."""
    view = live.LiveFilm(Projector(one_at_a_time()).take)
    view.close()
    assert view.wait(SOON)
    forgotten = weakref.ref(view)
    del view
    gc.collect()
    assert forgotten() is None


def test_a_view_reads_as_its_story(views: list[live.LiveFilm]) -> None:
    """As text it is the same each time, and a reader without a kernel gets the picture on one line."""
    views.append(view := live.LiveFilm(Projector(one_at_a_time()).take))
    assert repr(view) == story(one_at_a_time())
    data: dict[str, Any] = view._repr_mimebundle_()[0]
    assert data["text/plain"] == story(one_at_a_time())
    assert data["image/svg+xml"].startswith("<svg")
    assert "\n" not in data["image/svg+xml"]
    assert "model_id" in data["application/vnd.jupyter.widget-view+json"]


def test_a_page_that_is_loaded_again_finds_everything(views: list[live.LiveFilm]) -> None:
    """The state that a browser asks for has the whole picture, in both scales, and the story."""
    views.append(view := live.LiveFilm(Projector(one_at_a_time()).take))
    state = view.get_state()
    assert {"picture", "other", "story", "finished", "_esm", "_css"} <= set(state)


def test_the_state_is_bounded(views: list[live.LiveFilm]) -> None:
    """A long chat makes no picture that a browser could not draw fifteen times a second."""
    program = Program(seconds=0)
    program._rounds = 2000
    views.append(view := live.LiveFilm(program.take))
    assert len(view.picture) < 300_000
    assert A[0] not in view.story


def test_the_script_makes_no_html_of_text() -> None:
    """No text becomes HTML, and nothing is fetched."""
    script = live.LiveFilm._esm
    source = str(script)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|import |https?:", source
    )
