"""Threads that wait for each other in a circle, and those that wait for what no thread is left to do."""

from collections.abc import Iterator, Sequence

from chatlib.film.verdict.finding import Finding
from chatlib.film.verdict.scene import Scene, Wait
from chatlib.film.verdict.words import COULD, awaited, called, crowd, lines_of, listed


def circles(scene: Scene) -> Iterator[Finding]:
    """Gives a finding for each circle, if it can be told from threads that only rest."""
    for ring in rings(scene):
        waits = [scene.waits[ident] for ident in ring]
        sorts = {wait.sort for wait in waits}
        owned = all(wait.is_owned for wait in waits)
        certain = scene.all_stay or (owned and not any(wait.is_of_task for wait in waits))
        if sorts == {"recv"}:
            if certain or is_silent(scene):
                yield both_receive(scene, waits, certain)
        elif certain or owned or len(ring) > 1 or scene.is_quiet:
            yield deadlock(scene, waits, certain)


def rings(scene: Scene) -> list[list[int]]:
    """Returns the circles: each thread of `closed` waits for another one of it, so each walk ends in one."""
    found, known = list[list[int]](), set[int]()
    for first in (ident for ident in scene.waits if ident in scene.closed):
        walk, ident = list[int](), first
        while ident not in known and ident not in walk:
            walk.append(ident)
            ident = min(scene.living(scene.waits[ident]))
        if ident in walk:
            found.append(walk[walk.index(ident) :])
        known.update(walk)
    return found


def is_silent(scene: Scene) -> bool:
    """Whether no thread is there that may be meant to speak: one that waits for work may send it on."""
    return scene.is_quiet and all(wait.sort != "inside" for wait in scene.waits.values())


def pairs_of(waits: Sequence[Wait]) -> tuple[tuple[int, int], ...]:
    """Returns which thread of a circle waits for which."""
    idents = [wait.ident for wait in waits]
    return tuple(zip(idents, [*idents[1:], idents[0]], strict=True))


def deadlock(scene: Scene, waits: Sequence[Wait], certain: bool) -> Finding:
    """Words a circle in which each waits for the next. If it is not certain, what could still end it, too."""
    recording, sorts = scene.recording, [wait.sort for wait in waits]
    if set(sorts) == {"send"}:
        sides = {1: "One thread has both ends, and sends", 2: "Both sides send, and neither reads"}
        what, kind = sides.get(len(waits), "All send, and none reads"), "both-send"
    else:
        what, kind = "Deadlock", "deadlock"
    needs = {"lock": "releases a lock", "recv": "sends or closes", "send": "reads"}
    helps = dict.fromkeys(needs[wait.sort] for wait in waits if not wait.is_owned)
    other = "task" if all(wait.is_of_task for wait in waits) else "thread"
    if any(wait.is_of_task for wait in waits):
        helps["cancels one of them"] = None
    unless = "" if certain else f", unless another {other} {listed(helps, ' or ')}"
    parts = [
        f"{called(recording, wait.ident)} {'waits ' * (number == 0)}for "
        + awaited(recording, wait, after=sorts[number - 1] if number else "")
        for number, wait in enumerate(waits)
    ]
    lines = lines_of([wait.span for wait in waits])
    behind = [called(recording, ident) for ident in also_stuck(scene, {wait.ident for wait in waits})]
    also = f"; {crowd(behind)} wait{'s' * (len(behind) == 1)} behind that" if behind else ""
    sentence = f"{what}{unless}: {listed(parts, ', and ')}{lines}{also}"
    return Finding(kind, sentence, tuple(wait.ident for wait in waits), certain, pairs_of(waits))


def also_stuck(scene: Scene, ring: set[int]) -> list[int]:
    """Returns the threads outside of a circle that wait for one of it, or for another one that does."""
    found, reached = list[int](), set(ring)
    left = [wait for ident, wait in scene.waits.items() if ident in scene.closed]
    while new := [wait.ident for wait in left if wait.ident not in reached and wait.on & reached]:
        found += new
        reached.update(new)
    return found


def both_receive(scene: Scene, waits: Sequence[Wait], certain: bool) -> Finding:
    """Words a circle in which each waits until another one speaks."""
    who = listed(called(scene.recording, wait.ident) for wait in waits)
    side = {1: "One thread has both ends, and waits", 2: "Both sides wait"}.get(len(waits), "All wait")
    end = (
        ": nobody will ever speak"
        if certain
        else "; as long as no other thread sends or closes, that stays so"
    )
    sentence = f"{side} to receive, {who}{lines_of([wait.span for wait in waits])}{end}"
    return Finding("both-receive", sentence, tuple(wait.ident for wait in waits), certain, pairs_of(waits))


def starved(scene: Scene) -> Iterator[Finding]:
    """Gives a finding for each thread that waits for what no thread is left to do.

    If the thread that looks is left, it could do that: then only if others wait for the one that waits.
    """
    if not scene.all_stay and not all_rest(scene):
        return
    for ident, wait in scene.waits.items():
        behind = [other for other in scene.waits.values() if ident in other.on and other.sort in _HARD]
        alone = wait.sort not in _HARD and ident not in scene.closed
        if alone and (behind or scene.all_stay):
            yield starvation(scene, wait, behind)


_HARD = ("lock", "join")


def all_rest(scene: Scene) -> bool:
    """Whether each thread, but for the one that looks, waits for others within the program."""
    waits = scene.waits.values()
    return scene.is_quiet and all(
        wait.sort in ("inside", *_HARD) or wait.ident in scene.closed for wait in waits
    )


def starvation(scene: Scene, wait: Wait, behind: Sequence[Wait]) -> Finding:
    """Words a wait that no thread ends, with those that wait `behind` it."""
    recording, ident = scene.recording, wait.ident
    subject = wait.span.subject if wait.sort == "inside" else wait.sort
    acts = {"recv": "sends", "send": "reads"}.get(subject) or COULD.get(subject, "ends that")
    parts = [f"{called(recording, each.ident)} waits for {awaited(recording, each)}" for each in behind]
    parts.append(f"{called(recording, ident)} waits for {awaited(recording, wait)}")
    if scene.all_stay:
        end = f", and no thread is left that {acts}"
    else:
        end = f"; as long as no other thread {acts}, that stays so"
    sentence = listed(parts, ", and ") + lines_of([*(each.span for each in behind), wait.span]) + end
    waits = tuple((each.ident, ident) for each in behind)
    lanes = *(each.ident for each in behind), ident
    return Finding("starved", sentence, lanes, scene.all_stay, waits)
