"""The commands: `python -m chatlib serve | chat | check | xray | bench | doctor`."""

import argparse
import contextlib
import io
import os
import queue
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, cast

from chatlib import background
from chatlib.bench.contenders import RIVALS
from chatlib.bench.measurement import measure
from chatlib.checker.case import Verdict
from chatlib.checker.check import check, chosen_cases
from chatlib.checker.harness.dialect import DIALECTS
from chatlib.checker.report import points_of
from chatlib.client import connect
from chatlib.descriptors import make_room
from chatlib.diagnosis import doctor
from chatlib.film.script import film_script
from chatlib.servers import MODELS, Limits
from chatlib.services import Broadcast, Chat, Service, Shout
from chatlib.terminal import Keyboard, chat

OPTIONS = {
    "echo": "does a sender hear itself?",
    "name-first": "is the first line that a client says its name?",
    "prefix": "does something stand before each line?",
}

SERVICES: dict[str, type[Service]] = {"shout": Shout, "broadcast": Broadcast, "chat": Chat}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and exits with 2."""

    def error(self, message: str) -> NoReturn:
        """Ends the program."""
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns its exit status: 0 well, 1 something is missing, 2 a mistake in the call,
    130 ended by Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except KeyboardInterrupt:
        print("chatlib: stopped", file=sys.stderr)
        return 130
    except OSError as error:
        file = f"{error.filename}: " if error.filename else ""
        print(f"chatlib: {file}{error.strerror or error}", file=sys.stderr)
    except (ValueError, OverflowError, NotImplementedError) as error:
        print(f"chatlib: {error}", file=sys.stderr)
    return 2


def _parser() -> Parser:
    parser = Parser(prog="chatlib", description="What it means for a server to wait.")
    commands = parser.add_subparsers(
        required=True, metavar="serve | chat | check | xray | bench | doctor", dest="a command"
    )

    serve = commands.add_parser("serve", help="run a server until Ctrl-C")
    serve.set_defaults(command=_serve)
    serve.add_argument("model", choices=MODELS, help="how it waits: %(choices)s")
    serve.add_argument("--service", choices=SERVICES, default="shout", help="what is said: %(choices)s")
    serve.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other computers in")
    serve.add_argument("--port", type=_port, default=0, help="0 to 65535 (default: 0, any free one)")

    talk = commands.add_parser("chat", help="talk to a server from this terminal; Ctrl-C or Ctrl-D to leave")
    talk.set_defaults(command=_chat)
    talk.add_argument("address", metavar="HOST:PORT")
    talk.add_argument("--name", help="your name, if the server asks for one")

    look = commands.add_parser(
        "check",
        help="say which promises a server keeps",
        epilog="Exit status: 0 no promise was broken, 1 some were, or none was judged, 2 nothing to check.",
    )
    look.set_defaults(command=_check)
    look.add_argument(
        "target", nargs="*", help="a script, HOST:PORT, or after -- a command with {port} in it"
    )
    look.add_argument(
        "--dialect", choices=(*DIALECTS, "auto"), default="lines", help="what it speaks: %(choices)s"
    )
    look.add_argument("--format", choices=("text", "json", "junit"), default="text", help="%(choices)s")
    look.add_argument(
        "--case",
        action="append",
        default=[],
        metavar="ID",
        help="only this case or topic (see --list); repeatable",
    )
    look.add_argument("--list", action="store_true", help="print all cases, and check nothing")
    look.add_argument(
        "--points", type=Path, metavar="FILE", help="lines like framing.split,2: a grader's table"
    )
    look.add_argument(
        "--port",
        type=_port,
        default=0,
        help="where the program always listens; then one case after the other",
    )
    for name, what in OPTIONS.items():
        look.add_argument(f"--{name}", choices=("yes", "no"), help=f"{what} (raw and lines)")
    look.add_argument("--lan", action="store_true", help="HOST may be another computer of yours")

    film = commands.add_parser("xray", help="run a script and film what its threads wait for")
    film.set_defaults(command=_xray)
    film.add_argument("--live", action="store_true", help="print once a second who waits")
    film.add_argument("--output", type=Path, default=Path("film.html"), help="the page (default: film.html)")
    film.add_argument("script", help="a program in Python; options of this command stand before it")
    film.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script is called with")

    load = commands.add_parser(
        "bench",
        help="measure what each way to wait costs on this computer",
        epilog="Exit status: 0 all lines arrived, 1 a server lost or changed some, 2 a mistake in the call.",
    )
    load.set_defaults(command=_bench)
    load.add_argument("--models", type=_names, default=tuple(MODELS), help=f"default: {','.join(MODELS)}")
    load.add_argument("--clients", type=_numbers, default=(10, 100, 1000), help="default: 10,100,1000")
    load.add_argument("--senders", type=int, help="how many of them send (default: 1; in shout, all)")
    load.add_argument(
        "--window", type=int, default=64, help="lines that each may have under way (default: 64)"
    )
    load.add_argument("--service", choices=("broadcast", "shout"), default="broadcast", help="%(choices)s")
    load.add_argument("--seconds", type=float, default=1.0, help="under load, for each line of the table")
    load.add_argument("--against", type=_names, default=(), help=f"servers of others: {','.join(RIVALS)}")
    load.add_argument("--output", type=Path, default=Path(), metavar="DIR", help="for bench.json, bench.svg")

    look = commands.add_parser("doctor", help="say what is missing on this computer, and how to mend it")
    look.set_defaults(command=_doctor)
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: ports are numbers from 0 to 65535")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _numbers(text: str) -> tuple[int, ...]:
    numbers = _names(text)
    if not numbers or not all(number.isdecimal() for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers like 10,100,1000")
    return tuple(map(int, numbers))


def _serve(options: argparse.Namespace) -> int:
    # A SimpleQueue, because its `put` may be interrupted by itself: signals can come close together.
    asked_to_stop: queue.SimpleQueue[int] = queue.SimpleQueue()
    # Both by hand: a program that a shell starts in the background would ignore SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: asked_to_stop.put(number))
    make_room(Limits().clients)  # first, while there is only this thread: see there
    address, service = (options.host, options.port), SERVICES[options.service]()
    with background.running(MODELS[options.model], address, service) as server:
        print("listening on {}:{}".format(*server.server_address[:2]), flush=True)
        while asked_to_stop.empty():
            with contextlib.suppress(queue.Empty):  # the limit: on Windows, Ctrl-C is only noticed in between
                asked_to_stop.get(timeout=0.5)
                break
    return 0


def _chat(options: argparse.Namespace) -> int:
    if sys.stdin is None or sys.stdout is None:
        raise ValueError("there is no terminal to chat in")
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # consoles lack letters
    keyboard = cast(Keyboard, sys.stdin.buffer.raw)  # type: ignore[union-attr] # typeshed forgets `raw`
    with connect(options.address, options.name) as client, contextlib.suppress(KeyboardInterrupt):
        print("connected; Ctrl-C leaves", file=sys.stderr)
        print(chat(client, keyboard, options.name), file=sys.stderr)
    return 0


def _check(options: argparse.Namespace) -> int:
    if options.list:
        _print("\n".join(f"{case.id:22} {case.title}" for case in chosen_cases(options.case)))
        return 0
    if not options.target:
        raise ValueError("say what to check: a script, HOST:PORT, or after -- a command with {port} in it")
    _make_printable(options.format)
    table = points_of(options.points) if options.points else None
    chosen_cases(list(table or ()))  # a name that is misspelt would cost somebody points
    target = options.target[0] if len(options.target) == 1 else options.target
    names = [name.replace("-", "_") for name in OPTIONS]
    given = {name: value == "yes" for name in names if (value := getattr(options, name))}
    report = check(
        target,
        options.dialect,
        cases=options.case,
        port=options.port,
        lan=options.lan,
        progress=_show_progress,
        **given,
    )
    texts = {
        "text": lambda: str(report),
        "json": lambda: report.json(table),
        "junit": lambda: report.junit(table),
    }
    _print(texts[options.format]())
    if table is not None and options.format == "text":
        points = "{earned:g} of {possible:g} points; {unjudged:g} could not be judged"
        _print(points.format(**report.points(table)))
    return 0 if report.passed else 1


def _make_printable(form: str) -> None:
    """A server may print any letter, and many a console or file lacks some. What machines read is UTF-8."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace", encoding=None if form == "text" else "utf-8")


