"""What a film shows, however it came about: as a picture, as text, as data, and as a file."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from chatlib.film.recording import Recording
from chatlib.film.render.playback import Excerpts
from chatlib.film.render.svg import bundle
from chatlib.film.render.text import story
from chatlib.film.spans import Message, Span, Waiting
from chatlib.film.verdict.finding import Verdict
from chatlib.film.verdict.judge import verdict_of

THEN = "as it was then"
"""Why a picture does not move, if that is not since its film has ended."""


@dataclass(frozen=True)
class Still:
    """A picture that stays as it is, and in which equal times are equally wide."""

    recording: Recording
    excerpts: Excerpts = field(default_factory=dict, repr=False, compare=False)

    def __repr__(self) -> str:
        return story(self.recording)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """What a notebook shows."""
        return bundle(self.recording, THEN, True, self.excerpts)


class Footage:
    """What was filmed: a film that runs, one that has ended, or one that was saved."""

    def recording(self) -> Recording:
        """Returns all that is known now, as a frozen record."""
        raise NotImplementedError

    def _look(self) -> Recording:
        """Looks round first, where that may find something."""
        return self.recording()

    def excerpts(self, recording: Recording) -> Excerpts:
        """Returns the lines around those that a record tells of: none, if files here need not be its own."""
        return {}

    @property
    def spans(self) -> tuple[Span, ...]:
        """All calls, in the order in which they ended; those that are still open last."""
        return self.recording().spans

    @property
    def messages(self) -> tuple[Message, ...]:
        """What was sent, matched with the calls that received it."""
        return self.recording().messages

    def waiting(self) -> list[Waiting]:
        """Says which thread waits in which call, on which peer, at which line, and for how long.

        While a film runs, that is now; blocks then as `glance` does. Otherwise it is when the film ended.
        """
        return self._look().waiting

    def story(self) -> str:
        """Tells the same as text: what each thread did, and what it still waits for. No times, no ports."""
        return story(self._look())

    def verdict(self) -> Verdict:
        """Says which threads are stuck because of which others, and which keep others from running.

        Printed, it is sentences, one a line. `findings` has them as data: each with its threads in order, and
        whether it is `certain`, which means for ever. What the film cannot see makes a sentence weaker, or
        there is none: a call that it does not know, a program that is not filmed, a wait with a time limit.

        While a film runs, blocks as `glance` does, and for up to half a second more: a wait that has only
        just begun may be over already. Once it has ended, does not block, and tells of its last moment.
        """
        return verdict_of(self._look())

    def to_scale(self) -> Still:
        """Returns the picture of now, to scale: for lengths that are to be compared.

        In the picture that a notebook shows otherwise, the key L changes the scale.
        """
        recording = self._look()
        return Still(recording, self.excerpts(recording))

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Writes a file that `chatlib.open_film` opens, on any computer: `film.save("lesson.film")`.

        In it are names, addresses, and the lines of the program that were filmed, with their files' paths; no
        bytes that were sent. `docs/film_format.md` describes it.

        Args:
            path: Where to write it. A file that is there is replaced.

        Raises:
            OSError: It cannot be written.
            ValueError: The film is larger than a file may be.
        """
        from chatlib.film.film_file import packed  # late: a film that is not saved needs none of it

        Path(path).write_bytes(packed(self._look()))

    def export(self, path: "str | os.PathLike[str]") -> None:
        """Writes a trace for Perfetto (ui.perfetto.dev) and programs like it: `film.export("trace.json")`.

        In it are the names, calls, lines and messages of the picture, in Chrome's trace event format.

        Args:
            path: Where to write it. A file that is there is replaced.

        Raises:
            OSError: It cannot be written.
        """
        from chatlib.film.render.trace import trace

        text = json.dumps(trace(self._look()), separators=(",", ":"))
        Path(path).write_text(text + "\n", encoding="ascii", newline="\n")

    def __repr__(self) -> str:
        return self.story()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """What a notebook shows: something to explore, a picture, the story."""
        recording = self._look()
        return bundle(recording, excerpts=self.excerpts(recording))


class SavedFilm(Footage):
    """A film that was opened from a file. Shows all that a film shows when it has ended.

    Args:
        path: Where it was saved.

    Raises:
        OSError: There is no such file, or it cannot be read.
        ValueError: It is no film, damaged, too large, or of a newer version: the message says which.
    """

    def __init__(self, path: "str | os.PathLike[str]") -> None:
        from chatlib.film.film_file import unpacked

        with open(path, "rb") as file:
            self._recording = unpacked(file, os.fspath(path))

    def recording(self) -> Recording:
        """Returns all that was saved, as a frozen record."""
        return self._recording
