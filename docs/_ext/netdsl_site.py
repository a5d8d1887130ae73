"""What Sphinx does not know: specs in colour, the playground behind each of them, pictures in both schemes."""

from __future__ import annotations

import base64
import re
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments.lexer import Lexer
from pygments.token import Comment, Generic, Keyword, Name, Number, Operator, Punctuation, String, Whitespace
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms import SphinxTransform
from sphinx.util.osutil import relative_uri

from netdsl import data
from netdsl.ide.highlight import classified
from netdsl.picture.svg import LOOKS
from netdsl.syntax.tokens import lex

# ---------------------------------------------------------------- specs in colour


KINDS = {
    "comment": Comment,
    "string": String,
    "number": Number,
    "size": Number,
    "constant": Keyword.Constant,
    "keyword": Keyword,
    "operator": Operator,
    "punctuation": Punctuation,
    "op": Name,
    "function": Name,
    "block": Name,
    "variant": Name,
    "table": Name,
    "label": Name.Function,  # what stands out, as it is the name of what is there
    "parameter": Name,
    "type": Name,
    "argument": Name,
    "property": Name,
    "annotation": Keyword,
    "name": Name,
}
"""What Pygments calls the compiler's kinds."""


class NetLexer(Lexer):
    """Specs, by the compiler's own kinds of words and signs."""

    name = "netdsl"
    aliases = ("net",)
    filenames = ("*.net",)

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, Any, str]]:
        """Yield all characters of a text, each with what it is."""
        at = 0
        for start, end, kind in classified(text):
            yield from _between(text, at, start)
            yield start, KINDS[kind], text[start:end]
            at = end
        yield from _between(text, at, len(text))


def _between(text: str, start: int, end: int) -> Iterator[tuple[int, Any, str]]:
    """Yield white space, and what means nothing, as in an example of a mistake."""
    for found in re.finditer(r"\s+|\S+", text[start:end]):
        yield start + found.start(), Whitespace if found[0].isspace() else Generic.Error, found[0]


# ---------------------------------------------------------------- places in pages


class NamedSections(SphinxTransform):
    """`<a id="L201"></a>` above a heading is the section's id, and a search for it finds the section first."""

    default_priority = 200

    def apply(self, **kwargs: Any) -> None:
        """Hand each id on to its section."""
        for raw in [*self.document.findall(nodes.raw)]:
            if found := re.fullmatch(r'<a id="([^"]+)">', raw.astext()):
                name, above = found[1], raw.parent
                section = above.next_node(nodes.section, descend=False, siblings=True, ascend=True)
                section["ids"] = [name, *(one for one in section["ids"] if one != name)]
                self.document.ids[name] = section
                self.document.myst_slugs[name] = (section.line, name, section[0].astext())
                section.insert(1, addnodes.index(entries=[("single", name, name, "main", None)]))
                above.parent.remove(above)


# ---------------------------------------------------------------- the playground


def is_whole(text: str) -> bool:
    """Tell whether a text is a spec that the playground can open: it has a net, and imports from the zoo alone."""
    opening = [token for token in lex(text, []) if token.start == 0 or text[token.start - 1] == "\n"]
    lines = [text[token.start :].partition("\n")[0] for token in opening if token.type == "IMPORT"]
    imported = {file for line in lines for file in re.findall('"([^"]+)"', line)}
    named = any(token.type in ("NET", "VARIANT") for token in opening)
    return named and imported <= {*data.names("specs", ".net")}


def fragment(text: str) -> str:
    """Return a spec as the playground has it in its address: deflated, in base64 for addresses."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(text.encode()) + packer.flush()
    return f"#spec={base64.urlsafe_b64encode(packed).decode().rstrip('=')}"


def find_playground(app: Sphinx, config: Config) -> None:
    """Forget a playground that has not been built; when it has, pages are written anew, since a setting changed."""
    if not (Path(config.netdsl_playground) / "index.html").is_file():
        config.netdsl_playground = ""


def link_specs(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put a link below each spec that the playground can open."""
    if not app.config.netdsl_playground:
        return
    playground = relative_uri(app.builder.get_target_uri(docname), "playground/index.html")
    for code in [*doctree.findall(nodes.literal_block)]:
        text = code.astext()
        if code.get("language") == "net" and is_whole(text):
            link = nodes.reference(
                "", "open in the playground", refuri=playground + fragment(f"{text.rstrip()}\n")
            )
            below = nodes.paragraph("", "", link, classes=["open-in-playground", "no-search"])
            code.parent.insert(code.parent.index(code) + 1, below)


def add_context(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Tell the templates whether there is a playground."""
    context["playground"] = bool(app.config.netdsl_playground)


def finish(app: Sphinx, error: Exception | None) -> None:
    """Write what pictures look like, and take the playground along."""
    if error:
        return
    (Path(app.outdir) / "_static" / "pictures.css").write_text(picture_styles(), encoding="utf-8")
    where = Path(app.outdir) / "playground"
    shutil.rmtree(where, ignore_errors=True)
    if app.config.netdsl_playground:
        shutil.copytree(app.config.netdsl_playground, where)
    else:
        print("there is no playground, so no spec leads to it: make playground, then make site")


# ---------------------------------------------------------------- pictures


def picture_styles() -> str:
    """Return the style sheet of pictures within pages, in the scheme that the reader has chosen for the page."""
    looks = {
        kind: look for kind, look in LOOKS.items() if kind != "page"
    }  # they stand on the page's own ground

    def rules(scope: str, scheme: str) -> str:
        return "".join(f"{scope}.netdsl .{kind}{{{getattr(look, scheme)}}}\n" for kind, look in looks.items())

    always = ".netdsl{font-family:var(--font-stack)}\n.netdsl .page{fill:none}\n"
    dark = rules('body[data-theme="dark"] ', "dark")
    auto = rules('body:not([data-theme="light"]) ', "dark")
    return f"{always}{rules('', 'light')}{dark}@media (prefers-color-scheme: dark){{\n{auto}}}\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register it."""
    app.add_config_value("netdsl_playground", "", "html", [str])
    app.add_lexer("net", NetLexer)
    app.add_transform(NamedSections)
    app.add_css_file("pictures.css")
    app.add_js_file("playground.js", loading_method="defer")
    app.connect("config-inited", find_playground)
    app.connect("doctree-resolved", link_specs)
    app.connect("html-page-context", add_context)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
