"""Films that travel: saved, opened elsewhere, and given to other programs."""

import gzip
import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults import eventually
from films import LOOP, A, broken_off, cell, crowd, one_at_a_time, three_into_one
from hypothesis import given, settings
from hypothesis import strategies as st

import chatlib
from chatlib.film import film_file
from chatlib.film.file_values import LONGEST_TEXT
from chatlib.film.film_file import MOST_CALLS, packed, unpacked
from chatlib.film.footage import SavedFilm, Still
from chatlib.film.place import Place
from chatlib.film.recording import Recording
from chatlib.film.render.arrows import arrows_of
from chatlib.film.render.svg import bundle
from chatlib.film.render.text import story
from chatlib.film.render.trace import trace
from chatlib.film.spans import Span, Until

DOCS = Path(__file__).parent.parent / "docs" / "film_format.md"

texts = st.text(max_size=12) | st.sampled_from(
    ["\0" + "7 serves alice\0", "\ud800", "line\r\nline", "\u2028"]
)
hosts = st.tuples(st.sampled_from(["127.0.0.1", "::1", "socketpair"]), st.integers(0, 65535))
moments = st.floats(-1e6, 1e6) | st.integers(0, 100).map(float)
wholes = st.integers(-(2**62), 2**62)
counts = st.integers(0, 2**62)
untils = st.builds(Until, st.booleans(), st.booleans(), wholes, moments, counts)
places = st.builds(Place, texts, counts, texts, texts, st.booleans())
spans = st.builds(
    Span, wholes, texts, st.integers(0, 5), texts, texts, st.none() | hosts, st.none() | hosts, moments,
    st.none() | moments, counts, wholes, texts, st.none() | places, st.integers(0, 3), st.none() | untils,
)  # fmt: skip
recordings = st.builds(
    Recording,
    st.lists(spans, max_size=8).map(tuple),
    st.dictionaries(hosts, texts, max_size=4),
    moments,
    counts,
    st.dictionaries(st.integers(0, 9), texts, max_size=3),
    st.none() | st.frozensets(wholes, max_size=3),
    wholes,
)


def again(recording: Recording) -> Recording:
    """What becomes of a film that is saved and opened."""
    return unpacked(io.BytesIO(packed(recording)), "again.film")


def lines_of(recording: Recording) -> list[dict[str, Any]]:
    """The lines of a saved film."""
    return [json.loads(line) for line in gzip.decompress(packed(recording)).splitlines()]


def refused(*lines: object, tail: bytes = b"") -> str:
    """Returns with which sentence a film of these lines is refused."""
    text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
    with pytest.raises(ValueError) as caught:
        unpacked(io.BytesIO(gzip.compress(text.encode() + tail)), "a.film")
    said = str(caught.value)
    assert said.startswith("a.film ")
    assert "\n" not in said
    return said


def changed(line: int, **values: object) -> str:
    """Returns with which sentence a film is refused in which a line has other values."""
    lines = lines_of(one_at_a_time())
    lines[line] |= values
    return refused(*lines)


# There and back


@given(recordings)
@settings(max_examples=60)
def test_a_film_that_is_opened_is_the_one_that_was_saved(recording: Recording) -> None:
    """Whatever it has recorded; and it is saved to the same bytes each time."""
    assert again(recording) == recording
    assert packed(again(recording)) == packed(recording)


def test_a_film_is_saved_and_opened_with_all_that_it_shows(tmp_path: Path) -> None:
    """A film of real threads, once it has ended: its record, its story, its picture."""
    path = tmp_path / "lesson.film"
    with (
        chatlib.xray() as film,
        chatlib.running(chatlib.SyncServer) as server,
        chatlib.connect(server, "alice") as alice,
    ):
        alice.send("hi")
        assert alice.receive() == "HI"
    film.save(path)
    saved = chatlib.open_film(path)
    assert saved.recording() == film.recording()
    assert (saved.spans, saved.messages) == (film.spans, film.messages)
    assert (repr(saved), saved.story()) == (repr(film), film.story())
    assert "sends 3 bytes to the server" in saved.story()
    assert saved._repr_mimebundle_() == bundle(film.recording())
    assert saved.to_scale()._repr_mimebundle_() == Still(film.recording())._repr_mimebundle_()
    assert repr(saved.to_scale()) == repr(saved)
    assert saved.waiting() == film.waiting()


