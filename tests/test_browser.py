"""The X-ray and the lessons in a real JupyterLab and a real browser: what a learner sees, and can do.

What was seen is kept as pictures: in the folder that CHATLIB_PICTURES names, or else a temporary one.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import nbformat
import pytest

if TYPE_CHECKING:
    from browser import Lab
    from playwright.sync_api import BrowserContext, Locator, Page

pytest.importorskip("anywidget", reason="the live view needs anywidget, which is not installed")
if not find_spec("jupyterlab"):  # not imported: that takes half a second, in each process of the run
    pytest.skip("JupyterLab is not installed", allow_module_level=True)
pytest.importorskip("playwright.sync_api", reason="playwright, which drives a browser, is not installed")

import browser  # noqa: E402
import contrast  # noqa: E402
import refresh  # noqa: E402
from films import HOSTILE, LOOP, one_at_a_time  # noqa: E402
from learner import Keyboard, Learner, Mouse  # noqa: E402

from chatlib.film.recording import Recording  # noqa: E402
from chatlib.film.render import svg  # noqa: E402
from chatlib.film.render.playback import Excerpt  # noqa: E402
from chatlib.teach import my_course  # noqa: E402
from chatlib.teach.deck import deck  # noqa: E402
from chatlib.teach.exercises.ex02_handler import CASES  # noqa: E402

PROGRAM = browser.executable()
pytestmark = [
    pytest.mark.skipif(not PROGRAM, reason=f"there is no browser; looked for {', '.join(browser.NAMES)}"),
]

CHAT = f"""
import time

server = chatlib.start(chatlib.ThreadingServer, service=chatlib.Broadcast())
alice = chatlib.connect(server, name={HOSTILE!r})
bob = chatlib.connect(server, name="bob")
server.service.journal.wait_for("came", count=2)
for number in range(30):
    alice.send("<img src=x onerror=alert(1)>")
    bob.receive()
    time.sleep(0.1)
"""
CELLS = ["import chatlib\n\nfilm = chatlib.xray().start()\nfilm", CHAT, "film.stop()\nchatlib.stop_all()"]
MARKUP = "<img src=x onerror=alert(1)>"
ASK = f"""
import chatlib

guess = chatlib.predict({MARKUP!r}, choices=["he cannot connect", "an answer at once", {MARKUP!r}])
guess
"""
OTHER = "other = chatlib.predict('And now?', ['yes', 'no'])\nother"
PREDICTIONS = [ASK, OTHER, f"guess.measured({MARKUP!r})"]
KEYS = [
    "import chatlib, time\n\nchatlib.predict('And now?', ['yes', 'no'])",
    "film = chatlib.xray().start()\ntime.sleep(0.01)\nfilm.stop()\nfilm",
    "chatlib.orders(list, lambda names: names.append(1), lambda names: names.append(2))",
    "film",
]
TALK = [
    "import chatlib\n\nalice = chatlib.connect(chatlib.start(chatlib.SyncServer))",
    "alice.send('hi')\nalice.receive()",
]
SCALES = [
    "import chatlib, time\n\nfilm = chatlib.xray().start()\nfilm",
    "time.sleep(0.8)\ntime.sleep(0.01)",
    "film",
]
EVERY_DAY = ("02_one_at_a_time", "08_shared_state")  # films, and the view of a scheduler
TWO, EXERCISE = "02_one_at_a_time.ipynb", "exercises/02_answer_in_upper_case.ipynb"
THEMES = ("JupyterLab Dark", "JupyterLab Light")  # all other tests see the last one
REPORT = "notebooks/solutions/02_answer_in_upper_case.ipynb"
RUNNING = ("keys.ipynb", "prediction.ipynb", "notebooks/playground.ipynb", REPORT)
SAVED = [  # the text of an exercise is that of its solution
    path.relative_to(refresh.ROOT).as_posix()
    for folder in (refresh.LESSONS, refresh.SOLUTIONS)
    for path in folder.glob("*.ipynb")
]
PATIENCE = 180_000.0  # milliseconds; only a failing test waits so long
# JupyterLab's own errors, when a notebook is closed while its kernel still has to answer.
OF_JUPYTERLAB = re.compile(r"Disposed$|Canceled future for \w+ message before replies were done")
RELOADS = 5  # ipywidgets waits four seconds for the widgets of a kernel: on a busy computer, in vain


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Lab"]:
    """JupyterLab over copies of the lessons, and a notebook that films a chat."""
    folder = tmp_path_factory.mktemp("lab")
    browser.write_notebook(folder / "film.ipynb", CELLS)
    browser.write_notebook(folder / "prediction.ipynb", PREDICTIONS)
    browser.write_notebook(folder / "keys.ipynb", KEYS)
    browser.write_notebook(folder / "scales.ipynb", [*SCALES, "'another cell'"])
    browser.write_notebook(folder / "talk.ipynb", TALK)
    shutil.copytree(refresh.LESSONS, folder / "notebooks")
    renew_copy(folder, folder)
    with browser.lab(folder) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator["BrowserContext"]:
    """A browser. Its pages share what is cached: JupyterLab is loaded and compiled once."""
    with browser.chromium(PROGRAM or "") as program:
        yield program.new_context(viewport={"width": 1400, "height": 900})


@pytest.fixture(scope="module")
def window(chromium: "BrowserContext") -> "Page":
    """The page in which JupyterLab is."""
    return chromium.new_page()


@pytest.fixture
def page(window: "Page", tmp_path: Path, request: pytest.FixtureRequest) -> Iterator["Page"]:
    """The page in which JupyterLab is; after a test that has failed, it is loaded anew."""
    failed = request.session.testsfailed
    window.bring_to_front()  # or it would be drawn now and then only
    with watched(window, pictures(tmp_path) / f"{request.node.name}_at_the_end.png"):
        yield window
    if request.session.testsfailed > failed:
        window.goto("about:blank")
    else:
        browser.close_all(window)


@pytest.fixture
def sheet(chromium: "BrowserContext", tmp_path: Path, request: pytest.FixtureRequest) -> Iterator["Page"]:
    """A page for itself, which may be loaded again."""
    page = chromium.new_page()
    with watched(page, pictures(tmp_path) / f"{request.node.name}_at_the_end.png"):
        yield page
    page.close()


@pytest.fixture
def timeless(chromium: "BrowserContext", tmp_path: Path, request: pytest.FixtureRequest) -> Iterator["Page"]:
    """A page in which time may be stopped: for all pages of its context, so it has one of its own."""
    assert chromium.browser
    context = chromium.browser.new_context()
    page = context.new_page()
    with watched(page, pictures(tmp_path) / f"{request.node.name}_at_the_end.png"):
        yield page
    context.close()


@contextlib.contextmanager
def watched(page: "Page", picture: Path) -> Iterator[None]:
    """No script of the page may fail meanwhile; what is to be seen at the end is kept.

    But for JupyterLab's own, of a notebook that was closed while its kernel still spoke.
    """
    complaints: list[str] = []

    def note(error: object) -> None:
        if not OF_JUPYTERLAB.search(str(error)):
            complaints.append(str(error))

    page.set_default_timeout(PATIENCE)
    page.on("pageerror", note)
    yield
    page.screenshot(path=picture)
    page.remove_listener("pageerror", note)
    assert not complaints


def pictures(folder: Path) -> Path:
    """Where pictures are kept."""
    kept = Path(os.environ.get("CHATLIB_PICTURES", folder / "pictures"))
    kept.mkdir(parents=True, exist_ok=True)
    return kept


def renew_copy(lab_folder: Path, course: Path) -> None:
    """Makes the learner's copy of a course, or brings it up to date, as `run.py lab` does."""
    with pytest.MonkeyPatch.context() as account:
        account.setenv("JUPYTER_DATA_DIR", str(lab_folder / ".jupyter" / "DATA"))
        my_course.main(course / "notebooks", course / "my-course")


