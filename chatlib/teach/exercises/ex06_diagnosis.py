"""Exercise 06: what is the matter with these servers?"""

from chatlib.checker.case import Case, step
from chatlib.checker.errors import Broken
from chatlib.teach.exercises.ex06_faulty_servers import FAULTS, FINDINGS
from chatlib.teach.exercises.exercise import Exercise
from chatlib.teach.exercises.sandbox import Trial, shown

LESSONS = "02 One at a time, 03 A thread for each, 05 Group chat by hand"


@step("what you say of {patient} is compared with its X-ray")
def diagnose(trial: Trial, patient: str) -> None:
    """Compares what is said of one patient with what it suffers from."""
    said = trial.answer.get(patient, "")
    fault = str(said).strip().lower()
    wanted = f"a fault that explains the X-ray of {patient}"
    if fault in ("", "none", "ellipsis"):
        raise Broken(wanted, f"you have said nothing of {patient} yet")
    if fault not in FAULTS:
        raise Broken(f"one of the faults in the list, for {patient}", f"{shown(said)} is not in it")
    finding = FINDINGS[patient]
    if fault != finding.fault:
        raise Broken(wanted, f"you said {fault!r}: then {FAULTS[fault]}, and that is not so here")
    trial.remark = f"it shows here: {finding.shows}"


CASES = tuple(
    Case(
        f"diagnosis.{patient}",
        f"What {patient} suffers from",
        f"Patient {patient} has one fault, and its X-ray shows it.",
        steps=(diagnose(patient),),
        hint="Which thread waits, in which call, for which client? Which is missing? Which never rests?",
        lesson=LESSONS,
    )
    for patient in FINDINGS
)

EXERCISE = Exercise(
    title="what is the matter with these servers?",
    name="diagnosis",
    takes='a dict, like {"A": ..., "B": ..., "C": ...}',
    fits=lambda answer: isinstance(answer, dict),
    cases=CASES,
    lesson=LESSONS,
    independent=True,
)
