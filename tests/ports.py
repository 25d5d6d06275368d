"""Ports for what listens only seconds after its port was chosen: JupyterLab, and the kernels of notebooks."""

import contextlib
import os
import random
import socket

from jupyter_client.connect import LocalPortCache

PORTS = range(10_000, 30_000)
"""Linux, macOS and Windows give none of these away by themselves, to a server or to a client."""
OURS = PORTS[int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8 :: 8]
"""Those of this process, of the eight that run tests side by side; and of a JupyterLab that it starts."""


def choose_ours() -> None:
    """From now on, kernels that this process starts have such ports.

    Jupyter takes any that is free. The system may give it to a test before the kernel listens there: then the
    kernel dies. Or after it has ended, while Jupyter still tries to connect: then a test meets a stranger.
    """
    LocalPortCache.find_available_port = _find  # type: ignore[method-assign, assignment]


def _find(cache: LocalPortCache, ip: str) -> int:
    for port in random.sample(OURS, 100):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((ip, port))
            if port not in cache.currently_used_ports:
                cache.currently_used_ports.add(port)
                return port
    raise OSError(f"no port is free at {ip}")
