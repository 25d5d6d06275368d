"""What is said of a server: as text, HTML, JSON and JUnit, with points, and by the command."""

import contextlib
import io
import json
import re
import socketserver
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from checked import RELAY, judge, script, textbook
from faults import SOON, environment

import chatlib
from chatlib.checker import check as checking
from chatlib.checker.case import Case, Outcome, step
from chatlib.checker.harness.dialect import dialect_of, show
from chatlib.checker.harness.session import Session
from chatlib.checker.report import Report, points_of
from chatlib.checker.targets.resolve import target_of
from chatlib.cli import main

SCHEMA = json.loads(Path(checking.__file__).with_name("report.schema.json").read_text("utf-8"))


def test_a_dialect_that_was_not_found_out_is_said_to_be_assumed(mixed: Report) -> None:
    """It was named in the call."""
    assert "textbook, assumed: shout: " in str(mixed)
    assert not mixed.record()["dialect"]["found"]


@pytest.fixture(scope="module")
def mixed() -> Report:
    """A report with something of each kind."""
    cases = ["delivery.answer", "isolation.silent", "departures.reset", "lifecycle.descriptors"]
    return chatlib.check(textbook, "shout", cases=cases)


def test_a_failure_says_what_was_done_what_was_expected_and_who_waits(mixed: Report) -> None:
    """The X-ray names the client that the server waits for."""
    [failure] = [verdict.failure for verdict in mixed.of(Outcome.FAIL)]
    assert failure is not None
    assert failure.done == ("sam connects and says nothing",)
    assert failure.step == "alice and bob join and greet each other"
    assert (failure.expected, failure.actual) == ("alice gets an answer", "alice heard nothing of it in time")
    assert "lie unread: the server waits for sam, which says nothing" in failure.waiting[0]
    assert "the server waits in recv_into for sam" in failure.waiting[1]
    text = str(mixed)
    for part in ("FAIL isolation.silent", "went well", "expected", "X-ray", "hint", "lesson"):
        assert part in text


LOCKS_TWICE = """
import os, threading
import chatlib
from chatlib.checker.specimens.threads import Threads

class LocksTwice(Threads):
    def __init__(self, address):
        super().__init__(address)
        self.said = threading.Lock()

    def hear(self, client, line):
        with self.said:
            self.broadcast(client, line)

    def broadcast(self, sender, data):
        with self.said:
            super().broadcast(sender, data)

[verdict] = chatlib.check(LocksTwice, cases=["delivery.reach"]).verdicts
print(*verdict.failure.waiting, sep="\\n", flush=True)
os._exit(0)  # its threads never end
"""


def test_a_failure_says_who_is_stuck_because_of_whom(tmp_path: Path) -> None:
    """It is looked at twice, and the second time filmed from the beginning: or else no lock has a holder."""
    server = script(tmp_path, LOCKS_TWICE)
    command = [sys.executable, server]
    told = subprocess.run(command, capture_output=True, text=True, timeout=SOON, check=True).stdout
    first, *others = told.splitlines()
    assert re.fullmatch(r"Deadlock: 'serves \w+' waits for the lock that it holds itself \(line 16\)", first)
    assert any("in the line: with self.said:" in line for line in others)