def test_a_film_that_runs_is_saved_as_it_is_then(tmp_path: Path) -> None:
    """Who waits then, waits in what was saved."""
    waits = ("the server", "select", "a connection")
    with chatlib.xray() as film, chatlib.running(chatlib.SyncServer):
        assert eventually(lambda: waits in [each[:3] for each in film.waiting()])
        film.save(tmp_path / "then.film")
    saved = chatlib.open_film(str(tmp_path / "then.film"))
    assert waits in [each[:3] for each in saved.waiting()]
    assert film.waiting() == []


def test_an_opened_film_can_be_saved_again(tmp_path: Path) -> None:
    """To the same bytes."""
    first, second = tmp_path / "1.film", tmp_path / "2.film"
    first.write_bytes(packed(broken_off()))
    SavedFilm(first).save(second)
    assert first.read_bytes() == second.read_bytes()


def test_a_notebook_shows_an_opened_film_as_one_that_has_ended(tmp_path: Path) -> None:
    """HTML to explore, a picture, and the story."""
    (tmp_path / "a.film").write_bytes(packed(three_into_one()))
    saved = chatlib.open_film(tmp_path / "a.film")
    assert saved._repr_mimebundle_() == bundle(three_into_one())
    assert repr(saved) == story(three_into_one())


def test_a_film_that_has_let_go_of_calls_says_so_when_it_is_opened() -> None:
    """As it did before."""
    assert "77 earlier calls" in story(again(crowd(200)))


# Its form


def test_the_page_about_the_format_names_every_field() -> None:
    """A field that a record gets must be in the file, and on the page."""
    header, first = lines_of(one_at_a_time())[:2]
    recv = next(line for line in lines_of(one_at_a_time()) if line.get("call") == "recv")
    keys = [*header, *first, "until", *recv["place"], *Until._fields]
    assert re.findall(r"^\| `(\w+)` \|", DOCS.read_text("utf-8"), re.M) == keys
    assert (*first, "until") == Span._fields
    assert tuple(recv["place"]) == Place._fields
    known = {"spans", "names", "now", "dropped", "processes", "free", "looker"}
    assert set(Recording.__dataclass_fields__) == known


def test_the_page_about_the_format_names_the_limits() -> None:
    """As they are in the code."""
    text = DOCS.read_text("utf-8")
    assert f"{MOST_CALLS:,} calls, or {film_file.MOST_THREADS:,} threads" in text
    assert f"{film_file.LONGEST_LINE >> 20} MiB in a line, or {film_file.LARGEST >> 20} MiB in all" in text
    assert f"{LONGEST_TEXT:,} characters" in text


def test_a_file_is_plain_text_within() -> None:
    """ASCII, with line feeds alone: so no system and no editor changes it."""
    film = Recording(one_at_a_time().spans, {A: "Ägidius 😀\r"})
    text = gzip.decompress(packed(film))
    assert text.isascii()
    assert b"\r" not in text
    assert text.endswith(b"\n")
    assert len(text.splitlines()) == 1 + len(film.spans)


def test_a_key_from_a_later_version_is_left_out() -> None:
    """So that a new key needs no new version."""
    lines = [line | {"new": [1]} for line in lines_of(one_at_a_time())]
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    assert unpacked(io.BytesIO(gzip.compress(text)), "a.film") == one_at_a_time()


# Limits