def wait_until_run(page: "Page", cells: int) -> None:
    """Waits until this number of cells have run."""
    page.wait_for_function(
        "cells => [...document.querySelectorAll('.jp-InputPrompt')]"
        ".filter(prompt => /\\[\\d+\\]/.test(prompt.innerText)).length >= cells",
        arg=cells,
    )


# The live view


def test_a_film_from_its_first_cell_to_a_new_kernel(lab: "Lab", sheet: "Page", tmp_path: Path) -> None:
    """It appears, moves while a cell is busy, obeys keys, and survives a reload and the kernel's end."""
    browser.open_notebook(sheet, lab, "film.ipynb")
    view = sheet.locator(".chatfilm-view")
    sheet.locator(".jp-Cell").first.click()
    sheet.keyboard.press("Shift+Enter")
    view.locator("svg.chatfilm").wait_for()
    assert "alice" not in (view.locator("svg").text_content() or "")
    sheet.keyboard.press("Shift+Enter")
    assert_it_moves_while_a_cell_is_busy(sheet, view)
    view.screenshot(path=pictures(tmp_path) / "live_view.png")
    assert_hostile_text_is_text(sheet, view)
    wait_until_run(sheet, 2)
    assert_it_says_who_waits(view)
    assert_keys_work(sheet, view)
    assert_a_reload_restores_it(sheet, view)
    browser.choose(sheet, "Run", "Run All Cells")
    sheet.wait_for_selector(".chatfilm-view[data-finished='true']")
    assert_it_is_left_without_its_kernel(sheet, view, lab)


def assert_it_moves_while_a_cell_is_busy(page: "Page", view: "Locator") -> None:
    """The second cell chats, and bars are added while it does."""
    more = "steps => document.querySelectorAll('.chatfilm-view .cf-step').length > steps + 8"
    page.wait_for_function(more, arg=0)
    page.wait_for_function(more, arg=view.locator(".cf-step").count())
    assert "[*]" in page.locator(".jp-Cell").nth(1).inner_text()


def assert_hostile_text_is_text(page: "Page", view: "Locator") -> None:
    """A name and a line of a chat that would be markup are read, and nothing of them is run."""
    assert page.locator(".jp-OutputArea .chatfilm-view img").count() == 0
    assert "owned" not in page.title()
    assert "<img src=x" in (view.locator("svg.chatfilm").text_content() or "")
    assert "<img src=x onerror=alert(1)>" in (view.locator("pre").text_content() or "")


def assert_it_says_who_waits(view: "Locator") -> None:
    """Each thread of the server is in a call that has not returned."""
    loud = view.evaluate("view => [...view.querySelectorAll('.cf-strong')].map(label => label.textContent)")
    assert any("select for a connection" in label for label in loud), loud
    assert any("recv from bob" in label for label in loud), loud


