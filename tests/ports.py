"""Ports for what listens only seconds after its port was chosen: JupyterLab, and the kernels of notebooks."""

import contextlib
import random
import socket

from jupyter_client.connect import LocalPortCache

PORTS = range(10_000, 30_000)
"""No system gives one of these away by itself, to a server or to a client that connects."""


def choose_ours() -> None:
    """From now on, kernels that this process starts have such ports.

    Jupyter takes any that is free. The system may give it to a test before the kernel listens there: then the
    kernel dies. Or after it has ended, while Jupyter still tries to connect: then a test meets a stranger.
    """
    LocalPortCache.find_available_port = _find  # type: ignore[method-assign, assignment]


def _find(cache: LocalPortCache, ip: str) -> int:
    while True:
        port = random.choice(PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((ip, port))
            if port not in cache.currently_used_ports:
                cache.currently_used_ports.add(port)
                return port