def test_what_a_server_prints_is_kept_and_shown_with_the_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """A megabyte does not reach the notebook; the last lines, and an exception, stand in the report."""

    class Talkative(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                print("x" * 10_000)
                self.wfile.write(line.lower())
                raise ValueError("no more")

    report = chatlib.check(lambda address: socketserver.ThreadingTCPServer(address, Talkative), "shout")
    failure = report.verdicts[0].failure
    assert failure is not None and any("ValueError: no more" in line for line in failure.said), failure
    assert capsys.readouterr() == ("", "")


def test_json_has_the_form_of_the_schema(mixed: Report) -> None:
    """With and without points; and the schema is one that can be broken."""
    jsonschema.validate(json.loads(mixed.json()), SCHEMA)
    record = mixed.record({"delivery": 2, "isolation.silent": 3, "lifecycle": 5})
    jsonschema.validate(record, SCHEMA)
    assert record["counts"] == {"pass": 1, "fail": 1, "skipped": 2, "error": 0}
    assert record["points"] == {"earned": 2.0, "possible": 5.0, "unjudged": 5.0}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(record | {"counts": {}}, SCHEMA)


def test_junit_has_a_case_for_each_verdict(mixed: Report) -> None:
    """As graders and CI systems read it."""
    suite = ElementTree.fromstring(mixed.junit({"delivery.answer": 1}))
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["4", "1", "0", "2"]
    failed = suite.find("testcase[@name='isolation.silent']/failure")
    assert failed is not None and "alice gets an answer" in str(failed.get("message"))
    assert "lesson" in str(failed.text)
    assert suite.find("properties/property[@name='earned']") is not None


@step("it stumbles")
def stumble(session: Session) -> None:
    """A step with a mistake in it."""
    raise LookupError("no such thing")


def test_gradescope_gets_the_points_of_the_table_and_what_to_mend(mixed: Report) -> None:
    """Without a table, each promise that counts is worth a point."""
    each = json.loads(mixed.gradescope())["tests"]
    assert [(test["name"].partition(":")[0], test["score"], test["max_score"]) for test in each] == [
        ("delivery.answer", 1, 1),
        ("isolation.silent", 0, 1),
        ("departures.reset", 0, 1),
    ]
    assert [test["status"] for test in each] == ["passed", "failed", "failed"]
    assert each[2]["output"].startswith("before that, bob heard nothing")
    table = {"delivery": 4.0, "delivery+isolation": 6.0, "lifecycle": 5.0}
    tests = json.loads(mixed.gradescope(table))["tests"]
    assert [(test["score"], test["max_score"]) for test in tests] == [(4, 4), (0, 6), (0, 0)]
    assert "alice heard nothing of it in time" in tests[1]["output"]
    assert "could not be judged" in tests[2]["output"]
    assert json.loads(mixed.gradescope({}))["tests"] == []


def test_gradescope_is_told_why_a_server_does_not_start(tmp_path: Path) -> None:
    """Its students see what stands in the JSON, and nothing else."""
    status, output, errors = command("--format", "gradescope", script(tmp_path, "import no_such_module"))
    assert status == 2 and "no_such_module" in errors
    found = json.loads(output)
    assert found["score"] == 0 and "No module named 'no_such_module'" in found["output"]


def test_a_fault_of_the_checker_never_counts_as_the_servers() -> None:
    """It is an error, with what went wrong; a grader gives no points and takes none."""
    case = Case("checker.stumbles", "It stumbles", "A step fails.", (stumble(),), "None.", "00 Start here")
    dialect = dialect_of("shout", None, None, None)
    report = Report("textbook", dialect, tuple(judge(target_of(textbook), [case], dialect)))
    [verdict] = report.of(Outcome.ERROR)
    assert "LookupError: no such thing" in verdict.reason and not report.passed and not report.failed
    assert report.summary == "1 could not be judged (the checker's own fault)"
    assert report.points({"checker": 2}) == {"earned": 0, "possible": 0, "unjudged": 2}


def test_html_shows_hostile_text_as_text(mixed: Report) -> None:
    """What came from a server is shown, never run."""
    hostile = Report("<script>alert(1)</script>", mixed.dialect, mixed.verdicts)
    page = hostile._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "isolation.silent" in page and "hint" in page


def test_a_report_prints_the_same_each_time() -> None:
    """No times, no ports: a notebook can be compared with its last run."""

    class Twice(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                self.wfile.write(2 * line.upper())

    def server(address: tuple[str, int]) -> socketserver.TCPServer:
        return socketserver.ThreadingTCPServer(address, Twice)

    reports = [chatlib.check(server, "shout", cases=["delivery"]) for _ in range(2)]
    assert reports[0].failed == ("delivery.order", "delivery.talkers")
    assert str(reports[0]) == str(reports[1])
    assert reports[0]._repr_html_() == reports[1]._repr_html_()


def test_a_table_of_points_is_read(tmp_path: Path) -> None:
    """A heading, comments, empty lines; what has another form is told with its line."""
    path = tmp_path / "points.csv"
    path.write_text("case,points\n# the easy ones\n\nframing.split,2\ndelivery,1.5\n", "utf-8")
    assert points_of(path) == {"framing.split": 2.0, "delivery": 1.5}
    path.write_text("framing.split two\n", "utf-8")
    with pytest.raises(ValueError, match="line 1: it must have the form framing.split,2"):
        points_of(path)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"hello\n", '"hello\\n"'),
        ("café".encode(), '"café"'),
        (b"\xff\x1b[2J", '"\\xff\\x1b[2J"'),
        (b"x" * 200, f'"{"x" * 45}" ... "{"x" * 45}" (200 bytes)'),
    ],
)
def test_bytes_are_shown_so_that_a_beginner_sees_their_ends(data: bytes, text: str) -> None:
    """Newlines, control characters and what is no UTF-8 are spelled out; long ones are cut."""
    assert show(data) == text