def assert_keys_work(page: "Page", view: "Locator") -> None:
    """Bars are reached with arrow keys and say their line; letters are the view's, not the notebook's."""
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    view.locator(".reel").focus()
    page.keyboard.press("p")
    assert view.get_by_role("button", name="Continue (P)").get_attribute("aria-pressed") == "true"
    said = set[str]()
    for _ in range(40):
        page.keyboard.press("ArrowLeft")
        said.add(view.locator(".detail code").inner_text())
    assert {'alice.send("<img src=x onerror=alert(1)>")', "bob.receive()", "time.sleep(0.1)"} <= said
    page.keyboard.press("Home")
    first = view.locator(".detail").inner_text()
    page.keyboard.press("End")
    assert view.locator(".detail").inner_text() != first
    page.keyboard.press("Home")
    view.locator(".cf-step").last.hover()
    assert view.locator(".detail").inner_text() != first
    page.keyboard.press("Home")
    assert view.locator(".detail").inner_text() == first
    page.keyboard.press("f")
    assert "fit" in (view.locator(".reel").get_attribute("class") or "").split()
    page.keyboard.press("a")
    page.keyboard.press("p")
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert view.locator(".cf-step:focus").count() == 1
    page.keyboard.press("Escape")
    assert page.locator(".jp-Cell:focus").count() == 1


def assert_a_reload_restores_it(page: "Page", view: "Locator") -> None:
    """The kernel has gone on filming, and still does."""
    browser.choose(page, "File", "Save Notebook")
    page.wait_for_selector(".jp-mod-current:not(.jp-mod-dirty)")
    lost = page.get_by_text("model not found")
    for _ in range(RELOADS):
        page.reload()
        view.locator(".cf-open").first.or_(lost).first.wait_for()
        if not lost.count():
            break
    assert view.locator(".state").text_content() == "live"


def assert_it_is_left_without_its_kernel(page: "Page", view: "Locator", lab: "Lab") -> None:
    """What was saved has the whole film and no widget; with a new kernel it can still be explored."""
    told = view.locator("pre").text_content()
    browser.choose(page, "File", "Save Notebook")
    page.wait_for_selector(".jp-mod-current:not(.jp-mod-dirty)")
    saved = nbformat.read(lab.folder / "film.ipynb", as_version=4)
    data = saved.cells[0].outputs[0].data
    assert set(data) == {"text/html", "image/svg+xml", "text/plain"}
    assert data["image/svg+xml"].startswith("<svg")
    assert data["text/plain"] == told
    assert "widgets" not in saved.metadata
    assert not re.search("127.0.0.1|0x[0-9a-f]{6}", data["text/plain"])
    browser.restart_kernel(page)
    page.reload()
    view.locator("svg.chatfilm").wait_for()
    assert view.locator("pre").text_content() == told
    page.locator(".chatfilm-view .reel").focus()
    page.keyboard.press("ArrowRight")
    assert view.locator(".detail").inner_text().strip() != ""
    assert_it_is_played(page, view)
    assert "model not found" not in page.locator(".jp-Notebook").inner_text()


def assert_it_is_played(page: "Page", view: "Locator") -> None:
    """By keys that are the view's, not the notebook's; beside it, lines of the cell."""
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    view.get_by_label("Moment").press("Home")
    assert view.locator("output").inner_text() == "0.0000 s"
    for key in "ArrowUp", "ArrowRight", ",", ".":
        page.keyboard.press(key)
    assert view.get_by_label("Moment").input_value() == "2"
    page.keyboard.press(" ")
    page.wait_for_function("Number(document.querySelector('.player input').value) > 4")
    page.keyboard.press(" ")
    view.get_by_label("Moment").press("End")
    view.locator(".cf-step").filter(has_text="time.sleep(0.1)").first.hover()
    lines = view.locator(".detail .line")
    assert lines.filter(has_text="for number in range(30):").count() == 1
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells


def test_the_key_l_draws_a_film_to_scale(lab: "Lab", page: "Page", tmp_path: Path) -> None:
    """While it runs, and as it was then; and L once more draws it as before."""
    browser.open_notebook(page, lab, "scales.ipynb")
    view = page.locator(".chatfilm-view")
    for cells, state in ((0, 1), "live"), ((2, 3), "as it was then"):
        run_cells(page, *cells)
        view.last.get_by_text(state, exact=True).wait_for()
        view.last.locator(".cf-step:not(.cf-open)").filter(has_text="time.sleep").nth(1).wait_for()
        assert_key_l_changes_the_scale(page, view.last, "time.sleep")
        view.last.screenshot(path=pictures(tmp_path) / f"to_scale_{state.replace(' ', '_')}.png")


def test_the_key_l_draws_a_film_in_a_page_of_its_own_to_scale(sheet: "Page") -> None:
    """As in JupyterLab."""
    sheet.set_content(svg.page(one_at_a_time(), "by itself"))
    assert_key_l_changes_the_scale(sheet, sheet.locator(".chatfilm-view"))


def assert_key_l_changes_the_scale(page: "Page", view: "Locator", call: str = "") -> None:
    """Of the two longest waits that are over, one is as many times as long as the other as it really was.

    Only lines that have such a call count: on a slow computer, JupyterLab's own work is long, too.
    """
    button = view.get_by_role("button", name="To scale (L)")
    before = proportion(view, call)
    assert button.get_attribute("aria-pressed") == "false"
    view.locator(".reel").focus()
    page.keyboard.press("ArrowRight")
    chosen = view.locator(".detail").inner_text()
    page.keyboard.press("l")
    assert button.get_attribute("aria-pressed") == "true"
    assert "To scale" in (view.locator("svg").text_content() or "")
    assert proportion(view, call) > 1.5 * before
    assert view.locator(".detail").inner_text() == chosen
    assert view.locator(".cf-step:focus").count() == 1
    button.click()
    assert "Not to scale" in (view.locator("svg").text_content() or "")
    page.keyboard.press("End")  # from a button, too
    assert view.locator(".cf-step:focus").count() == 1


