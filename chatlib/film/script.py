"""A film of a script that has never heard of us: `python -m chatlib xray script.py`."""

import os
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    place, output = Path(script).resolve(), output.resolve()  # the script may go to another folder
    if not place.is_file():
        raise FileNotFoundError(2, f"there is no script {script}")
    output.touch()  # rather now than when all has been filmed
    sys.argv[:] = [script, *arguments]
    sys.path[0] = str(place.parent)
    _on_signals(signal.default_int_handler)
    with Film() as film:
        over = threading.Event()
        if live:
            threading.Thread(target=_tell, args=(film, over), daemon=True).start()
        status = _run(str(place))
        _on_signals(signal.SIG_IGN)
        over.set()
        recording = film.recording()
    output.write_text(drawing.page(recording, place.name), encoding="utf-8")
    print(f"the film is in {os.path.relpath(output)}", file=sys.stderr)
    return status


def _on_signals(handler: Any) -> None:
    # Set explicitly: a program that a shell starts in the background ignores SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _run(script: str) -> int:
    try:
        status = _status_of_main(script)
        _wait_for_threads()
    except KeyboardInterrupt:
        return 0
    return status


def _status_of_main(script: str) -> int:
    try:
        runpy.run_path(script, run_name="__main__")
    except KeyboardInterrupt:
        raise
    except SystemExit as end:
        return _status_of(end.code)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _wait_for_threads() -> None:
    """A script is over when its last thread is, daemons apart, however its main program has ended."""
    while others := [thread for thread in threading.enumerate() if _is_waited_for(thread)]:
        others[0].join(0.5)  # with a limit: on Windows, Ctrl-C is only noticed in between


def _is_waited_for(thread: threading.Thread) -> bool:
    return not thread.daemon and thread is not threading.main_thread()


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
