"""The load generator's process, as seen from the benchmark: it takes a workload, and answers with figures."""

import json

from chatlib.bench.child import Child, python
from chatlib.bench.loadgen.connecting import JOIN_WITHIN
from chatlib.bench.records import Figures, MeasurementError, Workload

GRACE = 30.0
"""Seconds that a measurement may take beyond the load and the joining."""


class LoadGenerator:
    """Keeps one load generator running for all measurements. One that does not answer is replaced."""

    def __init__(self) -> None:
        self._child: Child | None = None

    def start(self) -> None:
        """Starts it, if it does not run. Returns at once; it is ready a moment later."""
        if not self._child:
            # Noted before it starts: `close` must find it, even if Ctrl-C comes in between.
            self._child = Child(python("-m", "chatlib.bench"))
            self._child.start()

    def measure(self, workload: Workload) -> Figures:
        """Lets it do one measurement. Blocks until that is done, for at most 45 s longer than the load.

        Raises:
            MeasurementError: The server did something wrong, or nothing was heard in time.
        """
        self.start()
        assert self._child
        try:
            self._child.say(json.dumps(vars(workload)))
            answer = json.loads(self._child.line_with("{", workload.seconds + JOIN_WITHIN + GRACE))
        except MeasurementError as error:
            self.close()
            raise MeasurementError(f"the load generator failed: {error}") from None
        if "failed" in answer:
            raise MeasurementError(answer["failed"])
        return Figures(**answer)

    def close(self) -> None:
        """Ends it. Blocks until it has ended, for at most some seconds."""
        if self._child:
            self._child.close()
        self._child = None
