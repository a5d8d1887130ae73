"""Values of netdsl/ide as the protocol has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lsprotocol import types

from netdsl.diagnostics import Diagnostic
from netdsl.ide.complete import Item
from netdsl.ide.findings import Found
from netdsl.ide.highlight import Classified
from netdsl.ide.outline import Item as Entry
from netdsl.lsp.document import Document, Text
from netdsl.lsp.workspace import Workspace
from netdsl.source import Span

SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "info": types.DiagnosticSeverity.Information,
}
ITEMS = {
    "keyword": types.CompletionItemKind.Keyword,
    "word": types.CompletionItemKind.Keyword,
    "op": types.CompletionItemKind.Function,
    "function": types.CompletionItemKind.Function,
    "initialiser": types.CompletionItemKind.Function,
    "block": types.CompletionItemKind.Class,
    "net": types.CompletionItemKind.Class,
    "variant": types.CompletionItemKind.Constant,
    "parameter": types.CompletionItemKind.Variable,
    "variable": types.CompletionItemKind.Variable,
    "label": types.CompletionItemKind.Field,
    "value": types.CompletionItemKind.Value,
    "input": types.CompletionItemKind.Value,
    "argument": types.CompletionItemKind.Property,
    "member": types.CompletionItemKind.Property,
    "column": types.CompletionItemKind.Property,
    "quantity": types.CompletionItemKind.Unit,
    "type": types.CompletionItemKind.TypeParameter,
    "table": types.CompletionItemKind.Struct,
    "snippet": types.CompletionItemKind.Snippet,
    "text": types.CompletionItemKind.EnumMember,
    "file": types.CompletionItemKind.File,
}
SYMBOLS = {
    "block": types.SymbolKind.Class,
    "net": types.SymbolKind.Class,
    "variant": types.SymbolKind.Constant,
    "table": types.SymbolKind.Struct,
    "function": types.SymbolKind.Function,
    "variable": types.SymbolKind.Variable,
    "value": types.SymbolKind.Variable,
    "input": types.SymbolKind.Interface,
    "label": types.SymbolKind.Field,
    "container": types.SymbolKind.Module,
    "stage": types.SymbolKind.Namespace,
}
TOKENS = {
    "comment": types.SemanticTokenTypes.Comment,
    "string": types.SemanticTokenTypes.String,
    "number": types.SemanticTokenTypes.Number,
    "size": types.SemanticTokenTypes.Number,
    "constant": types.SemanticTokenTypes.EnumMember,
    "keyword": types.SemanticTokenTypes.Keyword,
    "operator": types.SemanticTokenTypes.Operator,
    "op": types.SemanticTokenTypes.Function,
    "function": types.SemanticTokenTypes.Function,
    "block": types.SemanticTokenTypes.Class,
    "variant": types.SemanticTokenTypes.Class,
    "table": types.SemanticTokenTypes.Struct,
    "label": types.SemanticTokenTypes.Property,
    "parameter": types.SemanticTokenTypes.Parameter,
    "type": types.SemanticTokenTypes.Type,
    "argument": types.SemanticTokenTypes.Parameter,
    "property": types.SemanticTokenTypes.Property,
    "annotation": types.SemanticTokenTypes.Decorator,
    "name": types.SemanticTokenTypes.Variable,
}
"""What editors know of the kinds of words; punctuation is left to their grammars."""
LEGEND = types.SemanticTokensLegend(
    token_types=list(dict.fromkeys(kind.value for kind in TOKENS.values())), token_modifiers=[]
)
MOST_RELATED = 16


def location(workspace: Workspace, span: Span) -> types.Location | None:
    """Return where a piece of text is; None if no editor can open it."""
    uri = workspace.uri_of(span.source)
    if uri is None:
        return None
    return types.Location(uri=uri, range=workspace.text_of(span.source).range(span.start, span.end))


def diagnostic(workspace: Workspace, document: Document, one: Diagnostic) -> types.Diagnostic:
    """Return a diagnostic; one of another file stands where this one asks for it."""
    span, related = _place(document, one), list(_related(workspace, one))
    message = one.message + (f" ({one.note})" if one.note else "")
    if one.span is not None and one.span.source is not document.source:
        message = f"{one.span}: {message}"
        if (own := location(workspace, one.span)) is not None:
            related.insert(0, types.DiagnosticRelatedInformation(location=own, message=one.message))
    help = [f"help: {one.help}"] if one.help else []
    return types.Diagnostic(
        range=document.text.range(span.start, span.end),
        message="\n".join([message, *one.details, *help]),
        severity=SEVERITIES[one.severity],
        code=one.code,
        source="netdsl",
        related_information=related[:MOST_RELATED] or None,
    )


def _place(document: Document, one: Diagnostic) -> Span:
    """Return where a diagnostic is shown in a text: its own place, else a call that leads there, else an import."""
    source = document.source
    spans = [one.span, *[frame.span for frame in one.calls], *[label.span for label in one.labels]]
    own = next((span for span in spans if span is not None and span.source is source), None)
    if own is not None:
        return own
    name = one.span.source.name.rpartition("/")[2] if one.span is not None else ""
    at = source.text.find(f'{name}"') if name else -1
    if at >= 0:
        return Span(source, at, at + len(name))
    return Span(source, 0, len(source.text.partition("\n")[0]))


def _related(workspace: Workspace, one: Diagnostic) -> Iterator[types.DiagnosticRelatedInformation]:
    places = [(label.span, label.message) for label in one.labels]
    places += [(frame.span, f"in {frame.what}") for frame in one.calls]
    for span, message in places:
        found = location(workspace, span)
        if found is not None:
            yield types.DiagnosticRelatedInformation(location=found, message=message)


def finding(document: Document, one: Found) -> types.Diagnostic:
    """Return what the linter found."""
    text = document.text
    related = [
        types.DiagnosticRelatedInformation(
            location=types.Location(uri=document.uri, range=text.range(place.start, place.end)),
            message=place.message,
        )
        for place in one.places
    ]
    help = [f"help: {one.help}"] if one.help else []
    return types.Diagnostic(
        range=text.range(one.start, one.end),
        message="\n".join([one.message, *one.details, *help]),
        severity=SEVERITIES[one.severity],
        code=f"{one.code} {one.rule}",
        source="netdsl lint",
        related_information=related[:MOST_RELATED] or None,
    )


def completion(item: Item, text: Text, start: int, end: int, snippets: bool) -> types.CompletionItem | None:
    """Return what can be written; None for places to fill in where the editor has none."""
    if item.snippet and not snippets:
        return None
    docs = item.kind in ("op", "function", "keyword", "block", "initialiser")
    return types.CompletionItem(
        label=item.label,
        kind=ITEMS.get(item.kind, types.CompletionItemKind.Text),
        detail=item.detail or None,
        sort_text=f"{item.rank}{item.label}",
        filter_text=item.text if not item.snippet else item.label,
        insert_text_format=types.InsertTextFormat.Snippet
        if item.snippet
        else types.InsertTextFormat.PlainText,
        text_edit=types.TextEdit(range=text.range(start, end), new_text=item.text),
        data={"kind": item.kind, "name": item.label} if docs else None,
    )


def symbols(entries: Sequence[Entry], text: Text) -> list[types.DocumentSymbol]:
    """Return the outline of a text."""
    return [
        types.DocumentSymbol(
            name=entry.name or "?",
            kind=SYMBOLS[entry.kind],
            detail=entry.detail or None,
            range=text.range(entry.start, max(entry.end, entry.name_end)),
            selection_range=text.range(entry.name_start, entry.name_end),
            children=symbols(entry.items, text),
        )
        for entry in entries
    ]


def tokens(found: Iterable[Classified], text: Text) -> list[int]:
    """Return the kinds of words as the protocol has them: each by how far it lies behind the one before."""
    line = column = 0
    sent: list[int] = []
    for one in found:
        kind = TOKENS.get(one.kind)
        start, end = text.position(one.start), text.position(one.end)
        if kind is None or start.line != end.line or start.character == end.character:
            continue
        down = start.line - line
        along = start.character - (0 if down else column)
        sent += [down, along, end.character - start.character, LEGEND.token_types.index(kind.value), 0]
        line, column = start.line, start.character
    return sent
