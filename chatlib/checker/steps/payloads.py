"""What goes wrong on a network, as bytes: each is something that a real client has sent."""

import random

LETTER = "é".encode()
"""One letter, two bytes: it can be cut in half."""

BAD_UTF8 = b"\xff\xfe caf\xe9 \xc3\x28 \x80"
"""Bytes that are not UTF-8: latin-1, a lone continuation byte, what no letter begins with."""

CONTROL = b"nul \x00 escape \x1b[2J\x1b]0;title\x07 bell \x07 backspace \x08 delete \x7f"
"""What steers a terminal, and what ends a text in C."""

RANDOM = bytes(letter for letter in random.Random(2).randbytes(3000) if letter not in b"\0/\n\r") + b"\n"
"""Nonsense, the same each time, as from a program that expects another protocol."""
