"""What came of all cases: for people as text and HTML, for machines as JSON, JUnit XML and for Gradescope."""

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from chatlib.checker.case import Outcome, Verdict
from chatlib.checker.harness.dialect import Dialect

SCHEMA = 1
"""The version of the JSON form: `report.schema.json` describes it."""

SIGNS = {Outcome.PASS: "pass", Outcome.FAIL: "FAIL", Outcome.SKIPPED: "skip", Outcome.ERROR: "ERROR"}
MARKS = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.SKIPPED: "–", Outcome.ERROR: "!"}
COLOURS = {
    Outcome.PASS: "var(--jp-success-color0, #1b5e20)",
    Outcome.FAIL: "var(--jp-error-color1, #b71c1c)",
    Outcome.SKIPPED: "inherit",
    Outcome.ERROR: "var(--jp-error-color1, #b71c1c)",
}
"""In HTML, of sign and mark. JupyterLab's are those of its theme, light or dark, that can be read in both."""


@dataclass(frozen=True)
class Report:
    """The verdicts on one server. Shown by a notebook or printed, it says what to mend."""

    target: str
    dialect: Dialect
    verdicts: tuple[Verdict, ...]
    asked: str = ""
    """The dialect that was asked for: `auto`, if it was found out. Empty if this is no matter of dialects."""
    seconds: float = 0.0
    """How long it took."""

    @property
    def passed(self) -> bool:
        """True if something passed, and nothing failed or went wrong. Skipped cases do not count."""
        return bool(self.of(Outcome.PASS)) and not (self.of(Outcome.FAIL) or self.of(Outcome.ERROR))

    @property
    def failed(self) -> tuple[str, ...]:
        """The ids of the promises that were broken."""
        return tuple(verdict.case.id for verdict in self.of(Outcome.FAIL))

    def of(self, outcome: Outcome) -> list[Verdict]:
        """Returns the verdicts of one kind."""
        return [verdict for verdict in self.verdicts if verdict.outcome is outcome]

    @property
    def summary(self) -> str:
        """One line: how many passed, failed, were skipped, and in how many the checker itself failed."""
        names = {Outcome.PASS: "passed", Outcome.FAIL: "failed", Outcome.SKIPPED: "skipped"}
        counts = Counter(verdict.outcome for verdict in self.verdicts)
        parts = [f"{counts[outcome]} {name}" for outcome, name in names.items() if counts[outcome]]
        if counts[Outcome.ERROR]:
            parts.append(f"{counts[Outcome.ERROR]} could not be judged (the checker's own fault)")
        return ", ".join(parts) or "nothing to check"

    def points(self, table: Mapping[str, float]) -> dict[str, float]:
        """Returns the points of a grader's table, by case or topic.

        Args:
            table: How many points a case is worth; those of a topic are shared by its cases. Those of several
                with a plus between, as in `delivery+framing`, are earned together, or not at all.

        Returns:
            `earned` of `possible`, and `unjudged` for what says nothing about this server. A case that could
            not be judged because of another fault of the server is possible, and not earned.
        """
        total = {"earned": 0.0, "possible": 0.0, "unjudged": 0.0}
        for name, worth in table.items():
            counted = [verdict for verdict in self._named(name) if verdict.counts]
            if not counted:
                total["unjudged"] += worth
                continue
            total["possible"] += worth
            passed = sum(verdict.outcome is Outcome.PASS for verdict in counted)
            if "+" not in name or passed == len(counted):
                total["earned"] += worth * passed / len(counted)
        return {key: round(value, 2) for key, value in total.items()}

    def record(self, table: Mapping[str, float] | None = None) -> dict[str, Any]:
        """Returns the report as plain data, in the form of `report.schema.json`."""
        counts = Counter(verdict.outcome.value for verdict in self.verdicts)
        record: dict[str, Any] = {
            "schema": SCHEMA,
            "target": self.target,
            "dialect": {
                "name": self.dialect.name,
                "found": self.asked == "auto",
                "echo": self.dialect.echo,
                "name_first": self.dialect.name_first,
                "prefix": self.dialect.prefix,
            },
            "passed": self.passed,
            "counts": {outcome.value: counts[outcome.value] for outcome in Outcome},
            "cases": [verdict.record() for verdict in self.verdicts],
        }
        if table is not None:
            record["points"] = self.points(table)
        return record

    def json(self, table: Mapping[str, float] | None = None) -> str:
        """Returns it as JSON."""
        return json.dumps(self.record(table), indent=2, ensure_ascii=False)

    def junit(self, table: Mapping[str, float] | None = None) -> str:
        """Returns it as JUnit XML, which graders and CI systems read."""
        counts = Counter(verdict.outcome for verdict in self.verdicts)
        suite = ElementTree.Element(
            "testsuite",
            name=_xml(f"chatlib check {self.target}"),
            tests=str(len(self.verdicts)),
            failures=str(counts[Outcome.FAIL]),
            errors=str(counts[Outcome.ERROR]),
            skipped=str(counts[Outcome.SKIPPED]),
            time=f"{self.seconds:.3f}",
        )
        properties = ElementTree.SubElement(suite, "properties")
        known = {"dialect": str(self.dialect)} | ({} if table is None else self.points(table))
        for name, value in known.items():
            ElementTree.SubElement(properties, "property", name=name, value=_xml(str(value)))
        for verdict in self.verdicts:
            suite.append(_junit_case(verdict))
        ElementTree.indent(suite)
        return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, "unicode") + "\n"

    def gradescope(self, table: Mapping[str, float] | None = None) -> str:
        """Returns it as the `results.json` of an autograder of Gradescope.

        Args:
            table: A grader's points. Without one, each promise that counts is worth one.
        """
        if table is None:
            table = {verdict.case.id: 1.0 for verdict in self.verdicts if verdict.counts}
        tests = [self._gradescope_test(name, worth) for name, worth in table.items()]
        whole = {"output": str(self), "execution_time": round(self.seconds, 1), "tests": tests}
        return json.dumps(whole, indent=2, ensure_ascii=False)

    def _named(self, name: str) -> list[Verdict]:
        """Returns the verdicts of a case, of a topic, or of several of them with a plus between."""
        parts = name.split("+")
        return [each for each in self.verdicts if each.case.id in parts or each.case.topic in parts]

    def _gradescope_test(self, name: str, worth: float) -> dict[str, Any]:
        points, group = self.points({name: worth}), self._named(name)
        said = ["\n".join(_told(verdict)) for verdict in group if verdict.failure]
        said += sorted({verdict.reason for verdict in group if verdict.blocked})
        said += ["This could not be judged, and takes no points."] if points["unjudged"] else []
        return {
            "name": name if len(group) != 1 else f"{name}: {group[0].case.title}",
            "score": points["earned"],
            "max_score": points["possible"],
            "status": "failed" if points["earned"] < points["possible"] else "passed",
            "output": "\n\n".join(said),
        }

    def __str__(self) -> str:
        how = {"auto": "found: ", "": ""}.get(self.asked, "assumed: ")
        lines = [f"{self.target}, {how}{self.dialect}"]
        if self.asked == "auto" and not self.dialect.framed:
            lines.append(
                f"(what is promised about lines is left out; to hold it to that: {_options(self.dialect)})"
            )
        lines.append("")
        reason = ""
        width = max((len(verdict.case.id) for verdict in self.verdicts), default=0)
        for verdict in self.verdicts:
            lines.append(f"{SIGNS[verdict.outcome]:5} {verdict.case.id:{width}}  {verdict.case.title}")
            if verdict.reason and verdict.reason != reason:  # once is enough
                lines.append(f"      {'':{width}}  ({verdict.reason.strip().splitlines()[-1]})")
            reason = verdict.reason
        for verdict in self.verdicts:
            if verdict.failure:
                lines += ["", *_told(verdict)]
        return "\n".join([*lines, "", self.summary])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = f"<p><b>{escape(self.target)}</b>: {escape(self.summary)}</p>"
        to_mend_first = sorted(self.verdicts, key=lambda verdict: verdict.failure is None)
        return f"<div>{head}{''.join(map(_row, to_mend_first))}</div>"


