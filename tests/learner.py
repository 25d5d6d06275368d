"""A learner at a real JupyterLab: with nothing but the keyboard, or with nothing but the mouse."""

from typing import Protocol

from playwright.sync_api import Locator, Page

TABS = 300  # more than any page has stops for the key Tab
ABOVE = "wanted => document.activeElement.compareDocumentPosition(wanted) & Node.DOCUMENT_POSITION_PRECEDING"


class Learner(Protocol):
    """What a learner does, by whatever means."""

    def use(self, wanted: Locator) -> None:
        """Follows a link, or presses a button."""

    def look_at_a_bar(self, film: Locator) -> None:
        """Chooses a bar of a film, which then says more of it."""

    def run(self, cells: int = 1) -> None:
        """Runs the active cell, and those below it."""

    def write(self, line: str) -> None:
        """Writes a line in the place of the last one of the first code cell, and runs that cell."""

    def save(self) -> None:
        """Saves the open notebook."""

    def leave(self) -> None:
        """Closes the open notebook, and shuts its kernel down."""


class Keyboard:
    """Keys only. Tab and Shift + Tab reach every link and button of a notebook, and Enter uses it."""

    def __init__(self, page: Page) -> None:
        self._page, self._press = page, page.keyboard.press

    def use(self, wanted: Locator) -> None:
        """Enter, when it has the focus."""
        self._reach(wanted)
        self._press("Enter")

    def look_at_a_bar(self, film: Locator) -> None:
        """An arrow key, when the film has the focus."""
        self._reach(film.get_by_role("group", name="arrow keys"))
        self._press("ArrowRight")

    def run(self, cells: int = 1) -> None:
        """Shift + Enter."""
        for _ in range(cells):
            self._press("Shift+Enter")

    def write(self, line: str) -> None:
        """From wherever the focus is in the notebook: its first cell, the one below it, its last line."""
        cells = self._page.locator(".jp-Notebook:visible .jp-Cell").count()
        for key in (*["ArrowUp"] * cells, "ArrowDown", "Enter", "ControlOrMeta+End", "Shift+Home"):
            self._press(key)
        self._page.keyboard.type(line)
        self._press("Shift+Enter")

    def save(self) -> None:
        """Ctrl + S."""
        self._press("ControlOrMeta+s")

    def leave(self) -> None:
        """By the palette of all commands, Ctrl + Shift + C."""
        self._press("ControlOrMeta+Shift+c")
        self._page.locator(".lm-CommandPalette-input:focus").wait_for()  # or a cell would take the letters
        self._page.keyboard.type("Close and Shut Down Notebook")
        self._page.locator(".lm-CommandPalette-item.lm-mod-active", has_text="Close and Shut Down").wait_for()
        self._press("Enter")
        self._page.locator(".jp-Dialog-button.jp-mod-accept:focus").wait_for()
        self._press("Enter")

    def _reach(self, wanted: Locator) -> None:
        """Goes there from where the focus is: forwards, or if it stands above, backwards."""
        key = "Shift+Tab" if wanted.evaluate(ABOVE) else "Tab"
        for _ in range(TABS):
            self._press(key)
            if wanted.evaluate("wanted => wanted === document.activeElement"):
                return
        raise AssertionError(f"the key Tab does not lead to {wanted}")


class Mouse:
    """Clicks only; and keys for the text of an answer."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def use(self, wanted: Locator) -> None:
        """A click."""
        wanted.click()

    def look_at_a_bar(self, film: Locator) -> None:
        """A click on what is written on one."""
        film.locator(".cf-strong").first.click()

    def run(self, cells: int = 1) -> None:
        """The button of the toolbar."""
        for _ in range(cells):
            self._page.get_by_role("button", name="Run this cell and advance").click()

    def write(self, line: str) -> None:
        """Three clicks mark a line."""
        self._page.locator(".jp-Notebook:visible .jp-CodeCell").first.locator(".cm-line").last.click(
            click_count=3
        )
        self._page.keyboard.type(8 * " " + line)
        self.run()

    def save(self) -> None:
        """The button of the toolbar."""
        self._page.get_by_role("button", name="Save and create checkpoint").click()

    def leave(self) -> None:
        """By the menu."""
        self._page.get_by_role("menuitem", name="File").click()
        self._page.get_by_role("menuitem", name="Close and Shut Down Notebook").click()
        self._page.locator(".jp-Dialog-button.jp-mod-accept").click()
