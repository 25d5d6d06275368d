"""Predictions: what is asked, what is answered, and what is said when it has been measured."""

import importlib.util
import re
import subprocess
import sys
import threading
from typing import Any

import pytest
from faults import SOON, environment
from films import HOSTILE

import chatlib
from chatlib import notebook_cells
from chatlib.teach.predict import Prediction

QUESTION, AT_ONCE, NOTHING = "What does bob get?", "an answer at once", "nothing while alice stays"
TEXT = f"{QUESTION}\n  1. {AT_ONCE}\n  2. {NOTHING}"


@pytest.fixture
def guess() -> Prediction:
    """A prediction without an answer."""
    return chatlib.predict(QUESTION, choices=[AT_ONCE, NOTHING])


def test_as_text_it_is_the_question_and_its_choices(guess: Prediction) -> None:
    """It depends on nothing else, as long as there is no answer."""
    assert repr(guess) == TEXT
    assert (guess.answer, guess.outcome) == (None, None)


def test_without_an_answer_only_what_was_measured_is_told(guess: Prediction) -> None:
    """One line, the same for every reader who runs all cells."""
    assert repr(guess.measured(NOTHING)) == f"Measured: {NOTHING}"


@pytest.mark.parametrize(
    ("said", "verdict"), [(NOTHING, "As you said."), (AT_ONCE, "Not as you said: worth a closer look.")]
)
def test_the_answer_is_set_beside_what_was_measured(guess: Prediction, said: str, verdict: str) -> None:
    """Both are told, and whether they are the same."""
    guess.choose(said)
    assert repr(guess.measured(NOTHING)) == f"You said: {said}\nMeasured: {NOTHING}\n{verdict}"


def test_an_answer_may_be_changed_until_it_is_measured(guess: Prediction) -> None:
    """Then it stays, and no reader has known it all along."""
    guess.choose(NOTHING)
    guess.choose(AT_ONCE)
    assert guess.measured(NOTHING) == (AT_ONCE, NOTHING)
    guess.choose(NOTHING)
    assert (guess.answer, guess.outcome) == (AT_ONCE, NOTHING)
    assert repr(guess) == f"{QUESTION}\n  1. {AT_ONCE} (you said)\n  2. {NOTHING} (measured)"


def test_an_experiment_may_be_repeated(guess: Prediction) -> None:
    """The answer stays, and the latest measurement counts."""
    guess.choose(AT_ONCE)
    guess.measured(NOTHING)
    assert guess.measured(AT_ONCE) == (AT_ONCE, AT_ONCE)
    assert repr(guess) == f"{QUESTION}\n  1. {AT_ONCE} (you said, measured)\n  2. {NOTHING}"


def test_only_one_of_the_choices_counts(guess: Prediction) -> None:
    """A mistake in a lesson is said in one sentence, and changes nothing."""
    for take in (guess.choose, guess.measured):
        with pytest.raises(ValueError) as error:
            take("a reset")
        assert str(error.value) == f"'a reset' is none of the choices: '{AT_ONCE}', '{NOTHING}'"
    assert repr(guess) == TEXT


@pytest.mark.parametrize("choices", [[], ["one"], ["one", "two", "one"], "one"])
def test_choices_are_several_and_differ(choices: Any) -> None:
    """Otherwise there is nothing to choose."""
    with pytest.raises(
        ValueError, match=r"^a prediction needs a list of two or more different choices, not "
    ):
        chatlib.predict(QUESTION, choices)


def test_what_is_measured_is_compared_with_the_answer_that_stays(guess: Prediction) -> None:
    """Clicks may come in another thread, also while the experiment measures."""
    ended = threading.Event()

    def hesitate() -> None:
        while not ended.is_set():
            guess.choose(AT_ONCE)
            guess.choose(NOTHING)

    thread = threading.Thread(target=hesitate)
    thread.start()
    said = guess.measured(NOTHING).said
    ended.set()
    thread.join(SOON)
    assert not thread.is_alive()
    assert guess.answer == said


def test_in_a_terminal_it_is_text(guess: Prediction) -> None:
    """IPython, too, finds nothing else to show."""
    formatters = pytest.importorskip("IPython.core.formatters")
    assert formatters.DisplayFormatter().format(guess)[0] == {"text/plain": TEXT}
    assert formatters.DisplayFormatter().format(guess.measured(NOTHING))[0] == {
        "text/plain": f"Measured: {NOTHING}"
    }