def _options(dialect: Dialect) -> str:
    """Returns how the same server is checked as one that promises lines."""
    options = ["--dialect lines"]
    options += ["--name-first yes"] if dialect.name_first else []
    options += [f"--echo {'yes' if dialect.echo else 'no'}"] if dialect.echo is not None else []
    return " ".join(options)


def points_of(path: Path) -> dict[str, float]:
    """Reads a grader's table: a case or a topic and its points in each line, with a comma between.

    Several that are earned only together have a plus between, as in `delivery+framing,20`.
    Empty lines, those that begin with `#` and the heading `case` do not count.

    Raises:
        OSError: The file cannot be read.
        ValueError: A line has another form.
    """
    table: dict[str, float] = {}
    try:
        rows = list(csv.reader(path.read_text("utf-8-sig").splitlines()))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no table of points: {error}") from None
    for number, row in enumerate(rows, 1):
        if not row or row[0].startswith("#") or row[0].strip().lower() == "case":
            continue
        name = row[0].strip()
        try:
            [_, text] = row
            worth = float(text)
            if not math.isfinite(worth) or worth < 0:
                raise ValueError(text)
        except ValueError:
            form = f"{path}, line {number}: it must have the form framing.split,2"
            raise ValueError(form) from None
        if name in table:
            raise ValueError(f"{path}, line {number}: {name} has points already")
        table[name] = worth
    return table


