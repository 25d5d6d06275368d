"""Where an answer is handed in. The exercises themselves are loaded when the first answer is."""

from typing import Any

from chatlib.checker.report import Report


def exercise(number: str, answer: Any) -> Report:
    """Tries out your answer to an exercise. Blocks for at most a few seconds, whatever the answer does.

        chatlib.exercise("01", receive_within)  # the last expression of a cell

    What comes after the first case that fails is not tried: mend that one, then run the cell again.

    Args:
        number: Which exercise, as in the name of its notebook: `"01"`.
        answer: What you have written, as the exercise says: a function, a class, a dict.

    Returns:
        A report like that of `check`: what went well, what was expected, what happened instead, a hint, and
        which lesson to read again.

    Raises:
        ValueError: There is no such exercise.
    """
    # Not above: `import chatlib` would take a fifth longer, also for those who never do an exercise.
    from chatlib.teach.exercises.catalogue import report_on

    return report_on(number, answer)
