"""The process of the load generator: for each order on its input it prints the figures, or what failed.

`python -m chatlib bench` starts it; see `chatlib.bench.loadgen_process`.
"""

import dataclasses
import gc
import json
import sys

from chatlib.bench.loadgen.load import load
from chatlib.bench.loadgen.payload import Failed
from chatlib.bench.records import Order


def main() -> None:
    """Does one measurement after the other, until its input ends."""
    gc.disable()  # or its pauses would look like the server's
    for line in sys.stdin:
        try:
            answer = dataclasses.asdict(load(Order(**json.loads(line))))
        except Failed as error:
            answer = {"failed": str(error)}
        print(json.dumps(answer), flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