def proportion(view: "Locator", call: str) -> float:
    """How many times as wide as the second of the bars that are over the widest is."""
    widths = "bars => bars.map(bar => bar.getBBox().width).sort((a, b) => b - a)"
    steps = view.locator(".cf-step:not(.cf-open)").filter(has_text=call)
    first, second, *_ = steps.locator(".cf-bar").evaluate_all(widths)
    return float(first / second)


@pytest.mark.parametrize("width", [900, 1366])
def test_a_film_can_be_read_in_a_narrow_window(sheet: "Page", width: int) -> None:
    """It is shown whole where it can be read so; to fit it all makes it no smaller than can be read."""
    sheet.set_viewport_size({"width": width, "height": 900})
    sheet.set_content(svg.page(one_at_a_time(), "narrow"))
    reel = sheet.locator(".reel")
    assert reel.evaluate("reel => reel.scrollWidth <= reel.clientWidth")
    sheet.set_viewport_size({"width": width // 2, "height": 900})
    reel.focus()
    sheet.keyboard.press("f")
    drawn = sheet.locator(".cf-label").first.evaluate("label => label.getScreenCTM().a")
    assert drawn > 0.59


# The player


def played(page: "Page", width: int = 1366, film: Recording | None = None) -> "Locator":
    """Shows a film in a page of its own; returns its view."""
    page.set_viewport_size({"width": width, "height": 900})
    page.set_content(svg.page(film or one_at_a_time(), "played", {LOOP: EXCERPT}))
    return page.locator(".chatfilm-view")


EXCERPT = Excerpt(
    8, ("def handle(self):", f"    {LOOP.source}", "        self.request.sendall(data.upper())")
)


def shown(view: "Locator") -> list[str]:
    """The labels that are to be seen."""
    texts: list[str] = view.locator(".cf-label").evaluate_all(
        "all => all.filter(label => label.checkVisibility({ visibilityProperty: true }))"
        ".map(label => label.textContent)"
    )
    return texts


def test_a_film_is_played_from_event_to_event(sheet: "Page", tmp_path: Path) -> None:
    """What came later is behind a veil, and has no label; a call that lasts does not say yet how it ends."""
    view = played(sheet)
    moment, detail = view.locator("output"), view.locator(".detail")
    assert moment.inner_text() == "1.0000 s, the end"
    assert view.locator(".cf-veil, .cf-later, .cf-lasts").count() == 0
    whole = shown(view)
    view.locator(".reel").focus()
    for _ in range(2):
        sheet.keyboard.press(",")
    assert moment.inner_text() == "0.2115 s"
    assert detail.inner_text() == "B: recv from the server\nprint(b.waits(0.5))"
    assert "B: recv from the server" in shown(view)
    assert not [label for label in shown(view) if "timed out" in label or "unread" in label]
    assert view.locator(".cf-lasts").count() == 2  # B, and the server, which goes on
    sheet.keyboard.press(".")
    assert moment.inner_text() == "0.7118 s"
    assert detail.inner_text().startswith("B: recv from the server: timed out, 0.5 s, line 4")
    sheet.keyboard.press(".")
    sheet.keyboard.press(".")  # after the end there is nothing
    assert moment.inner_text() == "1.0000 s, the end"
    assert shown(view) == whole
    assert view.locator(".cf-veil, .cf-later, .cf-lasts").count() == 0


def test_the_slider_of_a_film_is_moved_by_keys(sheet: "Page") -> None:
    """Those that every slider has; it has a name, and says when it is and what happens."""
    view = played(sheet)
    slider = view.get_by_label("Moment")
    slider.press("Home")
    assert slider.get_attribute("aria-valuetext") == "0.0000 s: select for a connection"
    assert shown(view) == ["select for a connection"]
    slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "0.2095 s: A: connect to the server"
    slider.press("End")
    assert slider.get_attribute("aria-valuetext") == "1.0000 s: the end"
    slider.press(",")  # the others are the view's, there too
    assert view.locator("output").inner_text() == "0.7118 s"


def test_who_is_stuck_is_told_of_the_end_of_a_film(sheet: "Page") -> None:
    """Before it, nobody need be."""
    film = one_at_a_time()
    still = [span._replace(end=None) if span.outcome == "timeout" else span for span in film.spans]
    view = played(sheet, film=replace(film, spans=tuple(still)))
    told = view.locator(".cf-finding").first
    assert told.is_visible()
    view.get_by_label("Moment").press("ArrowLeft")
    assert not told.is_visible()
    view.get_by_label("Moment").press("End")
    assert told.is_visible()


def test_the_line_of_an_event_has_its_neighbours_beside_it(sheet: "Page") -> None:
    """If they are known; the line itself is marked by more than a colour."""
    view = played(sheet)
    view.locator(".reel").focus()
    view.locator(".cf-step").filter(has_text="recv from A").hover()
    lines = view.locator(".detail .line")
    assert lines.all_inner_texts() == list(EXCERPT.lines)
    here = view.locator(".detail .line[aria-current]")
    assert here.inner_text().strip() == LOOP.source
    assert "▸" in here.evaluate("line => getComputedStyle(line, '::before').content")


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_a_film_is_played_to_its_end(timeless: "Page", motion: Literal["no-preference", "reduce"]) -> None:
    """The space bar starts and stops it. Who prefers no motion is shown one event after the other."""
    timeless.emulate_media(reduced_motion=motion)
    timeless.clock.install(time=0)
    view = played(timeless)
    timeless.clock.pause_at(3_600_000)  # from now on, time passes by `run_for` alone
    button, places = view.get_by_role("button", name=re.compile("Space")), set[str | None]()
    view.locator(".reel").focus()
    timeless.keyboard.press("Space")
    assert button.inner_text() == "Stop (Space)"
    for _ in range(10):
        timeless.clock.run_for(100)
        places.add(view.locator(".cf-veil").get_attribute("x"))
    assert len(places) == (10 if motion == "no-preference" else 1)  # within the first wait
    timeless.keyboard.press("Space")
    assert button.inner_text() == "Play (Space)"
    before = view.locator("output").inner_text()
    timeless.clock.run_for(1000)
    assert view.locator("output").inner_text() == before
    button.press("Space")
    timeless.clock.run_for(60_000)
    assert view.locator("output").inner_text() == "1.0000 s, the end"
    assert button.inner_text() == "Play (Space)"


def test_a_moment_stays_the_same_in_the_other_scale(sheet: "Page") -> None:
    """It lies elsewhere: where the same call lies."""
    view = played(sheet)
    view.get_by_label("Moment").press("Home")
    view.locator(".reel").focus()
    for _ in range(11):
        sheet.keyboard.press(".")
    assert view.locator("output").inner_text() == "0.2115 s"
    for _ in range(2):
        call = view.locator(".cf-step").filter(has_text="B: recv").locator(".cf-bar")
        begin = call.evaluate("bar => bar.getBBox().x")
        assert float(view.locator(".cf-veil").get_attribute("x") or 0) == pytest.approx(begin, abs=0.2)
        assert view.locator("output").inner_text() == "0.2115 s"
        sheet.keyboard.press("l")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 900, 1920])
