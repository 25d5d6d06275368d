"""What a server heard: in order, bounded, and safe to read while others write."""

import threading

import pytest
from faults import SOON, hasty_switching, together

from chatlib.journal import REMEMBERED, TEXT_LIMIT, Entry, Journal


def test_entries_are_kept_in_order_with_their_thread() -> None:
    """Each says what happened, to which client, with which text, in which thread."""
    journal = Journal()
    journal.add("came", "client 1")
    journal.add("said", "client 1", "hello")
    name = threading.current_thread().name
    assert list(journal) == [Entry("came", "client 1", "", name), Entry("said", "client 1", "hello", name)]
    assert len(journal) == 2


def test_finding_by_kind_and_client() -> None:
    """Either, both or none may be asked for."""
    journal = Journal()
    for what, who in [("came", "a"), ("came", "b"), ("left", "a")]:
        journal.add(what, who)
    assert [entry.who for entry in journal.find("came")] == ["a", "b"]
    assert [entry.what for entry in journal.find(who="a")] == ["came", "left"]
    assert len(journal.find("left", "b")) == 0
    assert len(journal.find()) == 3


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (Entry("came", "client 1", "", "t"), "client 1 came"),
        (Entry("left", "client 1", "why", "t"), "client 1 left (why)"),
        (Entry("said", "client 1", "", "t"), "client 1 said ''"),
        (Entry("said", "client 1", "\x1b[2J<script>", "t"), "client 1 said '\\x1b[2J<script>'"),
    ],
    ids=str,
)
def test_entries_as_text(entry: Entry, text: str) -> None:
    """What was said is quoted, so that no control character reaches a terminal."""
    assert str(entry) == text


def test_a_journal_as_text() -> None:
    """A line for each entry."""
    journal = Journal()
    journal.add("came", "a")
    journal.add("left", "a")
    assert str(journal) == "a came\na left"


def test_no_text_reaches_a_terminal_raw() -> None:
    """A reason may quote what a client sent: it is escaped as well."""
    assert "\x1b" not in str(Entry("failed", "client 1", "ValueError: \x1b[2J", "t"))


def test_long_text_is_cut() -> None:
    """A journal keeps the first 200 characters."""
    journal = Journal()
    journal.add("said", "a", "x" * 100_000)
    assert [len(entry.text) for entry in journal] == [TEXT_LIMIT]


def test_the_oldest_are_forgotten_and_counted() -> None:
    """Memory is not endless: 10,000 entries are kept."""
    journal = Journal()
    for number in range(REMEMBERED + 5):
        journal.add("said", "a", str(number))
    assert len(journal) == REMEMBERED
    assert journal.forgotten == 5
    assert next(iter(journal)).text == "5"


def test_waiting_for_what_is_there() -> None:
    """It returns at once, without a time limit too."""
    journal = Journal()
    journal.add("came", "a")
    assert journal.wait_for("came", timeout=0)
    assert journal.wait_for("came", "a", timeout=0)


def test_waiting_in_vain() -> None:
    """After its time it says False."""
    journal = Journal()
    journal.add("came", "a")
    assert not journal.wait_for("came", count=2, timeout=0.01)
    assert not journal.wait_for("came", "b", timeout=0.01)


def test_waiting_ends_when_it_happens() -> None:
    """Another thread's entry wakes it."""
    journal, seen = Journal(), list[bool]()
    thread = threading.Thread(target=lambda: seen.append(journal.wait_for("said", count=3, timeout=SOON)))
    thread.start()
    for _ in range(3):
        journal.add("said", "a")
    thread.join(SOON)
    assert seen == [True]


def test_reading_while_others_write() -> None:
    """Walking through a journal that grows raises nothing, and sees no entry twice."""
    journal = Journal(remembered=500)

    def write() -> None:
        for number in range(2000):
            journal.add("said", "a", str(number))

    def read() -> None:
        for _ in range(200):
            numbers = [int(entry.text) for entry in journal]
            assert numbers == sorted(set(numbers))

    with hasty_switching():
        together(write, read)
    assert journal.forgotten == 1500


def test_a_flood_of_lines_does_not_push_out_departures() -> None:
    """However many lines follow, the reason why a client was cut off is still there, and in its place."""
    journal = Journal(remembered=3)
    journal.add("left", "client 1", "it read too slowly")
    for number in range(10):
        journal.add("said", "client 2", str(number))
    journal.add("left", "client 2")
    assert [entry.what for entry in journal] == ["left", "said", "said", "said", "left"]
    assert journal.forgotten == 7


def test_of_a_flood_of_lines_the_last_are_kept() -> None:
    """Of 100,000 lines in one go all are counted; joins and departures around them are kept."""
    journal = Journal(remembered=5)
    journal.add("came", "a")
    journal.add_all("said", "a", [str(number) for number in range(100_000)])
    journal.add("left", "a")
    assert [entry.text for entry in journal] == ["", "99995", "99996", "99997", "99998", "99999", ""]
    assert journal.forgotten == 99_995
