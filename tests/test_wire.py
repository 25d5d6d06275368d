"""Bytes into lines: however the stream is cut, the lines are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatlib.wire import LINE_LIMIT, LineReader, encode

streams = st.lists(
    st.one_of(
        st.binary(max_size=12),
        st.sampled_from([b"\n", b"\r\n", b"\r", b"\0", b"\xff", "é☃𝄞".encode(), b"\xed\xa0\x80"]),
    )
).map(b"".join)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """Returns the pieces of a stream that is cut at these places."""
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in zip(edges, edges[1:], strict=False)]


def lines_of(pieces: list[bytes], limit: int = LINE_LIMIT) -> tuple[list[str], bool]:
    """Returns the lines that a reader makes of these pieces, and whether one was too long."""
    reader = LineReader(limit)
    return [line for piece in pieces for line in reader.feed(piece)], reader.overlong


@given(streams, st.lists(st.integers(0, 10_000)))
def test_any_segmentation_gives_the_same_lines(stream: bytes, places: list[int]) -> None:
    """Where a stream is cut makes no difference, and its lines are what stands between the newlines."""
    *complete, _ = stream.split(b"\n")
    expected = [line.removesuffix(b"\r").decode("utf-8", "replace") for line in complete]
    assert lines_of(cut(stream, places)) == (expected, False)


@given(streams)
def test_one_byte_at_a_time_gives_the_same_lines(stream: bytes) -> None:
    """The smallest segments are no exception."""
    assert lines_of([bytes([byte]) for byte in stream]) == lines_of([stream])


@given(streams, st.lists(st.integers(0, 10_000)), st.integers(0, 8))
def test_a_limit_gives_the_same_lines_too(stream: bytes, places: list[int], limit: int) -> None:
    """Up to a line that is too long all are delivered, none after it, wherever the stream was cut."""
    *complete, rest = stream.split(b"\n")
    texts = [line.removesuffix(b"\r") for line in complete]
    short = [len(text) <= limit for text in texts]
    good = texts[: short.index(False) if False in short else None]
    expected = [text.decode("utf-8", "replace") for text in good]
    overlong = False in short or len(rest) > limit + rest.endswith(b"\r")
    assert lines_of(cut(stream, places), limit) == (expected, overlong)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"))))
def test_what_is_encoded_is_read_back(lines: list[str]) -> None:
    """Text that holds no newline survives the way there, but for one CR at its end."""
    assert lines_of([encode(lines)]) == ([line.removesuffix("\r") for line in lines], False)


def test_half_a_line_is_kept_until_it_is_complete() -> None:
    """Nothing is delivered before the newline."""
    reader = LineReader()
    assert reader.feed(b"hel") == []
    assert reader.feed(b"lo\nwor") == ["hello"]
    assert reader.feed(b"ld\n") == ["world"]


def test_what_is_too_long_is_not_kept() -> None:
    """Once a line has passed the limit nothing is read any more."""
    reader = LineReader(4)
    assert reader.feed(b"good\nwrong") == ["good"]
    assert reader.overlong
    assert reader.feed(b"\nlate\n") == []


def test_the_limit_itself_is_allowed() -> None:
    """By default a line may have 65,536 bytes, and not one more."""
    assert lines_of([b"x" * LINE_LIMIT, b"\n"]) == (["x" * LINE_LIMIT], False)
    assert lines_of([b"x" * LINE_LIMIT + b"x"]) == ([], True)


def test_bytes_that_are_not_utf8_become_replacements() -> None:
    """The rest of the line stays."""
    assert lines_of([b"a\xffb\n"]) == (["a\ufffdb"], False)


@pytest.mark.parametrize(
    ("lines", "data"),
    [([], b""), ([""], b"\n"), (["a", "é"], b"a\n\xc3\xa9\n"), (["\ud800"], b"?\n")],
    ids=repr,
)
def test_encoding(lines: list[str], data: bytes) -> None:
    """Each line gets its newline; what UTF-8 cannot say becomes a question mark."""
    assert encode(lines) == data


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_of_exactly_the_limit_is_whole_however_it_ends(end: bytes) -> None:
    """A carriage return belongs to the end of the line; it does not count. Nor when it comes alone."""
    reader = LineReader(limit=4)
    assert reader.feed(b"four" + end[:-1]) == []
    assert reader.feed(end[-1:]) == ["four"]
    assert not reader.overlong
    assert reader.feed(b"five!" + end) == []
    assert reader.overlong
