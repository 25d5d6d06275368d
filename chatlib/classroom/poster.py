"""What a class has to know to come in: as text for a terminal, and as a page to project."""

import contextlib
import io
from dataclasses import dataclass
from html import escape

from chatlib.classroom.ballot import Ballot

STYLE = """
  body { font: clamp(1rem, 1.6vw, 2rem)/1.3 system-ui, sans-serif; margin: 2vw; color: #111; }
  html { background: #fff; }
  h1 { margin: 0 0 1vw; overflow-wrap: anywhere; font-size: 2em; }
  main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(17em, 100%), 1fr)); gap: 2vw; }
  section { min-width: 0; } h2 { margin: 0 0 .5em; overflow-wrap: anywhere; font-size: 1.3em; }
  dl { margin: 0; } dt { color: #555; } dd { margin: 0 0 .5em; overflow-wrap: anywhere; }
  .big { font: 700 clamp(1.5rem, 2.2vw, 3rem)/1.2 ui-monospace, monospace; }
  code, pre { font-family: ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
  pre { margin: 0; }
  .qr { width: min(100%, 70vh); } .qr svg { width: 100%; height: auto; }
  .bar { background: #e5e7eb; } .bar span { display: block; background: #1d4ed8; height: 1em; }
  .measured dt::after { content: "  ✓ measured"; font-weight: 700; color: #166534; }
"""


@dataclass(frozen=True)
class Poster:
    """How to come in.

    Args:
        title: What the room is called.
        host: Where it is.
        port: Where the room listens.
        code: What clients have to know; empty if nothing.
        page: The address of the page for telephones; empty if there is none.
    """

    title: str
    host: str
    port: int
    code: str
    page: str

    @property
    def address(self) -> str:
        """Host and port, as `chatlib.connect` takes them."""
        return f"{bracketed(self.host)}:{self.port}"

    @property
    def lines(self) -> tuple[str, str]:
        """The two lines that a student types in a terminal."""
        return f"nc {self.host} {self.port}", f"{self.code} alice".strip()

    @property
    def in_python(self) -> str:
        """The line for a notebook."""
        return f'alice = chatlib.connect("{self.address}", name="alice", code="{self.code}")'

    @property
    def link(self) -> str:
        """The page's address with the code behind a #, a part that browsers send to no server."""
        return f"{self.page}#{self.code}" if self.page and self.code else self.page

    def __str__(self) -> str:
        first, second = self.lines
        lines = [
            self.title,
            "",
            f"  address  {self.address}",
            f"  code     {self.code or 'none is needed'}",
            "",
        ]
        lines += ["From a terminal, two lines (on Windows, telnet in place of nc):"]
        lines += [f"  {first}", f"  {second}", "", "In Python:", f"  {self.in_python}", ""]
        if self.page:
            lines += ["On a telephone, and to project (on this computer only):"]
            lines += [f"  {self.link}", f"  {self.page}projector", *qr_text(self.link).splitlines()]
        else:
            lines += ["No page for telephones: pip install tornado"]
        return "\n".join(lines)

    def html(self, present: int, ballot: Ballot | None = None) -> str:
        """Returns the page to project. It asks for itself again every two seconds."""
        first, second = map(escape, self.lines)
        svg = qr_svg(self.link) if self.page else ""
        python = escape(self.in_python).replace("(", "(<wbr>")  # or a line may break within the address
        link = escape(self.link).replace("#", "<wbr>#")
        telephone = f"<dt>on a telephone</dt><dd><code>{link}</code></dd>" if self.page else ""
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">'
            '<link rel="icon" href="data:,">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{STYLE}</style><h1>{escape(self.title)}</h1><main>"
            f'<section><dl><dt>address</dt><dd class="big">{escape(self.address)}</dd>'
            f'<dt>code</dt><dd class="big">{escape(self.code) or "none is needed"}</dd>'
            "<dt>in a terminal (on Windows, <code>telnet</code> in place of <code>nc</code>)</dt>"
            f"<dd><pre>{first}\n{second}</pre></dd>"
            f"<dt>in Python</dt><dd><code>{python}</code></dd>"
            f"{telephone}<dt>here now</dt><dd>{present}</dd></dl></section>"
            f'{bars(ballot)}<div class="qr" role="img" aria-label="QR code of the page">{svg}</div>'
            "</main></html>"
        )


def bracketed(host: str) -> str:
    """Returns a host as it stands before a port: IPv6 has colons of its own."""
    return f"[{host}]" if ":" in host else host


def bars(ballot: Ballot | None) -> str:
    """Returns a vote as HTML: a bar for each answer if the teacher shows it, else only how many there are."""
    if not ballot:
        return ""
    if not ballot.shown:
        return f"<section><h2>{escape(ballot.question)}</h2><p>answers so far: {ballot.total}</p></section>"
    most, rows = max(*ballot.counts.values(), 1), ""
    for choice, count in ballot.counts.items():
        mark = ' class="measured"' if choice == ballot.measured else ""
        bar = f'<div class="bar"><span style="width:{100 * count // most}%"></span></div>'
        rows += f"<dl{mark}><dt>{escape(choice)}: {count}</dt><dd>{bar}</dd></dl>"
    return f"<section><h2>{escape(ballot.question)}</h2>{rows}</section>"


def qr_text(link: str) -> str:
    """Returns a QR code for a terminal; nothing if segno is not installed."""
    with contextlib.suppress(ImportError):
        import segno

        text = io.StringIO()
        segno.make(link, micro=False).terminal(text, compact=True, border=2)
        return text.getvalue()
    return ""


def qr_svg(link: str) -> str:
    """Returns a QR code as a picture; nothing if segno is not installed."""
    with contextlib.suppress(ImportError):
        import segno

        return segno.make(link, micro=False).svg_inline(border=4, omitsize=True)
    return ""
