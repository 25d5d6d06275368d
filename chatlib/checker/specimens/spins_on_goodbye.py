"""Reads `b""`, which means that a client has left, again and again, as if something might still come."""

from chatlib.checker.specimens.loop import LINE_LIMIT, Client, Loop


class SpinsOnGoodbye(Loop):
    def bid_goodbye(self, client: Client) -> None:
        if len(client.rest) > LINE_LIMIT:
            super().bid_goodbye(client)
