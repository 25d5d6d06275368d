"""Sets SO_REUSEPORT: a second server on the port starts, and takes away half of the clients."""

import socket

from chatlib.checker.specimens.threads import Address, Threads


class SharesThePort(Threads):
    def bind(self, address: Address) -> None:
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().bind(address)