def test_a_long_film_is_saved_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest calls are kept, and the others counted."""
    monkeypatch.setattr(film_file, "MOST_CALLS", 5)
    film = one_at_a_time()
    saved = again(film)
    assert saved.spans == film.spans[-5:]
    assert saved.dropped == len(film.spans) - 5


def test_a_long_text_is_cut_when_it_is_saved() -> None:
    """A line of a program may have megabytes."""
    span = one_at_a_time().spans[0]
    long = span._replace(thread="x" * 2 * LONGEST_TEXT, place=cell(1, "y" * 10**6))
    [saved] = again(Recording((long,), {A: "z" * 10**6})).spans
    assert saved.place
    assert (len(saved.thread), len(saved.place.source)) == (LONGEST_TEXT, LONGEST_TEXT)


@pytest.mark.parametrize("limit", ["LARGEST", "LONGEST_LINE"])
def test_what_is_too_large_is_not_saved(monkeypatch: pytest.MonkeyPatch, limit: str, tmp_path: Path) -> None:
    """Rather than that nothing could open it; a file that is there stays as it was."""
    path = tmp_path / "a.film"
    path.write_bytes(before := packed(broken_off()))
    film = chatlib.open_film(path)
    monkeypatch.setattr(film_file, limit, 100)
    with pytest.raises(ValueError, match="^this film is too large for a file: its 3 calls"):
        film.save(path)
    assert path.read_bytes() == before


def test_a_small_file_cannot_become_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that would fill the memory is left when the limit is reached, and so is a line without end."""
    monkeypatch.setattr(film_file, "LARGEST", 1 << 20)
    monkeypatch.setattr(film_file, "LONGEST_LINE", 1 << 16)
    lines = lines_of(one_at_a_time())
    assert "larger than a film may be" in refused(*lines, tail=b"{}" + b" " * (1 << 24))
    many = (json.dumps(lines[1]) + "\n").encode() * 5_000
    assert "larger than a film may be" in refused(lines[0], tail=many)


