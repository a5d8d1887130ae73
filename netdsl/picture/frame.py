"""What every page is: HTML that holds all it shows, and asks no network for anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

from netdsl.diagnostics import Diagnostic
from netdsl.diagnostics.render import printable
from netdsl.picture.svg import styles
from netdsl.source import Source, Span

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1f2328; --faint: #57606a; --line: #d9dde3;
  --soft: #f1f3f6; --bar: #cfe0f5; --link: #1f5a9e; --error: #b3261e; --warning: #8a5300;
  --new: #1a6b34; --hot: #f7b88f; }
@media (prefers-color-scheme: dark) { :root { --page: #16181d; --ink: #e6e8eb; --faint: #a3adb8; --line: #343a44;
  --soft: #232831; --bar: #2b4a70; --link: #8dbdf0; --error: #ff8a80; --warning: #f0b45a;
  --new: #7ed9a0; --hot: #74310f; } }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; overflow-wrap: anywhere; } .faint { color: var(--faint); } a { color: var(--link); }
nav a { margin-right: 1rem; }
dl { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1rem 0; }
dl div { background: var(--soft); border-radius: 6px; padding: .4rem .8rem; max-width: 100%; }
dt { color: var(--faint); font-size: .8rem; } dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } svg { display: block; }
pre { font: 13px/1.5 ui-monospace, monospace; max-height: 30rem; overflow: auto; }
details { margin: .4rem 0; } summary { cursor: pointer; padding: .2rem 0; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .1rem .6rem; text-align: right; white-space: pre; border-bottom: 1px solid var(--line); }
.text, code { text-align: left; } .source td { border: 0; padding: 0 .6rem; }
.source code { font: 13px/1.5 ui-monospace, monospace; }
.source tr { scroll-margin-top: 4rem; } .source tr:target td { background: var(--bar); }
.source td.cost { background: linear-gradient(to left, var(--bar) var(--part), transparent 0); }
.source th { white-space: normal; }
@media (max-width: 44rem) {
  .source thead, .source td:empty { display: none; }
  .source, .source tbody, .source td { display: block; } .source tr { display: flex; flex-wrap: wrap; }
  .source td { padding: 0 .3rem; font-size: 11px; } .source td.faint { flex: 0 0 1.6rem; padding: 0; }
  .source td.text { flex: 1 1 calc(100% - 2.5rem); white-space: pre-wrap; overflow-wrap: anywhere; }
  .source code { font-size: 12px; display: block; padding-left: 4ch; text-indent: -4ch; }
  .source td.cost { order: 1; border-radius: 3px; margin-bottom: .2rem; }
  .source tr::before { content: ""; order: 1; flex: 0 0 1.6rem; }
  .source td.cost::after { content: " " attr(data-of); color: var(--faint); }
}
.error { color: var(--error); } .warning { color: var(--warning); } li { margin: .6rem 0; overflow-wrap: anywhere; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

Section = tuple[str, str, str]
"""Its name in addresses, its title and its HTML."""


def render(title: str, head: str, sections: Sequence[Section], style: str, script: str = "") -> str:
    """Return a page.

    Args:
        title: What it is about, as a text.
        head: The HTML that stands above the links to the sections.
        sections: What it has.
        style: CSS beside what all pages have.
        script: What runs on it; a page without one allows none.
    """
    policy = f"{_POLICY}; script-src 'unsafe-inline'" if script else _POLICY
    links = "\n".join(f'<a href="#{key}">{name}</a>' for key, name, _ in sections)
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>{text(title)}</title>\n<style>{_STYLE}{style}{styles()}</style>\n</head>\n<body>",
            f"<header><h1>{text(title)}</h1>",
            head,
            f"<nav>{links}</nav></header>",
            "<main>",
            *(f'<section id="{key}"><h2>{name}</h2>\n{body}</section>' for key, name, body in sections),
            "</main>",
            *([f"<script>{script}</script>"] if script else []),
            "</body>\n</html>\n",
        ]
    )


def text(text: object) -> str:
    """Return a text as HTML."""
    return escape(printable(str(text)))


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return what is known, each with what it is called."""
    return "<dl>" + "".join(f"<div><dt>{text(k)}</dt><dd>{text(v)}</dd></div>" for k, v in pairs) + "</dl>"


def listing(source: Source, said: str, heads: Sequence[str], margin: Callable[[int], str]) -> str:
    """Return the text of a file, whose lines can be led to: `place`.

    Args:
        source: The file.
        said: What the margin has, as HTML.
        heads: The titles of its columns, as HTML.
        margin: By a line's number from 1, the cells of its columns.
    """
    rows = []
    for at, line in enumerate(source.text.rstrip("\n").split("\n"), 1):
        code = f'<td class="text"><code>{text(line.rstrip().expandtabs(4))}</code></td>'
        rows.append(f'<tr id="line-{at}">{margin(at)}<td class="faint">{at}</td>{code}</tr>')
    titles = "".join(f"<th>{head}</th>" for head in heads)
    return (
        f'<p class="faint">{said}</p>'
        f'<div class="wide" tabindex="0"><table class="source"><thead><tr>{titles}<th></th><th></th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def place(span: Span, source: Source, said: str = "") -> str:
    """Return where something is; if it is in the file that the page lists, as a link, which may be `said` shorter."""
    return f'<a href="#line-{span.line}">{text(said or span)}</a>' if span.source is source else text(span)


def items(diagnostics: Iterable[Diagnostic], source: Source) -> str:
    """Return diagnostics as a list; "" if there is none."""
    shown = []
    for one in diagnostics:
        where = f", {place(one.span, source)}" if one.span is not None else ""
        more = [*one.details, *([f"help: {one.help}"] if one.help else [])]
        lines = "".join(f'<br><span class="faint">{text(line)}</span>' for line in more)
        head = f'<strong class="{one.severity}">{one.severity}</strong> {text(one.code)}{where}'
        shown.append(f"<li>{head}<br>{text(one.message)}{lines}</li>")
    return f"<ul>{''.join(shown)}</ul>" if shown else ""
