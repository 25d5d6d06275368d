"""A film as one HTML file: picture, story, and the line of the program that belongs to each bar."""

from html import escape

from chatlib.film.wording import clean

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:17px/1.5 system-ui,sans-serif;margin:1.5rem;background:#fff;color:#111}"
    "figure{margin:0;overflow-x:auto}#step{min-height:4.5em;margin:.5rem 0}code,pre{font-size:15px}"
    "pre{overflow-x:auto}@media(prefers-color-scheme:dark){body{background:#111;color:#fff}}"
)

# Text goes in as text only: nothing that came from a network is ever read as HTML.
_SCRIPT = """
const steps = [...document.querySelectorAll(".cf-step")].sort((a, b) => left(a) - left(b));
const [said, source] = document.querySelectorAll("#step > *");
function left(step) { return step.querySelector(".cf-bar").getBBox().x; }
function show(step) {
  said.textContent = step.dataset.text;
  source.textContent = step.dataset.source ?? "";
}
function move(event) {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const at = steps.indexOf(document.activeElement);
  steps[at < 0 ? (by > 0 ? 0 : steps.length - 1) : at + by]?.focus();
}
for (const step of steps) {
  step.setAttribute("tabindex", "-1");
  step.setAttribute("role", "img");
  step.setAttribute("aria-label", `${step.dataset.text} ${step.dataset.source ?? ""}`);
  for (const event of ["mouseenter", "focus"]) step.addEventListener(event, () => show(step));
}
document.querySelector("figure > svg").setAttribute("role", "group");
document.querySelector("figure").addEventListener("keydown", move);
"""


def page_of(picture: str, story: str, title: str) -> str:
    """Returns an HTML file that is complete in itself: nothing is fetched.

    Args:
        picture: The SVG.
        story: The same as text.
        title: What the page is called.
    """
    safe = escape(clean(title))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
        f"<title>{safe}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{safe}</h1>\n"
        "<p>Point at a bar to see its line of the program, or click into the picture and press the left and "
        "right arrow keys.</p>\n"
        f'<figure tabindex="0" aria-label="The picture">{picture}</figure>\n'
        '<div id="step" aria-live="polite"><div></div><code></code></div>\n'
        f"<h2>The same as text</h2>\n<pre>{escape(story)}</pre>\n"
        f"<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )
