"""What a film costs: `python tests/film_costs.py` prints it.

What a call costs more in a film, in the program that films and in one that it has started; how much longer
such a program takes to start; and what it takes to draw a film of many processes. All of it by turns, in
processes of their own.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chatlib.film.excerpts import excerpts_of
from chatlib.film.film import Film
from chatlib.film.render import svg

ROUNDS = 7

CALLS = """
import socket, time
one, other = socket.socketpair()
def turns(times):
    for _ in range(times):
        one.sendall(b"to be or not to be")
        other.recv(64)
took = []
turns(2000)
for _ in range(5):
    begun = time.perf_counter()
    turns(2000)
    took.append((time.perf_counter() - begun) / 4000 * 1e6)
print(min(took))
"""
"""Prints what a `sendall` or a `recv` takes, in microseconds."""

FILMED_HERE = f"import chatlib\nfilm = chatlib.xray().start()\n{CALLS}\nfilm.stop()\n"

STARTS = {
    "python -c pass": "pass",
    "imports socketserver": "import socketserver",
    "imports asyncio": "import asyncio",
    "spawns a process": (
        "import multiprocessing\n"
        "def work(): pass\n"
        "if __name__ == '__main__':\n"
        "    one = multiprocessing.get_context('spawn').Process(target=work)\n"
        "    one.start(); one.join()\n"
    ),
    "forks a process": "import os\nif not (child := os.fork()): os._exit(0)\nos.waitpid(child, 0)",
}

PAIR = """
import socket, subprocess, sys
LINES = 5000
if len(sys.argv) > 1:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as sock:
        for _ in range(LINES):
            sock.sendall(b"to be or not to be")
            sock.recv(64)
else:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = subprocess.Popen([sys.executable, __file__, str(listener.getsockname()[1])])
        sock, _ = listener.accept()
        with sock:
            while line := sock.recv(64):
                sock.sendall(line)
        client.wait()
"""
"""A server and its client, each a process that makes 10,000 calls."""

PAIRS = 5


def run(program: Path) -> float:
    """Runs a program; returns what it prints."""
    ran = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=True, timeout=60
    )
    return float(ran.stdout)


def seconds(program: Path) -> float:
    """Returns what a program takes from its start to its end."""
    begun = time.perf_counter()
    # No time limit: with one, `run` would only look now and then whether it has ended.
    subprocess.run([sys.executable, str(program)], check=True)
    return time.perf_counter() - begun


def ratio_of(ratios: list[float]) -> str:
    """Says how much larger, and how far that is from round to round."""
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"x {statistics.median(ratios):.2f} (quartiles {low:.2f} to {high:.2f})"


def calls(folder: Path) -> None:
    """Prints what a call costs: of each way the quickest run, as whatever else runs can only add to it."""
    plain, here = folder / "plain.py", folder / "here.py"
    plain.write_text(CALLS, "utf-8")
    here.write_text(FILMED_HERE, "utf-8")
    took: dict[str, list[float]] = {"alone": [], "in a film": [], "in a filmed child": []}
    for _ in range(ROUNDS):
        took["alone"].append(run(plain))
        took["in a film"].append(run(here))
        with Film(processes=True):
            took["in a filmed child"].append(run(plain))
    alone, own, child = map(min, took.values())
    print(f"A call alone: {alone:.2f} us. In a film: +{own - alone:.2f} us. In a filmed child:", end=" ")
    print(f"+{child - alone:.2f} us, x {(child - alone) / (own - alone):.2f} of that.")


def starts(folder: Path) -> None:
    """Prints how much longer a program takes to start and end if it is filmed."""
    for name, text in STARTS.items():
        program = folder / "start.py"
        program.write_text(text, "utf-8")
        ratios = []
        for _ in range(ROUNDS):
            alone = seconds(program)
            with Film(processes=True):
                ratios.append(seconds(program) / alone)
        print(f"Start, {name}: {alone * 1000:.0f} ms alone, filmed {ratio_of(ratios)}")


def drawing(folder: Path) -> None:
    """Prints what it takes to draw a film of many processes, and to write it as a page."""
    program = folder / "pair.py"
    program.write_text(PAIR, "utf-8")
    with Film(limit=100_000, processes=True) as film:
        pairs = [subprocess.Popen([sys.executable, str(program)]) for _ in range(PAIRS)]
        for pair in pairs:
            pair.wait(60)
        ended = time.process_time()
        film.stop()
    read = time.process_time()
    recording = film.recording()
    picture = svg.svg(recording)
    drawn = time.process_time()
    text = svg.page(recording, "pairs", excerpts_of(recording))
    written = time.process_time()
    processes = len({span.process for span in recording.spans})
    print(
        f"{len(recording.spans)} calls of {processes} processes: read in {read - ended:.2f} s of a processor,"
    )
    print(f"drawn in {drawn - read:.2f} s ({len(picture) / 1e6:.2f} MB);", end=" ")
    print(f"their page is written in {written - drawn:.2f} s more ({len(text) / 1e6:.2f} MB)")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        for figures in (calls, starts, drawing):
            figures(Path(name))


if __name__ == "__main__":
    main()
