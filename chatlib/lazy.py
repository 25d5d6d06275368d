"""Names that are imported when they are first used (PEP 562): importing their package costs little."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazily(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns a `__getattr__` and a `__dir__` for a package. What `dir` and tab completion offer is public.

    While one thread imports a module, others that ask for it wait, and then get the same object.

    Args:
        package: Its `__name__`.
        homes: Modules, each with the names that it is home to. A submodule of the package may name itself.
    """
    home_of = {name: home for home, names in homes.items() for name in names.split()}

    def find(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(home_of[name])
        found = module if module.__name__ == f"{package}.{name}" else getattr(module, name)
        setattr(sys.modules[package], name, found)  # from now on Python finds it without asking here
        return found

    def names() -> list[str]:
        return sorted({*sys.modules[package].__all__, *home_of})

    return find, names