def _print(text: str) -> None:
    """Prints it. Whoever reads it, `head` perhaps, may have seen enough: that is no mistake of the call."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it ends


def _show_progress(verdict: Verdict, done: int, total: int) -> None:
    """One line that is written over on a terminal; nothing where the output is kept."""
    if sys.stderr is not None and sys.stderr.isatty():
        end = "\r" if done < total else "\r" + " " * 60 + "\r"
        print(f"\r[{done:2}/{total}] {verdict.case.id:40}", end=end, file=sys.stderr, flush=True)


def _xray(options: argparse.Namespace) -> int:
    return film_script(options.script, options.arguments, options.output, options.live)


def _bench(options: argparse.Namespace) -> int:
    # Both by hand: a shell's background jobs ignore SIGINT, and SIGTERM would leave the servers behind.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    options.output.mkdir(parents=True, exist_ok=True)
    results = measure(
        options.models,
        options.clients,
        service=options.service,
        senders=options.senders,
        window=options.window,
        seconds=options.seconds,
        against=options.against,
        progress=_show_measurement,
    )
    _make_printable("text")
    _print(str(results))
    for name, text in ("bench.json", results.json()), ("bench.svg", results.svg()):
        (options.output / name).write_text(text + "\n", encoding="utf-8")
        print(f"written: {options.output / name}", file=sys.stderr)
    return 0 if results.passed else 1


def _show_measurement(server: str, clients: int, place: int, total: int) -> None:
    """A line for each measurement: it takes a while, also where nobody sits at the terminal."""
    print(f"[{place:2}/{total}] {server}, {clients} clients", file=sys.stderr, flush=True)


def _doctor(options: argparse.Namespace) -> int:
    report = doctor()
    _print(str(report))
    return 0 if report.well else 1
