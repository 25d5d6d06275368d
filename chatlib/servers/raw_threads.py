"""A group chat by hand, without `socketserver`: create, bind, listen, accept, receive, broadcast, close."""

import socket
from typing import Any

from chatlib.outbox import Outbox
from chatlib.servers.core.server import Server
from chatlib.servers.core.session import CHUNK, deliver, lingering_close, session
from chatlib.sockets import Address
from chatlib.wire import LineReader


class RawThreadServer(Server):
    """A thread for each client, as in `ThreadingServer`, but by hand: the seven steps of lesson 05.

    With the service `Broadcast` it is that lesson's chat. `serve_forever` is in `core/server.py`: it sleeps
    until a client connects, then calls `get_request` and `process_request`. `broadcast` is `Broadcast.answer`
    in `services.py`; the list of clients and its lock are there, too. `remove` is `shutdown_request`.
    """

    def listen(self, address: Address) -> None:
        """Steps 1 to 3. From here on the kernel completes connections, and keeps them for `accept`."""
        self.socket = socket.socket(self.address_family, socket.SOCK_STREAM)  # 1. create
        try:
            if self.allow_reuse_address:  # else a port just used stays taken for a minute (TIME_WAIT)
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(address)  # 2. bind
            self.socket.listen(self.request_queue_size)  # 3. listen
        except BaseException:
            self.socket.close()
            raise
        self.server_address = self.socket.getsockname()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Step 4. Does not block: `serve_forever` has slept until a client came, and calls this then."""
        return self.socket.accept()  # 4. accept

    def process_request(self, request: socket.socket, client_address: Any) -> None:
        """Starts the client's thread and returns at once: the next client can be accepted."""
        client = self.clients[request]
        self.start_handler(self.handle_client, client, name=f"serves {client.name}")

    def handle_client(self, client: Outbox) -> None:
        """Steps 5 to 7, in the client's own thread. Returns when the client has left."""
        lines = LineReader(self.limits.line)
        try:
            with session(self.service, client, self.flusher):  # a member of the service until it has left
                # 5. receive. Blocks: the client wakes the thread by sending or leaving (b""), or `shutdown`
                # does.
                while not client.ended and (chunk := client.connection.recv(CHUNK)):
                    deliver(self.service, client, lines, chunk)  # 6. broadcast: posts each line to the others
                    self.flusher.flush()  # and sends it, as far as each client's kernel buffer has room
                    # Blocks while this client is owed too much: it must read before more of it is read.
                    client.drain(self.limits.idle, leave=self.limits.high_water)
            lingering_close(client)  # blocks for a moment, until the client has read its last bytes
        finally:
            self.shutdown_request(client.connection)  # 7. close, and remove it from `clients`
