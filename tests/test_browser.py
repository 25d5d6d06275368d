"""The live view in a real JupyterLab and a real browser: what a learner sees, and can do."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

if TYPE_CHECKING:
    from browser import Lab
    from playwright.sync_api import Locator, Page

pytest.importorskip("anywidget", reason="the live view needs anywidget, which is not installed")
pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")
pytest.importorskip("playwright.sync_api", reason="playwright, which drives a browser, is not installed")

import browser  # noqa: E402

PROGRAM = browser.executable()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAM, reason=f"there is no browser; looked for {', '.join(browser.NAMES)}"),
]

CELLS = [
    "import time, films\nfrom chatlib.views.live import LiveFilm\n"
    "program = films.Program(films.HOSTILE)\nview = LiveFilm(program.take, program.finished)\nview",
    "time.sleep(4)",
    "program.stop()",
]
PATIENCE = 20_000.0  # milliseconds


@pytest.fixture
def lab(tmp_path: Path) -> Iterator["Lab"]:
    """JupyterLab with one notebook, which makes up a chat and shows it."""
    browser.write_notebook(tmp_path / "film.ipynb", CELLS)
    with browser.lab(tmp_path) as running:
        yield running


@pytest.fixture
def page(tmp_path: Path) -> Iterator["Page"]:
    """A page of a browser. What it shows at the end is kept, above all when a test has failed."""
    with browser.chromium(PROGRAM or "") as program:
        page = program.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(PATIENCE)
        yield page
        keep_picture(page, "at_the_end", tmp_path)


def keep_picture(page: "Page", name: str, folder: Path) -> None:
    """Keeps what the page looks like: in the folder that CHATLIB_PICTURES names, or else a temporary one."""
    kept = Path(os.environ.get("CHATLIB_PICTURES", folder / "pictures"))
    kept.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=kept / f"{name}.png")


def steps_shown(view: "Locator") -> int:
    """How many bars the picture has."""
    return int(view.locator(".cf-step").count())


def wait_for_more_than(page: "Page", steps: int) -> None:
    """Waits until the picture has moved."""
    page.wait_for_function(f"document.querySelectorAll('.chatfilm-view .cf-step').length > {steps}")


def test_the_live_view_in_jupyterlab(lab: "Lab", page: "Page", tmp_path: Path) -> None:
    """It appears, moves while a cell is busy, shows hostile text as text, obeys keys, survives a reload."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    browser.open_notebook(page, lab, "film.ipynb")
    browser.choose(page, "Run", "Run All Cells")
    view = page.locator(".chatfilm-view")
    view.locator("svg.chatfilm").wait_for()
    assert_it_moves_while_a_cell_is_busy(page, view)
    keep_picture(page, "live_view", tmp_path)
    assert_hostile_text_is_text(page, view)
    assert_keys_work(page, view)
    page.wait_for_selector(".chatfilm-view[data-finished='true']")
    keep_picture(page, "ended_view", tmp_path)
    assert_a_reload_restores_it(page, view, lab)
    keep_picture(page, "reloaded_view", tmp_path)
    assert not complaints


def assert_it_moves_while_a_cell_is_busy(page: "Page", view: "Locator") -> None:
    """The second cell sleeps, and bars are added all the same."""
    page.wait_for_function("document.querySelectorAll('.jp-Cell')[1].innerText.includes('[*]')")
    wait_for_more_than(page, steps_shown(view))
    wait_for_more_than(page, steps_shown(view))
    assert "[*]" in page.locator(".jp-Cell").nth(1).inner_text()
    assert view.locator(".cf-open").count() >= 1


def assert_hostile_text_is_text(page: "Page", view: "Locator") -> None:
    """A client's name that would be markup is read, and nothing of it is run."""
    assert page.locator(".jp-OutputArea .chatfilm-view img").count() == 0
    assert "owned" not in page.title()
    assert "<img src=x" in (view.locator("svg.chatfilm").text_content() or "")


def assert_keys_work(page: "Page", view: "Locator") -> None:
    """Bars are reached with arrow keys and say their line; letters are the view's, not the notebook's."""
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    view.locator(".reel").focus()
    page.keyboard.press("p")
    assert view.get_by_role("button", name="Continue (P)").get_attribute("aria-pressed") == "true"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "while data := self.request.recv(1024):" in view.locator(".detail").inner_text()
    page.keyboard.press("f")
    assert "fit" in (view.locator(".reel").get_attribute("class") or "").split()
    page.keyboard.press("a")
    page.keyboard.press("p")
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert view.locator(".cf-step:focus").count() == 1


def assert_a_reload_restores_it(page: "Page", view: "Locator", lab: "Lab") -> None:
    """The picture comes back from the kernel; what was saved has picture and story, and no widget's state."""
    told = view.locator("pre").text_content()
    browser.choose(page, "File", "Save Notebook")
    page.wait_for_selector(".jp-mod-current:not(.jp-mod-dirty)")
    page.reload()
    view.locator("svg.chatfilm").wait_for()
    assert view.locator("pre").text_content() == told
    saved = nbformat.read(lab.folder / "film.ipynb", as_version=4)
    data = saved.cells[0].outputs[0].data
    assert data["image/svg+xml"].startswith("<svg")
    assert data["text/plain"].startswith("the server")
    assert "widgets" not in saved.metadata
    assert not re.search("127.0.0.1|0x[0-9a-f]{6}", data["text/plain"])
