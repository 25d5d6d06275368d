"""The colours of a film's picture: those by Okabe and Ito, for light and dark, and JupyterLab's own."""

# Where the picture is an image of its own, a page's theme does not reach it: so it paints its background.
_LIGHT = (
    "--cf-bg:var(--jp-layout-color0,#fff);--cf-ink:var(--jp-ui-font-color0,#111);"
    "--cf-soft:var(--jp-ui-font-color1,#444);--cf-grid:var(--jp-border-color2,#e0e0e0);"
    "--cf-line:var(--jp-border-color1,#bbb)"
)
_DARK = (
    "--cf-bg:var(--jp-layout-color0,#111);--cf-ink:var(--jp-ui-font-color0,#fff);"
    "--cf-soft:var(--jp-ui-font-color1,#ccc);--cf-grid:var(--jp-border-color2,#333);"
    "--cf-line:var(--jp-border-color1,#666)"
)

_ORANGE, _SKY, _GREEN, _BLUE, _VERMILLION, _PURPLE = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)

_RULES = {
    "": f"{_LIGHT};display:block;font-family:var(--jp-ui-font-family,system-ui,'DejaVu Sans',sans-serif)",
    # inside a page: as wide as its column, but scrolled rather than shrunk beyond reading
    ":not(:root)": "width:100%;height:auto",
    " text": "fill:var(--cf-ink);white-space:pre",
    " .cf-bg": "fill:var(--cf-bg)",
    " .cf-name": "font-weight:600;font-size:16px",
    " .cf-small": "font-size:13px;fill:var(--cf-soft)",
    " .cf-mid": "text-anchor:middle",
    " .cf-last": "text-anchor:end",
    " .cf-grid": "stroke:var(--cf-grid);fill:none",
    " .cf-line": "stroke:var(--cf-line);fill:none;stroke-width:2;stroke-dasharray:1 5;stroke-linecap:round",
    " .cf-fold": "stroke:var(--cf-soft);fill:none;stroke-width:1.5",
    " .cf-frame": "fill:none;stroke:var(--cf-line);stroke-width:1.5",
    " .cf-side": "fill:none;stroke:var(--cf-soft);stroke-width:5;stroke-linecap:round",
    " .cf-owner": "font-weight:700;font-size:15px;fill:var(--cf-soft)",
    " .cf-lead": "stroke:var(--cf-soft);fill:none",
    " .cf-label": "paint-order:stroke;stroke:var(--cf-bg);stroke-width:4px;stroke-linejoin:round",
    " .cf-on-send": f"fill:#fff;stroke:{_BLUE}",
    " .cf-on-leave": "fill:var(--cf-bg);stroke:none",
    " .cf-strong": "font-weight:700",
    " .cf-bar": "fill:var(--cf-kind);fill-opacity:.3;stroke:var(--cf-kind);stroke-width:2",
    " .cf-recv": f"--cf-kind:{_ORANGE}",
    " .cf-door": f"--cf-kind:{_SKY}",
    " .cf-inside": f"--cf-kind:{_PURPLE}",
    " .cf-send": f"--cf-kind:{_BLUE}",
    " .cf-leave": "--cf-kind:var(--cf-ink)",
    " .cf-send .cf-bar": "fill-opacity:1",
    " .cf-leave .cf-bar": "fill-opacity:.8",
    " .cf-open .cf-bar": "fill-opacity:1;stroke:var(--cf-ink);stroke-width:3.5",
    # what rests by design is not as loud as what is held up
    " .cf-idle .cf-bar": "fill-opacity:.3;stroke:var(--cf-kind);stroke-width:2",
    # a halo hides arrows that pass beneath
    " .cf-strong.cf-on-recv": f"fill:#000;stroke:{_ORANGE}",
    " .cf-strong.cf-on-door": f"fill:#000;stroke:{_SKY}",
    " .cf-strong.cf-on-inside": f"fill:#000;stroke:{_PURPLE}",
    # stripes: one thick line, dashed. Patterns would need ids
    " .cf-stripes": f"stroke:var(--cf-kind);fill:none;stroke-width:{26 - 4};stroke-dasharray:2 8;opacity:.5",
    " .cf-inside .cf-stripes": "stroke-width:14;stroke-dasharray:3 3",
    " .cf-cap": f"fill:{_GREEN};stroke:var(--cf-bg)",
    " .cf-way": f"stroke:{_GREEN};fill:none;stroke-width:2.2",
    " .cf-tip": f"fill:{_GREEN}",
    " .cf-unread .cf-way": f"stroke:{_BLUE}",
    " .cf-away .cf-way": f"stroke:{_BLUE}",
    " .cf-away .cf-tip": f"fill:{_BLUE}",
    " .cf-dot": f"fill:var(--cf-bg);stroke:{_BLUE};stroke-width:3",
    " .cf-trail": f"stroke:{_BLUE};fill:none;stroke-width:2.5;stroke-dasharray:.1 7;stroke-linecap:round",
    " .cf-end .cf-way": "stroke:var(--cf-ink);stroke-dasharray:7 4",
    " .cf-end .cf-tip": "fill:var(--cf-ink)",
    " .cf-fin": "fill:var(--cf-ink);stroke:var(--cf-ink);stroke-width:2.5;stroke-linejoin:round",
    " .cf-reset .cf-way": f"stroke:{_VERMILLION};stroke-dasharray:2 4",
    " .cf-reset .cf-tip": f"fill:{_VERMILLION}",
    " .cf-rst": f"stroke:{_VERMILLION};fill:none;stroke-width:4.5;stroke-linecap:round",
    " .cf-finding": "font-weight:600",
    " .cf-forever": f"fill:{_VERMILLION};stroke:var(--cf-ink);stroke-width:1.5",
    " .cf-now": "fill:none;stroke:var(--cf-ink);stroke-width:2;stroke-linejoin:round",
    " .cf-tie .cf-way": f"stroke:{_VERMILLION};stroke-width:3;stroke-dasharray:9 4 2 4",
    " .cf-halo": "stroke:var(--cf-bg);stroke-width:7;fill:none",
    " .cf-hook": f"stroke:{_VERMILLION};stroke-width:3;fill:none;stroke-linecap:round;stroke-linejoin:round",
    " .cf-step:hover .cf-bar": "stroke:var(--cf-ink)",
    " .cf-step:focus": "outline:none",
    " .cf-step:focus .cf-bar": "stroke:var(--cf-ink);stroke-width:5",
}

STYLE = (
    "".join(f".chatfilm{selector}{{{rule}}}" for selector, rule in _RULES.items())
    + f"@media(prefers-color-scheme:dark){{.chatfilm{{{_DARK}}}}}"
)
"""What stands in each picture's `<style>`: the same in all of them, and about their class alone."""
