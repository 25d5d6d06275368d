"""Modules that a program imports while a film runs: something is done as soon as one of them is there.

A film imports none of them by itself, as that takes time. So it stands among what Python asks for a module,
has the others find it, and does its work when the module has been executed.
"""

import contextlib
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class Later:
    """Waits for modules.

    Args:
        names: What they are called.
        act: What to do, with the name of one that has just been imported.
    """

    def __init__(self, names: frozenset[str], act: Callable[[str], object]) -> None:
        self._names, self._act = names, act

    def begin(self) -> None:
        """From now on, Python asks this first."""
        sys.meta_path.insert(0, self)

    def end(self) -> None:
        """Ends that; harmless when called twice, or if the program has thrown it out."""
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns where one of the modules is, as the others say; None for all else."""
        if name not in self._names:
            return None
        for finder in list(sys.meta_path):
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                with contextlib.suppress(AttributeError, TypeError):  # a loader of C, or of the program's
                    self.follow(spec.loader, name)
                return spec
        return None

    def follow(self, loader: Any, name: str) -> None:
        """Has a loader tell when it has executed its module; afterwards it is as it was."""
        original = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            original(module)
            self._act(name)

        loader.exec_module = exec_module
