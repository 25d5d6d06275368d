"""The two commands of chatlib: one opens the course, one checks everything.

The first run of either makes the folder .venv and installs the pinned packages of requirements.lock
there; later runs start at once. The folder belongs to run.py, which makes it afresh whenever it is
incomplete, was moved, or no longer fits the lock. Standard library only.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, NoReturn, Optional, Tuple

USAGE = """\
usage: python3 run.py lab  [arguments of jupyter lab]   open the course in JupyterLab; Ctrl-C ends it
       python3 run.py test [arguments of pytest]        test the kit and run every lesson
       python3 run.py test --cov=chatlib                the same, and which lines of chatlib it has reached
       python3 run.py test --exhaustive                 in every variation, what is tested once without it
"""
ROOT = Path(__file__).resolve().parent
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
STAMP = VENV / "chatlib-ready"

# More processes than cores, as most tests wait. Those of one file stay together: they share what they start.
SIDE_BY_SIDE = ("--numprocesses=8", "--dist=loadfile", "--no-loadscope-reorder", "--max-worker-restart=0")

AGAIN = ", then run this again"
OLD_PYTHON = "chatlib needs Python 3.11 or newer, and this is %s: install a newer one" + AGAIN + " with it"
NO_VENV = "this Python cannot make a .venv (Debian, Ubuntu: sudo apt install python3-venv): mend that" + AGAIN
DISK_FULL = "the disk is full: free about 1 GB (the folder for temporary files counts too)" + AGAIN
NO_NETWORK = "the package index cannot be reached: check the network (and the proxy, if there is one)" + AGAIN
NOT_FOUND = "the package index has no %s for this Python: check requirements.lock and the network" + AGAIN
IN_USE = ".venv is in use: close JupyterLab and every program started from .venv" + AGAIN
READ_ONLY = "this folder cannot be written to: copy the project into a folder of your own and run it there"

# What a failed step printed, and the cure. The first match counts: after a full disk or a dead network
# pip also says, further down, that it found no package.
CURES = (
    (r"No module named '?(?:venv|ensurepip)", NO_VENV),
    (r"No space left on device|not enough space on the disk|Disk quota exceeded", DISK_FULL),
    (r"connection broken by|Failed to establish a new connection|Read timed out|ssl certificate", NO_NETWORK),
    (r"No matching distribution found for (\S+)", NOT_FOUND),
    (r"WinError (?:5|32)\b", IN_USE),
    (r"Permission denied|Read-only file system", READ_ONLY),
)


def main(arguments: List[str]) -> int:
    """Do what the command line asks, and return the exit code."""
    command, rest = arguments[:1], arguments[1:]
    if command not in (["lab"], ["test"]):
        helping = command in (["-h"], ["--help"])
        print(USAGE, end="", file=sys.stdout if helping else sys.stderr)
        return 0 if helping else 2
    check_python(sys.version_info[:3])
    make_ready()
    return hand_over(lab(rest) if command == ["lab"] else test(rest))


def lab(arguments: List[str]) -> List[str]:
    """JupyterLab over the whole project, opened at the learner's copy; Ctrl-C ends it without a question."""
    step(str(PYTHON), "-m", "chatlib.teach.my_course", str(ROOT / "notebooks"), str(ROOT / "my-course"))
    page = "--LabApp.default_url=/lab/tree/my-course/start.ipynb"
    # In a container everybody is root; and only this computer can connect.
    options = ["--ServerApp.root_dir=" + str(ROOT), page, "--allow-root", "-y"]
    return ["-m", "jupyterlab", *options, *arguments]


def test(arguments: List[str]) -> List[str]:
    """Pytest as pyproject.toml configures it; over all files, or all but some, side by side."""
    # (Of --cov only this form: nbval hangs under a bare one.)
    of_all = "--exhaustive|--within=.*|--cov=chatlib|--ignore=.*"
    whole = all(re.fullmatch(of_all, argument) for argument in arguments)
    options = SIDE_BY_SIDE if whole else ()
    return ["-m", "pytest", *options, *arguments]


def hand_over(arguments: List[str]) -> int:
    """Go on as the Python of .venv, in the project's folder, and return its exit code."""
    command = [str(PYTHON), *arguments]
    sys.stdout.flush()
    if sys.platform != "win32":
        # Becoming the command instead of its parent: signals and the exit code need no passing on.
        os.chdir(str(ROOT))
        os.execve(command[0], command, environment())
    with subprocess.Popen(command, cwd=str(ROOT), env=environment()) as child:
        while True:
            # Ctrl-C reaches the child as well, and the child decides when to end.
            with contextlib.suppress(KeyboardInterrupt):
                return child.wait()


def environment() -> Dict[str, str]:
    """The caller's environment with .venv activated, so that `!python` in a lesson is this Python too."""
    foreign = ("PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__")
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    path = str(PYTHON.parent) + os.pathsep + kept.get("PATH", os.defpath)
    return {**kept, "VIRTUAL_ENV": str(VENV), "PATH": path}


def check_python(version: Tuple[int, ...]) -> None:
    """End with one sentence on a Python that is too old; this file parses on 3.6 to be able to say so."""
    if version < (3, 11):
        stop(OLD_PYTHON % ".".join(map(str, version)))


def make_ready() -> None:
    """Make .venv unless it is ready; of several run.py at once, one works and the others wait for it."""
    try:
        if not is_ready():
            with alone_in_folder():
                if not is_ready():
                    make_venv()
    except OSError as error:
        stop(cure_of(error))


