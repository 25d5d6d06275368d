"""How easily the lessons can be read: by a formula, none becomes harder than it was."""

import re
from pathlib import Path

from test_notebooks import PATHS, lesson, markdown, sentences

EASE = {
    "00": 95.7,
    "01": 94.1,
    "02": 94.4,
    "03": 95.4,
    "04": 93.7,
    "05": 92.6,
    "06": 97.6,
    "07": 94.6,
    "08": 97.8,
    "09": 92.1,
    "10": 93.3,
    "11": 91.6,
    "12": 94.4,
    "13": 96.9,
    "14": 92.9,
}
"""Of each lesson, when this was first measured."""
NO_PROSE = r"```.*?```|^#.*?$|^ *\|.*?$|<summary>.*?</summary>|<[^>]*>|(?<=\])\([^)]*\)|`[^`]*`"
"""Code, headings, tables, what unfolds an answer, tags, and where a link leads."""
MUTE = r"(?<!l)e$|(?<![td])ed$|(?<![cghsxz])es$"
"""The end of a word whose e is not spoken."""


def ease(text: str) -> float:
    """Returns the reading ease of a text in Markdown, as Flesch counts it: 60 is plain, 90 is very easy."""
    prose = re.sub(NO_PROSE, " ", text, flags=re.DOTALL | re.MULTILINE)
    counted = [words for each in sentences(prose) if (words := re.findall(r"[a-z]+", each.lower()))]
    words = [word for sentence in counted for word in sentence]
    return 206.835 - 1.015 * len(words) / len(counted) - 84.6 * sum(map(syllables, words)) / len(words)


def syllables(word: str) -> int:
    """Returns about how many a word has: its groups of vowels that are spoken."""
    return max(1, len(re.findall(r"[aeiouy]+", re.sub(MUTE, "", word))))


@lesson
def test_a_lesson_becomes_no_harder_to_read(path: Path) -> None:
    """It may become easier: then its figure may be raised."""
    assert round(ease(markdown(path)), 1) >= EASE[path.stem[:2]]


def test_each_lesson_has_a_figure() -> None:
    """Also a new one, and none that is gone."""
    assert list(EASE) == [path.stem[:2] for path in PATHS]


def test_long_words_and_long_sentences_are_harder() -> None:
    """Flesch's own weights; a sentence of seven words of one syllable has 115."""
    assert round(ease("The cat sat on the big mat."), 1) == 115.1
    assert ease("The cat sat. It ate.") > ease("The cat sat and ate.") > ease("The animal sat and ate.")
    assert [syllables(word) for word in ("waits", "used", "waited", "table", "buffers")] == [1, 1, 2, 2, 2]


def test_only_prose_counts() -> None:
    """No code, heading or table, and not where a link leads."""
    prose = "The [cat](animals.ipynb#Domestic-animal) sat.\n\n"
    other = "# Domestication\n\n```text\nasynchronous\n```\n\n| category | explanation |\n|---|---|\n"
    assert ease(prose + other) == ease("The cat sat.") == ease("The cat `serve_forever` sat.")
