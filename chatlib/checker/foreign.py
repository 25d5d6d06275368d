"""Says in words what was seen of a server that speaks none of the checker's dialects."""

import contextlib
import json
import re

from chatlib.checker.errors import Broken, Unjudged
from chatlib.checker.harness.clients import Peer
from chatlib.checker.harness.dialect import show
from chatlib.checker.harness.session import Session
from chatlib.checker.targets.capture import last_lines

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
"""What a web page sends to open a WebSocket; the key is that of the example in RFC 6455."""

TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
"""How an alert and a handshake begin, in every version of TLS that is in use."""

_LOGIN = re.compile(rb"log ?in|password", re.IGNORECASE)


def in_words(session: Session) -> str:
    """Returns what two clients have met, in sentences. Asks whether the server speaks HTTP, or TLS."""
    ended = session.instance.ended(session.timeouts.quiet)
    printed = session.instance.printed()
    said = last_lines(printed, 2)
    alice, bob = session.peers.get("alice"), session.peers.get("bob")
    if alice is None or bob is None:
        what = "It does not let two clients in."
    else:
        talk = conversation_of(alice, bob)  # before it is asked for its protocol: others may hear that
        if alice.greeted:
            talk = f"It greets a client with {show(bytes(alice.heard[: alice.greeted]))}. {talk}"
        what = protocol_of(session, alice) or talk
    if ended:
        what += f" {ended[0].upper()}{ended[1:]}."
    if said:
        asks = "" if printed.endswith("\n") else " (does it ask for input?)"
        what += f" It printed: {' / '.join(line.strip() for line in said).rstrip('.')}{asks}."
    return what


def protocol_of(session: Session, alice: Peer) -> str:
    """Names the protocol that it speaks instead; nothing if it is not known."""
    heard = bytes(alice.heard)
    for answer in (heard, _answer_to(session, UPGRADE)):
        if answer.startswith(b"HTTP/"):
            status = answer.splitlines()[0]
            return f"It speaks {'WebSocket' if b' 101 ' in status else 'HTTP'}: {show(status)}."
    if not heard and _answer_to(session, client_hello()).startswith(TLS_RECORDS):
        return "It expects TLS: it answers a handshake, and no plain line."
    if _LOGIN.search(heard):
        return f"It asks for a login: {show(heard)}."
    if _is_json(heard):
        return f"It speaks JSON: {show(heard)}."
    return ""


def conversation_of(alice: Peer, bob: Peer) -> str:
    """Says what came back of what alice has said, after the greeting."""
    heard, heard_by_bob = alice.since(alice.greeted or 0), bob.since(bob.greeted or 0)
    if heard and alice.end:
        return f"It closes the connection after one answer: {show(heard)}."
    if alice.nick.encode() in bob.heard:
        received = show(bytes(bob.heard))
        return f"Alice's first line reached bob, and her last one did not. He received {received}."
    if heard:
        return f"It answers the sender only, and not with the lines that were said: {show(heard)}."
    if alice.end:
        return f"When a client said a line, its connection was {alice.end}."
    if heard_by_bob:
        return f"What alice says does not reach bob, who received {show(heard_by_bob)}."
    return "Two clients said lines, and neither heard anything."


def _answer_to(session: Session, request: bytes) -> bytes:
    """Returns what a new client hears when it sends this; nothing if it is not served."""
    with contextlib.suppress(Broken, Unjudged):
        peer = session.connect("stranger")
        session.send(peer, request)
        session.wait(lambda: peer.heard or peer.end)
        session.clients.leave(peer)
        return bytes(peer.heard)
    return b""


def client_hello() -> bytes:
    """Returns the first bytes that a client sends to set TLS up; nothing if this Python knows no TLS."""
    try:
        import ssl
    except ImportError:  # pragma: no cover
        return b""
    outgoing = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    hello = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        hello.do_handshake()
    return outgoing.read()


def _is_json(heard: bytes) -> bool:
    try:
        return isinstance(json.loads(heard.split(b"\n")[0]), dict | list)
    except (ValueError, RecursionError):  # it may be a million brackets
        return False
