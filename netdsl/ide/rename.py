"""Another name for a thing, wherever a text says it; refused where that would change what any text means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from netdsl.diagnostics import NetError
from netdsl.elaborate.build import Recipe
from netdsl.elaborate.files import Files, Importer
from netdsl.elaborate.names import reserved_key, reserved_name, reserved_variable
from netdsl.elaborate.values import FileScope, VariantDecl
from netdsl.ide.index import Index, Library, Symbol, Use
from netdsl.lint.edits import Edit, apply
from netdsl.net import Net
from netdsl.ops import catalogue
from netdsl.source import Source, Span
from netdsl.syntax import tree
from netdsl.syntax.tokens import keywords

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BRACES = re.compile(r"\{[^{}\n]*\}")
_KINDS = frozenset("block net variant table column function parameter variable label value input".split())


class Refused(Exception):
    """Why something cannot be called otherwise."""


class Renaming(NamedTuple):
    """The edits, and what else to know: "" for nothing."""

    edits: tuple[Edit, ...]
    note: str


def renameable(index: Index, offset: int) -> tuple[Use, str]:
    """Return the name at an offset and its text.

    Raises:
        Refused: Nothing there has a name of its own.
    """
    use = index.at(offset)
    if use is None or not use.symbols:
        raise Refused("nothing here has a name that could be changed")
    _target(use)
    text = index.source.text[use.start : use.end]
    return use, "stride" if use.stride else text


def _target(use: Use) -> Symbol:
    symbol = use.symbols[0]
    if len(use.symbols) > 1:
        what = " or of ".join(dict.fromkeys(_owner(one) for one in use.symbols))
        raise Refused(f"which `{symbol.name}` this is depends on calls: it may be of {what}")
    if symbol.source is None or symbol.kind not in _KINDS:
        raise Refused(f"`{symbol.name}` belongs to the language")
    return symbol


def _owner(symbol: Symbol) -> str:
    node = symbol.scope.node if symbol.scope is not None else None
    return node.name.text if isinstance(node, (tree.Block, tree.Net)) else symbol.name


def rename(library: Library, index: Index, offset: int, new: str, others: Iterable[Index] = ()) -> Renaming:
    """Return the edits that give the thing at an offset another name.

    Args:
        library: Where texts are indexed.
        index: The text that is looked at.
        offset: A place in it.
        new: The new name.
        others: Further texts that may import it.

    Raises:
        Refused: The name cannot be given, is taken, or a text would mean something else.
    """
    use, _ = renameable(index, offset)
    symbol = _target(use)
    name = _checked(symbol, new)
    home = index if symbol.source is index.source else None
    texts = {one.source.key: one for one in (index, *others)}
    for one in list(texts.values()):
        for imported in one.imports.values():
            if imported is not None:
                texts.setdefault(imported.source.key, imported)
                home = imported if symbol.source is imported.source else home
    if home is None or (home.source.path is None and home is not index):
        raise Refused(
            f"`{symbol.name}` is declared in {symbol.source.name if symbol.source else 'another file'}"
        )
    edits: list[Edit] = []
    for one in texts.values():
        for found in one.uses_of(symbol):
            edits.append(_edit(one, found, symbol, name))
    edits = list({(e.span.source.key, e.span.start): e for e in edits}.values())
    _verify(library, [one for one in texts.values() if _said(one, edits)], edits)
    return Renaming(tuple(edits), _note(symbol, name))


def _said(index: Index, edits: Sequence[Edit]) -> bool:
    return any(edit.span.source is index.source for edit in edits)


def _note(symbol: Symbol, new: str) -> str:
    if symbol.kind == "label":
        return f"keys of the state_dict change with a label: {symbol.name}... becomes {new}..."
    if symbol.kind == "net":
        return f"the emitted class and its function are called {new} and {new.lower()} from now on"
    if symbol.kind in ("block", "parameter"):
        return "emitted code has the new name, too"
    return ""


def _checked(symbol: Symbol, new: str) -> str:
    """Return the new name as a text writes it, without quotes that it does not need."""
    bare = new.strip()
    if len(bare) > 1 and bare[0] == bare[-1] == '"':
        bare = bare[1:-1]
    if symbol.kind == "label":
        if _BRACES.findall(symbol.name) != _BRACES.findall(bare):
            raise Refused("a label keeps what stands in braces: its copies have different names by that")
        why = reserved_key(_BRACES.sub("0", bare))
        if why:
            raise Refused(f"`{bare}` {why}")
        return bare
    if not _NAME.fullmatch(bare) and not (
        _BRACES.search(symbol.name) and _NAME.fullmatch(_BRACES.sub("0", bare))
    ):
        raise Refused(f"`{bare}` is no name: it has letters, digits and _, and begins with no digit")
    if bare in keywords():
        raise Refused(f"`{bare}` is a word of the language")
    if symbol.kind in ("variable", "value", "table", "function", "column"):
        why = reserved_variable(bare)
    else:
        why = reserved_name(bare)
    if not why and symbol.kind == "net" and bare == bare.lower():
        why = "begins with a small letter, as the function does that makes it"
    if not why and bare in catalogue() and symbol.kind not in ("label", "value", "input", "column"):
        why = "is an op of the language"
    if why:
        raise Refused(f"`{bare}` {why}")
    return bare


def _edit(index: Index, use: Use, symbol: Symbol, new: str) -> Edit:
    span = Span(index.source, use.start, use.end)
    if len(use.symbols) > 1:
        line = index.source.position(use.start)[0]
        names = ", ".join(dict.fromkeys(_owner(one) for one in use.symbols))
        raise Refused(f"line {line} gives `{symbol.name}` to what a call decides: {names}")
    if use.stride:
        return _stride(index, use, symbol, new)
    old = span.text
    bare = old.strip('"')
    if bare != symbol.name:
        filled = _filled(symbol.name, bare, new)
        if filled is None:
            line = index.source.position(use.start)[0]
            raise Refused(f"`{bare}` in line {line} may be `{symbol.name}`, and is written otherwise")
        new = filled
    quoted = old.startswith('"') or not all(
        _NAME.fullmatch(_BRACES.sub("a", part)) or part.isdigit() for part in new.split(".")
    )
    if not quoted and any(part in keywords() for part in new.split(".")):
        quoted = True
    return Edit(span, f'"{new}"' if quoted else new)


def _filled(old: str, written: str, new: str) -> str | None:
    """Return the new name with what a place has in the braces of the old one: `p3` for `p{i}` becomes `q3`."""
    pattern = r"(\{[^{}]*\}|[0-9]+)".join(map(re.escape, _BRACES.split(old)))
    found = re.fullmatch(pattern, written)
    if found is None or not found.groups():
        return None
    values = iter(found.groups())
    return _BRACES.sub(lambda _: next(values), new)


def _stride(index: Index, use: Use, symbol: Symbol, new: str) -> Edit:
    """Return the edit of `/2`, which gives a parameter by the name `stride` alone."""
    span = Span(index.source, use.start, use.end)
    if new == "stride":
        return Edit(span, "/")
    for node in tree.pieces(index.file):
        if isinstance(node, tree.Stride) and node.start == use.start:
            if node.first:
                line = index.source.position(use.start)[0]
                raise Refused(f"`/... first` in line {line} gives `stride` by that name alone")
            return Edit(span, f"{new}=")
    raise Refused(f"`/` gives {symbol.name} by that name alone")


# ---------------------------------------------------------------- what must stay


def _verify(library: Library, texts: Sequence[Index], edits: Sequence[Edit]) -> None:
    """Refuse edits after which a name means something else, or a net is wrong that was right."""
    new: dict[str, Source] = {}
    for one in texts:
        own = [edit for edit in edits if edit.span.source is one.source]
        new[one.source.key] = Source(one.source.name, apply(one.source.text, own), one.source.path)
    importer = _overlaid(library.importer, new)
    after = Library(importer)
    for one in texts:
        try:
            index = after.index(new[one.source.key])
        except NetError as error:
            raise Refused(error.diagnostics[0].message) from None
        if _meaning(one) != _meaning(index):
            raise Refused(
                f"another thing is called so, or some place in {one.source.name} cannot have that name"
            )
        wrong = _wrong(new[one.source.key], importer)
        if wrong and not _wrong(one.source, library.importer):
            raise Refused(wrong)


def _overlaid(importer: Importer | None, new: dict[str, Source]) -> Importer:
    def find(name: str, source: Source) -> Source:
        if importer is None:
            raise ValueError("nothing can be imported here")
        found = importer(name, source)
        return new.get(found.key, found)

    return find


def _meaning(index: Index) -> list[tuple[object, ...]]:
    """Return for each name of a text what it means, by the places at which things are named."""
    numbers: dict[int, int] = {}
    for number, use in enumerate(index.uses):
        if use.named:
            numbers.setdefault(id(use.symbols[0]), number)
    return [
        tuple(
            numbers[id(one)] if id(one) in numbers else (one.kind, one.source.key if one.source else one.name)
            for one in use.symbols
        )
        for use in index.uses
    ]


def _wrong(source: Source, importer: Importer | None) -> str:
    """Return the first error of a text, of one instance of each of its nets; "" if it is right."""
    try:
        file = Files(importer or _overlaid(None, {})).load(source)
        for recipe in _recipes(file):
            Net(recipe)
    except NetError as error:
        found = [one for one in error.diagnostics if one.code != "E217"]  # a search space is not decided here
        return found[0].message if found else ""
    return ""


def _recipes(file: FileScope) -> list[Recipe]:
    """Return what makes one instance of each net: its first variant, or itself if it needs no arguments."""
    first: dict[str, VariantDecl] = {}
    for variant in file.variants.values():
        first.setdefault(variant.net.name, variant)
    bare = [
        net
        for net in file.nets.values()
        if net.name not in first and all(param.default is not None for param in net.node.params)
    ]
    return [
        *[Recipe(variant.net, variant, {}, {}) for variant in first.values()],
        *[Recipe(net, None, {}, {}) for net in bare],
    ]
