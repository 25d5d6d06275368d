"""Exercise 06: what is the matter with three servers."""

import nbformat
import pytest
import refresh
from answers import failure, passes

import chatlib
from chatlib.teach.exercises import ex06_faulty_servers

RIGHT = {"A": "one slow reader mutes all", "B": "one client at a time", "C": "spins on goodbye"}


def test_a_right_diagnosis_says_where_it_shows() -> None:
    """Of each patient, the line of its X-ray."""
    passes("06", RIGHT)
    reasons = {verdict.case.id: verdict.reason for verdict in chatlib.exercise("06", RIGHT).verdicts}
    assert reasons["diagnosis.B"].startswith("it shows here: the server waits in recv for sam")


def test_a_wrong_diagnosis_says_what_it_would_look_like() -> None:
    """It does not say what is right; and what is said of the others counts for itself."""
    wrong = failure("06", RIGHT | {"A": "a sender hears itself"}, "diagnosis.A")
    assert wrong.actual.startswith("you said 'a sender hears itself': then an arrow would lead")
    assert RIGHT["A"] not in str(wrong)


def test_a_slip_of_the_pen_is_no_diagnosis() -> None:
    """Capitals and blanks do not count; a fault that is not in the list, and none at all, is named."""
    passes("06", RIGHT | {"B": "  One client AT A TIME\n"})
    wrong = failure("06", RIGHT | {"B": "One client at a time!"}, "diagnosis.B")
    assert wrong.actual == "'One client at a time!' is not in it"
    for nothing in ("", "  ", None, ...):
        assert failure("06", RIGHT | {"C": nothing}, "diagnosis.C").actual == "you have said nothing of C yet"
    assert chatlib.exercise("06", {}).failed == ("diagnosis.A", "diagnosis.B", "diagnosis.C")
    assert failure("06", RIGHT | {"C": ["spins"]}, "diagnosis.C").actual == "['spins'] is not in it"


def test_the_examination_gives_nothing_away() -> None:
    """Of each patient it prints what is heard and which thread waits: what one never does, its film shows."""
    [path] = refresh.SOLUTIONS.glob("06_*.ipynb")
    outputs = [
        output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", ())
    ]
    printed = [output.text.splitlines() for output in outputs if "hears bob:" in output.get("text", "")]
    assert len(printed) == 3
    assert all(" hears " in line or " waits in " in line for lines in printed for line in lines)


@pytest.mark.exhaustive
def test_the_patients_suffer_from_what_is_said_of_them() -> None:
    """The checker finds it, too: in A and B by what others hear, in C by what it costs."""
    cases = ["isolation.silent", "departures.idle", "departures.others"]
    assert chatlib.check(ex06_faulty_servers.A, cases=[*cases, "isolation.unread"]).failed == (
        "isolation.unread",
    )
    assert chatlib.check(ex06_faulty_servers.B, cases=cases[:1]).failed == ("isolation.silent",)
    assert chatlib.check(ex06_faulty_servers.C, cases=cases).failed == ("departures.idle",)
