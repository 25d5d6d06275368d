"""The picture of one order: a lane for each thread, time downwards, a bar for each lock while it is held.

One line of SVG, in the style of a film's picture: without references and ids, so several fit on one page.
"""

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple
from unicodedata import east_asian_width

from chatlib.film.render.drawing import length, path, text, titled
from chatlib.film.render.labels import SMALL, width_of
from chatlib.film.render.style import STYLE
from chatlib.schedules.run import Step

ROW, TOP = 30.0, 54.0
NUMBERS, GAP = 46.0, 36.0
"""Widths: of the column of numbers, and beside each lane, for its locks."""

CODE = 8.43
"""Width of a letter of the code, which is 14 pixels high and of a font in which all are equally wide."""

LONGEST = 46
"""Letters of a line of code that are shown."""

LONGEST_END = 180
"""The same of the sentence that says how it ended."""

_STYLE = (
    STYLE + ".chatfilm .co-code{font:14px 'DejaVu Sans Mono',Menlo,Consolas,monospace}"
    ".chatfilm .co-held{fill:#009E73;stroke:var(--cf-bg)}.chatfilm .co-end{font-weight:700}"
)


class Turn(NamedTuple):
    """What is told of one step."""

    thread: str
    code: str
    """The line, cut where there is no room for more; or the instruction."""
    note: str
    """What the step did to locks; nothing if nothing."""
    waits: bool
    title: str
    """All of it, and where it stands."""

    @property
    def width(self) -> float:
        """Pixels in its lane."""
        return width_of_code(self.code) + 24 + width_of(self.note, SMALL)


def on_one_line(words: str, longest: int = 1000) -> str:
    """Returns words without what a line, or XML, has no place for; cut where there is no room for more."""
    words = "".join(letter if letter.isprintable() else " " for letter in words)
    return words if len(words) <= longest else words[: longest - 1] + "…"


def width_of_code(code: str) -> float:
    """Returns how wide a line of code is: Chinese letters, say, are twice as wide as Latin ones."""
    return CODE * sum(2 if east_asian_width(letter) in "WF" else 1 for letter in code)


def turns_of(steps: Sequence[Step]) -> Iterator[Turn]:
    """Tells each step: its line, and the locks that its thread takes, gives back or waits for."""
    before = set[tuple[str, str]]()
    for step in steps:
        now = set(step.held.items())
        taken, given = (sorted(lock for lock, _ in change) for change in (now - before, before - now))
        note = f"waits for {step.waits_for}" if step.waits_for else ""
        changes = [*(f"takes {lock}" for lock in taken), *(f"gives back {lock}" for lock in given)]
        source, instruction = on_one_line(step.spot.source), step.spot.instruction
        note = note or ", ".join(changes) or (f"in {source}" if instruction else "")
        code = instruction or on_one_line(source, LONGEST)
        yield Turn(step.thread, code, note, bool(step.waits_for), f"line {step.spot.line}: {source}")
        before = now


def svg(threads: Sequence[str], steps: Sequence[Step], why: str) -> str:
    """Draws the turns that threads have taken.

    Args:
        threads: What they are called.
        steps: Their turns, one after the other.
        why: How it ended, in words.
    """
    turns, full, why = list(turns_of(steps)), on_one_line(why), on_one_line(why, LONGEST_END)
    lefts, right = dict[str, float](), NUMBERS
    for name in threads:
        lefts[name] = right + GAP
        own = [turn.width for turn in turns if turn.thread == name]
        right += GAP + max([width_of(name, 16, bold=True), 120.0, *own])
    bottom, end = TOP + ROW * len(turns), why.replace("; ", ";\n").splitlines()
    right = max([right, *(28 + width_of(line, bold=True) for line in end)])

    def parts() -> Iterator[str]:
        yield titled("Which thread took which turn") + f"<desc>{escape(full)}</desc><style>{_STYLE}</style>"
        yield '<rect class="cf-bg" width="100%" height="100%"/>'
        for name, left in lefts.items():
            yield text("cf-name", left, 26, name)
            yield path("cf-grid", "M", left - 8, 36, "V", bottom)
        yield from _locks(steps, lefts)
        for number, turn in enumerate(turns, 1):
            y = TOP + ROW * number - 14
            yield text("cf-small cf-last", NUMBERS - 14, y, str(number))
            yield _turn(turn, lefts[turn.thread], y)
        for number, line in enumerate(end):
            yield text("co-end", 14, bottom + 26 + 22 * number, line)

    wide, high = length(right + 14), length(bottom + 22 + 22 * max(len(end), 1))
    limits = f'style="min-width:{length(right * 0.7)}px;max-width:{length(right * 1.3)}px" font-size="15"'
    size = f'viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" {limits}'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chatfilm" role="img" {size}>{"".join(parts())}</svg>'
    )


def _turn(turn: Turn, x: float, y: float) -> str:
    kind = "cf-inside" if turn.waits else "cf-door"
    wide = width_of_code(turn.code)
    at = f'x="{length(x - 8)}" y="{length(y - 17)}" width="{length(wide + 16)}" height="24"'
    box = f'<rect class="cf-bar" rx="3" {at}/>'
    note = text("cf-small", x + wide + 14, y, turn.note) if turn.note else ""
    return f'<g class="cf-step {kind}">{box}{text("co-code", x, y, turn.code, turn.title)}{note}</g>'


def _locks(steps: Sequence[Step], lefts: dict[str, float]) -> Iterator[str]:
    """Draws a bar beside the lane of the thread that holds a lock, for as long as it holds it."""
    for place, lock in enumerate(sorted({lock for step in steps for lock in step.held})):
        held = [step.held.get(lock, "") for step in steps] + [""]
        begin = 0
        for number in range(1, len(held)):
            if held[number] != held[begin]:
                if held[begin]:
                    x, y = lefts[held[begin]] - 18 - 9 * place, TOP + ROW * begin
                    high = length(ROW * (number - begin) - 4)
                    bar = f'<rect class="co-held" x="{length(x)}" y="{length(y)}" width="8" height="{high}"/>'
                    yield f"<g>{bar}{titled(f'{held[begin]} holds {lock}')}</g>"
                begin = number
