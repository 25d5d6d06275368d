"""What `import chatlib` gives: exact names, found when they are first used, and nothing loaded before."""

import ast
import json
import pydoc
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from faults import environment

import chatlib
from chatlib import servers

PACKAGE = Path(chatlib.__file__).parent


def printed(code: str) -> str:
    """Returns what a fresh Python prints."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def loaded_by(code: str) -> set[str]:
    """Returns the modules that a fresh Python loads to run it."""
    program = f"import json, sys; before = set(sys.modules)\n{code}\n"
    return set(json.loads(printed(program + "print(json.dumps([*{*sys.modules} - before]))")))


def names_in(package: ModuleType) -> set[str]:
    """Returns the names that a type checker finds in a package: what it imports for types only."""
    [block] = [
        node
        for node in ast.parse(Path(package.__file__ or "").read_text("utf-8")).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name)
    ]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {f"{node.module}.{alias.name}" for node in imports for alias in node.names}


# What is loaded, and when


def test_importing_loads_nothing_but_the_table_of_names() -> None:
    """Of chatlib only that; of the standard library only what finds modules, and `typing`."""
    assert loaded_by("import chatlib") - loaded_by("import importlib, typing") == {"chatlib", "chatlib.lazy"}


def test_importing_costs_less_than_asyncio() -> None:
    """Counted in modules, which does not depend on how fast a computer is."""
    assert len(loaded_by("import chatlib")) < len(loaded_by("import asyncio"))


SERVED = "chatlib.MODELS['threading']; chatlib.start; chatlib.connect; chatlib.Chat"


@pytest.mark.parametrize(
    ("used", "needed", "not_needed"),
    [
        (SERVED, "chatlib.client", "asyncio argparse multiprocessing chatlib.film chatlib.checker"),
        ("chatlib.AsyncioServer", "asyncio", "chatlib.servers.event_loop multiprocessing"),
        ("chatlib.xray", "chatlib.film.film", "asyncio chatlib.checker.check chatlib.views"),
        ("chatlib.predict('?', ['a', 'b'])", "chatlib.teach.predict", "asyncio IPython chatlib.views"),
        ("chatlib.check", "chatlib.api", "chatlib.checker.check chatlib.teach.exercises chatlib.bench"),
        ("chatlib.doctor", "chatlib.diagnosis", "chatlib.servers jupyterlab"),
        ("chatlib.bench.Row", "chatlib.bench.records", "chatlib.bench.measurement chatlib.servers"),
        ("list(chatlib.MODELS), len(chatlib.MODELS)", "chatlib.servers", "asyncio multiprocessing"),
    ],
)
def test_a_name_loads_what_it_needs_and_no_more(used: str, needed: str, not_needed: str) -> None:
    """A cell that starts a server does not wait for the checker to be loaded."""
    loaded = loaded_by(f"import chatlib; {used}")
    assert needed in loaded
    assert not loaded & set(not_needed.split())


@pytest.mark.parametrize(
    ("command", "not_needed"),
    [
        (["serve", "threading"], "asyncio chatlib.film chatlib.checker chatlib.bench chatlib.terminal"),
        (["chat", "127.0.0.1:1"], "prompt_toolkit asyncio chatlib.film chatlib.checker chatlib.servers"),
        (["xray", "a.py"], "chatlib.checker chatlib.bench chatlib.views"),
        (["doctor"], "chatlib.servers chatlib.film chatlib.checker chatlib.bench"),
    ],
)
def test_a_command_loads_no_other(command: list[str], not_needed: str) -> None:
    """So a server of the command line is there at once."""
    loaded = loaded_by(f"from chatlib.cli import parse; parse({command})")
    assert f"chatlib.cli.{command[0]}" in loaded
    assert not loaded & set(not_needed.split())


def test_all_of_it_needs_the_standard_library_only() -> None:
    """Outside a notebook: every public name is found without any installed package."""
    names = {name.split(".")[0] for name in loaded_by("import chatlib\nfrom chatlib import *")}
    # multiprocessing gives __main__ a second name
    assert names - set(sys.stdlib_module_names) - {"__mp_main__"} == {"chatlib"}


def test_importing_starts_nothing() -> None:
    """No thread and no socket, also when every name has been found: that begins with `start`."""
    code = "from chatlib import *\nimport threading, gc, socket; gc.collect()\n"
    code += "print(threading.active_count(), sum(isinstance(o, socket.socket) for o in gc.get_objects()))"
    assert printed(code).split() == ["1", "0"]


# The names


def test_the_public_names_are_exact() -> None:
    """`__all__` names each once; it is all that `dir` and Tab offer, with two packages."""
    assert sorted(chatlib.__all__) == sorted(set(chatlib.__all__))
    assert dir(chatlib) == sorted({*chatlib.__all__, "bench", "relay"})
    for name in chatlib.__all__:
        assert not isinstance(getattr(chatlib, name), ModuleType), f"{name} is a module"


@pytest.mark.parametrize("package", [chatlib, servers, chatlib.bench], ids=lambda package: package.__name__)
def test_a_type_checker_finds_what_python_finds(package: ModuleType) -> None:
    """The imports for types and the table of homes say the same."""
    homes = {home: names.split() for home, names in package._HOMES.items()}
    found = {
        home if home == f"chatlib.{name}" else f"{home}.{name}" for home in homes for name in homes[home]
    }
    assert found == names_in(package)
    assert set(package.__all__) <= {*vars(package), *dir(package)}


def test_a_misspelt_name_is_told_as_by_any_module() -> None:
    """By Python; and by mypy, or it would find the comment here unused."""
    with pytest.raises(AttributeError, match=r"module 'chatlib' has no attribute 'srart'"):
        chatlib.srart  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="srart"):
        from chatlib import srart  # type: ignore[attr-defined]  # noqa: F401


def test_the_public_names_are_there() -> None:
    """What lessons, exercises and graders rely on stays."""
    relied_on = """
        SyncServer ThreadingServer RawThreadServer ForkingServer SelectorServer AsyncioServer Server Limits
        MODELS Shout Broadcast Chat Service Member Journal Entry
        start stop stop_all running connect Client Disconnected doctor
        xray Film check Report TargetError predict exercise LineReader encode
    """
    assert set(relied_on.split()) <= set(chatlib.__all__)


def test_the_public_names_are_grouped() -> None:
    """In the source each group of names has a comment that says what it is."""
    tree = (PACKAGE / "__init__.py").read_text("utf-8").split("__all__ = [")[1].split("]")[0].strip()
    assert tree.startswith("# ")
    assert tree.count("# ") >= 4


def test_a_name_is_one_object_wherever_it_is_taken_from() -> None:
    """A class that is found late is the same class: `isinstance` holds."""
    from chatlib.film.film import Film
    from chatlib.servers.coroutines import AsyncioServer

    assert chatlib.Film is Film
    assert type(chatlib.xray()) is Film
    assert chatlib.AsyncioServer is chatlib.MODELS["asyncio"] is servers.AsyncioServer is AsyncioServer


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


def test_help_tells_of_every_name() -> None:
    """In a fresh Python, `help(chatlib)` shows functions and classes that nothing has used yet."""
    text = pydoc.plain(printed("import chatlib, pydoc; print(pydoc.render_doc(chatlib))"))
    assert "What it means for a server to wait".casefold() in text.casefold()
    assert re.search(r"check\(\s*target: Any,\s*dialect: str = 'lines'", text)
    assert [name for name in chatlib.__all__ if name not in text] == []


@pytest.mark.parametrize("jedi", [False, True])
def test_tab_completion_offers_what_nothing_has_used_yet(jedi: bool) -> None:
    """In a fresh IPython, with and without the library that reads the source."""
    pytest.importorskip("IPython")
    code = f"""
import warnings; warnings.simplefilter("ignore")
import chatlib
from IPython.core.completer import IPCompleter, provisionalcompleter
completer = IPCompleter(namespace={{"chatlib": chatlib}})
completer.use_jedi, completer.jedi_compute_type_timeout = {jedi}, 0
with provisionalcompleter():
    print(*(found.text.rpartition(".")[2] for found in completer.completions("chatlib.st", 10)))
"""
    assert {"start", "stop", "stop_all"} <= set(printed(code).split())


def test_models_are_a_mapping_from_names_to_classes() -> None:
    """Looked up, walked through, asked for what is not there: as a dict."""
    assert dict(chatlib.MODELS.items())["selectors"] is chatlib.SelectorServer
    assert list(chatlib.MODELS.values())[0] is chatlib.SyncServer
    assert "twice" not in chatlib.MODELS
    assert repr(chatlib.MODELS) == repr(dict(chatlib.MODELS))
    with pytest.raises(KeyError):
        chatlib.MODELS["twice"]
