"""Where a thread stops: before each line of a program's own code, or before each instruction that can matter.

Code of Python's library and of installed packages runs within the line that calls it.
"""

import dis
import functools
import linecache
import re
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Literal, NamedTuple

from chatlib.film.record.find_line import origin

Grain = Literal["lines", "instructions"]

PRIVATE = re.compile(
    r"(LOAD|STORE|DELETE)_FAST|LOAD_CONST|LOAD_SMALL_INT|RESUME|CACHE|NOP|COPY|SWAP|POP_TOP|PUSH_NULL|PRECALL|"
    r"RETURN|.*JUMP|KW_NAMES|MAKE_FUNCTION|PUSH_EXC_INFO|POP_EXCEPT|RERAISE|EXTENDED_ARG|NOT_TAKEN|COPY_FREE_VARS"
)
"""Instructions that touch nothing but what belongs to their thread: when they run makes no difference."""


OURS = "chatlib.orders"
"""The name of this tool of `sys.monitoring`."""

COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>")


ASKS, ANSWERS = re.compile("JUMP.*(TRUE|FALSE)"), ("COMPARE_OP", "CONTAINS_OP", "IS_OP", "UNARY_NOT")
"""Instructions that find out whether something is true; and after which that is known."""


class Spot(NamedTuple):
    """A place in a program before which a thread can stop."""

    file: str
    line: int
    instruction: str = ""
    """Of the interpreter, if threads stop before each; else empty."""
    call: str = ""
    """What is called, if that has no lines to stop at."""

    @property
    def source(self) -> str:
        """The line, without its indentation."""
        return self.call or linecache.getline(self.file, self.line).strip() or f"line {self.line}"


Stop = Callable[[Spot], None]
"""Called in the thread that has come to a spot; it returns when the thread may go on."""


def is_watched(code: CodeType) -> bool:
    """Returns whether threads stop in a function: it is the program's own, and not made by a dataclass."""
    generated = code.co_filename == "<string>" and code.co_name.startswith(("__", "<lambda>"))
    return origin(code.co_filename) == "user" and not generated


def has_steps(function: Any) -> bool:
    """Returns whether a thread that runs a function stops in it: not in one of C, nor in Python's library."""
    while isinstance(function, functools.partial):
        function = function.func
    if not hasattr(function, "__code__") and not hasattr(function, "__func__"):
        function = type(function).__call__
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return code is not None and is_watched(code)


@functools.cache
def instructions_of(code: CodeType) -> dict[int, Spot]:
    """Returns the instructions of a function that can matter to other threads, by their offset."""
    spots: dict[int, Spot] = {}
    before = ""
    for each in dis.get_instructions(code):
        line = (each.positions.lineno if each.positions else None) or code.co_firstlineno
        # Until Python 3.12 a jump also asks whether a list is empty, say; then `TO_BOOL` does.
        asks = sys.version_info < (3, 13) and ASKS.search(each.opname) and before not in ANSWERS
        before = each.opname
        if asks or not PRIVATE.match(each.opname):
            spots[each.offset] = Spot(code.co_filename, line, f"{each.opname} {each.argrepr}".strip())
    return spots


def trace_lines(stop: Stop) -> object:
    """Lets the calling thread stop before each line, from now on until it ends. Returns its tracer.

    It is never switched off, nor on while another thread is stopped in a traced function: Python 3.12 would
    change code under the feet of that thread, and crash.
    """

    def enter(frame: FrameType, event: str, argument: object) -> Any:
        if not is_watched(frame.f_code):
            return None
        # Until Python 3.11 a comprehension has a frame of its own, and would stop twice at its first line.
        return begin if frame.f_code.co_name in COMPREHENSIONS else look

    def begin(frame: FrameType, event: str, argument: object) -> Any:
        return look

    def look(frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            stop(Spot(frame.f_code.co_filename, frame.f_lineno))
        return look

    sys.settrace(enter)
    return enter


def trace_instructions(stop: Stop) -> object:
    """The same for each instruction, on Python 3.11: with 3.12, two threads that are traced so crash it."""

    def enter(frame: FrameType, event: str, argument: object) -> Any:
        if not is_watched(frame.f_code):
            return None
        frame.f_trace_opcodes = True
        return look

    def look(frame: FrameType, event: str, argument: object) -> Any:
        if event == "opcode" and (spot := instructions_of(frame.f_code).get(frame.f_lasti)):
            stop(spot)
        return look

    sys._getframe().f_trace_opcodes = True
    sys.settrace(enter)
    return enter


def monitor_instructions(stop: Stop) -> Callable[[], None]:
    """Lets every thread of the process stop before each instruction. Python 3.12 or newer.

    Returns:
        What ends it. May be called again: Ctrl-C may cut it short.

    Raises:
        RuntimeError: No tool of `sys.monitoring` is free.
    """
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    # 0, 1, 2 and 5 belong to debuggers, coverage, profilers and optimisers.
    tool = next((number for number in (3, 4) if monitoring.get_tool(number) in (None, OURS)), None)
    if tool is None:
        raise RuntimeError("other tools watch this process already: steps='instructions' has no place left")
    events, watched = monitoring.events, list[CodeType]()

    def enter(code: CodeType, offset: int) -> Any:
        if is_watched(code):
            # Once, before any thread is in it: to change code in which another thread has stopped is a risk.
            monitoring.set_local_events(tool, code, events.INSTRUCTION)
            watched.append(code)
        return monitoring.DISABLE

    def look(code: CodeType, offset: int) -> None:
        if spot := instructions_of(code).get(offset):
            stop(spot)

    def end() -> None:
        if monitoring.get_tool(tool) == OURS:
            monitoring.set_events(tool, 0)
            for code in watched:
                monitoring.set_local_events(tool, code, 0)
            for event in (events.PY_START, events.INSTRUCTION):
                monitoring.register_callback(tool, event, None)
            monitoring.free_tool_id(tool)

    if monitoring.get_tool(tool) is None:  # else Ctrl-C came when it had just been taken
        monitoring.use_tool_id(tool, OURS)
    monitoring.register_callback(tool, events.PY_START, enter)
    monitoring.register_callback(tool, events.INSTRUCTION, look)
    monitoring.set_events(tool, events.PY_START)
    return end
