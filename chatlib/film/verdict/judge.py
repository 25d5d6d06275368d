"""From a recording to its verdict: nothing but the record decides."""

from itertools import chain

from chatlib.film.recording import Recording, made_once
from chatlib.film.spans import HIDDEN
from chatlib.film.verdict.circles import circles, starved
from chatlib.film.verdict.delays import delays
from chatlib.film.verdict.finding import Finding, Verdict
from chatlib.film.verdict.loops import blocked_loops, polling
from chatlib.film.verdict.scene import RIPE, Scene


@made_once
def verdict_of(recording: Recording) -> Verdict:
    """Returns who is stuck because of whom, at the moment of a recording.

    What the film cannot see may be what ends a wait: so a thread counts as stuck for ever only if no other is
    left that could wake it. What began less than `RIPE` seconds ago is not judged.
    """
    scene = Scene(recording)
    parts = circles(scene), starved(scene), blocked_loops(scene), delays(scene), polling(scene)
    found = sorted(chain(*parts), key=lambda finding: not finding.certain)
    return Verdict(tuple(different(found)), is_clear(scene))


def different(found: list[Finding]) -> list[Finding]:
    """Leaves out what only repeats a circle, or what a blocked event loop explains."""
    told = {finding.lanes[-1] for finding in found if finding.kind == "blocked-loop"}
    told |= {
        ident for finding in found if finding.kind in ("deadlock", "both-send") for ident in finding.lanes
    }
    return [each for each in found if each.kind not in ("held-up", "unread") or not told & {*each.lanes}]


def is_clear(scene: Scene) -> bool:
    """Whether all threads are known, and none waits for what only another one of them can do."""
    waits = [wait for wait in scene.waits.values() if wait.sort != "door"]
    known = all(wait.sort == "acts" and wait.span.kind not in ("recv", "send") for wait in waits)
    known &= all(wait.span.call != "await" or wait.span.subject == "sleep" for wait in waits)
    unseen = any(wait.span.call == HIDDEN for wait in waits)
    return scene.recording.free is not None and known and not unseen


def is_ripe(recording: Recording) -> bool:
    """Whether each open call has lasted long enough to be judged."""
    return all(recording.now - span.start >= RIPE for span in recording.spans if span.end is None)