def is_ready() -> bool:
    """Whether .venv was finished for this lock, place and Python, and its own Python still runs."""
    try:
        if STAMP.read_text(encoding="utf-8") != fingerprint():
            return False
        return subprocess.call([str(PYTHON), "-I", "-S", "-c", ""], stderr=subprocess.DEVNULL) == 0
    except (OSError, UnicodeDecodeError):
        return False


def fingerprint() -> str:
    """A hash of all that .venv depends on, its place included: scripts in it hold absolute paths."""
    import tomllib  # no older than the Python that check_python asks for

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    parts = [LOCK.read_text(encoding="utf-8"), project, str(VENV), sys.version_info[:2]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("ascii")).hexdigest()


def make_venv() -> None:
    """Make .venv from nothing: what an interrupted pip left behind cannot be told from what is whole."""
    print("Setting up .venv: this happens once and takes a minute or two.", flush=True)
    stamp = fingerprint()
    discard_venv()
    # When run.py runs in a virtual environment, perhaps the one just discarded, the Python it came from.
    base = getattr(sys, "_base_executable", "") or sys.executable
    step(base, "-m", "venv", "--without-pip", str(VENV))
    step(str(PYTHON), "-m", "ensurepip")
    # Compiled now, once: each run under PYTHONDONTWRITEBYTECODE would have to compile again.
    pip = (str(PYTHON), "-m", "pip", "--no-input", "install", "--no-deps", "--compile")
    pins = re.findall(r"^\w", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    step(*pip, "--requirement", str(LOCK), progress=Progress(len(pins)))
    step(*pip, "--no-build-isolation", "--editable", str(ROOT))
    silence_news()
    write_stamp(stamp)


def discard_venv() -> None:
    """Remove .venv, renaming it first: it goes whole, or (in use on Windows) stays whole."""
    discarded = ROOT / ".venv.old"
    remove(discarded)
    if os.path.lexists(str(VENV)):
        VENV.replace(discarded)
        remove(discarded)


def remove(folder: Path) -> None:
    """Remove a folder, or the link to one on a larger disk."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    shutil.rmtree(str(folder), ignore_errors=True)


def silence_news() -> None:
    """Keep JupyterLab from asking about its news on top of the first lesson."""
    settings = VENV / "etc" / "jupyter" / "labconfig" / "page_config.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text('{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}\n')


def write_stamp(stamp: str) -> None:
    """Declare .venv finished, once all of it is on the disk and a power cut cannot take a part back."""
    if hasattr(os, "sync"):
        os.sync()
    draft = STAMP.with_suffix(".draft")
    draft.write_text(stamp, encoding="utf-8")
    draft.replace(STAMP)


def step(*command: str, progress: Optional["Progress"] = None) -> None:
    """Run one command of the set-up, showing its output to `progress`; if it fails, end with the cure."""
    printed = []
    with subprocess.Popen(
        command,
        cwd=str(ROOT),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        errors="replace",
        # The child holds the folder's lock, too: after a kill -9 of run.py, the next one waits for the child.
        close_fds=False,
    ) as child:
        try:
            for line in child.stdout or ():
                printed.append(line)
                if progress:
                    progress.read(line)
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        stop(cure("".join(printed)))


class Progress:
    """Counts pip's packages: on a terminal one line rewritten, elsewhere a line for every ten."""

    def __init__(self, total: int) -> None:
        self.done, self.total, self.live = 0, total, sys.stdout.isatty()

    def read(self, line: str) -> None:
        """Take in one line that pip printed."""
        begun = re.match(r"(?:Collecting |Processing .*[/\\])(.+?)(?:==|-\d)", line)
        if begun:
            self.done += 1
            self.show(begun.group(1), end="" if self.live else "\n")
        elif line.startswith("Ignoring "):  # a package of the lock for another system
            self.total -= 1
        elif line.startswith("Installing collected packages"):
            self.done = self.total
            self.show("unpacking", end="\n")

    def show(self, text: str, end: str) -> None:
        """Print the count and `text`, if they are due."""
        if self.live or self.done % 10 == 0 or self.done == self.total:
            line = f"[{self.done:3}/{self.total}] {text}"
            print("\r" + line.ljust(60) if self.live else line, end=end, flush=True)


def cure(printed: str) -> str:
    """One sentence on a failed step, or its last lines where no sentence is known."""
    for pattern, sentence in CURES:
        found = re.search(pattern, printed)
        if found:
            return sentence % found.groups()
    return "the set-up failed; its last lines were:\n" + "\n".join(printed.splitlines()[-15:])


def cure_of(error: OSError) -> str:
    """One sentence on an error of our own work with files."""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return DISK_FULL
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return IN_USE if sys.platform == "win32" and VENV.exists() else READ_ONLY
    return f"the set-up failed: {error}"


def stop(sentence: str) -> NoReturn:
    """End run.py with exit code 1 and `sentence` on the standard error."""
    sys.exit("run.py: " + sentence)


@contextlib.contextmanager
def alone_in_folder() -> Iterator[None]:
    """Hold the folder's lock, waiting for it if need be; the system frees it however its holders die."""
    with open(str(ROOT / ".venv.lock"), "a") as file:
        os.set_inheritable(file.fileno(), True)
        if not take(file.fileno(), wait=False):
            print("Another run.py is setting up this folder: waiting for it.", flush=True)
            while not take(file.fileno(), wait=True):
                pass
        yield


def take(descriptor: int, wait: bool) -> bool:
    """Lock an open file and say whether that succeeded."""
    if sys.platform == "win32":
        import msvcrt

        with contextlib.suppress(OSError):  # also when waiting: Windows gives up after ten seconds
            msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            return True
    else:
        import fcntl

        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return True
    return False


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\nrun.py: stopped; the next run starts afresh", file=sys.stderr)
        sys.exit(130)