def test_without_anywidget_a_notebook_shows_text(guess: Prediction, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be shown is not needed."""
    monkeypatch.setattr(notebook_cells, "running_cell", lambda: notebook_cells.Run("a", 1))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NotImplementedError):
        guess._ipython_display_()


def test_asking_needs_the_standard_library_only() -> None:
    """Nothing of Jupyter is loaded before something is shown in a notebook."""
    code = f"import chatlib, sys; print(chatlib.predict({QUESTION!r}, [{AT_ONCE!r}, {NOTHING!r}]))\n"
    code += "print({'anywidget', 'ipywidgets', 'IPython'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"{TEXT}\nset()\n"


# The buttons


@pytest.fixture
def choices() -> Any:
    """The module with the view."""
    pytest.importorskip("anywidget", reason="the buttons need anywidget, which is not installed")
    return importlib.import_module("chatlib.views.choices")


@pytest.fixture
def view(choices: Any, guess: Prediction) -> Any:
    """The view of the prediction, as a notebook cell would show it."""
    guess._view = choices.Choices(guess)
    guess._view.refresh()
    return guess._view


class Shown:
    """Stands in for an output in a notebook; what was put there is kept."""

    def __init__(self) -> None:
        self.data: list[dict[str, str]] = []

    def update(self, data: dict[str, str], raw: bool) -> None:
        """Called by the view."""
        assert raw
        self.data.append(data)


def click(view: Any, content: object) -> None:
    """Delivers a message as a browser sends it."""
    view._handle_custom_msg(content, [])


def test_a_click_is_an_answer(view: Any, guess: Prediction) -> None:
    """It is shown as soon as Python knows of it, and asks for nothing."""
    assert view.told == "Choose one.\nYou may change your mind until it is measured."
    click(view, {"choice": AT_ONCE})
    assert guess.answer == view.answer == AT_ONCE
    assert view.marks == ["you said", ""]
    assert view.told == f"You said: {AT_ONCE}\nYou may change your mind until it is measured."


@pytest.mark.parametrize(
    "content", [{}, {"choice": "a reset"}, {"choice": [AT_ONCE]}, {"choice": 0}, [], None]
)
def test_what_is_no_choice_is_not_listened_to(view: Any, guess: Prediction, content: object) -> None:
    """Whatever a browser sends: nothing fails, nothing changes."""
    click(view, content)
    assert guess.answer is None


def test_the_buttons_show_answer_and_measurement_side_by_side(view: Any, guess: Prediction) -> None:
    """Also where they are looked at only now: all is in the state that a page asks for."""
    click(view, {"choice": AT_ONCE})
    told = repr(guess.measured(NOTHING))
    click(view, {"choice": NOTHING})
    state = view.get_state()
    expected = {"answer": AT_ONCE, "outcome": NOTHING, "marks": ["you said", "measured"], "told": told}
    assert {name: state[name] for name in expected} == expected


def test_what_was_measured_stays_without_a_kernel(view: Any, guess: Prediction) -> None:
    """No widget is left in the notebook, but what it looked like, and the same as text."""
    view._shown = [first, second] = [Shown(), Shown()]
    click(view, {"choice": AT_ONCE})
    assert first.data == []
    guess.measured(NOTHING)
    [left] = first.data
    assert second.data == [left]
    assert set(left) == {"text/html", "text/plain"}
    assert left["text/plain"] == repr(guess)
    assert f'<div class="choice said"><span>1. {AT_ONCE}</span> <b>you said</b></div>' in left["text/html"]
    assert (
        f'<div class="choice measured"><span>2. {NOTHING}</span> <b>measured</b></div>' in left["text/html"]
    )


def test_text_is_no_markup(choices: Any) -> None:
    """Neither in what is left nor in the script."""
    guess = chatlib.predict(HOSTILE, [HOSTILE + "1", HOSTILE + "2"])
    guess.choose(HOSTILE + "1")
    guess._view = view = choices.Choices(guess)
    view._shown = [shown := Shown()]
    guess.measured(HOSTILE + "2")
    markup = re.sub("<style>.*</style>", "", shown.data[0]["text/html"], flags=re.DOTALL)
    assert set(re.findall(r"<([^/\s>]+)", markup)) == {"div", "span", "b", "br"}
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?:", view_script(choices)
    )


def view_script(choices: Any) -> str:
    """Returns what a browser runs."""
    return str(choices.Choices._esm)


def test_a_reader_without_a_kernel_gets_text(view: Any) -> None:
    """Beside what shows the buttons; the same on each machine."""
    data: dict[str, Any] = view._repr_mimebundle_()[0]
    assert data["text/plain"] == repr(view) == TEXT
    assert "model_id" in data["application/vnd.jupyter.widget-view+json"]