def _fields(verdict: Verdict) -> Iterator[tuple[str, list[str]]]:
    """Yields what there is to say on a failure, each with its heading."""
    failure = verdict.failure
    assert failure
    yield "promise", [verdict.case.requirement]
    if failure.done:
        yield "went well", list(failure.done)
    yield "then", [failure.step]
    yield "expected", [failure.expected]
    yield "but", [failure.actual]
    if failure.waiting:
        yield "X-ray", list(failure.waiting)
    if failure.said:
        yield "it printed", list(failure.said)
    yield "hint", [verdict.case.hint]
    yield "lesson", [verdict.case.lesson]


def _told(verdict: Verdict) -> Iterator[str]:
    yield f"FAIL {verdict.case.id}: {verdict.case.title}"
    for heading, lines in _fields(verdict):
        for number, line in enumerate("\n".join(lines).splitlines()):
            yield f"  {heading if number == 0 else '':10}  {line}"


def _row(verdict: Verdict) -> str:
    case = verdict.case
    sign = f"{MARKS[verdict.outcome]} {SIGNS[verdict.outcome]}"
    sign = f"<span style='color:{COLOURS[verdict.outcome]};font-weight:bold'>{sign}</span>"
    head = f"{sign} &nbsp;{escape(case.title)} <code>{escape(case.id)}</code>"
    if verdict.failure:
        rows = "".join(
            f"<tr><th style='text-align:left;vertical-align:top'>{escape(heading)}</th>"
            f"<td style='text-align:left;white-space:pre-wrap'>{escape(chr(10).join(lines))}</td></tr>"
            for heading, lines in _fields(verdict)
        )
        return f"<details open><summary><b>{head}</b></summary><table>{rows}</table></details>"
    if verdict.reason:
        return f"<details><summary>{head}</summary>{escape(verdict.reason)}</details>"
    return f"<div style='padding-left:1.1em'>{head}</div>"


def _junit_case(verdict: Verdict) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase", classname=verdict.case.topic, name=verdict.case.id, time=f"{verdict.seconds:.3f}"
    )
    if verdict.failure:
        message = f"{verdict.case.title}: expected {verdict.failure.expected}, but {verdict.failure.actual}"
        ElementTree.SubElement(case, "failure", message=_xml(message)).text = _xml("\n".join(_told(verdict)))
    elif verdict.outcome is not Outcome.PASS:
        kind = "error" if verdict.outcome is Outcome.ERROR else "skipped"
        ElementTree.SubElement(case, kind, message=_xml(verdict.reason))
    return case


def _xml(text: str) -> str:
    """Replaces what XML cannot hold: a server may print anything."""
    return "".join(
        letter if letter in "\t\n" or letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
