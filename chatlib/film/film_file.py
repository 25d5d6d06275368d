"""The file that a film is saved in. `docs/film_format.md` describes it.

JSON, one line for each call, compressed by gzip. A file that is opened may come from anybody: nothing of it
is run, each value is checked, and there is a limit to everything.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import IO

from chatlib.film.file_values import (
    LONGEST_TEXT,
    Check,
    address,
    count,
    fields,
    flag,
    mapping,
    moment,
    or_null,
    rows,
    text,
    whole,
    wholes,
)
from chatlib.film.place import Place
from chatlib.film.recording import Recording
from chatlib.film.spans import Span, Until

FORMAT, VERSION = "chatlib film", 1

MOST_CALLS = 200_000
"""Calls in a file. Of a longer film the latest are saved, and the others count as let go."""

MOST_THREADS = 10_000
"""Threads and tasks in a file: each is a lane of the picture."""

LONGEST_LINE, LARGEST = 8 << 20, 128 << 20
"""Bytes of a line, and of the whole file, before they are compressed."""


def packed(recording: Recording) -> bytes:
    """Returns what a file holds: of the same film, the same bytes.

    Raises:
        ValueError: The film is larger than a file may be.
    """
    spans = recording.spans[-MOST_CALLS:]
    header = {
        "format": FORMAT,
        "version": VERSION,
        "clock": {"unit": "seconds", "now": recording.now},
        "names": [[*address, name[:LONGEST_TEXT]] for address, name in recording.names.items()],
        "processes": [[number, name[:LONGEST_TEXT]] for number, name in recording.processes.items()],
        "dropped": recording.dropped + len(recording.spans) - len(spans),
        "calls": len(spans),
        "free": None if recording.free is None else sorted(recording.free),
        "looker": recording.looker,
    }
    lines = [json.dumps(record, separators=(",", ":")) for record in (header, *map(_record_of, spans))]
    if len(lines[0]) >= LONGEST_LINE or sum(map(len, lines)) + len(lines) > LARGEST:
        raise ValueError(f"this film is too large for a file: its {len(spans):,} calls name too much")
    return gzip.compress("".join(f"{line}\n" for line in lines).encode("ascii"), 6, mtime=0)


def _record_of(span: Span) -> dict[str, object]:
    """Returns a call as an object of JSON: its fields by their names."""
    record = _cut(span._asdict() | {"place": span.place and _cut(span.place._asdict())})
    del record["until"]  # most calls have returned
    return record | {"until": span.until._asdict()} if span.until else record


def _cut(record: Mapping[str, object]) -> dict[str, object]:
    return {key: value[:LONGEST_TEXT] if isinstance(value, str) else value for key, value in record.items()}


def unpacked(file: IO[bytes], name: str) -> Recording:
    """Reads a film from a file that may be damaged, or made to do harm.

    Args:
        file: What was saved.
        name: What to call it in an error.

    Raises:
        ValueError: It is no film, or damaged, or too large, or of a newer version. The message says which.
    """
    try:
        lines = _lines(file)
        header = mapping(json.loads(next(lines, "{}")))
        if header["format"] != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        if count(header["version"]) > VERSION:
            raise NewerFilm(
                f"{name} was saved by a newer chatlib: its format is version {header['version']}, and this"
                f" one reads version {VERSION}. Update chatlib to open it"
            )
        calls = [{"until": None} | mapping(json.loads(line)) for line in islice(lines, MOST_CALLS)]
        spans = [Span(**fields(call, _SPAN)) for call in calls]
        if len(spans) != header["calls"] or next(lines, ""):
            raise ValueError("it has not as many calls as it says")
        count(len({span.ident for span in spans}), MOST_THREADS)
        known = {"free": None, "looker": 0} | header | mapping(header["clock"])
        return Recording(tuple(spans), **fields(known, _HEADER))
    except NewerFilm:
        raise
    except KeyError as error:
        raise ValueError(f"{name} is no film, or damaged: {error} is missing") from None
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise ValueError(f"{name} is no film, or damaged: {error}") from None


class NewerFilm(ValueError):
    """A file was saved by a version of chatlib that is newer than this one."""


def _lines(file: IO[bytes]) -> Iterator[str]:
    """Gives the lines, and never takes in more than a limit, however much a small file would become."""
    left = LARGEST
    with gzip.GzipFile(fileobj=file, mode="rb") as content:
        while line := content.readline(min(LONGEST_LINE, left) + 1):
            left -= len(line)
            if len(line) > LONGEST_LINE or left < 0:
                raise ValueError("it is larger than a film may be")
            yield line.decode("ascii")


_HEADER: Mapping[str, Check] = {
    "names": lambda value: {address(row[:2]): text(row[2]) for row in rows(value, 3)},
    "now": moment,
    "dropped": count,
    "processes": lambda value: {count(number): text(name) for number, name in rows(value, 2)},
    "free": or_null(wholes),
    "looker": whole,
}
_PLACE: Mapping[str, Check] = {"file": text, "line": count, "function": text, "source": text, "own": flag}
_UNTIL: Mapping[str, Check] = {
    "endless": flag,
    "owned": flag,
    "loop": whole,
    "turned": moment,
    "asked": count,
}
_SPAN: Mapping[str, Check] = {
    "number": whole,
    "thread": text,
    "ident": whole,
    "call": text,
    "subject": text,
    "local": or_null(address),
    "peer": or_null(address),
    "start": moment,
    "end": or_null(moment),
    "size": count,
    "offset": whole,
    "outcome": text,
    "place": or_null(lambda value: Place(**fields(value, _PLACE))),
    "process": count,
    "until": or_null(lambda value: Until(**fields(value, _UNTIL))),
}
