"""A film of a script that has never heard of us: `python -m chatlib xray script.py`."""

import contextlib
import os
import signal
import sys
import threading
import tokenize
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from chatlib.film.film import Film
from chatlib.film.render import svg
from chatlib.film.render.wording import clean
from chatlib.film.spans import Recording, Waiting

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
    shown = output
    place, output = Path(script).resolve(), output.resolve()  # the script may go to another folder
    if not place.is_file():
        raise FileNotFoundError(2, f"there is no script {script}")
    _must_be_writable(output)
    sys.argv[:] = [script, *arguments]
    sys.path[0] = str(place.parent)
    process = os.getpid()
    status, recording = _film(place, live)
    if os.getpid() == process:  # or the script has forked, and this is the child: the film is its parent's
        output.write_text(svg.page(recording, place.name), encoding="utf-8")
        note = "" if recording.spans else ", and empty: nothing has waited"
        _say(f"the film is in {shown}{note}")
        _let_end()
    return status


def _must_be_writable(output: Path) -> None:
    try:
        output.touch()  # rather now than when all has been filmed
    except OSError as error:
        raise type(error)(error.errno, f"cannot write {output}: {error.strerror}") from None


def _film(script: Path, live: bool) -> tuple[int, Recording]:
    _on_signals(signal.default_int_handler)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: _on_signals(signal.SIG_DFL))
    over = threading.Event()
    with Film() as film:
        if live:
            threading.Thread(target=_tell, args=(film, over), daemon=True).start()
        status = _run(script)
        _on_signals(signal.SIG_IGN)  # what is left takes a moment, and must not be cut off
        over.set()
    return status, film.recording()


def _on_signals(handler: Any) -> None:
    # Set explicitly: a program that a shell starts in the background ignores SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _run(script: Path) -> int:
    try:
        status = _status_of_main(script)
        _wait_for_threads()
    except KeyboardInterrupt:
        return 0
    return status


def _status_of_main(script: Path) -> int:
    main = ModuleType("__main__")
    main.__file__ = str(script)
    sys.modules["__main__"] = main
    try:
        with tokenize.open(script) as source:
            code = compile(source.read(), str(script), "exec")
        exec(code, vars(main))
    except KeyboardInterrupt:
        raise
    except SystemExit as end:
        return _status_of(end.code)
    except BaseException as error:
        own = error.__traceback__ and error.__traceback__.tb_next  # without the lines above
        sys.excepthook(type(error), error.with_traceback(own), own)
        return 1
    return 0


def _wait_for_threads() -> None:
    """A script is over when its last thread is, daemons apart, however its main program has ended."""
    for hook in reversed(getattr(threading, "_threading_atexits", [])):
        hook()  # as Python does at its end: the threads of an executor wait for it
    while others := [thread for thread in threading.enumerate() if _is_waited_for(thread)]:
        others[0].join(0.5)  # with a limit: on Windows, Ctrl-C is only noticed in between


def _let_end() -> None:
    """After Ctrl-C threads may go on, which Python would wait for; a second Ctrl-C ends them as well."""
    if left := [thread.name for thread in threading.enumerate() if _is_waited_for(thread)]:
        _on_signals(lambda *_: os._exit(0))
        _say(f"threads of the script still run: {clean(', '.join(left))}; Ctrl-C ends them")
    else:
        _on_signals(signal.default_int_handler)


def _say(text: str) -> None:
    with contextlib.suppress(AttributeError, OSError, ValueError):  # the script may have closed it
        print(text, file=sys.stderr)


def _is_waited_for(thread: threading.Thread) -> bool:
    return not thread.daemon and thread is not threading.main_thread()


def _status_of(code: object) -> int:
    if isinstance(code, int):
        return code
    if code is not None:
        _say(str(code))
    return int(code is not None)


def _said_of(waiting: Waiting) -> str:
    line = f", line {waiting.place.line}" if waiting.place else ""
    return f"{waiting.call} {waiting.on}, {waiting.seconds:.1f} s{line}"


def _tell(film: Film, over: threading.Event) -> None:
    while not over.wait(EVERY):
        lines = [clean(f"{waiting.thread}: {_said_of(waiting)}") for waiting in film.waiting()]
        print("\n".join(["--- who waits", *lines]), file=sys.stderr, flush=True)
