"""The shape of the package: imports go down only and in no circle, and a file has a size that can be read."""

import ast
import functools
import graphlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import chatlib
from chatlib import own_code

PACKAGE = Path(chatlib.__file__).parent

# Each from the bottom up: an import must go down its list. Units of one floor may not import each other. The
# package itself, `__init__`, stands on top, and `__main__` above it.
LAYERS = {
    "chatlib": [
        "wire sockets door descriptors own_code notebook_cells resources lazy kill_thread ctrl_c prompt",
        "journal",
        "services outbox",
        "servers",
        "background client",
        "film",
        "checker bench relay classroom schedules stage",  # a failure of a check shows who waited for whom
        "teach views terminal diagnosis",
        "api cli",
    ],
    "chatlib.servers": [
        "core",
        "coroutines event_loop one_at_a_time raw_threads",
        "process_per_client thread_per_client",  # one_at_a_time's handler, other servers
    ],
    "chatlib.film": [
        "place units",
        "spans",
        "record recording",
        "tape_reader",
        "verdict child",
        "render file_values merged children",
        "excerpts film_file",
        "footage",
        "film interrupts page",
        "watcher",
        "script programs",
    ],
    "chatlib.checker": [
        "errors",
        "targets",
        "case harness",
        "steps",
        "cases foreign report",
        "discovery",
        "judge",
        "runner",
        "check",
        "specimens",
    ],
    "chatlib.schedules": [
        "errors locks stops",
        "surroundings run",
        "worker picture all_orders",
        "turns",
        "order",
        "result",
        "program",
    ],
    "chatlib.relay": ["cable redis_stream", "relay start_redis", "rooms", "chat"],
    "chatlib.classroom": ["ballot names seat phone", "room poster", "page", "classroom"],
    "chatlib.stage": ["actor sentence", "stage"],
    "chatlib.teach": ["predict notebook_file", "my_course deck exercises"],
    "chatlib.cli": ["arguments output signals", "serve chat check xray bench doctor class"],
}


def name_of(path: Path) -> str:
    """Returns the dotted name of a file of the package; a package itself ends in `__init__`."""
    return ".".join(["chatlib", *path.relative_to(PACKAGE).with_suffix("").parts])


FILES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
IMPORTERS = {"import_module", "__import__", "find_spec", "run_module", "resolve_name"}


@functools.cache
def tree_of(module: str) -> ast.Module:
    """Returns the source of a module, parsed."""
    return ast.parse(FILES[module].read_text("utf-8"))


def ours(name: str) -> list[str]:
    """Returns the module that a dotted name stands for, or has the named thing in; none if it is not ours."""
    for found in (name, f"{name}.__init__", name.rpartition(".")[0], f"{name.rpartition('.')[0]}.__init__"):
        if found in FILES:
            return [found]
    return []


def text_of(node: ast.AST) -> str:
    """Returns a text in the source, as far as it stands there: of `f"chatlib.cli.{name}"`, the beginning."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def named_by_text(node: ast.AST) -> Iterator[str]:
    """Gives the modules that are imported by a text: in a call that imports, or in a table of homes."""
    if isinstance(node, ast.Call):
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        texts = [text_of(argument) for argument in node.args] if called in IMPORTERS else []
    elif isinstance(node, ast.Dict):
        texts = [text_of(key) for key in node.keys if key]
    else:
        return
    for text in texts:
        if text.startswith("chatlib."):
            within = [name for name in FILES if text.endswith(".") and name.startswith(text)]
            yield from within or ours(text)


def imports_of(module: str) -> set[str]:
    """Returns which of our modules a module imports: at its top, in functions, for types, or by a text."""
    found = set[str]()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            found.update(*(ours(alias.name) for alias in node.names))
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: a relative import"
            found.update(*(ours(f"{node.module}.{alias.name}") for alias in node.names))
        found.update(named_by_text(node))
    return found - {module}


def rank_in(package: str, unit: str) -> int:
    """Returns how high a unit stands in its package."""
    floors = [floor.split() for floor in [*LAYERS[package], "__init__", "__main__"]]
    ranks = [rank for rank, floor in enumerate(floors) if unit in floor]
    assert len(ranks) == 1, f"{package}.{unit} has no place in LAYERS, or two"
    return ranks[0]


def climbs(importer: str, imported: str) -> str:
    """Says what is wrong with an import; nothing, if it goes down."""
    package = ""
    for here, there in zip(importer.split("."), imported.split("."), strict=False):
        if here != there:
            down = package not in LAYERS or rank_in(package, there) < rank_in(package, here)
            return "" if down else f"{importer} imports {imported}, which lies above or beside it"
        package = f"{package}.{here}".lstrip(".")
    return ""


@pytest.mark.parametrize("module", FILES)
def test_imports_go_down_only(module: str) -> None:
    """A file imports only from layers below its own; every file has a layer."""
    package, *units = module.split(".")
    for unit in units:
        assert package not in LAYERS or rank_in(package, unit) >= 0
        package = f"{package}.{unit}"
    assert not [wrong for imported in imports_of(module) if (wrong := climbs(module, imported))]


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Neither at the top nor in functions nor for types only: each file can be read after those it needs."""
    graphlib.TopologicalSorter({module: imports_of(module) for module in FILES}).prepare()