def test_a_film_of_too_many_calls_or_threads_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before they are shown."""
    lines = lines_of(one_at_a_time())
    monkeypatch.setattr(film_file, "MOST_THREADS", 1)
    assert "2 is more than 1" in refused(*lines)
    monkeypatch.setattr(film_file, "MOST_CALLS", 3)
    assert "it has not as many calls as it says" in refused(*lines)


def test_a_film_of_many_threads_with_one_name_is_shown_soon() -> None:
    """Each has a name of its own, and finding it does not take the longer the more there are."""
    film = one_at_a_time()
    span = film.spans[0]._replace(thread="task serve")
    many = Recording(tuple(span._replace(ident=ident) for ident in range(10_000)))
    assert list(many.lanes.values())[::9_999] == ["task serve", "task serve (10000)"]


# Whoever made it


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            {"version": 2},
            "was saved by a newer chatlib: its format is version 2, and this one reads version 1",
        ),
        ({"version": "1"}, "a whole number is missing"),
        ({"version": -1}, "-1 is below 0"),
        ({"format": "film"}, "its format is not 'chatlib film'"),
        ({"clock": {}}, "'now' is missing"),
        ({"clock": 3}, "an object is missing"),
        ({"clock": {"now": float("nan")}}, "a number of seconds is missing"),
        ({"names": {}}, "a list is missing"),
        ({"names": [["127.0.0.1", 1]]}, "a list is missing"),
        ({"processes": [[0, 1]]}, "a text of at most 10,000 characters is missing"),
        ({"dropped": 2**63}, "a whole number is missing"),
        ({"calls": 3}, "it has not as many calls as it says"),
        ({"calls": 30}, "it has not as many calls as it says"),
    ],
)
def test_a_film_whose_first_line_is_wrong_is_refused(values: dict[str, object], told: str) -> None:
    """With one sentence that says what is wrong."""
    assert told in changed(0, **values)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"number": True}, "a whole number is missing"),
        ({"thread": None}, "a text of at most 10,000 characters is missing"),
        ({"subject": "x" * 10_001}, "a text of at most 10,000 characters is missing"),
        ({"start": "now"}, "a number of seconds is missing"),
        ({"start": float("inf")}, "a number of seconds is missing"),
        ({"end": 1e13}, "a number of seconds is missing"),
        ({"start": 10**400}, "a number of seconds is missing"),
        ({"size": -1}, "-1 is below 0"),
        ({"local": "127.0.0.1"}, "an address is missing: a host and a port"),
        ({"peer": [["a"], 1]}, "a text of at most 10,000 characters is missing"),
        ({"place": []}, "an object is missing"),
        ({"place": {"file": "a.py"}}, "'line' is missing"),
        (
            {"place": dict.fromkeys(("file", "function", "source"), "") | {"line": 1, "own": 1}},
            "true or false",
        ),
    ],
)
def test_a_film_with_a_wrong_call_is_refused(values: dict[str, object], told: str) -> None:
    """Whatever is wrong in it."""
    assert told in changed(1, **values)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "'format' is missing"),
        ("[1]\n", "an object is missing"),
        ("{\n", "Expecting property name"),
        ("[" * 10**6 + "\n", "maximum recursion depth exceeded"),
        ('{"format": "chatlib film", "version": ' + "9" * 5000 + "}\n", "Exceeds the limit"),
        ('{"format": "ä"}\n', "'ascii' codec can't decode"),
    ],
)
def test_what_is_no_film_is_refused(line: str, told: str) -> None:
    """Text of any kind."""
    assert told in refused(line)


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"\x1f\x8b", packed(one_at_a_time())[:-20], b"\x1f\x8b\x08" + b"\0" * 20]
)
def test_bytes_that_are_no_film_are_refused(tmp_path: Path, data: bytes) -> None:
    """Also those of a film that was not copied to its end."""
    path = tmp_path / "lesson.film"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"lesson\.film is no film, or damaged: .+"):
        chatlib.open_film(path)


def test_a_film_that_is_not_there_is_no_file(tmp_path: Path) -> None:
    """As Python says it of any file."""
    with pytest.raises(FileNotFoundError, match=r"nowhere\.film"):
        chatlib.open_film(tmp_path / "nowhere.film")


@given(st.data())
@settings(max_examples=60)
def test_a_damaged_film_is_refused_or_shown(data: st.DataObject) -> None:
    """Whatever is changed in it: there is one kind of error, or a film that can be told and drawn."""
    lines = lines_of(three_into_one())
    line = lines[data.draw(st.integers(0, len(lines) - 1))]
    key = data.draw(st.sampled_from(list(line)))
    line[key] = data.draw(
        st.none() | st.booleans() | st.integers() | st.floats() | texts | st.lists(st.integers(), max_size=3)
    )
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    try:
        film = unpacked(io.BytesIO(gzip.compress(content, 1)), "a.film")
    except ValueError as error:
        assert str(error).startswith("a.film ")
    else:
        assert story(film)
        assert bundle(film)["image/svg+xml"].startswith("<svg")


# For other programs


def checked_trace(recording: Recording) -> list[dict[str, Any]]:
    """Returns the events of an exported film, each as the format and Perfetto's importer want it."""
    content = json.loads(json.dumps(trace(recording), allow_nan=False))
    assert set(content) == {"traceEvents", "displayTimeUnit"}
    events: list[dict[str, Any]] = content["traceEvents"]
    for event in events:
        assert set(event) == {"ph", "name", "cat", "pid", "args", *NEEDED[event["ph"]]} | (
            {"tid"} & set(event)
        )
        assert isinstance(event["name"], str)
        assert 0 < event["pid"] < 2**32 and 0 < event.get("tid", 1) < 2**32
        assert "tid" in event or event["name"].startswith("process_")
        assert isinstance(event["args"], dict)
    stamps = [event["ts"] for event in events if event["ph"] != "M"]
    assert stamps == sorted(stamps)
    assert min(stamps, default=0) >= 0
    return events


