"""Which conversation a server holds: what to say to it, and what it makes of that."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Dialect:
    """How clients talk to a server and through it."""

    name: str
    framed: bool = True
    """True if it promises lines; False if it passes bytes on as they come."""
    answers: bool = False
    """True if it answers the sender; False if it sends a line to the others."""
    upper: bool = False
    """True if what is heard of a line is in upper case."""
    echo: bool | None = False
    """Whether a sender hears itself; None if either is well."""
    name_first: bool = False
    """Whether the first line that a client says is its name."""
    prefix: bool | None = None
    """Whether something stands before each line; None if either is well."""
    newline: bytes = b"\n"
    """What ends a line that a client sends."""

    def spoken(self, text: bytes) -> bytes:
        """Returns what is heard of a text, without what may stand before it."""
        return text.upper() if self.upper else text

    def forms(self, text: bytes) -> tuple[bytes, ...]:
        """Returns all that may be heard of a text: upper case of bytes leaves letters like é as they are."""
        return (text.upper(), text.decode().upper().encode()) if self.upper else (text,)

    def misfit(self, name: str, heard: bytes, text: bytes) -> str:
        """Says what is wrong with a line in which `text` arrived; nothing if it is well."""
        spoken = self.spoken(text)
        if self.name == "budget-chat":
            wanted = f"[{name}] ".encode() + spoken
            return "" if heard == wanted else f"exactly {show(wanted)}"
        if (self.prefix is False or self.answers) and heard != spoken:
            return f"exactly {show(spoken)}, with nothing before it"
        if self.prefix is True and heard == spoken:
            return f"something before {show(spoken)} that says who spoke"
        return ""

    def __str__(self) -> str:
        if self.answers:
            return (
                f"{self.name}: it answers each line {'in upper case' if self.upper else 'with the same line'}"
            )
        traits = [
            "newline-framed lines" if self.framed else "bytes as they come, no framing",
            "a name is asked first" if self.name_first else "no name is asked",
        ]
        if self.prefix is not None:
            traits.append("each line says who spoke" if self.prefix else "lines as they were said")
        if self.echo is not None:
            traits.append("a sender hears itself" if self.echo else "a sender does not hear itself")
        return f"{self.name}: {', '.join(traits)}"


DIALECTS = {
    dialect.name: dialect
    for dialect in (
        Dialect("raw", framed=False, echo=None),
        Dialect("lines"),
        Dialect("echo", answers=True, echo=True),
        Dialect("shout", answers=True, upper=True, echo=True),
        Dialect("budget-chat", name_first=True, prefix=True),
    )
}


def dialect_of(name: str, echo: bool | None, name_first: bool | None, prefix: bool | None) -> Dialect:
    """Returns a dialect by its name, with those options that are not None.

    Raises:
        ValueError: No dialect has this name, or the options do not fit it.
    """
    if name not in DIALECTS:
        raise ValueError(f"{name!r} is not a dialect: those are {', '.join(DIALECTS)} and auto")
    options = {"echo": echo, "name_first": name_first, "prefix": prefix}
    given = {option: value for option, value in options.items() if value is not None}
    if given and name not in ("raw", "lines"):
        raise ValueError(f"the dialect {name} leaves nothing open: {', '.join(given)} cannot be set")
    return replace(DIALECTS[name], **given)  # type: ignore[arg-type]


def show(data: bytes, limit: int = 90) -> str:
    """Returns bytes as text in quotes, so that every control character and its ends can be seen."""
    if len(data) > limit:
        half = limit // 2
        return f"{show(data[:half])} ... {show(data[-half:])} ({len(data)} bytes)"
    text = data.decode("utf-8", "backslashreplace")
    return '"' + "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text) + '"'
