"""How names, bytes and seconds are written in all that a film shows."""

from chatlib.wire import printable

LONGEST = 160
"""Characters of a name or a source line that are shown."""


def clean(text: str) -> str:
    """Returns text as it may be shown: control characters spelled out, and not without end."""
    shown = printable(text[: LONGEST + 1])  # it may be megabytes
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


def bytes_of(size: int) -> str:
    """Returns `1 byte`, `14 bytes`, `65,536 bytes`."""
    return "1 byte" if size == 1 else f"{size:,} bytes"


def seconds_of(seconds: float) -> str:
    """Returns `12.3 s`, `80 ms` or `20 µs`."""
    if seconds >= 0.0995:
        return f"{seconds:,.1f} s"
    return f"{seconds * 1e3:.0f} ms" if seconds >= 0.9995e-3 else f"{max(seconds, 0) * 1e6:.0f} µs"
