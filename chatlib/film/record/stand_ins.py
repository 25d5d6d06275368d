"""What stands in for something of C answers as that does: a program may ask more of it than to do its work.

To `isinstance`, `__class__`, `dir`, `repr`, to copying and to pickling, a stand-in is what it stands in for.
Two things cannot be had: neither is `type(lock)` that of C, nor `threading.Lock` the same as
`_thread.allocate_lock`. They are only equal.

An installed package, as trio or gevent, gets the original, also by way of Python's library: a film does not
show what such a package waits for, so nothing is lost. And some of them need it: what a signal handler takes
must be of C.
"""

import functools
import sys
from collections.abc import Callable
from operator import attrgetter
from types import BuiltinFunctionType
from typing import Any, Self

from chatlib.film.record.find_line import is_foreign
from chatlib.film.record.recorder import recorders


class _Kind(type):
    """The type of the classes of stand-ins."""

    make: Callable[..., Any] = object
    kind: type = object

    def __instancecheck__(cls, thing: Any) -> bool:
        return isinstance(thing, cls.kind)  # what is older than the film is one, too

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is cls.kind  # by their type, programs say how things are to be copied

    def __hash__(cls) -> int:
        return hash(cls.kind)


class StandIn(metaclass=_Kind):
    """An object that does something more than the one of C that it has made."""

    __slots__ = ("__weakref__", "_original")
    _original: Any

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Makes the original; returns that itself to an installed package, and when no film runs."""
        original = cls.make(*args, **kwargs)
        if not recorders or is_foreign(sys._getframe(1)):
            return original
        self = object.__new__(cls)
        self._original = original
        return self

    def __repr__(self) -> str:
        return repr(self._original)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._original.__reduce_ex__(protocol)  # fails, as none of these can be copied


@functools.cache  # one class, however many films there are: their objects are of one type
def stand_in(base: type[StandIn], original: Any) -> Any:
    """Returns what stands in for a function that makes objects of C, or for their class."""
    kind = original if isinstance(original, type) else type(original())
    known = {"__slots__": (), "__doc__": kind.__doc__, "make": staticmethod(original), "kind": kind}
    others = {name: _handed_on(kind, name) for name in dir(kind) if not hasattr(base, name)}
    made = _Kind(kind.__name__, (base,), {**known, **others, "__class__": property(lambda self: kind)})

    def make(*args: Any, **kwargs: Any) -> Any:
        return made(*args, **kwargs)

    found: Any = made if isinstance(original, type) else functools.update_wrapper(make, original)
    # By the name under which programs know it, it can be pickled.
    name = {"allocate_lock": "Lock", "lock": "Lock"}.get(original.__name__, original.__name__)
    found.__name__ = found.__qualname__ = name
    found.__module__ = {"_thread": "threading"}.get(original.__module__, original.__module__)
    return found


def _handed_on(kind: type, name: str) -> Any:
    """Returns an attribute that is had of the original: by C, so that Ctrl-C cannot strike in between."""
    found = getattr(kind, name)
    of_class = isinstance(found, BuiltinFunctionType)  # as `epoll.fromfd`
    return staticmethod(found) if of_class else property(attrgetter(f"_original.{name}"))


class Function(functools.partial[Any]):
    """A function that behaves like one of C: it is no method in whatever class it is put into."""

    def __new__(cls, watched: Any) -> Any:
        """Takes the names from what it stands in for, by which it is also pickled."""
        return functools.update_wrapper(functools.partial.__new__(cls, watched), watched)

    def __get__(self, *_: object) -> Self:
        """Returns itself."""
        return self

    @property
    def _original(self) -> Any:
        return vars(self.func)["__wrapped__"]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def __repr__(self) -> str:
        return repr(self._original)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._original  # it may be a key from before the film

    def __hash__(self) -> int:
        return hash(self._original)

    def __reduce__(self) -> Any:
        """Is pickled by its name."""
        return self.func.__qualname__

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """The type of what it stands in for."""
        return BuiltinFunctionType
