"""`python -m chatlib check`: which promises a server keeps."""

import argparse
import json
import sys
from pathlib import Path

from chatlib.checker.case import Verdict
from chatlib.checker.check import check, chosen_cases
from chatlib.checker.errors import TargetError
from chatlib.checker.harness.dialect import DIALECTS
from chatlib.checker.report import Report, points_of
from chatlib.cli.arguments import port
from chatlib.cli.output import allow_any_letter, write

OPTIONS = {
    "echo": "does a sender hear itself?",
    "name-first": "is the first line that a client says its name?",
    "prefix": "does something stand before each line?",
}
"""What may be said of a conversation that has no name of its own."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the command takes."""
    parser.epilog = (
        "Exit status: 0 no promise was broken, 1 some were, or none was judged, 2 nothing to check."
    )
    add = parser.add_argument
    add("target", nargs="*", help="a script, HOST:PORT, or after -- a command with {port} in it")
    add("--dialect", choices=(*DIALECTS, "auto"), default="lines", help="what it speaks: %(choices)s")
    add("--format", choices=("text", "json", "junit", "gradescope"), default="text", help="%(choices)s")
    only = "only this case or topic (see --list); repeatable"
    add("--case", action="append", default=[], metavar="ID", help=only)
    add("--list", action="store_true", help="print all cases, and check nothing")
    add("--points", type=Path, metavar="FILE", help="lines like framing.split,2: a grader's table")
    fixed = "where the program always listens; then one case after the other"
    add("--port", type=port, default=0, help=fixed)
    for name, what in OPTIONS.items():
        add(f"--{name}", choices=("yes", "no"), help=f"{what} (raw and lines)")
    add("--lan", action="store_true", help="HOST may be another computer of yours")


def run(options: argparse.Namespace) -> int:
    """Checks, and prints the report. Blocks for seconds."""
    if options.list:
        write("\n".join(f"{case.id:22} {case.title}" for case in chosen_cases(options.case)))
        return 0
    if not options.target:
        raise ValueError("say what to check: a script, HOST:PORT, or after -- a command with {port} in it")
    # A server may print any letter, and many a console or file lacks some. What machines read is UTF-8.
    allow_any_letter(None if options.format == "text" else "utf-8")
    table = points_of(options.points) if options.points else None
    named = [part for name in table or () for part in name.split("+")]
    chosen_cases(named)  # before the check: a misspelt name would cost a student points
    target = options.target[0] if len(options.target) == 1 else options.target
    names = [name.replace("-", "_") for name in OPTIONS]
    given = {name: value == "yes" for name in names if (value := getattr(options, name))}
    try:
        report = check(
            target,
            options.dialect,
            cases=options.case,
            port=options.port,
            lan=options.lan,
            progress=_show_progress,
            **given,
        )
    except TargetError as error:
        if options.format == "gradescope":  # which shows students nothing else
            write(json.dumps({"score": 0, "output": str(error)}, ensure_ascii=False))
        raise
    write(_text_of(report, options.format, table))
    return 0 if report.passed else 1


def _text_of(report: Report, form: str, table: dict[str, float] | None) -> str:
    if form == "json":
        return report.json(table)
    if form == "junit":
        return report.junit(table)
    if form == "gradescope":
        return report.gradescope(table)
    if table is None:
        return str(report)
    points = "{earned:g} of {possible:g} points; {unjudged:g} could not be judged"
    return f"{report}\n{points.format(**report.points(table))}"


def _show_progress(verdict: Verdict, done: int, total: int) -> None:
    """One line that is written over on a terminal; nothing where the output is kept."""
    if sys.stderr is not None and sys.stderr.isatty():
        end = "\r" if done < total else "\r" + " " * 60 + "\r"
        print(f"\r[{done:2}/{total}] {verdict.case.id:40}", end=end, file=sys.stderr, flush=True)
