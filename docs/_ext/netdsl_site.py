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
from pygments.token import Comment, Generic, Keyword, Name, Number, Operator, String, Whitespace
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.osutil import relative_uri

from netdsl import data
from netdsl.picture.svg import LOOKS
from netdsl.syntax.tokens import Token, keywords, lex

# ---------------------------------------------------------------- specs in colour


class NetLexer(Lexer):
    """Specs, by the compiler's own tokens."""

    name = "netdsl"
    aliases = ("net",)
    filenames = ("*.net",)

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, Any, str]]:
        """Yield all characters of a text, each with what it is."""
        at = 0
        for token in lex(text, []):
            yield from self._between(text, at, token.start)
            if token.type == "_NL":  # comments that stand alone are a part of it
                yield from self._between(text, token.start, token.end)
            else:
                yield token.start, _kind(token), token.text
            at = token.end
        yield from self._between(text, at, len(text))

    def _between(self, text: str, start: int, end: int) -> Iterator[tuple[int, Any, str]]:
        """Yield what is no token: white space, comments, and what means nothing, as in examples of mistakes."""
        for found in re.finditer(r"#[^\n]*|\s+|[^\s#]+", text[start:end]):
            kind = Comment if found[0][0] == "#" else Whitespace if found[0].isspace() else Generic.Error
            yield start + found.start(), kind, found[0]


_KINDS = {"NUMBER": Number, "DIMS": Number, "STRING": String, "NAME": Name, "TEMPLATE": Name}


def _kind(token: Token) -> Any:
    return Keyword if token.text in keywords() else _KINDS.get(token.type, Operator)


# ---------------------------------------------------------------- places in pages


class NamedPlaces(SphinxTransform):
    """What `<a id="L201"></a>` names is a place that links may lead to."""

    default_priority = 500

    def apply(self, **kwargs: Any) -> None:
        """Put a target in the place of each that no heading is called as."""
        for raw in [*self.document.findall(nodes.raw)]:
            found = re.fullmatch(r'<a id="([^"]+)">', raw.astext())
            if found and found[1] not in self.document.ids:
                target = nodes.target("", "", ids=[found[1]], names=[found[1]])
                self.document.note_explicit_target(target, target)
                raw.replace_self(target)


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


def has_playground(app: Sphinx) -> bool:
    """Tell whether the playground has been built."""
    return (Path(app.config.netdsl_playground) / "index.html").is_file()


def link_specs(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put a link below each spec that the playground can open."""
    if not has_playground(app):
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
    context["playground"] = has_playground(app)


def finish(app: Sphinx, error: Exception | None) -> None:
    """Write what pictures look like, and take the playground along."""
    if error:
        return
    (Path(app.outdir) / "_static" / "pictures.css").write_text(picture_styles(), encoding="utf-8")
    where = Path(app.outdir) / "playground"
    shutil.rmtree(where, ignore_errors=True)
    if has_playground(app):
        shutil.copytree(app.config.netdsl_playground, where)
    else:
        print("there is no playground, so no spec leads to it: make playground, then make site")


# ---------------------------------------------------------------- pictures


def picture_styles() -> str:
    """Return the style sheet of pictures within pages, in the scheme that the reader has chosen for the page."""

    def rules(scope: str, scheme: str) -> str:
        return "".join(f"{scope}.netdsl .{kind}{{{getattr(look, scheme)}}}\n" for kind, look in LOOKS.items())

    dark = rules('body[data-theme="dark"] ', "dark")
    auto = rules('body:not([data-theme="light"]) ', "dark")
    font = ".netdsl{font-family:var(--font-stack)}\n"
    return f"{font}{rules('', 'light')}{dark}@media (prefers-color-scheme: dark){{\n{auto}}}\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register it."""
    app.add_config_value("netdsl_playground", "", "html", [str])
    app.add_lexer("net", NetLexer)
    app.add_transform(NamedPlaces)
    app.add_css_file("pictures.css")
    app.connect("doctree-resolved", link_specs)
    app.connect("html-page-context", add_context)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