NEEDED: dict[str, set[str]] = {
    "M": set(),
    "X": {"ts", "dur"},
    "B": {"ts"},
    "i": {"ts", "s"},
    "s": {"ts", "id"},
    "f": {"ts", "id", "bp"},
}
"""Which keys an event of each phase has, besides those that all have."""


@pytest.mark.parametrize("film", [one_at_a_time, three_into_one, broken_off, crowd, lambda: Recording(())])
def test_an_exported_film_has_the_form_that_perfetto_takes(film: Callable[[], Recording]) -> None:
    """Calls nest in their rows, flows begin and end within calls, and nothing is missing or unknown."""
    recording = film()
    rows: dict[tuple[int, int], list[tuple[float, float]]] = {}
    flows: dict[int, list[dict[str, Any]]] = {}
    for event in checked_trace(recording):
        row = rows.setdefault((event["pid"], event.get("tid", 0)), [])
        if event["ph"] in "XB":
            begin, end = event["ts"], event["ts"] + event["dur"] if "dur" in event else math.inf
            assert end >= begin
            while row and row[-1][1] <= begin + 1e-6:
                row.pop()
            assert not row or end <= row[-1][1]
            row.append((begin, end))
        elif event["ph"] in "sf":  # it belongs to the call that began last in its row, and has not ended
            assert row and row[-1][0] <= event["ts"] <= row[-1][1]
            flows.setdefault(event["id"], []).append(event)
    for start, end in flows.values():  # the start is first: by time, or by place in the file
        assert (start["ph"], end["ph"], end["bp"]) == ("s", "f", "e")
        assert (start["name"], start["cat"]) == (end["name"], end["cat"])
    assert len(flows) == sum(bool(arrow.target) for arrow in arrows_of(recording))


@given(recordings)
@settings(max_examples=30)
def test_any_film_is_exported(recording: Recording) -> None:
    """Whatever its names and times are: each call is one event, and each thread has one name."""
    events = checked_trace(recording)
    assert sum(event["ph"] in "XB" for event in events) == len(recording.spans)
    names = [event["tid"] for event in events if event["name"] == "thread_name" and event["ph"] == "M"]
    assert len(names) == len(set(names)) == len(recording.lanes)


def test_an_exported_film_says_what_the_picture_says() -> None:
    """Who waits for whom, at which line; and a call that has not returned does not end."""
    events = checked_trace(one_at_a_time())
    [still] = [event for event in events if event["ph"] == "B"]
    assert (still["name"], still["cat"], still["args"]["line"]) == ("recv from A", "recv", LOOP.said)
    assert [event["name"] for event in events if event["ph"] == "i"] == ["the film ends"]
    threads = [event["args"]["name"] for event in events if event["name"] == "thread_name"]
    assert threads == ["the notebook", "the server"]
    [fin] = [event for event in checked_trace(broken_off()) if event["ph"] == "s"]
    assert (fin["name"], fin["cat"]) == ("RST from A", "reset")


def test_each_process_has_its_rows() -> None:
    """Threads that are shown under their process, by its name."""
    first, *others = one_at_a_time().spans
    film = Recording((first._replace(ident=9, process=1), *others), processes={0: "here", 1: "a child"})
    events = checked_trace(film)
    named = {event["args"]["name"]: event["pid"] for event in events if event["name"] == "process_name"}
    assert named == {"here": 1, "a child": 2}
    rows = {event["pid"]: event["tid"] for event in events if event["ph"] == "X"}
    assert len(rows) == 2
    assert not set(rows) & set(rows.values())


def test_an_exported_film_is_a_file(tmp_path: Path) -> None:
    """Of JSON, on one line, whatever the system is."""
    (tmp_path / "a.film").write_bytes(packed(three_into_one()))
    chatlib.open_film(tmp_path / "a.film").export(tmp_path / "trace.json")
    written = (tmp_path / "trace.json").read_bytes()
    assert json.loads(written) == json.loads(json.dumps(trace(three_into_one())))
    assert written.count(b"\n") == 1
    assert b"\r" not in written
