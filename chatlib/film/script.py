"""A film of a script that has never heard of us: `python -m chatlib xray script.py`."""

import builtins
import functools
import sys
import threading
import tokenize
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from chatlib.ctrl_c import is_interrupt
from chatlib.film.film import Film
from chatlib.film.interrupts import Interrupts
from chatlib.film.page import Page, before_exit, say
from chatlib.film.record.waiters import retire
from chatlib.film.units import clean
from chatlib.film.watcher import Watcher


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
    place, page = Path(script).resolve(), Page(output)
    if not place.is_file():
        raise FileNotFoundError(2, f"there is no script {script}")
    page.begin()
    interrupts = Interrupts()
    sys.argv[:] = [script, *arguments]
    sys.path[0] = str(place.parent)
    with Film(packages=True, processes=True) as film:
        watcher = Watcher(film, live)
        watcher.start()
        with before_exit(functools.partial(_end_at_once, film, page, place.name)):
            status = interrupts.end(functools.partial(_run, place))
        watcher.stop()
    if page.is_ours:
        try:
            page.write(film.recording(), place.name)
        except BaseException:  # with a thread of the script left, no signal would end this process
            interrupts.end_process(2)
            raise
        interrupts.end_process(status)
        if left := [thread.name for thread in _others()]:
            say(f"threads of the script still run: {clean(', '.join(left))}; Ctrl-C ends them")
    return status


def _end_at_once(film: Film, page: Page, title: str) -> None:
    """The process is about to be no more, or another program: its film ends in all processes."""
    if page.is_ours:
        film.stop()
        page.write(film.recording(), title)


def _run(script: Path) -> int:
    """Runs a script as the main program. Blocks until its last thread has ended, daemons apart.

    Returns:
        Its exit status.

    Raises:
        KeyboardInterrupt: It was interrupted, and has let that pass.
    """
    main = ModuleType("__main__")
    vars(main).update(__file__=str(script), __builtins__=builtins)  # `exec` would enter a dict of them
    sys.modules["__main__"] = main
    status = 0
    try:
        with tokenize.open(script) as source:
            code = compile(source.read(), str(script), "exec")
        exec(code, vars(main))
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if status and not isinstance(end.code, int):
            say(str(end.code))
    except BaseException as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from None
        own = error.__traceback__ and error.__traceback__.tb_next  # without the lines above
        sys.excepthook(type(error), error.with_traceback(own), own)
        status = 1
    for hook in reversed(getattr(threading, "_threading_atexits", [])):
        hook()  # as Python does at its end: the threads of an executor wait for it
    retire()
    while others := _others():
        others[0].join(0.5)  # seconds. With a limit: on Windows, Ctrl-C is only noticed in between
    return status


def _others() -> list[threading.Thread]:
    """Returns the threads that Python would wait for at its end."""
    main = threading.main_thread()
    threads = (thread for thread in threading.enumerate() if thread is not main and not thread.daemon)
    # Not one that Python has lost: it waits for that no more.
    return [thread for thread in threads if thread.is_alive()]
