"""The public functions whose result a notebook shows. Each hands the view down that shows it.

So the film, the checker and the predictions know no views, and need nothing of Jupyter. What is heavy is
imported by the function that needs it: a cell that films loads no checker.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from chatlib import notebook_cells
from chatlib.film.film import RING, Film
from chatlib.film.footage import SavedFilm
from chatlib.schedules.result import Orders
from chatlib.teach.predict import Prediction, Room, ask

if TYPE_CHECKING:
    from chatlib.checker.report import Report
    from chatlib.checker.runner import Progress
    from chatlib.schedules.stops import Grain
    from chatlib.views.choices import Choices
    from chatlib.views.live import LiveFilm
    from chatlib.views.playground import Playground
    from chatlib.views.scheduler import Scheduler

__all__ = ["Film", "Orders", "check", "exercise", "open_film", "orders", "playground", "predict", "xray"]


def xray(limit: int = RING, processes: bool = False) -> Film:
    """Returns a film, to be used in a `with` block, or with `start` and `stop`.

    Args:
        limit: How many calls to keep, of each process. Older ones are let go, and the picture says how many.
        processes: Whether to film as well the processes that this one forks, or starts as programs of Python.
    """
    return Film(limit, processes=processes)


def open_film(path: "str | os.PathLike[str]") -> SavedFilm:
    """Returns a film that `film.save(path)` has written, on this computer or another.

        chatlib.open_film("lesson.film")  # the last expression of a cell shows it

    It shows what the film showed when it had ended. Nothing in the file is run, whoever made it.

    Args:
        path: The file.

    Raises:
        OSError: There is no such file, or it cannot be read.
        ValueError: It is no film, damaged, too large, or of a newer version: the message says which.
    """
    return SavedFilm(path)


def _live(film: Film) -> "LiveFilm":
    from chatlib.views.live import LiveFilm

    return LiveFilm(film.recording, lambda: not film.running, glance=lambda: film.glance(keep=False))


Film.live_view = _live  # given to the class: a film that a student makes with `Film()` is shown live as well


def check(
    target: Any,
    dialect: str = "lines",
    *,
    cases: Iterable[str] = (),
    echo: bool | None = None,
    name_first: bool | None = None,
    prefix: bool | None = None,
    port: int = 0,
    lan: bool = False,
    progress: "Progress | None" = None,
) -> "Report":
    """Finds out which promises a server keeps. Blocks for seconds; Ctrl-C ends it, and all it has started.

    Args:
        target: A server class, or a function that makes a server from an address: it is served in a
            background thread of this process. The path of a script, or a command as a list of words with
            `{port}` in it: it is run as a program, and killed at the end. `HOST:PORT`, or a server that runs.
        dialect: What it should speak: `raw`, `lines`, `echo`, `shout` or `budget-chat`; or `auto`, to find
            that out.
        cases: Which promises, by id (`framing.split`) or topic (`framing`); all that apply, if none is given.
        echo: Whether a sender hears itself (`raw` and `lines` only).
        name_first: Whether the first line is a name.
        prefix: Whether something stands before each line.
        port: Where a program always listens, if it cannot be told its port.
        lan: True to let a server of your own on another computer be attacked.
        progress: Called after each case with its verdict, how many are done, and how many there are. A
            notebook shows that by itself.

    Returns:
        A report: what a notebook shows, and a text, JSON or JUnit XML.

    Raises:
        TargetError: There is no such server, or it does not start; with `auto`, it may also speak none of
            these dialects. The message says why.
        ValueError: There is no such dialect or case.
    """
    from chatlib.checker.check import check as run_check

    with _progress_line() as line:
        return run_check(
            target,
            dialect,
            cases=cases,
            echo=echo,
            name_first=name_first,
            prefix=prefix,
            port=port,
            lan=lan,
            progress=progress or line,
        )


@contextlib.contextmanager
def _progress_line() -> "Iterator[Progress | None]":
    """In a notebook, gives what shows how far a check has come, as long as it runs."""
    if not notebook_cells.running_cell():
        yield None
        return
    from chatlib.views.progress import ProgressLine

    with contextlib.closing(ProgressLine()) as line:
        yield line


def exercise(number: str, answer: Any) -> "Report":
    """Tries out your answer to an exercise. Blocks for a few seconds, whatever the answer does.

        chatlib.exercise("01", receive_within)  # the last expression of a cell

    What comes after the first case that fails is not tried: mend that one, then run the cell again. In
    exercise 14, levels are tried as a whole, up to the first that is not reached; that takes some 20 seconds.

    Args:
        number: Which exercise, as in the name of its notebook: `"01"`.
        answer: What you have written, as the exercise says: a function, a class, a dict.

    Returns:
        A report like that of `check`: what went well, what was expected, what happened instead, a hint, and
        which lesson to read again.

    Raises:
        ValueError: There is no such exercise.
    """
    from chatlib.teach.exercises.catalogue import report_on

    with _progress_line() as line:
        return report_on(number, answer, line)


def predict(question: str, choices: Sequence[str], room: Room | None = None) -> Prediction:
    """Asks what will happen, before an experiment that measures it.

        guess = chatlib.predict("What does bob get?", choices=["an answer", "nothing"])
        guess  # the question, with buttons
        guess.measured("nothing" if bob.waits(0.5) else "an answer")  # beside what the reader said

    Each is the last expression of a cell. A cell that is run again keeps the answer until it is measured;
    then it asks afresh.

    Args:
        question: What is asked.
        choices: The possible answers: two or more, all different.
        room: A `Classroom` in which all are asked, too: `guess.show_votes()` shows their answers as bars,
            and `guess.votes.csv()` is the table of them.

    Raises:
        ValueError: There are fewer than two choices, or two are the same.
    """
    notebook_cells.close_earlier()
    return ask(question, choices, _buttons, room)


def _buttons(prediction: Prediction) -> "Choices":
    from chatlib.views.choices import Choices

    return Choices(prediction)


def playground() -> "Playground":
    """Returns two servers side by side, and buttons for what their clients do. For JupyterLab.

        chatlib.playground()  # the last expression of a cell

    It ends when the cell runs again, or when Python does.

    Raises:
        ImportError: ipywidgets or anywidget is not there; `chatlib.doctor()` says what to do.
    """
    notebook_cells.close_earlier()
    from chatlib.views.playground import Playground

    return Playground()


def orders(
    make: Callable[[], Any],
    *functions: Callable[[Any], object],
    right: Callable[[Any], object] | None = None,
    limit: int = 2000,
    seed: int = 0,
    steps: "Grain" = "lines",
) -> Orders:
    """Runs every order in which threads can take turns, and finds out how each ends.

        def enter(room):
            if "alice" not in room.names:
                room.names.append("alice")

        chatlib.orders(Room, enter, enter, right=lambda room: room.names == ["alice"])

    Each function runs in a real thread, which stops before each line of it and of what it calls. What a line
    does in Python's library and in installed packages is done within one turn; only a line that takes two
    locks, as `with a, b:` does, is two steps. A thread that finds a lock
    taken gets no turn before it is free: so it is with each `Lock`, `RLock`, `Condition`, `Event`,
    `Semaphore`, `Barrier` and `queue.Queue` that `make` or the functions make, and with locks in their
    globals. A wait with a time limit may be over at any moment, and `time.sleep` takes no time.

    Blocks for about a millisecond per order; Ctrl-C ends it.

    Args:
        make: Makes what the threads share, afresh for each order: a class, or a function without arguments.
        functions: What each thread does with it, two or three of them. The same one may be given twice.
        right: Says whether what they share is right when all have ended. Without it, an order is wrong only
            if a thread raises, or never ends.
        limit: How many orders are run in turn. If there are more, this many others are chosen by chance. An
            order without end counts as a hundred.
        seed: What chance begins with: the same seed chooses the same orders.
        steps: `lines`, or `instructions` of the interpreter: only those show that `n += 1` is not one step.

    Returns:
        How many orders end right, wrong, or in a deadlock, and the shortest that does not end right.

    Raises:
        RuntimeError: A thread does what is not seen here (it waits for a socket, say), or does something else
            when the same order is run again. The message says which.
        ValueError: There are fewer than two functions, the limit is below 1, or `right` returns None.
    """
    from chatlib.schedules.program import Program

    if len(functions) < 2:
        raise ValueError(
            "orders takes what is shared, then two functions or more: chatlib.orders(Room, a, b)"
        )
    if limit < 1:
        raise ValueError(f"the limit is how many orders are run, 1 at least: not {limit}")
    return Program(make, functions, right, steps).orders(limit, seed)


def _scheduler(orders: Orders) -> "Scheduler":
    from chatlib.views.scheduler import Scheduler

    return Scheduler(orders)


Orders.scheduler = _scheduler
