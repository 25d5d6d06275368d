"""What the commands take: a parser that says a mistake in one line, and kinds of arguments."""

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and exits with 2."""

    def error(self, message: str) -> NoReturn:
        """Ends the program."""
        self.exit(2, f"{self.prog}: {message}\n")


def port(text: str) -> int:
    """Returns the number of a port; 0 means any free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: ports are numbers from 0 to 65535")
    return int(text)


def names(text: str) -> tuple[str, ...]:
    """Returns the names in a list like `sync,threading`."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def numbers(text: str) -> tuple[int, ...]:
    """Returns the numbers in a list like `10,100,1000`."""
    found = names(text)
    if not found or not all(number.isdecimal() for number in found):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers like 10,100,1000")
    return tuple(map(int, found))
