"""A line of a program, as a film tells it."""

import os
import re
from typing import NamedTuple

_LIBRARY = re.escape(os.path.dirname(os.__file__))
_PACKAGED = re.compile(rf"(?:.*[\\/](?:site|dist)-packages|{_LIBRARY})[\\/](.+)")


class Place(NamedTuple):
    """The line of a program that made a call: the nearest one outside Python's library and chatlib."""

    file: str
    line: int
    function: str
    source: str
    """The line itself, without its indentation; empty if it cannot be had."""
    own: bool = True
    """Whether it is the program's own: the lines of Python's library differ between versions."""

    @property
    def name(self) -> str:
        """The name of the file, without its folder; of a package of Python's or an installed one, with it."""
        packaged = _PACKAGED.match(self.file)
        return packaged[1].replace("\\", "/") if packaged else re.split(r"[\\/]", self.file)[-1]

    @property
    def where(self) -> str:
        """`line 7`; the name of the file if it is not the program's own, as its lines say nothing."""
        return f"line {self.line}" if self.own else self.name

    @property
    def said(self) -> str:
        """The same, and the text of the line."""
        return self.where + (f": {self.source}" if self.source else "")

    @property
    def in_cell(self) -> bool:
        """Whether the file is where ipykernel keeps the text of a notebook's cell."""
        folder = re.split(r"[\\/]", self.file)[-2:-1]
        return bool(folder) and folder[0].startswith("ipykernel_")