@pytest.mark.parametrize(
    ("source", "imported"),
    [
        ("import chatlib.wire", "chatlib.wire"),
        ("from chatlib import wire", "chatlib.wire"),
        ("from chatlib import connect", "chatlib.__init__"),
        ("from chatlib.servers import Server", "chatlib.servers.__init__"),
        ("def late():\n    from chatlib.film import spans", "chatlib.film.spans"),
        ("if TYPE_CHECKING:\n    from chatlib.wire import LineReader", "chatlib.wire"),
        ("importlib.import_module('chatlib.views.live')", "chatlib.views.live"),
        ("import_module(f'chatlib.cli.{name}')", "chatlib.cli.serve"),
        ("__import__('chatlib.wire')", "chatlib.wire"),
        ("importlib.util.find_spec('chatlib.views.live')", "chatlib.views.live"),
        ("HOMES = {'chatlib.wire': 'encode'}", "chatlib.wire"),
    ],
)
def test_an_import_is_seen_however_it_is_written(
    source: str, imported: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a text: the layers cannot be dodged."""
    monkeypatch.setattr(sys.modules[__name__], "tree_of", lambda module: ast.parse(source))
    assert imported in imports_of("a module")


def test_an_import_that_climbs_is_told() -> None:
    """From a lower floor to a higher, or to a neighbour; what goes down is no fault."""
    assert climbs("chatlib.film.film", "chatlib.views.live")
    assert climbs("chatlib.outbox", "chatlib.services")
    assert climbs("chatlib.checker.steps.basic", "chatlib.checker.cases.delivery")
    assert not climbs("chatlib.views.live", "chatlib.film.film")


@pytest.mark.parametrize(
    ("importer", "never"),
    [
        ("wire", ""),  # bytes into lines need nothing of ours
        ("servers", "film checker views"),
        ("checker", "servers"),  # it takes a target, and so works for any server
        ("film", "views"),
        ("teach", "views"),
    ],
)
def test_a_part_that_stands_alone_never_imports_another(importer: str, never: str) -> None:
    """What DESIGN.md says of some parts in particular, whatever the layers are."""
    for module in FILES:
        if module.split(".")[1] == importer:
            others = {name.split(".")[1] for name in imports_of(module)} - {importer}
            assert not (others & set(never.split()) if never else others), module


@pytest.mark.parametrize("name", ["wire", "services"])
def test_no_input_or_output_where_none_belongs(name: str) -> None:
    """What is said, and how lines are found, knows nothing of sockets, files or time."""
    nodes = list(ast.walk(tree_of(f"chatlib.{name}")))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    waiting = "asyncio io os pathlib select selectors socket socketserver ssl subprocess time"
    assert not {name.split(".")[0] for name in names} & set(waiting.split())


# The house


def test_a_server_file_fits_on_a_printed_page() -> None:
    """About 60 lines each, so that two can be laid side by side."""
    for model in chatlib.MODELS.values():
        source = Path(sys.modules[model.__module__].__file__ or "").read_text("utf-8")
        assert len(source.splitlines()) <= 80, model.__module__


@pytest.mark.parametrize("module", FILES)
def test_a_file_has_at_most_300_lines(module: str) -> None:
    """What is longer has two jobs."""
    assert len(FILES[module].read_text("utf-8").splitlines()) <= 300


def test_our_own_folder_is_found_in_one_place() -> None:
    """The question whose code a file is has one answer: others ask `own_code`, and never count folders."""
    counted = re.compile(r"__file__\)(\.resolve\(\))?\.(parents\[|parent\.parent\.parent)")
    asking = [name for name, path in FILES.items() if counted.search(path.read_text("utf-8"))]
    assert asking == []
    assert Path(own_code.FOLDER) == PACKAGE.resolve()
    assert own_code.is_own(str(PACKAGE.resolve() / "wire.py"))
    assert not own_code.is_own(f"{PACKAGE.resolve()}_homework/server.py")


def test_no_module_bears_the_name_of_a_public_object() -> None:
    """One would hide the other."""
    assert not {module.split(".")[1] for module in FILES} & set(chatlib.__all__)
