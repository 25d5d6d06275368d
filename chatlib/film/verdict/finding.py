"""What is found: sentences, the threads that they are about, and whether it stays so."""

from dataclasses import dataclass

NOTHING = "Nothing is stuck."
NOTHING_KNOWN = "Nothing is known to be stuck."


@dataclass(frozen=True)
class Finding:
    """Threads that wait because of each other, or one that lets the others wait.

    Args:
        kind: `deadlock`, `both-receive`, `both-send`; `starved`: no thread is left that could end its wait;
            `held-up`: others wait for a thread that waits for something else; `unread`: a peer does not read
            what is sent to it; `blocked-loop`, `polling`.
        sentence: What is so, in words.
        lanes: The idents of the threads, in the order in which they wait for each other.
        certain: Whether it stays so for ever: no thread is left that could end it. If not, the sentence says
            what is so now.
        waits: Which of them waits for which, as pairs of idents.
    """

    kind: str
    sentence: str
    lanes: tuple[int, ...]
    certain: bool = False
    waits: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True)
class Verdict:
    """All findings, those that stay for ever first. Printed, it is their sentences, one a line.

    Args:
        findings: What is stuck, and what keeps others waiting.
        clear: Whether it is known that nothing is stuck: no thread is in a wait that only another one of this
            program could end, or in a call that cannot be seen.
    """

    findings: tuple[Finding, ...] = ()
    clear: bool = False

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings)) or (NOTHING if self.clear else NOTHING_KNOWN)
