"""The load generator's process, as seen from here: it is given orders, and answers with figures."""

import json

from chatlib.bench.child import Program, python
from chatlib.bench.loadgen.connecting import JOIN_WITHIN
from chatlib.bench.loadgen.payload import Failed
from chatlib.bench.records import Figures, Order

GRACE = 30.0
"""Seconds that a measurement may take beyond the load and the joining."""


class Generator:
    """Keeps one load generator running for all measurements. One that does not answer is replaced."""

    def __init__(self) -> None:
        self._program: Program | None = None

    def start(self) -> None:
        """Starts it, if it does not run. Returns at once; it is ready a moment later."""
        if not self._program:
            self._program = Program(python("-m", "chatlib.bench"))  # noted first, so that it will be closed
            self._program.start()

    def measure(self, order: Order) -> Figures:
        """Lets it do one measurement. Blocks until that is done, and 45 s longer than the load at most.

        Raises:
            Failed: The server did something wrong, or nothing was heard in time.
        """
        self.start()
        assert self._program
        try:
            self._program.say(json.dumps(vars(order)))
            answer = json.loads(self._program.line_with("{", order.seconds + JOIN_WITHIN + GRACE))
        except Failed as error:
            self.close()
            raise Failed(f"the load generator failed: {error}") from None
        if "failed" in answer:
            raise Failed(answer["failed"])
        return Figures(**answer)

    def close(self) -> None:
        """Ends it. Blocks until it has ended, for at most some seconds."""
        if self._program:
            self._program.close()
        self._program = None
