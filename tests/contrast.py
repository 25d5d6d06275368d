"""How well each text of a page stands out from what is behind it, as WCAG 2 counts it: from 1 to 21."""

from pathlib import Path

from playwright.sync_api import Page

LEAST = 4.5
"""What WCAG 2 asks for, of text in any size."""

PICTURES, VIEWS = ".chatfilm, .chatbench", ".chatfilm-view, .chatlib-choices, .jupyter-widgets"
PROSE = ".jp-RenderedMarkdown :is(p, li, td, th, h1, h2, summary)"
OURS = f"{PICTURES}, {VIEWS}, {PROSE}, .jp-RenderedHTML, section"
"""What is of our own making: also text and reports, which JupyterLab renders, and slides. How JupyterLab
colours code is its own."""

MEASURE = Path(__file__).with_suffix(".js").read_text("utf-8")


def measured(page: Page) -> dict[str, float]:
    """Returns the contrast of each visible text; where it stands several times, the worst.

    What is behind a text is what the page paints there, and in a picture what was painted before it. Of a
    text with a halo, it is that.
    """
    found: dict[str, float] = {}
    for ratio, text in page.evaluate(MEASURE, OURS):
        found[text] = min(round(ratio, 2), found.get(text, 21.0))
    return found


def hard_to_read(page: Page) -> dict[str, float]:
    """Returns the texts with too little contrast, also of what a click unfolds."""
    found = measured(page)
    page.locator("details").evaluate_all("all => all.forEach(each => { each.open = true; })")
    found |= measured(page)
    assert found, "nothing was measured"
    return {text: ratio for text, ratio in found.items() if ratio < LEAST}
