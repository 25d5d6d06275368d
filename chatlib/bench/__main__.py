"""The process of the load generator: for each workload on its input it prints the figures, or what failed.

`python -m chatlib bench` starts it; see `chatlib.bench.loadgen_process`.
"""

import dataclasses
import gc
import json
import sys

from chatlib.bench.loadgen.load import load
from chatlib.bench.records import MeasurementError, Workload


def main() -> None:
    """Does one measurement after the other, until its input ends."""
    gc.disable()  # a collection takes milliseconds: they would look like latency of the server
    for line in sys.stdin:  # blocks until the benchmark orders the next measurement, or ends
        try:
            answer = dataclasses.asdict(load(Workload(**json.loads(line))))
        except MeasurementError as error:
            answer = {"failed": str(error)}
        print(json.dumps(answer), flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
