"""The picture of a film and its story: complete, legible, the same each time, and harmless."""

import re
import time
from itertools import pairwise
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from films import (
    ANSWER,
    HOSTILE,
    LOOP,
    SERVER,
    A,
    B,
    Script,
    broken_off,
    cell,
    crowd,
    one_at_a_time,
    side_by_side,
    three_into_one,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from chatlib.film.place import Place
from chatlib.film.recording import Recording
from chatlib.film.render.arrows import arrows_of
from chatlib.film.render.labels import ABOVE, INSIDE, width_of
from chatlib.film.render.layout import THIN, Scale, plan, steps_of
from chatlib.film.render.svg import both, page, svg
from chatlib.film.render.text import story
from chatlib.film.spans import Span

CALLS = ["recv", "send", "sendall", "recv_into", "accept", "connect", "close", "select", "sleep", "get"]
ELEMENTS = {"svg", "style", "title", "desc", "g", "path", "rect", "circle", "text"}
SPACE = "{http://www.w3.org/2000/svg}"
EMPTY = Recording(())
SAMPLES = [EMPTY, one_at_a_time(), three_into_one(), broken_off()]


def parsed(picture: str) -> ElementTree.Element:
    """The picture as a tree; fails if it is not well-formed."""
    return ElementTree.fromstring(picture)


def of_class(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """All elements of a class."""
    return [element for element in root.iter() if name in element.get("class", "").split()]


def words(element: ElementTree.Element) -> str:
    """All text within an element."""
    return "".join(element.itertext())


texts = (
    st.text(st.characters(), max_size=12) | st.just(HOSTILE) | st.sampled_from(["recv", "the server", "]]>"])
)
addresses = st.sampled_from([A, B, SERVER, None])
places = st.none() | st.builds(Place, texts, st.integers(0, 10**6), texts, texts)
calls = st.sampled_from(CALLS) | st.text(max_size=5)
outcomes = st.sampled_from(["done", "end", "reset", "timeout", "nothing", "failed"])
moments = st.floats(0, 100, allow_nan=False)


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    """Any film at all, also one that could not have happened."""
    spans = []
    for number in range(draw(st.integers(0, 25))):
        start = draw(moments)
        end = draw(st.none() | st.floats(start, start + 2))
        ident = draw(st.integers(1, 5))
        ends = draw(addresses), draw(addresses)
        size, offset = draw(st.integers(0, 50)), draw(st.integers(0, 100))
        about = f"thread {ident}", ident, draw(calls), draw(texts)
        spans.append(Span(number, *about, *ends, start, end, size, offset, draw(outcomes), draw(places)))
    names = {A: draw(texts), B: draw(texts)}
    return Recording(tuple(sorted(spans, key=lambda span: span.end is None)), names, draw(moments))


@given(recordings())
@settings(max_examples=30)
def test_any_film_gives_one_line_of_well_formed_svg(recording: Recording) -> None:
    """Whatever is in the records: the picture is XML on one line, without scripts, references and ids."""
    picture = svg(recording)
    assert "\n" not in picture
    assert "\r" not in picture
    root = parsed(picture)
    assert {element.tag.removeprefix(SPACE) for element in root.iter()} <= ELEMENTS
    for element in root.iter():
        assert not [
            name for name in element.attrib if name == "id" or name.startswith("on") or "href" in name
        ]


@given(recordings(), st.booleans())
@settings(max_examples=30)
def test_labels_never_overlap(recording: Recording, to_scale: bool) -> None:
    """No two labels of a row of a lane share any room, and none begins left of the lanes."""
    picture = plan(recording, to_scale=to_scale)
    rows: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for bar, label in picture.labels:
        width = width_of(label.text, bold=bar.open)
        rows.setdefault((bar.step.span.ident, label.row), []).append((label.x, label.x + width))
        assert label.x >= picture.left
        assert label.x + width <= picture.right
    for taken in rows.values():
        for (_, end), (begin, _) in pairwise(sorted(taken)):
            assert end <= begin


@given(recordings())
@settings(max_examples=20)
def test_equal_recordings_give_equal_pictures(recording: Recording) -> None:
    """Nothing but the records decides what is drawn and told."""
    again = Recording(tuple(recording.spans), dict(recording.names), recording.now, recording.dropped)
    assert svg(recording) == svg(again)
    assert story(recording) == story(again)


@given(st.lists(moments, min_size=1, max_size=60))
def test_time_runs_to_the_right(times: list[float]) -> None:
    """Of two moments the later lies further right, and events keep a distance that can be seen."""
    scale = Scale(times, 100.0)
    places = [scale(moment) for moment in sorted(set(times))]
    assert all(later - earlier >= 10 for earlier, later in pairwise(places))
    between = sorted([*times, *(a + (b - a) / 3 for a, b in pairwise(sorted(times)))])
    assert [scale(moment) for moment in between] == sorted(scale(moment) for moment in between)


@given(recordings())
@settings(max_examples=30)
def test_to_scale_equal_times_are_equally_wide(recording: Recording) -> None:
    """Wherever they lie; but each step is wide enough to be seen."""
    picture = plan(recording, to_scale=True)
    whole = picture.now - picture.began
    unit = (picture.at(picture.now) - picture.left) / whole if whole > 1e-6 else 0.0
    for bar in picture.bars:
        assert bar.begin == pytest.approx(picture.left + unit * (bar.step.start - picture.began), abs=0.1)
        if not bar.open:
            assert bar.end - bar.begin == pytest.approx(max(unit * bar.lasted, THIN), abs=0.1)


def test_many_short_steps_make_a_picture_to_scale_no_wider() -> None:
    """Otherwise each takes room, and a wait of 0.5 s is hardly longer than one of 5 ms."""
    script = Script()
    for number in range(100):
        script.add("MainThread", "sleep", number * 0.01, number * 0.01 + 0.005)
    script.add("MainThread", "sleep", 1.0, 1.5)
    recording = script.recording(1.5)
    for to_scale, wide in (False, 2000), (True, 1400):
        picture = plan(recording, to_scale=to_scale)
        first, last = picture.bars[0], picture.bars[-1]
        proportion = (last.end - last.begin) / (first.end - first.begin)
        assert ((picture.right < wide), proportion > 20) == (to_scale, to_scale)


def test_a_picture_says_whether_it_is_to_scale() -> None:
    """In its legend; both have the same steps, and to scale no long one hides a short one."""
    pictures = [parsed(each) for each in both(three_into_one(), to_scale=True)]
    notes = [words(of_class(picture, "cf-stays")[0]) for picture in pictures]
    assert ["Not to scale" in note for note in notes] == [False, True]
    assert ["To scale" in note for note in notes] == [True, False]
    scaled, usual = ([step.get("data-step") for step in of_class(each, "cf-step")] for each in pictures)
    assert sorted(map(str, scaled)) == sorted(map(str, usual))
    widths = {bar.key: bar.end - bar.begin for bar in plan(three_into_one(), to_scale=True).bars}
    drawn = [widths[str(key)] for key in scaled]
    assert drawn == sorted(drawn, reverse=True)


@pytest.mark.parametrize("to_scale", [False, True])
def test_lines_are_drawn_beneath_all_texts(to_scale: bool) -> None:
    """A tick or an arrow that passes a label does not strike it out: the label's halo covers it."""
    kinds = [
        element.get("class", "").split()[:1] for element in parsed(svg(side_by_side(), to_scale=to_scale))
    ]
    lines = [number for number, kind in enumerate(kinds) if kind in (["cf-lead"], ["cf-arrow"])]
    texts = [number for number, kind in enumerate(kinds) if kind == ["cf-label"]]
    assert len(lines) >= 3
    assert max(lines) < min(texts)


def test_ticks_run_through_no_text_if_a_row_is_free() -> None:
    """Of short calls side by side, the first label stands highest, and the others below and to its right."""
    labels = [label for bar, label in plan(side_by_side()).labels if bar.step.span.thread == "MainThread"]
    assert max(label.row for label in labels) > ABOVE
    for label in labels:
        for other in labels:
            if INSIDE < other.row < label.row:
                assert not other.x < label.tick < other.x + other.width


def test_what_rests_by_design_is_not_as_loud_as_what_is_held_up() -> None:
    """A sleep, an event loop's wait for clients, a task that awaits an event; but not a lock or a peer."""
    script = Script()
    waits = [("sleep", "9 s"), ("select", "a connection"), ("await", "Event.wait"), ("accept", "")]
    for number, (call, subject) in enumerate(waits):
        script.add(f"rests {number}", call, 0, None, subject=subject)
    script.add("held up 1", "acquire", 0, None, subject="the lock that somebody holds")
    script.add("held up 2", "recv", 0, None, SERVER, A)
    root = parsed(svg(script.recording(1)))
    loud = [mark for mark in of_class(root, "cf-open") if mark.get("data-step")]
    quiet = [mark for mark in loud if mark in of_class(root, "cf-idle")]
    assert (len(loud), len(quiet)) == (6, 4)
    assert not [mark for mark in quiet if (mark.get("data-text") or "").startswith(("acquire", "recv"))]
    assert {"still waiting", "still at rest"} <= {words(label) for label in of_class(root, "cf-small")}


@pytest.mark.parametrize(("call", "colour"), [("acquire", "cf-inside"), ("recv", "cf-recv")])
def test_the_legend_shows_what_still_waits_in_a_colour_of_the_picture(call: str, colour: str) -> None:
    """Else a reader looks for a bar that is not there."""
    script = Script()
    script.add("held up", call, 0, None, SERVER, A)
    [sign] = [
        mark for mark in of_class(parsed(svg(script.recording(1))), "cf-open") if not mark.get("data-step")
    ]
    assert (sign.get("class") or "").split()[0] == colour


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.data())
@settings(max_examples=30)
def test_every_byte_has_one_arrow(sends: list[int], data: st.DataObject) -> None:
    """However the stream is cut up: an arrow for each message, and their bytes are all that was sent."""
    script, clock = Script(), 0.0
    for size in sends:
        script.add("MainThread", "send", clock, clock + 1e-5, A, SERVER, size)
        clock += 0.001
    left = data.draw(st.integers(0, sum(sends)))
    script.add("the server", "recv", -1.0, -0.9, SERVER, A, outcome="timeout")
    while left:
        size = data.draw(st.integers(1, left))
        script.add("the server", "recv", clock, clock + 1e-5, SERVER, A, size)
        clock, left = clock + 0.001, left - size
    recording = script.recording(clock)
    assert sum(arrow.size for arrow in arrows_of(recording)) == sum(sends)
    drawn = [words(mark) for mark in of_class(parsed(svg(recording)), "cf-arrow")]
    assert len(drawn) == len(recording.messages)
    assert len(drawn) == len([words for words in drawn if words.startswith(tuple("123456789"))])


def test_three_sends_into_one_recv() -> None:
    """Three arrows end at one bar, apart from each other; one send has two arrows; FIN has one, too."""
    arrows = arrows_of(three_into_one())
    into = [arrow for arrow in arrows if arrow.target and arrow.target.size == 18]
    out = [arrow for arrow in arrows if arrow.source.size == 20]
    assert [arrow.place for arrow in into] == [(0, 3), (1, 3), (2, 3)]
    assert [arrow.size for arrow in out] == [10, 10]
    root = parsed(svg(three_into_one()))
    assert len(of_class(root, "cf-end")) == 2  # the arrow, and its place in the legend
    tips = {tip.get("d") for tip in of_class(root, "cf-tip")}
    assert len(tips) == len(of_class(root, "cf-tip"))


def test_bytes_that_nobody_has_read_are_a_dot_that_says_so() -> None:
    """B's bytes lie at the lane of the server, which waits for A."""
    recording = one_at_a_time()
    root = parsed(svg(recording))
    assert "12 bytes from B, unread" in [words(label) for label in of_class(root, "cf-label")]
    [arrow] = arrows_of(recording)
    assert recording.lanes[arrow.lane or 0] == "the server"


def test_bytes_for_another_program_are_not_called_unread() -> None:
    """Nobody here can know whether they have been read."""
    script = Script()
    script.add("MainThread", "sendall", 0, 0.1, A, ("10.0.0.9", 80), 5)
    [arrow] = arrows_of(script.recording(1))
    assert arrow.kind == "away"
    assert "unread" not in svg(script.recording(1)).split("</style>")[1]


def test_bytes_that_the_ring_forgot_are_not_called_unread() -> None:
    """Later bytes of the same connection were read: so were these."""
    recording = three_into_one()
    forgotten = tuple(span for span in recording.spans if not (span.call == "recv" and span.size == 18))
    kinds = [
        arrow.kind for arrow in arrows_of(Recording(forgotten, recording.names, 1.0, 1)) if arrow.size == 6
    ]
    assert kinds == ["away"] * 3


def test_fin_and_rst_have_signs_of_their_own() -> None:
    """A flag, or a cross, at the end of the call that met it; and an arrow from the call that caused it."""
    fin, rst = parsed(svg(three_into_one())), parsed(svg(broken_off()))
    assert len(of_class(fin, "cf-fin")) == 2
    assert not of_class(fin, "cf-rst")
    assert len(of_class(rst, "cf-rst")) == 2
    assert [arrow.kind for arrow in arrows_of(broken_off())] == ["reset"]


def test_an_open_call_reaches_the_right_edge() -> None:
    """It is the loudest thing in the picture, and it is named."""
    picture = plan(one_at_a_time())
    [(bar, label)] = [(bar, label) for bar, label in picture.labels if bar.open]
    assert bar.end == picture.right
    assert label.text == "recv from A, 0.8 s so far, line 9"
    [mark] = [mark for mark in of_class(parsed(svg(one_at_a_time())), "cf-open") if mark.get("data-step")]
    assert mark.get("data-source") == LOOP.source
    assert (mark.get("data-text") or "").endswith("line 9 in handle")


def test_polling_is_one_wait() -> None:
    """A server that asks every 50 ms whether there is a connection waits for one all the time."""
    first = next(step for step in steps_of(one_at_a_time()) if step.span.call == "select")
    assert (first.start, first.span.end, first.repeats) == (0.0, 0.21, 5)


def test_a_thread_that_asks_again_after_an_end_does_not_wait() -> None:
    """A busy loop is one step that is over, although one of its calls has just not returned yet."""
    script = Script()
    for start in (0.0, 0.01, 0.0102):
        script.add("serves A", "recv", start, start + 0.0001, SERVER, A, outcome="end", place=LOOP)
    script.add("serves A", "recv", 0.0104, None, SERVER, A, place=LOOP)
    last = steps_of(script.recording(0.0105))[-1]
    assert (last.span.outcome, last.span.end is None, last.repeats) == ("end", False, 4)


def test_two_waits_with_a_pause_between_stay_two() -> None:
    """A pause in which the thread did something else is no part of a wait."""
    script = Script()
    script.add("MainThread", "recv", 0, 0.5, A, SERVER, outcome="timeout", place=cell(1, "a.waits()"))
    script.add("MainThread", "recv", 9, 9.5, A, SERVER, outcome="timeout", place=cell(1, "a.waits()"))
    assert len(steps_of(script.recording(10))) == 2


@pytest.mark.parametrize(
    "hostile", [HOSTILE, "</title><script>alert(1)</script>", "]]>\ud800\uffff\u202e", "a\nb\rc"]
)
def test_what_comes_from_a_network_stays_text(hostile: str) -> None:
    """A name or a line of source that would be markup, or would steer a terminal, is spelled out."""
    script = Script()
    script.add(hostile, "recv", 0, None, SERVER, A, place=Place("x.py", 1, hostile, hostile), subject=hostile)
    recording = script.recording(1, {A: hostile})
    for text in (svg(recording), story(recording).replace("\n", ""), page(recording, hostile)):
        assert not re.search("[\x00-\x09\x0b-\x1f\ud800\uffff\u202e]", text)
    for markup in ("<img", "<script>alert"):
        assert markup not in svg(recording) + page(recording, hostile)
    parsed(svg(recording))


def test_ten_times_the_spans_take_at_most_ten_times_as_long() -> None:
    """Not a hundred times, as if each was compared with each. By this thread's time, and not the clock's."""
    times: dict[int, list[float]] = {1_000: [], 10_000: []}
    for _ in range(3):  # in turn, so that the machine is as busy for the one as for the other
        for spans, measured in times.items():
            recording = crowd(spans)
            start = time.thread_time()
            svg(recording)
            measured.append(time.thread_time() - start)
    assert min(times[10_000]) < 10 * min(times[1_000])


def test_ten_thousand_spans_make_a_small_picture() -> None:
    """Under 2 MB; and it says what it leaves out."""
    picture = svg(crowd())
    assert len(picture.encode()) < 2_000_000
    assert "9,600 older steps are folded away" in picture
    assert "let go of 77" in picture


def test_long_names_and_lines_are_shortened() -> None:
    """Megabytes in a name do not make megabytes of picture."""
    script = Script()
    for number in range(400):
        script.add("MainThread", "recv", number, number + 0.5, A, SERVER, place=cell(1, "x" * 100_000))
    assert len(svg(script.recording(400, {SERVER: "y" * 100_000}))) < 2_000_000


@pytest.mark.parametrize("lanes", [2, 12, 64])
def test_as_many_lanes_as_threads(lanes: int) -> None:
    """Each has its name, and a strip of its own."""
    script = Script()
    for number in range(lanes):
        script.add(f"worker {number}", "sleep", number * 0.001, 1.0)
    recording = script.recording(1.0)
    names = [words(name) for name in of_class(parsed(svg(recording)), "cf-name")]
    assert len(names) == lanes
    bars = [lane.bar for lane in plan(recording).lanes.values()]
    assert all(later - earlier > 30 for earlier, later in pairwise(bars))


def test_no_film_yet() -> None:
    """One sentence, in the picture and in the story."""
    assert story(EMPTY) == "Nothing has happened yet."
    assert story(EMPTY) in svg(EMPTY)


def test_the_story_of_a_server_that_serves_one_at_a_time() -> None:
    """What each thread did, in each lane's order, without times, ports and counts of chance."""
    assert story(one_at_a_time()).splitlines() == [
        "the notebook",
        "  A: connects to the server, line 1: a = connect(server)",
        "  B: connects to the server, line 2: b = connect(server)",
        '  B: sends 12 bytes to the server (sendall), line 3: b.send("quick")',
        "  B: waits in recv for the server in vain, line 4: print(b.waits(0.5))",
        "the server",
        "  waits in select for a connection",
        "  accepts A",
        "  waits in recv for A, line 9: while data := self.request.recv(1024): (still waiting)",
        "  12 bytes from B: nobody has read them",
    ]


def test_the_story_does_not_depend_on_how_a_stream_was_cut_up() -> None:
    """Three chunks or one: the bytes of consecutive steps are added up."""

    def told(sizes: list[int]) -> str:
        script = Script()
        for number, size in enumerate(sizes):
            script.add("the server", "recv", number, number + 0.5, SERVER, A, size, place=LOOP)
        script.add("the server", "sendall", 9, 9.1, SERVER, A, 14, place=ANSWER)
        return story(script.recording(10))

    assert told([14]) == told([3, 4, 7])
    assert "receives 14 bytes from A (recv), line 9" in told([14])


def test_names_and_sources_are_told_as_they_are() -> None:
    """Whatever they look like: nothing in them stands for something else."""
    script = Script()
    script.add("MainThread", "recv", 0, 0.1, A, SERVER, 5, place=cell(1, "d = {}; NAME, CALL"))
    script.add("MainThread", "sleep", 1, 1.1, place=cell(2, "d = {}"))
    assert story(script.recording(2, {SERVER: "{call} {0}"})).splitlines() == [
        "the notebook",
        "  receives 5 bytes from {call} {0} (recv), line 1: d = {}; NAME, CALL",
        "  waits in sleep, line 2: d = {}",
    ]


def test_a_long_story_can_be_told_from_its_end() -> None:
    """For each thread the latest lines, and how many calls there were; the whole is told by default."""
    whole = story(crowd(1000, 1)).splitlines()
    assert [line for line in whole if line.startswith(" ")] == [
        "  alice: sends 7,000 bytes to the server (sendall), line 3: alice.send('x')",
        "  receives 7,000 bytes from alice (recv), line 9: while data := self.request.recv(1024):",
    ]
    script = Script()
    for number in range(9):
        script.add("MainThread", "sleep", number, number + 0.5, place=cell(number, "time.sleep(0.5)"))
    assert story(script.recording(9), 2).splitlines() == [
        "the notebook",
        "  … the latest of 9 calls:",
        "  waits in sleep, line 7: time.sleep(0.5)",
        "  waits in sleep, line 8: time.sleep(0.5)",
    ]


@pytest.mark.parametrize("recording", SAMPLES)
def test_a_page_is_complete_in_itself(recording: Recording) -> None:
    """It names no other file and no other host; the SVG's namespace is a name, not an address."""
    whole = page(recording, "A film")
    [other] = re.findall(r' data-other="data:image/svg\+xml,(.*?)"', whole)
    assert unquote(other) == svg(recording, to_scale=True)
    text = whole.replace(other, "")
    assert "http" not in text.replace('xmlns="http://www.w3.org/2000/svg"', "").replace("http-equiv", "")
    assert not re.search(r"(src|href)\s*=|url\(|@import", text)
    assert svg(recording) in text


def test_colours_are_never_the_only_sign() -> None:
    """Each kind of step has an outline of its own; what looks alike has stripes."""
    script = Script()
    calls = ["recv", "accept", "sleep", "send", "close"]
    for number, call in enumerate(calls):
        script.add("MainThread", call, number, number + 0.5, A, SERVER)
    root = parsed(svg(script.recording(5)))
    steps = [mark for mark in of_class(root, "cf-step") if mark.get("data-step")]
    outlines = [re.sub(r"[-\d. ]+", "#", str(of_class(step, "cf-bar")[0].get("d"))) for step in steps]
    striped = [bool(of_class(step, "cf-stripes")) for step in steps]
    assert len(set(zip(outlines, striped, strict=True))) >= 4
    assert len({mark.get("class") for mark in steps}) == len(calls)


def test_long_names_of_lanes_keep_their_ends() -> None:
    """Which is what tells `task handle_echo for peer 1` from that for peer 2."""
    script = Script()
    for number in (1, 2):
        script.add(f"task handle_every_conversation for peer {number}", "sleep", 0, 1)
    shown = [name.text or "" for name in of_class(parsed(svg(script.recording(1))), "cf-name")]
    assert all(name.startswith("task handle_") and "…" in name for name in shown)
    assert [name[-6:] for name in shown] == ["peer 1", "peer 2"]
