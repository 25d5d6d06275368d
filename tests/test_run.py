"""run.py at work: every test starts the real file with the Python that a learner would use."""

import ast
import contextlib
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from faults import ended, jupyter_of
from ports import OURS

ROOT = Path(__file__).resolve().parent.parent
LAUNCHER = getattr(sys, "_base_executable", None) or sys.executable
SHORT_LOCK = ("flit-core", "iniconfig", "packaging", "pluggy", "pygments", "pytest", "colorama")
DEADLINE = 400.0
"""Seconds for a set-up, also on a computer that does much else. Only a failing test waits so long."""

exhaustive = pytest.mark.exhaustive  # sets up a .venv, which takes many seconds

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals, links or mounts")


# Helpers


def copy_of_tree(folder: Path) -> Path:
    """Make a copy of the project as a download leaves it, with a lock that installs in seconds."""
    (folder / "chatlib").mkdir(parents=True)
    (folder / "chatlib" / "__init__.py").write_text('"""Stands in for the package."""\n', encoding="utf-8")
    for name in ("run.py", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    pins = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines(keepends=True)
    short = [pin for pin in pins if pin.split("==")[0] in SHORT_LOCK]
    (folder / "requirements.lock").write_text("".join(short), encoding="utf-8")
    return folder


def environment(**changes: str) -> dict[str, str]:
    """Give the caller's environment, without what measures the coverage of this test run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return {**kept, **changes}


def begin(
    folder: Path, *arguments: str, launcher: str = LAUNCHER, stdin: int | None = None, **changes: str
) -> subprocess.Popen[str]:
    """Start run.py from a folder that is not its own."""
    return subprocess.Popen(
        [launcher, str(folder / "run.py"), *arguments],
        cwd=folder.anchor,
        env=environment(**changes),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *arguments: str, launcher: str = LAUNCHER, **changes: str) -> tuple[int, str, str]:
    """Run run.py to its end: exit code, standard output, standard error."""
    process = begin(folder, *arguments, launcher=launcher, stdin=None, **changes)
    with ended(process, within=DEADLINE):
        output, errors = process.communicate()
        return process.returncode, output, errors


def fails_with_one_line(folder: Path, cure: str, *, launcher: str = LAUNCHER, **changes: str) -> None:
    """Assert that a set-up fails with exit code 1 and one line that holds `cure`, and may not be used."""
    code, _, errors = run(folder, "test", "--version", launcher=launcher, **changes)
    assert (code, errors.count("\n")) == (1, 1), errors
    assert errors.startswith("run.py: ") and cure in errors
    assert not (folder / ".venv" / "chatlib-ready").exists()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the tree into a folder whose name needs care. Nothing is set up there yet."""
    return copy_of_tree(tmp_path_factory.mktemp("run") / "Übung eins")


@pytest.fixture
def ready(run_py: ModuleType) -> Path:
    """The project itself, whose .venv is ready when the tests are run by run.py."""
    if not (Path(sys.prefix) == run_py.VENV and run_py.is_ready()):
        pytest.skip("needs the project's own .venv: run the tests with run.py")
    return ROOT


@pytest.fixture(scope="module")
def run_py() -> ModuleType:
    """Load run.py as a module, without running a command."""
    spec = importlib.util.spec_from_file_location("run_py", ROOT / "run.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# With a .venv that is ready


def test_a_second_run_makes_nothing(ready: Path) -> None:
    """Once .venv is complete, a run prints nothing of its own and leaves it as it is."""
    made = (ready / ".venv" / "chatlib-ready").stat().st_mtime_ns
    code, output, errors = run(ready, "test", "--version")
    assert (code, errors) == (0, "") and re.fullmatch(r"pytest \S+\n", output)
    assert (ready / ".venv" / "chatlib-ready").stat().st_mtime_ns == made


def test_foreign_python_variables_do_no_harm(ready: Path, tmp_path: Path) -> None:
    """A PYTHONPATH that hides pytest, and another active environment, change nothing."""
    (tmp_path / "pytest.py").write_text("raise SystemExit('the wrong pytest')\n", encoding="utf-8")
    code, output, _ = run(ready, "test", "--version", PYTHONPATH=str(tmp_path), VIRTUAL_ENV=str(tmp_path))
    assert code == 0 and output.splitlines()[-1].startswith("pytest ")


def test_exit_code_of_pytest_is_passed_on(ready: Path) -> None:
    """A usage error of pytest ends run.py with pytest's own code, 4."""
    assert run(ready, "test", "--no-such-option")[0] == 4


def test_what_is_not_reached_in_time_is_left_out(ready: Path) -> None:
    """And the summary says how many; a check of everything so ends in time on a slow computer."""
    code, output, _ = run(ready, "test", "--within=0", "tests/test_wire.py")
    assert code == 0 and re.search(r"\n=+ \d+ skipped in ", output), output


def test_only_a_run_over_all_files_is_shared_out(run_py: ModuleType) -> None:
    """What is named runs in one process, where it can be debugged; coverage needs all tests."""
    side_by_side = ["-m", "pytest", *run_py.SIDE_BY_SIDE]
    assert run_py.test(["tests/test_wire.py", "-x"]) == ["-m", "pytest", "tests/test_wire.py", "-x"]
    assert run_py.test([]) == side_by_side
    assert run_py.test(["--ignore=notebooks"]) == [*side_by_side, "--ignore=notebooks"]
    assert run_py.test(["--exhaustive"]) == [*side_by_side, "--exhaustive"]
    assert run_py.test(["--cov=chatlib"]) == [*side_by_side, "--cov=chatlib"]


# The set-up, in one folder and in this order


@exhaustive
@posix_only
def test_two_runs_mend_a_killed_setup_together(project: Path) -> None:
    """After kill -9 while pip unpacks, one of two runs makes everything, the other waits; both run pytest."""
    with ended(begin(project, "test", "--version"), within=DEADLINE) as first:
        assert first.stdout
        assert any("unpacking" in line for line in first.stdout)
        first.send_signal(signal.SIGKILL)
    assert not (project / ".venv" / "chatlib-ready").exists()
    with contextlib.ExitStack() as stack:
        runs = [
            stack.enter_context(ended(begin(project, "test", "--version"), within=DEADLINE)) for _ in range(2)
        ]
        outputs = [process.communicate()[0] for process in runs]
    assert [process.returncode for process in runs] == [0, 0]
    assert all(output.splitlines()[-1].startswith("pytest ") for output in outputs)
    assert sum("this happens once" in output for output in outputs) == 1
    assert any("waiting for it" in output for output in outputs)


@exhaustive
@posix_only
def test_a_python_that_does_not_start_is_noticed(project: Path) -> None:
    """A .venv whose Python is broken is not ready, so that the next run makes it anew."""
    assert run(project, "test", "--version")[0] == 0
    assert is_ready(project)
    python = project / ".venv" / "bin" / "python"
    whole = python.rename(python.with_name("whole"))
    python.write_bytes(b"not a program")
    assert not is_ready(project)
    whole.replace(python)
    assert is_ready(project)


def is_ready(folder: Path) -> bool:
    """Asks the run.py of a folder, and the Python that made its .venv, whether that is ready."""
    command = [getattr(sys, "_base_executable", sys.executable), "-c", "import run; print(run.is_ready())"]
    return (
        subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=DEADLINE).stdout
        == "True\n"
    )


@exhaustive
def test_a_moved_folder_is_noticed(project: Path) -> None:
    """Scripts in .venv hold its place: in a moved folder it is not ready; back in its place, it is."""
    assert run(project, "test", "--version")[0] == 0
    moved = project.rename(project.with_name("moved"))
    assert not is_ready(moved)
    assert is_ready(moved.rename(project))


# What it says


def test_usage_is_shown_for_anything_but_the_two_commands() -> None:
    """No command and an unknown one give exit code 2 and the usage; --help gives it with 0."""
    for arguments, expected in (((), 2), (("labs",), 2), (("--help",), 0)):
        code, output, errors = run(ROOT, *arguments)
        assert code == expected
        assert "run.py lab" in output + errors and "run.py test" in output + errors


def test_an_old_python_is_told_what_to_do(run_py: ModuleType) -> None:
    """The file parses on Python 3.6, and Python 3.10 gets one sentence that names 3.11."""
    ast.parse((ROOT / "run.py").read_text(encoding="utf-8"), feature_version=(3, 6))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer, and this is 3\.10\.4: install"):
        run_py.check_python((3, 10, 4))
    run_py.check_python((3, 11, 0))


@exhaustive
def test_no_network_is_named(tmp_path: Path) -> None:
    """When no connection to the package index can be made, the network is what to look at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    nowhere = dict.fromkeys(("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_PROXY"), "")
    nowhere |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"http://127.0.0.1:{port}/", "NO_PROXY": "*"}
    folder = copy_of_tree(tmp_path / "project")
    # One retry: with none, pip does not say why it found nothing.
    fails_with_one_line(folder, "check the network", **nowhere, PIP_RETRIES="1", PIP_NO_CACHE_DIR="1")


@exhaustive
def test_an_unknown_package_is_named(tmp_path: Path) -> None:
    """A pin that no index has is named, with the file to correct."""
    folder = copy_of_tree(tmp_path / "project")
    (folder / "requirements.lock").write_text("flit-core==0.0.0.dev999\n", encoding="utf-8")
    fails_with_one_line(folder, "no flit-core==0.0.0.dev999 for this Python: check requirements.lock")


@pytest.mark.parametrize(
    ("printed", "named"),
    [
        ("ERROR: No matching distribution found for six==9.9", "has no six==9.9 for this Python"),
        (
            "Failed to establish a new connection: refused\nNo matching distribution found for six",
            "check the network",
        ),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("Error: No module named 'ensurepip'", "sudo apt install python3-venv"),
        (
            "PermissionError: [WinError 32] The process cannot access the file",
            ".venv is in use: close JupyterLab",
        ),
        ("OSError: [Errno 30] Read-only file system: '.venv'", "copy the project into a folder of your own"),
    ],
)
def test_what_failed_has_its_cure(run_py: ModuleType, printed: str, named: str) -> None:
    """The first cause that is recognised counts; the sentence says what to do."""
    assert named in run_py.cure(f"Collecting six\n{printed}\n")


def test_an_unknown_failure_shows_the_last_lines(run_py: ModuleType) -> None:
    """Where no cure is known, the last fifteen lines stand for themselves."""
    said = run_py.cure("".join(f"line {number}\n" for number in range(40)))
    assert said.splitlines()[1:] == [f"line {number}" for number in range(25, 40)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 8 MB, for which the system asks for root."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not shutil.which("mount") or sys.platform != "linux":
        pytest.skip("mounts a small disk, as Linux does")
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], capture_output=True)
    if mount.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@exhaustive
def test_a_full_disk_is_named(small_disk: Path) -> None:
    """When the disk is too small, freeing space is the cure."""
    fails_with_one_line(copy_of_tree(small_disk / "project"), "the disk is full: free about 1 GB")


@exhaustive
def test_a_disk_without_any_room_is_named(small_disk: Path) -> None:
    """When not even an empty file fits, the cure is the same."""
    folder = copy_of_tree(small_disk / "project")
    with contextlib.suppress(OSError), open(small_disk / "filler", "wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
    fails_with_one_line(folder, "the disk is full: free about 1 GB")


@exhaustive
def test_a_disk_mounted_read_only_is_named(small_disk: Path) -> None:
    """Where nothing can be written, copying the project elsewhere is the cure."""
    folder = copy_of_tree(small_disk / "project")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    fails_with_one_line(folder, "copy the project into a folder of your own")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write into any folder")
def test_a_folder_of_someone_else_is_named(tmp_path: Path) -> None:
    """In a folder without the right to write, copying the project elsewhere is the cure."""
    folder = copy_of_tree(tmp_path / "project")
    folder.chmod(0o555)
    try:
        fails_with_one_line(folder, "copy the project into a folder of your own")
    finally:
        folder.chmod(0o755)


@exhaustive
@posix_only
def test_missing_ensurepip_is_named(tmp_path: Path) -> None:
    """On a Python without ensurepip, as Debian packages it, the package to install is named."""
    python = python_without_ensurepip(tmp_path / "python")
    fails_with_one_line(copy_of_tree(tmp_path / "project"), "sudo apt install python3-venv", launcher=python)


def python_without_ensurepip(prefix: Path) -> str:
    """Make a Python of links to this one's library, less ensurepip."""
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    links = prefix / "lib" / library.name
    links.mkdir(parents=True)
    for entry in library.iterdir():
        if entry.name not in ("ensurepip", "site-packages"):
            (links / entry.name).symlink_to(entry)
    for shared in library.parent.glob("libpython*"):
        (prefix / "lib" / shared.name).symlink_to(shared)
    (prefix / "bin").mkdir()
    python = shutil.copy(os.path.realpath(LAUNCHER), prefix / "bin" / f"python3.{sys.version_info[1]}")
    ask = [str(python), "-c", "import importlib.util, venv; print(importlib.util.find_spec('ensurepip'))"]
    answer = subprocess.run(ask, capture_output=True, text=True, timeout=DEADLINE)
    if answer.stdout != "None\n":
        pytest.skip(f"this Python cannot be copied without ensurepip: {answer.stdout or answer.stderr}")
    return str(python)


# JupyterLab


@posix_only
def test_lab_serves_the_lessons_until_ctrl_c(ready: Path, tmp_path: Path) -> None:
    """`run.py lab` answers over HTTP with JupyterLab and the lessons, and ends in peace on SIGINT.

    Its input is a terminal, as a learner's is: without one, JupyterLab leaves SIGINT to Python, whose
    KeyboardInterrupt is lost if it comes within a callback of the garbage collector.
    """
    options = ["--no-browser", f"--port={random.choice(OURS)}", "--IdentityProvider.token=secret"]
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path) for name in ("CONFIG", "DATA", "RUNTIME")}
    with (
        terminal() as line,
        ended(begin(ready, "lab", *options, stdin=line, **folders), within=DEADLINE) as lab,
    ):
        address = jupyter_of(lab, tmp_path)["url"]
        listed = json.loads(fetch(f"{address}api/contents/notebooks?token=secret"))
        page = fetch(f"{address}lab?token=secret")
        lab.send_signal(signal.SIGINT)
        _, errors = lab.communicate()
        assert lab.returncode == 0 and "Traceback" not in errors, errors
    lessons = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert lessons <= {entry["name"] for entry in listed["content"]}
    assert "JupyterLab" in page


@contextlib.contextmanager
def terminal() -> Iterator[int]:
    """Yield an end of a terminal at which nobody types."""
    keyboard, line = os.openpty()
    try:
        yield line
    finally:
        os.close(keyboard)
        os.close(line)


def fetch(address: str) -> str:
    """Get a page of a server on this machine, past any proxy."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(address, timeout=DEADLINE) as answer:
        return str(answer.read(), "utf-8")
