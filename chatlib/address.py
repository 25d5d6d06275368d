"""What an address is: a host and a port."""

from typing import Any

Address = tuple[str, int]

LOOPBACK: Address = ("127.0.0.1", 0)
"""This computer only, on any free port."""


def checked(address: Any) -> Address:
    """Returns the host and the port of an address.

    Raises:
        TypeError: This is no such pair; the message shows what one looks like.
    """
    if isinstance(address, (tuple, list)) and len(address) >= 2:
        host, port = address[:2]
        if isinstance(host, str) and isinstance(port, int):
            return host, port
    raise TypeError(f'{address!r} is not an address: that is a pair like ("127.0.0.1", 9999)')
