"""Runs one: `python -m chatlib.checker.specimens NAME PORT [DIALECT]`, until Ctrl-C."""

import contextlib
import sys

from chatlib.checker.specimens import SOUND, SPECIMENS


def main(name: str, port: str, dialect: str = "") -> None:
    """Serves until Ctrl-C."""
    found = [one for one in (*SOUND, *SPECIMENS) if one.name == name and dialect in ("", one.dialect)]
    if not found:
        sys.exit(f"there is no {name}: there are {', '.join(one.name for one in SPECIMENS)}")
    server = found[0].load()(("127.0.0.1", int(port)))
    with contextlib.ExitStack() as stack, contextlib.suppress(KeyboardInterrupt):
        stack.callback(server.server_close)
        print("listening on {}:{}".format(*server.server_address), flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