def command(*arguments: str) -> tuple[int, str, str]:
    """Runs the command `check` in this process. Returns exit status, output and errors."""
    output, errors, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            status = main(["check", *arguments])
        except SystemExit as end:
            status = int(end.code or 0)
    return status, output.getvalue(), errors.getvalue()


def test_the_command_exits_with_what_a_grader_needs(tmp_path: Path) -> None:
    """0 all well, 1 something broken, 2 nothing to check; reports on the output, sentences beside it."""
    path = script(tmp_path, RELAY)
    status, output, errors = command(path, "--dialect", "raw", "--case", "delivery.reach")
    assert (status, errors) == (0, "") and output.endswith("1 passed\n")
    status, output, _ = command(path, "--case", "framing.split", "--case", "delivery.order")
    assert status == 1 and "FAIL framing.split" in output


@pytest.mark.parametrize(
    "words",
    [["."], ["8.8.8.8:53"], ["server.py", "--case", "x"], ["server.py", "--dialect", "x"], []],
    ids=["a directory", "a public address", "no such case", "no such dialect", "nothing"],
)
def test_a_mistake_in_the_call_is_one_line_and_exit_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """No traceback, and nothing on the output, which a grader may parse."""
    script(tmp_path, RELAY)
    monkeypatch.chdir(tmp_path)
    status, output, errors = command(*words)
    assert (status, output) == (2, "")
    assert errors.startswith("chatlib") and errors.count("\n") == 1, errors


def test_the_command_writes_what_machines_read_and_points(tmp_path: Path) -> None:
    """Each can be read by a machine; points stand in each of them."""
    path, table = script(tmp_path, RELAY), tmp_path / "points.csv"
    table.write_text("delivery.reach,2\nframing.split,3\n", "utf-8")
    options = ("--points", str(table), "--case", "framing.split", "--case", "delivery.reach")
    record = json.loads(command("--format", "json", *options, path)[1])
    jsonschema.validate(record, SCHEMA)
    assert record["points"] == {"earned": 2.0, "possible": 5.0, "unjudged": 0.0}
    suite = ElementTree.fromstring(command("--format", "junit", *options, path)[1])
    assert suite.get("failures") == "1"
    tests = json.loads(command("--format", "gradescope", *options, path)[1])["tests"]
    assert [test["score"] for test in tests] == [2, 0]
    assert command(*options, path)[1].endswith("2 of 5 points; 0 could not be judged\n")


def test_promises_with_a_plus_between_are_earned_together(tmp_path: Path) -> None:
    """Or not at all; and each of their names is looked up before the check."""
    path, table = script(tmp_path, RELAY), tmp_path / "points.csv"
    table.write_text("delivery.reach+framing.split,3\ndelivery.reach+delivery.sender,4\n", "utf-8")
    options = ("--points", str(table), "--case", "framing.split", "--case", "delivery")
    assert command(*options, path)[1].endswith("4 of 7 points; 0 could not be judged\n")
    table.write_text("delivery+framng,3\n", "utf-8")
    status, output, errors = command(*options, path)
    assert (status, output) == (2, "") and "did you mean framing?" in errors


def test_a_command_in_any_language_stands_behind_two_dashes(tmp_path: Path) -> None:
    """Where `{port}` stands, the port is put; options stand before."""
    path = script(tmp_path, RELAY)
    words = ["check", "--dialect", "auto", "--case", "delivery.reach", "--", sys.executable, path, "{port}"]
    line = [sys.executable, "-m", "chatlib", *words]
    found = subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=120)
    assert found.returncode == 0 and "found: raw" in found.stdout, found


@pytest.mark.parametrize(
    "text", ["delivery,nan", "delivery,-1", "delivery,1,5", "delivery", "delivery,1\ndelivery,2"]
)
def test_points_that_make_no_sense_are_refused(tmp_path: Path, text: str) -> None:
    """Before anybody loses any by a slip."""
    path = tmp_path / "points.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"points\.csv, line \d"):
        points_of(path)


def test_what_a_server_prints_cannot_steer_a_terminal(tmp_path: Path) -> None:
    """Escapes are spelled out; letters that a console lacks do not cost the report."""
    text = RELAY.replace(
        "clients = []\n", "clients = []\nsys.stdout.buffer.write('\\x1b[2J \\u2603\\n'.encode())\n", 1
    )
    line = [sys.executable, "-m", "chatlib", "check", script(tmp_path, text), "--case", "framing.split"]
    surroundings = environment() | {"PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(line, env=surroundings, capture_output=True, timeout=120)
    assert done.returncode == 1
    assert rb"\x1b[2J \u2603" in done.stdout and b"\x1b" not in done.stdout
