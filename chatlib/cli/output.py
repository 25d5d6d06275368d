"""How the commands print: on any console, into any file, and for readers that may have seen enough."""

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path


def write(text: str) -> None:
    """Prints a text. The reader, `head` perhaps, may be gone already: that is no mistake of the call."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it ends


def warn_of_open_door() -> None:
    """Says that clients on other computers need no code."""
    print("warning: no code: everybody on this network can come in and read along", file=sys.stderr)


def this_python() -> str:
    """Returns what to type in a shell, in this folder, for the Python that runs now."""
    program = Path(sys.executable)
    if program.is_relative_to(Path.cwd()):  # of a virtual environment here: not resolved
        program = program.relative_to(Path.cwd())
    return subprocess.list2cmdline([str(program)]) if os.name == "nt" else shlex.quote(str(program))


def allow_any_letter(encoding: str | None = None) -> None:
    """Lets letters be printed that a console or a file lacks: spelled out, or in another encoding.

    Args:
        encoding: What to write from here on. The same as before, if it is not given.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace", encoding=encoding)
