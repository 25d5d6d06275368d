"""A film of a script that has never heard of us: `python -m chatlib xray script.py`."""

import contextlib
import functools
import os
import sys
import threading
import tokenize
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from chatlib.film.film import Film
from chatlib.film.interrupts import Interrupts, is_interrupt
from chatlib.film.render import svg
from chatlib.film.render.wording import clean

EVERY = 1.0
"""Seconds between two lists of what each thread waits for, with `--live`."""


def film_script(script: str, arguments: Sequence[str], output: Path, live: bool = False) -> int:
    """Runs a script as Python does, until it ends or Ctrl-C is pressed; then writes the film as an HTML page.

    Args:
        script: Its path.
        arguments: What it finds in `sys.argv`.
        output: Where to write the page.
        live: Whether to print to stderr, once a second, which thread waits for what.

    Returns:
        The script's own exit status; 0 if it was ended by Ctrl-C or SIGTERM.

    Raises:
        OSError: There is no such script, or the page cannot be written.
    """
    # Now, as the script may go to another folder, or fork.
    process, place, page = os.getpid(), Path(script).resolve(), output.resolve()
    if not place.is_file():
        raise FileNotFoundError(2, f"there is no script {script}")
    try:
        page.touch()  # rather now than when all has been filmed
    except OSError as error:
        raise type(error)(error.errno, f"cannot write {page}: {error.strerror}") from None
    interrupts = Interrupts()
    sys.argv[:] = [script, *arguments]
    sys.path[0] = str(place.parent)
    with Film() as film:
        if live:
            threading.Thread(target=_tell, args=(film,), daemon=True).start()
        status = interrupts.end(functools.partial(_run, place))
    if os.getpid() == process:  # a child that the script has forked writes nothing: the film is its parent's
        try:
            recording = film.recording()
            page.write_text(svg.page(recording, place.name), encoding="utf-8")
        except BaseException:  # with a thread of the script left, no signal would end this process
            interrupts.end_process(2)
            raise
        _say(f"the film is in {output}" + ("" if recording.spans else ", and empty: nothing has waited"))
        interrupts.end_process(status)
        if left := [thread.name for thread in _others()]:
            _say(f"threads of the script still run: {clean(', '.join(left))}; Ctrl-C ends them")
    return status


def _tell(film: Film) -> None:
    """Prints again and again what each thread waits for, until the film has ended."""
    pause = threading.Event()
    while not pause.wait(EVERY) and film.running:
        lines = ["--- who waits"]
        for waiting in film.waiting():
            line = f", line {waiting.place.line}" if waiting.place else ""
            said = f"{waiting.call} {waiting.on}, {waiting.seconds:.1f} s{line}"
            lines.append(clean(f"{waiting.thread}: {said}"))
        print("\n".join(lines), file=sys.stderr, flush=True)


def _run(script: Path) -> int:
    """Runs a script as the main program. Blocks until its last thread has ended, daemons apart.

    Returns:
        Its exit status.

    Raises:
        KeyboardInterrupt: It was interrupted, and has let that pass.
    """
    main = ModuleType("__main__")
    main.__file__ = str(script)
    sys.modules["__main__"] = main
    status = 0
    try:
        with tokenize.open(script) as source:
            code = compile(source.read(), str(script), "exec")
        exec(code, vars(main))
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if status and not isinstance(end.code, int):
            _say(str(end.code))
    except BaseException as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from None
        own = error.__traceback__ and error.__traceback__.tb_next  # without the lines above
        sys.excepthook(type(error), error.with_traceback(own), own)
        status = 1
    for hook in reversed(getattr(threading, "_threading_atexits", [])):
        hook()  # as Python does at its end: the threads of an executor wait for it
    while others := _others():
        others[0].join(0.5)  # seconds. With a limit: on Windows, Ctrl-C is only noticed in between
    return status


def _others() -> list[threading.Thread]:
    """Returns the threads that Python would wait for at its end."""
    main = threading.main_thread()
    return [thread for thread in threading.enumerate() if not thread.daemon and thread is not main]


def _say(text: str) -> None:
    with contextlib.suppress(AttributeError, OSError, ValueError):  # the script may have closed it
        print(text, file=sys.stderr)
