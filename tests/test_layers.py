"""The shape of the package: imports go down only, importing is light, and the public names are exact."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from faults import environment

import chatlib

PACKAGE = Path(chatlib.__file__).parent

# From the bottom up; who imports whom must go down this list. Modules of one entry may not import each other,
# except inside a package (`servers`, `film`, ...).
LAYERS = [
    ["wire", "sockets", "descriptors", "own_code", "notebook_cells", "diagnosis", "resources", "lazy"],
    ["journal"],
    ["services", "outbox"],
    ["servers"],
    ["background", "client"],
    ["film", "bench", "relay"],
    ["checker"],  # a failure shows who waited for whom
    ["teach", "views", "terminal"],
    ["api", "cli"],
    ["__init__"],
    ["__main__"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))


def unit_of(path: Path) -> str:
    """Returns the top-level module or package of chatlib that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Returns the top-level modules of chatlib that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    ours = {name.split(".")[1] for name in found if name.startswith("chatlib.")}
    # `from chatlib import connect` takes a name of the package itself
    return {name if name in RANK else "__init__" for name in ours} | (
        {"__init__"} if "chatlib" in found else set()
    )


def run(code: str) -> str:
    """Returns what a fresh Python prints."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    """A file imports only from layers below its own, or from its own package; every file has a layer."""
    here = unit_of(path)
    assert here in RANK, f"{here} has no place in LAYERS"
    for there in imports_of(path) - {here}:
        assert RANK[there] < RANK[here], f"{here} imports {there}, which lies above or beside it"


def test_the_lowest_layer_imports_nothing_of_ours() -> None:
    """`wire` above all: bytes into lines needs nobody."""
    assert imports_of(PACKAGE / "wire.py") == set()


def test_the_checker_never_imports_the_servers() -> None:
    """It takes a target, so that it works for anybody's server."""
    for path in MODULES:
        if unit_of(path) == "checker":
            assert "servers" not in imports_of(path)


@pytest.mark.parametrize("name", ["wire", "services"])
def test_no_input_or_output_where_none_belongs(name: str) -> None:
    """What is said, and how lines are found, knows nothing of sockets, files or time."""
    nodes = list(ast.walk(ast.parse((PACKAGE / f"{name}.py").read_text("utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    waiting = {
        "asyncio",
        "io",
        "os",
        "pathlib",
        "select",
        "selectors",
        "socket",
        "socketserver",
        "ssl",
        "time",
    }
    assert not {name.split(".")[0] for name in names} & waiting


def test_a_server_file_fits_on_a_printed_page() -> None:
    """About 60 lines each, so that two can be laid side by side."""
    for model in chatlib.MODELS.values():
        source = Path(sys.modules[model.__module__].__file__ or "").read_text("utf-8")
        assert len(source.splitlines()) <= 80, model.__module__


def test_importing_loads_the_standard_library_only() -> None:
    """Whatever else is installed: `import chatlib` needs none of it."""
    loaded = (
        "import sys; before = set(sys.modules)\nimport chatlib\nprint(*sorted(set(sys.modules) - before))"
    )
    names = {name.split(".")[0] for name in run(loaded).split()}
    # multiprocessing gives __main__ a second name
    assert names - set(sys.stdlib_module_names) - {"__mp_main__"} == {"chatlib"}


def test_importing_is_quick() -> None:
    """Less than 150 ms more than Python itself takes to start, at its best (processor time)."""

    def best(code: str) -> float:
        return min(float(run(f"{code}\nimport time; print(time.process_time())")) for _ in range(5))

    assert best("import chatlib") - best("pass") < 0.15


def test_importing_starts_nothing() -> None:
    """No thread, no socket: that begins with `start`."""
    code = "import chatlib, threading, gc, socket; gc.collect()\n"
    code += "print(threading.active_count(), sum(isinstance(o, socket.socket) for o in gc.get_objects()))"
    assert run(code).split() == ["1", "0"]


def test_the_public_names_are_exact() -> None:
    """`__all__` names each public object of the package, once, and no module."""
    module = type(sys)
    public = {
        name for name, value in vars(chatlib).items() if name[0] != "_" and not isinstance(value, module)
    }
    assert sorted(chatlib.__all__) == sorted(set(chatlib.__all__))
    assert public <= set(chatlib.__all__)
    for name in chatlib.__all__:
        assert not isinstance(getattr(chatlib, name), module), f"{name} is a module"


def test_the_public_names_are_there() -> None:
    """What lessons, exercises and graders rely on stays."""
    relied_on = """
        SyncServer ThreadingServer RawThreadServer Server Limits MODELS
        Shout Broadcast Chat Service Member Journal Entry
        start stop stop_all running connect Client Disconnected doctor predict exercise
        LineReader encode
    """
    assert set(relied_on.split()) <= set(chatlib.__all__)


def test_the_public_names_are_grouped() -> None:
    """In the source each group of names has a comment that says what it is."""
    tree = (PACKAGE / "__init__.py").read_text("utf-8").split("__all__ = [")[1].split("]")[0].strip()
    assert tree.startswith("# ")
    assert tree.count("# ") >= 4


def test_no_module_bears_the_name_of_a_public_object() -> None:
    """One would hide the other."""
    assert not {unit_of(path) for path in MODULES} & set(chatlib.__all__)


def test_star_import_gives_all() -> None:
    """`from chatlib import *` works, and gives exactly `__all__`."""
    names: dict[str, object] = {}
    exec("from chatlib import *", names)
    assert set(names) - {"__builtins__"} == set(chatlib.__all__)


def test_every_public_name_has_a_docstring() -> None:
    """`help` says something about each function and class."""
    for name in chatlib.__all__:
        value = getattr(chatlib, name)
        if callable(value):
            assert (value.__doc__ or "").strip(), name
