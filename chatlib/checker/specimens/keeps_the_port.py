"""Does not set SO_REUSEADDR: after its end, the port stays taken for a minute."""

from chatlib.checker.specimens.threads import Address, Threads


class KeepsThePort(Threads):
    def bind(self, address: Address) -> None:
        self.listener.bind(address)
        self.listener.listen(128)
