"""A film of a script that has never heard of us: `python -m chatlib xray script.py`."""

import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path

from chatlib.film import drawing
from chatlib.film.film import Film

EVERY = 1.0
"""Seconds between two lists of who waits, with `--live`."""


def film_script(script: str, arguments: Sequence[str], output: Path, live: bool = False) -> int:
    """Runs a script as Python does, until it ends or Ctrl-C is pressed; then writes the film as an HTML page.

    Args:
        script: Its path.
        arguments: What it finds in `sys.argv`.
        output: Where to write the page.
        live: Whether to print to stderr, once a second, who waits for what.

    Returns:
        The script's own exit status; 0 if it was ended by Ctrl-C or SIGTERM.

    Raises:
        OSError: There is no such script, or the page cannot be written.
    """
    if not Path(script).is_file():
        raise FileNotFoundError(2, f"there is no script {script}")
    sys.argv[:] = [script, *arguments]
    sys.path[0] = str(Path(script).resolve().parent)
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # a program that a shell starts in the background ignores SIGINT
        signal.signal(number, signal.default_int_handler)
    with Film() as film:
        over = threading.Event()
        if live:
            threading.Thread(target=_tell, args=(film, over), daemon=True).start()
        status = _run(script)
        over.set()
        recording = film.recording()
    output.write_text(drawing.page(recording, Path(script).name), encoding="utf-8")
    print(f"the film is in {output}", file=sys.stderr)
    return status


def _run(script: str) -> int:
    try:
        runpy.run_path(script, run_name="__main__")
        _wait_for_threads()
    except KeyboardInterrupt:
        return 0
    except SystemExit as end:
        return _status_of(end.code)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _wait_for_threads() -> None:
    """A script is over when its last thread is, daemons apart."""
    for thread in threading.enumerate():
        while thread.is_alive() and not thread.daemon and thread is not threading.main_thread():
            thread.join(0.5)  # with a limit: on Windows, Ctrl-C is only noticed in between


def _status_of(code: object) -> int:
    if isinstance(code, int):
        return code
    if code is not None:
        print(code, file=sys.stderr)
    return int(code is not None)


def _tell(film: Film, over: threading.Event) -> None:
    while not over.wait(EVERY):
        lines = [
            f"{waiting.thread}: {waiting.call} {waiting.on}, {waiting.seconds:.1f} s, "
            f"line {waiting.place.line if waiting.place else '?'}"
            for waiting in film.waiting()
        ]
        print("\n".join(["--- who waits", *lines]), file=sys.stderr, flush=True)