def test_a_film_that_is_played_can_be_read(
    sheet: "Page", tmp_path: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    """In narrow and wide windows, in light and dark: nothing sticks out, and every text stands out."""
    sheet.emulate_media(color_scheme=scheme)
    view = played(sheet, width)
    view.locator(".reel").focus()
    for _ in range(7):
        sheet.keyboard.press(",")
        assert sheet.evaluate("document.documentElement.scrollWidth") <= width
        head, reel = view.locator(".cf-head").bounding_box(), view.locator(".reel").bounding_box()
        assert head and reel and reel["x"] < head["x"] < reel["x"] + reel["width"] - 10
    assert view.locator(".detail .line").count() == 3
    assert contrast.hard_to_read(sheet) == {}
    sheet.screenshot(path=pictures(tmp_path) / f"played_{width}_{scheme}.png", full_page=True)


# Predictions


def test_a_click_is_set_beside_what_was_measured(lab: "Lab", page: "Page", tmp_path: Path) -> None:
    """By mouse or by keys one chooses, and chooses again; then it is locked, and stays without its kernel."""
    browser.open_notebook(page, lab, "prediction.ipynb")
    browser.choose(page, "Run", "Run All Cells")
    wait_until_run(page, 3)
    assert_run_all_needs_no_click(page)
    run_cells(page, 0, 1)
    asked, other = page.locator(".chatlib-choices").nth(0), page.locator(".chatlib-choices").nth(1)
    asked.screenshot(path=pictures(tmp_path) / "prediction_asked.png")
    assert_one_chooses_by_mouse_and_by_keys(page, asked)
    asked.screenshot(path=pictures(tmp_path) / "prediction_chosen.png")
    run_cells(page, 2)
    assert_it_is_compared_and_locked(page, asked)
    asked.screenshot(path=pictures(tmp_path) / "prediction_measured.png")
    assert other.locator("button:enabled").count() == 2
    assert_it_stays_without_its_kernel(page, asked, lab)


def run_cells(page: "Page", *numbers: int) -> None:
    """Runs these cells, and waits until each has a new number."""
    for number in numbers:
        prompt = page.locator(".jp-Cell").nth(number).locator(".jp-InputPrompt")
        before = prompt.inner_text()
        prompt.click()
        page.keyboard.press("Control+Enter")
        wait_for_another(page, prompt, before)


def wait_for_another(page: "Page", prompt: "Locator", before: str) -> None:
    """Waits until a cell has run and has another number."""
    page.wait_for_function(
        "([prompt, before]) => prompt.innerText !== before && /\\d/.test(prompt.innerText)",
        arg=[prompt.element_handle(), before],
    )


def assert_run_all_needs_no_click(page: "Page") -> None:
    """Without an answer, nothing is said about one."""
    assert result(page) == f"Measured: {MARKUP}"
    assert page.get_by_text("You said").count() == page.get_by_text("you said").count() == 0


def result(page: "Page") -> str:
    """What the cell that measures has shown."""
    return page.locator(".jp-Cell").nth(2).locator(".jp-OutputArea-output").inner_text().strip()


def assert_one_chooses_by_mouse_and_by_keys(page: "Page", asked: "Locator") -> None:
    """The choice is marked by a word; keys are those of buttons, and not the notebook's."""
    buttons = asked.get_by_role("button")
    buttons.nth(0).click()
    buttons.nth(0).get_by_text("you said").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    buttons.nth(1).get_by_text("you said").wait_for()
    assert [buttons.nth(each).get_attribute("aria-pressed") for each in range(3)] == [
        "false",
        "true",
        "false",
    ]
    assert asked.get_by_role("status").inner_text().startswith("You said: an answer at once\n")
    assert page.locator(".jp-mod-editMode").count() == 0
    page.keyboard.press("Enter")  # the same once more
    assert buttons.nth(1).inner_text().split("\n")[-1] == "you said"


def assert_it_is_compared_and_locked(page: "Page", asked: "Locator") -> None:
    """Beside each other where it was asked, and below the experiment; there is nothing left to click on."""
    told = f"You said: an answer at once\nMeasured: {MARKUP}\nNot as you said: worth a closer look."
    asked.locator(".measured").get_by_text("measured", exact=True).wait_for()
    assert result(page) == asked.locator(".told").inner_text() == told
    assert asked.locator(".said").inner_text().split("\n")[-1] == "you said"
    assert asked.locator("button").count() == asked.locator("img").count() == 0


def assert_it_stays_without_its_kernel(page: "Page", asked: "Locator", lab: "Lab") -> None:
    """What was saved is text and HTML; opened again, it looks the same."""
    told = asked.inner_text()
    browser.choose(page, "File", "Save Notebook")
    page.wait_for_selector(".jp-mod-current:not(.jp-mod-dirty)")
    saved = nbformat.read(lab.folder / "prediction.ipynb", as_version=4)
    assert set(saved.cells[0].outputs[0].data) == {"text/html", "text/plain"}
    assert "widgets" not in saved.metadata
    browser.restart_kernel(page)
    browser.open_notebook(page, lab, "prediction.ipynb")
    asked.wait_for()
    assert asked.inner_text() == told


# The way back to the notebook


def test_from_wherever_one_has_clicked_shift_and_enter_runs_the_cell(lab: "Lab", page: "Page") -> None:
    """What is shown below a cell has keys of its own. All others are the notebook's."""
    browser.open_notebook(page, lab, "keys.ipynb")
    browser.choose(page, "Run", "Run All Cells")
    wait_until_run(page, len(KEYS))
    for number, inside in enumerate(
        (".chatlib-choices button", ".cf-step", ".widget-button >> text=begin again")
    ):
        prompt = page.locator(".jp-Cell").nth(number).locator(".jp-InputPrompt")
        before = prompt.inner_text()
        page.locator(".jp-Cell").nth(number).locator(inside).first.click()
        page.keyboard.press("Shift+Enter")
        wait_for_another(page, prompt, before)
        assert (
            page.locator(".jp-Cell.jp-mod-active").inner_text()
            == page.locator(".jp-Cell").nth(number + 1).inner_text()
        )


@pytest.mark.exhaustive
def test_what_a_notebook_has_started_outlives_its_tab(lab: "Lab", page: "Page") -> None:
    """Opened again, its client still talks to its server, as lesson 00 says."""
    browser.open_notebook(page, lab, "talk.ipynb")
    run_cells(page, 0)
    browser.choose(page, "File", "Save Notebook")
    page.wait_for_selector(".jp-mod-current:not(.jp-mod-dirty)")
    browser.choose(page, "File", "Close Tab")
    page.locator(".jp-Notebook").wait_for(state="detached")
    browser.open_notebook(page, lab, "talk.ipynb")
    run_cells(page, 1)
    page.locator(".jp-OutputArea-output").get_by_text("'HI'").wait_for()


# The learner's own copy


def test_the_first_page_leads_to_a_lesson_that_need_not_be_saved(
    lab: "Lab", page: "Page", tmp_path: Path
) -> None:
    """A notebook that was only opened does not ask to be saved."""
    browser.open_notebook(page, lab, f"my-course/{my_course.START}")
    page.locator(".jp-RenderedMarkdown table").wait_for()
    page.screenshot(path=pictures(tmp_path) / "start_page.png")
    page.locator(".jp-RenderedMarkdown strong a", has_text="00 · Start here").click()
    page.locator(".jp-mod-current", has_text="00_start_here.ipynb").wait_for()
    page.locator(".jp-Notebook:visible .jp-CodeCell").first.wait_for()
    page.get_by_text("| Idle").wait_for()
    assert page.locator(".jp-mod-dirty").all_inner_texts() == []


def test_the_first_page_leads_to_the_pictures_of_a_lesson(lab: "Lab", page: "Page") -> None:
    """JupyterLab shows those that were saved, which it does not for notebooks of unknown origin."""
    browser.open_notebook(page, lab, f"my-course/{my_course.START}")
    page.locator(".jp-RenderedMarkdown tr", has_text="02 · One at a time").get_by_text("pictures").click()
    page.locator(".jp-mod-current", has_text="02_one_at_a_time.ipynb").wait_for()
    page.locator(".jp-Notebook:visible .jp-RenderedSVG img").first.wait_for()


@pytest.mark.exhaustive
@pytest.mark.parametrize("means", [Keyboard, Mouse], ids=["keyboard", "mouse"])
def test_a_learner_goes_the_whole_way(
    lab: "Lab", page: "Page", tmp_path: Path, means: "type[Keyboard | Mouse]"
) -> None:
    """From the first page to a lesson, its prediction, its film and its exercise; and back another day.

    Everything is reached with keys alone, and with clicks alone. JupyterLab itself offers what that takes:
    Tab and Shift + Tab go to the links and buttons of a notebook, arrow keys from cell to cell, and
    Ctrl + Shift + C opens the palette, in which each command has a name.
    """
    course = lab.folder / means.__name__
    unused = shutil.ignore_patterns("0[!23]*", "1*", "solutions")
    shutil.copytree(refresh.LESSONS, course / "notebooks", ignore=unused)
    renew_copy(lab.folder, course)
    learner: Learner = means(page)
    browser.open_notebook(page, lab, f"{course.name}/my-course/{my_course.START}")
    take_the_lesson(page, learner)
    page.screenshot(path=pictures(tmp_path) / f"way_{means.__name__}_lesson.png")
    solve_the_exercise(page, learner)
    page.screenshot(path=pictures(tmp_path) / f"way_{means.__name__}_exercise.png")
    learner.leave()
    page.locator(".lm-TabBar-tab", has_text=Path(EXERCISE).name).wait_for(state="detached")
    assert_nothing_is_lost_when_the_course_changes(page, learner, lab, course)


def follow(page: "Page", learner: Learner, link: str, name: str) -> None:
    """Follows a link to a notebook, and waits until its first cell has the focus and its kernel is ready."""
    learner.use(page.get_by_role("link", name=link).first)
    page.locator(".jp-mod-current", has_text=name).wait_for()
    page.locator(".jp-Notebook:visible .jp-Cell:focus").wait_for()
    page.get_by_text("| Idle").wait_for()


def save(page: "Page", learner: Learner) -> None:
    """Saves the open notebook, and waits until that is done."""
    learner.save()
    page.wait_for_selector(".jp-mod-current:not(.jp-mod-dirty)")


def take_the_lesson(page: "Page", learner: Learner) -> None:
    """Chooses an answer, runs all cells, reads what was measured, looks at a bar of the film, and saves."""
    cells = nbformat.read(refresh.LESSONS / TWO, as_version=4).cells
    asked = next(number for number, cell in enumerate(cells) if "chatlib.predict(" in cell.source)
    follow(page, learner, "02 · One at a time", TWO)
    learner.run(asked + 1)
    learner.use(page.get_by_role("button", name="only when A has left"))
    page.locator("b", has_text="you said").wait_for()
    learner.run(len(cells) - 1 - asked)  # the cell of the question once more, and all others but the last
    wait_until_run(page, sum(cell.cell_type == "code" for cell in cells))
    verdict = page.locator(".chatlib-choices .told", has_text="As you said.").inner_text()
    assert verdict.split("\n")[:2] == ["You said: only when A has left", "Measured: only when A has left"]
    film = page.locator(".chatfilm-view").last
    learner.look_at_a_bar(film)
    assert film.locator(".detail code").inner_text() != ""
    save(page, learner)


def solve_the_exercise(page: "Page", learner: Learner) -> None:
    """First an answer that is wrong, then the right one; after each, the check says so."""
    follow(page, learner, "Exercise 02", Path(EXERCISE).name)
    for line, told in (
        ("self.wfile.writelines(self.rfile)", CASES[0].hint),
        ("self.wfile.writelines(line.upper() for line in self.rfile)", "Well done!"),
    ):
        learner.write(line)
        learner.run(2)
        page.locator(".jp-Notebook:visible .jp-OutputArea").get_by_text(told).wait_for()
    save(page, learner)


def assert_nothing_is_lost_when_the_course_changes(
    page: "Page", learner: Learner, lab: "Lab", course: Path
) -> None:
    """The first page notes what was done; what was not begun is renewed, and what was worked in is kept."""
    for name in (EXERCISE, "03_a_thread_for_each.ipynb"):
        path = course / "notebooks" / name
        path.write_text(path.read_text("utf-8").replace("You need:", "NEW. You need:"), "utf-8")
    mine = (course / "my-course" / EXERCISE).read_bytes()
    renew_copy(lab.folder, course)
    assert (course / "my-course" / EXERCISE).read_bytes() == mine
    browser.open_notebook(page, lab, f"{course.name}/my-course/{my_course.START}")
    first = page.locator(".jp-RenderedMarkdown")
    first.get_by_text(f"There is a newer version of {EXERCISE}. Yours is kept").wait_for()
    first.get_by_text("Go on with 03 · A thread for each.").wait_for()
    for row, told in (
        ("02 · One at a time", "✓ done, 1 of 2 predicted"),
        ("Exercise 02", "✓ done, 1 of 1 checks passed"),
    ):
        first.get_by_role("row", name=row).get_by_text(told).wait_for()
    follow(page, learner, "03 · A thread for each", "03_a_thread_for_each.ipynb")
    page.locator(".jp-RenderedMarkdown:visible").get_by_text("NEW. You need:").wait_for()


# The playground


def test_the_playground_is_played_with_mouse_and_keyboard(lab: "Lab", page: "Page", tmp_path: Path) -> None:
    """A silent client holds up the others on the left, and not on the right; each button can be reached."""
    browser.open_notebook(page, lab, "notebooks/playground.ipynb")
    browser.choose(page, "Run", "Run All Cells")
    for name in ("alice", "comes"):
        page.get_by_role("button", name=name, exact=True).click()
    page.get_by_text("The server's only thread waits for alice").wait_for()  # or bob may be first
    for name in ("bob", "comes", "says a line"):
        page.get_by_role("button", name=name, exact=True).click()
    chosen = page.locator(".widget-toggle-buttons").get_by_role("button", pressed=True)
    assert chosen.all_inner_texts() == ["bob"]  # a screen reader says so
    page.get_by_text("bob waits for alice: the server's only thread waits in recv for alice").wait_for()
    page.get_by_text("Nobody waits for anybody else: each client has a thread of its own").wait_for()
    page.locator(".jp-OutputArea-output:visible").first.screenshot(path=pictures(tmp_path) / "playground.png")
    page.get_by_role("button", name="alice", exact=True).press("Enter")
    page.get_by_role("button", name="vanishes", exact=True).press("Enter")
    page.get_by_text("The server's only thread waits for bob").wait_for()
    page.keyboard.press("Enter")  # the button has kept the keyboard
    page.get_by_text("alice is not here: first, alice has to come.").wait_for()
    page.get_by_label("left").select_option("one thread, an event loop")
    page.get_by_text("Nobody is here: the server waits for a client to come.").nth(1).wait_for()
    page.get_by_role("button", name="everybody says a line", exact=True).press("Enter")
    page.get_by_text("Nobody is here who would speak.").wait_for()
    for mime in ("error", "stderr"):
        assert page.locator(f"[data-mime-type='application/vnd.jupyter.{mime}']").count() == 0


# The lessons


@pytest.mark.parametrize(
    "lesson",
    [
        pytest.param(path.stem, marks=[pytest.mark.exhaustive] * (path.stem not in EVERY_DAY))
        for path in sorted(refresh.LESSONS.glob("[0-9]*.ipynb"))
    ],
)
def test_a_lesson_is_run_from_top_to_bottom(lab: "Lab", page: "Page", tmp_path: Path, lesson: str) -> None:
    """Every cell runs, nothing fails, each film is there, and each prediction has been measured."""
    saved = nbformat.read(refresh.LESSONS / f"{lesson}.ipynb", as_version=4)
    code = [cell for cell in saved.cells if cell.cell_type == "code"]
    films = refresh.films(saved)
    asked = sum("chatlib.predict(" in cell.source for cell in code)
    browser.open_notebook(page, lab, f"notebooks/{lesson}.ipynb")
    browser.choose(page, "Run", "Run All Cells")
    wait_until_run(page, len(code))
    views = page.locator(".chatfilm-view[data-finished='true']")
    views.nth(len(films) - 1).locator("svg.chatfilm").wait_for()
    assert views.count() == len(films) >= 1
    assert page.locator(".chatlib-choices .measured").count() == asked
    for mime in ("error", "stderr"):
        assert page.locator(f"[data-mime-type='application/vnd.jupyter.{mime}']").all_inner_texts() == []
    for number in range(len(films)):
        views.nth(number).screenshot(path=pictures(tmp_path) / f"{lesson}_film_{number + 1}.png")


def test_an_untrusted_lesson_says_what_its_pictures_show(lab: "Lab", page: "Page") -> None:
    """JupyterLab hides the pictures of a notebook that was changed elsewhere, and shows their words."""
    lesson = (refresh.LESSONS / "02_one_at_a_time.ipynb").read_text(encoding="utf-8")
    changed = lesson.replace("A was slow", "A came late")
    (lab.folder / "fresh.ipynb").write_text(changed, encoding="utf-8")
    browser.open_notebook(page, lab, "fresh.ipynb")
    page.get_by_text("waits in recv for A").first.wait_for()
    assert page.locator(".jp-RenderedSVG").count() == 0
    assert "model not found" not in page.locator(".jp-Notebook").inner_text()


# Contrast


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", sorted({f"my-course/{my_course.START}", *RUNNING, *SAVED}))
def test_every_text_stands_out_in_light_and_in_dark(lab: "Lab", page: "Page", name: str) -> None:
    """Of all that a notebook has saved, and of what runs."""
    browser.open_notebook(page, lab, name)
    if name in RUNNING:
        browser.choose(page, "Run", "Run All Cells")
        wait_until_run(page, page.locator(".jp-CodeCell").count())
        page.locator(".jupyter-widgets, .chatlib-choices, .jp-RenderedHTML").first.wait_for()
    for theme in THEMES:
        browser.choose(page, "Settings", "Theme", theme)
        page.locator(f"body[data-jp-theme-name='{theme}']").wait_for(state="attached")
        assert contrast.hard_to_read(page) == {}, theme


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_of_a_page_without_jupyter_stands_out(
    sheet: "Page", scheme: Literal["light", "dark"]
) -> None:
    """The film of a script, and the slides."""
    sheet.emulate_media(color_scheme=scheme)
    lessons = sorted(refresh.LESSONS.glob("[0-9]*.ipynb"))
    for made in (svg.page(one_at_a_time(), "by itself"), deck(lessons)):
        sheet.set_content(made)
        assert contrast.hard_to_read(sheet) == {}


def test_contrast_is_that_with_what_is_painted_behind(sheet: "Page") -> None:
    """The page, a bar beneath a text of a picture, or its halo; what is hidden does not count."""
    text = '<text x="10" y="24" font-size="20"'
    sheet.set_content(f"""
        <section style="color:#777">grey<p style="background:#000a">dark</p><p hidden>hidden</p></section>
        <section style="color:#0008">pale</section>
        <section><svg width="300" height="90">
        {text}>alone</text>
        <path d="M0 30H300V60H0z" fill-opacity=".5"/>
        {text} dy="30">on a bar</text>
        {text} dy="30" fill="#fff" paint-order="stroke" stroke="#000" stroke-width="4">halo</text>
        </svg></section>
    """)
    expected = {"grey": 4.48, "dark": 1.66, "pale": 4.48, "alone": 21.0, "on a bar": 5.28, "halo": 21.0}
    assert contrast.measured(sheet) == pytest.approx(expected, abs=0.05)
