"""The process of the load generator: reads an order from its input, prints the figures, or what failed.

`python -m chatlib bench` starts it once for each measurement; see `chatlib.bench.run`.
"""

import dataclasses
import gc
import json
import sys

from chatlib.bench.load import load
from chatlib.bench.records import Order
from chatlib.bench.streams import Failed


def main() -> None:
    """Does one measurement. Blocks for as long as the order says, and some seconds at most."""
    order = Order(**json.loads(sys.stdin.read()))
    gc.disable()  # or its pauses would look like the server's
    try:
        print(json.dumps(dataclasses.asdict(load(order))))
    except Failed as error:
        print(json.dumps({"failed": str(error)}))


if __name__ == "__main__":
    main()
