"""The server: what an editor asks, answered from netdsl/ide; analysis in a thread, the linter in a process.

A change is analysed at once, one of several within 30 ms when there is quiet; what was begun for an older text is
stopped. Then, as long as nobody types, come the other nets of the file, one a turn, and the linter. Nothing that a
client sends ends the server.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, lsp_method
from pygls.uris import to_fs_path

from netdsl import __version__
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.ide import actions
from netdsl.ide.analysis import Analysis, Look, Stopped, analyse
from netdsl.ide.complete import call_at, called, complete, cursor, scope_of
from netdsl.ide.describe import about, signature
from netdsl.ide.findings import Change, Found
from netdsl.ide.highlight import classified
from netdsl.ide.hints import KINDS, hints, totals
from netdsl.ide.hover import hover
from netdsl.ide.index import Index, builtin, definitions
from netdsl.ide.outline import Item, folds, outline
from netdsl.ide.rename import Refused, rename, renameable
from netdsl.lsp import convert
from netdsl.lsp.document import Document, Text, difference
from netdsl.lsp.linter import Linter
from netdsl.lsp.workspace import Workspace
from netdsl.source import Source
from netdsl.syntax import tree
from netdsl.syntax.format import format_text

log = logging.getLogger(__name__)
T = TypeVar("T")

QUIET = 0.03
"""Seconds that lie between a change and the one before if it is not one of several."""
IDLE = 0.25
"""Seconds after that before what can wait is done."""
PAUSE = 5.0
"""Seconds after all that, before what is garbage is collected: nothing else runs meanwhile."""
PATIENCE = 10.0
"""Seconds that an answer waits for an analysis."""
SHOW = "netdsl.showNet"
"""The command that chooses which net's costs are shown."""
STACK = 64 * 1024 * 1024
"""Bytes of the stack of threads: what nests deep is counted, and has to fit."""


class RequestFailed(JsonRpcException):
    """What was asked cannot be done, which is no fault of anybody."""

    CODE = -32803
    MESSAGE = "request failed"


class Protocol(LanguageServerProtocol):
    """The protocol, in which the texts are ours: lines end as the protocol says, and nowhere else."""

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> Iterator[Any]:
        """Hand a text on."""
        yield self.fm.features[types.TEXT_DOCUMENT_DID_OPEN], (params,), None

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> Iterator[Any]:
        """Hand changes on."""
        yield self.fm.features[types.TEXT_DOCUMENT_DID_CHANGE], (params,), None

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> Iterator[Any]:
        """Hand it on that a text is closed."""
        yield self.fm.features[types.TEXT_DOCUMENT_DID_CLOSE], (params,), None


class Settings:
    """What the editor's `netdsl` section says."""

    def __init__(self) -> None:
        """Start with what holds if it says nothing."""
        self.hints: tuple[str, ...] = KINDS
        self.lint = True
        self.net = ""

    def take(self, given: object) -> None:
        """Take what is there and of the right type."""
        section = given.get("netdsl", given) if isinstance(given, dict) else {}
        if not isinstance(section, dict):
            return
        shown = section.get("inlayHints")
        if isinstance(shown, dict):
            self.hints = tuple(kind for kind in KINDS if shown.get(kind, kind in self.hints))
        elif isinstance(shown, bool):
            self.hints = KINDS if shown else ()
        lint = section.get("lint")
        if isinstance(lint, bool):
            self.lint = lint
        elif isinstance(lint, dict) and isinstance(lint.get("enabled"), bool):
            self.lint = lint["enabled"]
        if isinstance(section.get("net"), str):
            self.net = section["net"]


def _summary(look: Look, net: str) -> str:
    """Return what a lens says of a net: its totals, and whether its budgets hold; "" if it is wrong."""
    seen = look.seen(net)
    if seen.network is None:
        return ""
    text = totals(seen.params, seen.macs)
    if seen.network.budgets:
        text += " · over budget" if seen.errors else " · within budget"
    return text


class State:
    """What is known of an open text."""

    def __init__(self, document: Document) -> None:
        """Know nothing yet."""
        self.document = document
        self.net = ""
        """Which net is shown, if one was chosen."""
        self.generation = 0
        self.changed = 0.0
        """When it was changed last."""
        self.task: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()
        self.look: Look | None = None
        """The last one, whose layers the next need not ask anew."""
        self.analysis: Analysis | None = None
        self.summaries: dict[str, str] = {}
        """What lenses say, by net."""
        self.others: list[types.Diagnostic] = []
        """Of the nets that are not shown."""
        self.found: list[Found] = []

    @property
    def current(self) -> bool:
        """Whether the analysis is of the text as it is."""
        return self.analysis is not None and self.analysis.source is self.document.source


class Server(LanguageServer):
    """A language server for `.net` files."""

    def __init__(self) -> None:
        """Register what it answers."""
        super().__init__("netdsl", __version__, protocol_cls=Protocol, max_workers=2)
        self.texts = Workspace()
        self.states: dict[str, State] = {}
        self.settings = Settings()
        threading.stack_size(STACK)
        self.worker = ThreadPoolExecutor(1, "analysis")
        """Analyses one text after the other."""
        self.answers = ThreadPoolExecutor(1, "answers")
        """Answers requests that look at whole texts."""
        self.linter = Linter()
        _register(self)

    # ---------------------------------------------------------------- texts

    def state(self, uri: str) -> State:
        """Return what is known of an open text.

        Raises:
            RequestFailed: It is not open.
        """
        state = self.states.get(uri)
        if state is None:
            raise RequestFailed(f"{uri} is not open")
        return state

    def take(self, document: Document) -> None:
        """Take a text, or another version of it, and look at it and at what imports it."""
        now = asyncio.get_running_loop().time()
        state = self.states.get(document.uri)
        if state is None:
            state = self.states[document.uri] = State(document)
        self.texts.put(document)
        _move(state, document)
        state.document = document
        self.schedule(state, QUIET if now - state.changed < QUIET else 0)
        state.changed = now
        for other in self.texts.dependants(document.source.key):
            self.schedule(self.states[other.uri], QUIET, refresh=True)

    def schedule(self, state: State, delay: float, refresh: bool = False) -> None:
        """Analyse a text anew after a while; what was begun for it is stopped."""
        state.generation += 1
        state.ready.clear()
        state.analysis = None if refresh else state.analysis
        if state.task is not None:
            state.task.cancel()
        state.task = asyncio.get_running_loop().create_task(self._work(state, delay, refresh))

    async def _work(self, state: State, delay: float, refresh: bool) -> None:
        try:
            await asyncio.sleep(delay)
            await self._analyse(state, refresh)
            await asyncio.sleep(IDLE)
            await self._rest(state)
            await asyncio.sleep(PAUSE)
            await self._run(state, gc.collect)  # which the command seldom does by itself
        except Stopped:
            return  # what has changed is looked at in its turn
        except Exception:
            log.exception("analysing %s", state.document.uri)
            state.ready.set()

    async def _run(self, state: State, run: Callable[[], T]) -> T:
        """Return what a function says, in the thread.

        Raises:
            Stopped: The text has changed meanwhile.
        """
        generation = state.generation
        result = await asyncio.get_running_loop().run_in_executor(self.worker, run)
        if state.generation != generation:
            raise Stopped
        return result

    async def _analyse(self, state: State, refresh: bool) -> None:
        generation, document = state.generation, state.document
        net = state.net or self.settings.net
        importer = self.texts.importer(document)

        def run() -> tuple[Look, Analysis, str]:
            look = Look(document.source, importer, lambda: state.generation != generation, state.look)
            analysis = look.analysis(net)
            return look, analysis, _summary(look, analysis.net) if analysis.net else ""

        look, analysis, summary = await self._run(state, run)
        state.look, state.analysis = look, analysis
        state.summaries[analysis.net] = summary
        self.publish(state)
        state.ready.set()
        if refresh:
            await self._refresh_hints()

    async def _rest(self, state: State) -> None:
        """Look at the nets that are not shown, then lint."""
        first, look, document = state.analysis, state.look, state.document
        if first is None or look is None:
            return
        nets = [net for net in first.nets if net != first.net]
        for net in nets:
            state.summaries[net] = await self._run(state, partial(_summary, look, net))
        state.summaries = {net: text for net, text in state.summaries.items() if net in first.nets}
        known = {(one.code, one.message, one.span) for one in first.diagnostics}
        errors = {(one.code, one.message, one.span): one for net in nets for one in look.seen(net).errors}
        state.others = [
            convert.diagnostic(self.texts, document, one) for key, one in errors.items() if key not in known
        ]
        whole = await self._run(state, partial(look.analysis, first.net, nets))
        if whole.lines != first.lines:
            state.analysis = whole
            await self._refresh_hints()
        self.publish(state)
        await self._refresh_lenses()
        if not self.settings.lint or any(one.severity == "error" for one in first.diagnostics):
            return
        overlays = [
            (one.source.name, one.source.text, one.source.path)
            for one in self.texts.open.values()
            if one.source.path is not None and one is not document
        ]
        found = await self.linter.lint(document.source, overlays)
        if state.document is document and found is not None:
            state.found = found
            self.publish(state)

    def publish(self, state: State) -> None:
        """Tell the editor what is wrong with a text."""
        document, analysis = state.document, state.analysis
        shown = [
            convert.diagnostic(self.texts, document, one)
            for one in (analysis.diagnostics if analysis is not None else ())
        ]
        lint = [convert.finding(document, one) for one in state.found] if self.settings.lint else []
        self.text_document_publish_diagnostics(
            types.PublishDiagnosticsParams(
                uri=document.uri,
                version=document.version,
                diagnostics=[*shown, *[one for one in state.others if one not in shown], *lint],
            )
        )

    async def _refresh_hints(self) -> None:
        """Ask the editor to ask for hints again, if it can."""
        workspace = self.client_capabilities.workspace
        if (
            workspace is not None
            and workspace.inlay_hint is not None
            and workspace.inlay_hint.refresh_support
        ):
            await _asked(self.workspace_inlay_hint_refresh_async(None))

    async def _refresh_lenses(self) -> None:
        """Ask the editor to ask for lenses again, if it can."""
        workspace = self.client_capabilities.workspace
        if workspace is not None and workspace.code_lens is not None and workspace.code_lens.refresh_support:
            await _asked(self.workspace_code_lens_refresh_async(None))

    # ---------------------------------------------------------------- answers

    async def fresh(self, state: State) -> Analysis | None:
        """Return the analysis of a text as it is, waiting for it; None if there is none in time."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not state.current:
                    await state.ready.wait()
                    if state.ready.is_set() and not state.current:  # it has failed, or the text is closed
                        return None
        except TimeoutError:
            return None
        return state.analysis

    async def ask(self, run: Callable[..., T], *args: object) -> T:
        """Return what a function says of whole texts, without keeping the server from other messages."""
        return await asyncio.get_running_loop().run_in_executor(self.answers, partial(run, *args))

    def wrong(self, document: Document, net: str, source: Source) -> Sequence[Diagnostic]:
        """Return what is wrong with another text of a file, and a net of it."""
        return analyse(source, net=net, importer=self.texts.importer(document)).diagnostics

    def set_up(self, given: object) -> None:
        """Take settings, and show what they change."""
        self.settings.take(given)
        for state in self.states.values():
            self.schedule(state, 0, refresh=True)

    def shutdown(self) -> None:
        """Stop what is under way."""
        for state in self.states.values():
            state.generation += 1
        self.linter.stop()
        self.worker.shutdown(wait=False, cancel_futures=True)
        self.answers.shutdown(wait=False, cancel_futures=True)
        super().shutdown()  # type: ignore[no-untyped-call]


async def _asked(answer: Awaitable[object]) -> None:
    """Wait for the editor's answer; one that refuses does so."""
    try:
        await answer
    except JsonRpcException as error:
        log.info("the editor refuses: %s", error)


def _move(state: State, document: Document) -> None:
    """Move what the linter and other nets have said along with the text; what was changed itself goes."""
    before, after = state.document.text, document.text
    if before.text == after.text:
        return
    begin, end, _ = difference(before.text, after.text)
    by = len(after.text) - len(before.text)
    state.found = [
        one._replace(fix=())
        if one.end <= begin
        else one._replace(start=one.start + by, end=one.end + by, fix=(), places=())
        for one in state.found
        if one.end <= begin or one.start >= end
    ]
    others: list[types.Diagnostic] = []
    for one in state.others:
        start, stop = before.offset(one.range.start), before.offset(one.range.end)
        if stop <= begin:
            others.append(one)
        elif start >= end:
            others.append(_at(one, after.range(start + by, stop + by)))
    state.others = others


def _at(one: types.Diagnostic, range: types.Range) -> types.Diagnostic:
    """Return a diagnostic elsewhere."""
    return types.Diagnostic(
        range=range, message=one.message, severity=one.severity, code=one.code, source=one.source
    )


# ---------------------------------------------------------------- what is answered


def _register(server: Server) -> None:
    """Tell the server which function answers what."""
    for method, answer, options in (
        (types.INITIALIZE, _initialize, None),
        (types.INITIALIZED, _initialized, None),
        (types.TEXT_DOCUMENT_DID_OPEN, _opened, None),
        (types.TEXT_DOCUMENT_DID_CHANGE, _changed, None),
        (types.TEXT_DOCUMENT_DID_CLOSE, _closed, None),
        (types.WORKSPACE_DID_CHANGE_CONFIGURATION, _configured, None),
        (types.WORKSPACE_DID_CHANGE_WATCHED_FILES, _watched, None),
        (types.TEXT_DOCUMENT_INLAY_HINT, _inlay_hints, None),
        (types.TEXT_DOCUMENT_HOVER, _hover, None),
        (types.TEXT_DOCUMENT_DEFINITION, _definition, None),
        (types.TEXT_DOCUMENT_REFERENCES, _references, None),
        (types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT, _highlights, None),
        (
            types.TEXT_DOCUMENT_COMPLETION,
            _completion,
            types.CompletionOptions(trigger_characters=[".", "/", "=", '"', "@", ">"], resolve_provider=True),
        ),
        (types.COMPLETION_ITEM_RESOLVE, _resolved, None),
        (
            types.TEXT_DOCUMENT_SIGNATURE_HELP,
            _signature,
            types.SignatureHelpOptions(trigger_characters=["(", ",", " ", "="]),
        ),
        (types.TEXT_DOCUMENT_DOCUMENT_SYMBOL, _symbols, None),
        (types.WORKSPACE_SYMBOL, _workspace_symbols, None),
        (types.TEXT_DOCUMENT_FORMATTING, _formatting, None),
        (
            types.TEXT_DOCUMENT_CODE_ACTION,
            _actions,
            types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix]),
        ),
        (types.TEXT_DOCUMENT_PREPARE_RENAME, _prepare_rename, None),
        (types.TEXT_DOCUMENT_RENAME, _rename, types.RenameOptions(prepare_provider=True)),
        (types.TEXT_DOCUMENT_CODE_LENS, _lenses, types.CodeLensOptions(resolve_provider=False)),
        (types.TEXT_DOCUMENT_FOLDING_RANGE, _folding, None),
        (types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, _tokens, convert.LEGEND),
    ):
        server.feature(method, options)(answer)
    server.command(SHOW)(_show)


def _initialize(ls: Server, params: types.InitializeParams) -> None:
    encoding = ls.workspace.position_encoding
    ls.texts.encoding = encoding.value if isinstance(encoding, types.PositionEncodingKind) else str(encoding)
    ls.settings.take(params.initialization_options)


async def _initialized(ls: Server, params: types.InitializedParams) -> None:
    workspace = ls.client_capabilities.workspace
    if workspace is None:
        return
    if workspace.did_change_watched_files and workspace.did_change_watched_files.dynamic_registration:
        watchers = [types.FileSystemWatcher(glob_pattern="**/*.net")]
        registration = types.Registration(
            id="netdsl.files",
            method=types.WORKSPACE_DID_CHANGE_WATCHED_FILES,
            register_options=types.DidChangeWatchedFilesRegistrationOptions(watchers=watchers),
        )
        await ls.client_register_capability_async(types.RegistrationParams(registrations=[registration]))
    await _configured(ls, None)


async def _configured(ls: Server, params: types.DidChangeConfigurationParams | None) -> None:
    workspace = ls.client_capabilities.workspace
    if workspace is not None and workspace.configuration:
        asked = types.ConfigurationParams(items=[types.ConfigurationItem(section="netdsl")])
        (given, *_) = (*await ls.workspace_configuration_async(asked), None)
        ls.set_up(given)
    elif params is not None:
        ls.set_up(params.settings)


def _opened(ls: Server, params: types.DidOpenTextDocumentParams) -> None:
    given = params.text_document
    ls.take(Document(given.uri, given.version, Text(given.text, ls.texts.encoding)))


def _changed(ls: Server, params: types.DidChangeTextDocumentParams) -> None:
    given = params.text_document
    ls.take(ls.state(given.uri).document.changed(given.version, params.content_changes))


def _closed(ls: Server, params: types.DidCloseTextDocumentParams) -> None:
    uri = params.text_document.uri
    state = ls.states.pop(uri, None)
    if state is None:
        return
    state.generation += 1
    if state.task is not None:
        state.task.cancel()
    state.ready.set()
    dependants = ls.texts.dependants(state.document.source.key)
    ls.texts.remove(uri)
    ls.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri=uri, diagnostics=[]))
    for other in dependants:
        ls.schedule(ls.states[other.uri], QUIET, refresh=True)


def _watched(ls: Server, params: types.DidChangeWatchedFilesParams) -> None:
    for change in params.changes:
        key = Document(change.uri, 0, Text("")).source.key
        if ls.texts.with_key(key) is None:
            for document in ls.texts.dependants(key):
                ls.schedule(ls.states[document.uri], QUIET, refresh=True)


async def _show(ls: Server, uri: str, net: str) -> None:
    state = ls.states.get(uri)
    if state is not None:
        state.net = net
        ls.schedule(state, 0, refresh=True)


async def _inlay_hints(ls: Server, params: types.InlayHintParams) -> list[types.InlayHint] | None:
    state = ls.state(params.text_document.uri)
    analysis = await ls.fresh(state)
    if analysis is None:
        return None
    text = state.document.text
    start, end = text.offset(params.range.start), text.offset(params.range.end)
    return [
        types.InlayHint(
            position=text.position(one.offset), label=one.text, padding_left=True, tooltip=one.tooltip
        )
        for one in hints(analysis, ls.settings.hints, start, end)
    ]


async def _hover(ls: Server, params: types.HoverParams) -> types.Hover | None:
    state = ls.state(params.text_document.uri)
    document = state.document
    analysis = state.analysis if state.current else None
    offset = document.text.offset(params.position)

    def look() -> types.Hover | None:
        found = hover(ls.texts.index(document), offset, analysis)
        if found is None:
            return None
        content = types.MarkupContent(kind=types.MarkupKind.Markdown, value=found.text)
        return types.Hover(contents=content, range=document.text.range(found.start, found.end))

    return await ls.ask(look)


async def _definition(ls: Server, params: types.DefinitionParams) -> list[types.Location] | None:
    document = ls.state(params.text_document.uri).document

    def look() -> list[types.Location]:
        _, spans = definitions(ls.texts.index(document), document.text.offset(params.position))
        return [found for span in spans if (found := convert.location(ls.texts, span)) is not None]

    return await ls.ask(look) or None


async def _references(ls: Server, params: types.ReferenceParams) -> list[types.Location] | None:
    document = ls.state(params.text_document.uri).document
    declared = params.context.include_declaration

    def look() -> list[types.Location]:
        index = ls.texts.index(document)
        use = index.at(document.text.offset(params.position))
        found: dict[tuple[str, int], types.Location] = {}
        for symbol in use.symbols if use is not None else ():
            for other, uri in _around(ls, index, document):
                text = ls.texts.text_of(other.source)
                for one in other.uses_of(symbol):
                    if declared or not one.named:
                        found[uri, one.start] = types.Location(uri=uri, range=text.range(one.start, one.end))
        return list(found.values())

    return await ls.ask(look) or None


def _around(ls: Server, index: Index, document: Document) -> list[tuple[Index, str]]:
    """Return the indices of what is open, and of what the text imports."""
    found = [(index, document.uri)]
    found += [(ls.texts.index(one), one.uri) for one in [*ls.texts.open.values()] if one is not document]
    for imported in index.imports.values():
        if imported is not None and (uri := ls.texts.uri_of(imported.source)) is not None:
            if uri not in [known for _, known in found]:
                found.append((imported, uri))
    return found


async def _highlights(
    ls: Server, params: types.DocumentHighlightParams
) -> list[types.DocumentHighlight] | None:
    document = ls.state(params.text_document.uri).document

    def look() -> list[types.DocumentHighlight]:
        index = ls.texts.index(document)
        use = index.at(document.text.offset(params.position))
        kinds = {True: types.DocumentHighlightKind.Write, False: types.DocumentHighlightKind.Read}
        found = {
            one.start: types.DocumentHighlight(
                range=document.text.range(one.start, one.end), kind=kinds[one.named]
            )
            for symbol in (use.symbols if use is not None else ())
            for one in index.uses_of(symbol)
        }
        return list(found.values())

    return await ls.ask(look) or None


async def _completion(ls: Server, params: types.CompletionParams) -> types.CompletionList:
    document = ls.state(params.text_document.uri).document
    capability = ls.client_capabilities.text_document
    item = capability.completion.completion_item if capability and capability.completion else None
    snippets = bool(item is not None and item.snippet_support)

    def look() -> types.CompletionList:
        found = complete(ls.texts.index(document), document.text.offset(params.position))
        items = [
            convert.completion(one, document.text, found.start, found.end, snippets) for one in found.items
        ]
        return types.CompletionList(is_incomplete=False, items=[one for one in items if one is not None])

    return await ls.ask(look)


def _resolved(ls: Server, params: types.CompletionItem) -> types.CompletionItem:
    data = params.data if isinstance(params.data, dict) else {}
    symbol = builtin(str(data.get("name", "")))
    if symbol is None:
        return params
    own = signature(symbol)
    shown = f"```netdsl\n{own.shown}\n```\n\n" if own is not None else ""
    params.documentation = types.MarkupContent(
        kind=types.MarkupKind.Markdown, value=f"{shown}{about(symbol)}"
    )
    return params


async def _signature(ls: Server, params: types.SignatureHelpParams) -> types.SignatureHelp | None:
    document = ls.state(params.text_document.uri).document
    offset = document.text.offset(params.position)

    def look() -> types.SignatureHelp | None:
        at = cursor(document.source.text, offset)
        call = call_at(at.tokens) if at is not None else None
        if at is None or call is None:
            return None
        index = ls.texts.index(document)
        own = called(index, scope_of(index, at), call, at.tokens)
        if own is None or not own.arguments:
            return None
        names = [argument.name for argument in own.arguments]
        active = names.index(call.keyword) if call.keyword in names else len(call.args) - 1
        given = types.SignatureInformation(
            label=own.shown,
            parameters=[
                types.ParameterInformation(label=argument.shown, documentation=argument.about or None)
                for argument in own.arguments
            ],
            active_parameter=min(active, len(names) - 1),
        )
        return types.SignatureHelp(
            signatures=[given], active_signature=0, active_parameter=given.active_parameter
        )

    return await ls.ask(look)


async def _symbols(ls: Server, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
    document = ls.state(params.text_document.uri).document

    def look() -> list[types.DocumentSymbol]:
        index = ls.texts.index(document)
        return convert.symbols(outline(index.file, document.source.text), document.text)

    return await ls.ask(look)


async def _workspace_symbols(
    ls: Server, params: types.WorkspaceSymbolParams
) -> list[types.SymbolInformation]:
    """Answer with the declarations of what is open, of what that imports, and of the workspace's files."""
    workspace = ls.workspace
    folders = [one.uri for one in workspace.folders.values()] or [workspace.root_uri or ""]
    paths = [path for uri in folders if uri.startswith("file:") and (path := to_fs_path(uri))]

    def look() -> list[types.SymbolInformation]:
        texts: dict[str, tuple[Index, Text]] = {}
        for document in [*ls.texts.open.values()]:
            for one, uri in _around(ls, ls.texts.index(document), document):
                texts[uri] = one, ls.texts.text_of(one.source)
        for document in ls.texts.files(paths):
            texts.setdefault(document.uri, (ls.texts.index(document), document.text))
        return [
            types.SymbolInformation(
                name=entry.name,
                kind=convert.SYMBOLS[entry.kind],
                location=types.Location(uri=uri, range=text.range(entry.name_start, entry.name_end)),
            )
            for uri, (index, text) in texts.items()
            for entry in outline(index.file, index.source.text)
            if _matches(params.query, entry)
        ]

    return await ls.ask(look)


def _matches(query: str, entry: Item) -> bool:
    """Tell whether a name has the letters of a query in their order."""
    left = iter(entry.name.lower())
    return all(char in left for char in query.lower())


async def _formatting(ls: Server, params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
    document = ls.state(params.text_document.uri).document
    try:
        new = await ls.ask(format_text, document.source)
    except NetError as error:
        first = error.diagnostics[0]
        line = f"line {first.span.line}: " if first.span is not None else ""
        ls.window_show_message(
            types.ShowMessageParams(
                type=types.MessageType.Warning, message=f"not formatted: {line}{first.message}"
            )
        )
        return None
    old = document.source.text
    if new == old:
        return None
    begin, end, stop = difference(old, new)
    return [types.TextEdit(range=document.text.range(begin, end), new_text=new[begin:stop])]


async def _actions(ls: Server, params: types.CodeActionParams) -> list[types.CodeAction] | None:
    state = ls.state(params.text_document.uri)
    analysis = await ls.fresh(state)
    document = state.document
    start, end = document.text.offset(params.range.start), document.text.offset(params.range.end)
    found = list(state.found)

    def touches(begin: int, stop: int) -> bool:
        return begin <= end and start <= stop

    def look() -> list[types.CodeAction]:
        made: list[actions.Action] = []
        file = ls.texts.index(document).file
        check = partial(ls.wrong, document, analysis.net if analysis is not None else "")
        for one in analysis.diagnostics if analysis is not None else ():
            if one.span is not None and one.span.source is document.source:
                if touches(one.span.start, one.span.end):
                    made += actions.mend(
                        document.source, one, analysis.diagnostics if analysis else (), check
                    )
        for finding in found:
            if touches(finding.start, finding.end):
                made += actions.of_finding(document.source, file, finding)
        return [_action(document, one) for one in made]

    return await ls.ask(look) or None


def _action(document: Document, one: actions.Action) -> types.CodeAction:
    edits = [
        types.TextEdit(range=document.text.range(change.start, change.end), new_text=change.text)
        for change in one.changes
    ]
    return types.CodeAction(
        title=one.title,
        kind=types.CodeActionKind.QuickFix,
        is_preferred=one.preferred or None,
        edit=types.WorkspaceEdit(changes={document.uri: edits}),
    )


async def _prepare_rename(
    ls: Server, params: types.PrepareRenameParams
) -> types.PrepareRenamePlaceholder | None:
    document = ls.state(params.text_document.uri).document

    def look() -> types.PrepareRenamePlaceholder:
        use, text = renameable(ls.texts.index(document), document.text.offset(params.position))
        return types.PrepareRenamePlaceholder(
            range=document.text.range(use.start, use.end), placeholder=text.strip('"')
        )

    try:
        return await ls.ask(look)
    except Refused as error:
        _refuse(error)


def _refuse(error: Refused) -> NoReturn:
    raise RequestFailed(str(error)) from None


async def _rename(ls: Server, params: types.RenameParams) -> types.WorkspaceEdit | None:
    document = ls.state(params.text_document.uri).document

    def look() -> tuple[types.WorkspaceEdit, str]:
        index = ls.texts.index(document)
        folder = str(document.path.parent) if document.path is not None else ""
        others = [ls.texts.index(one) for one in [*ls.texts.open.values()] if one is not document]
        offset = document.text.offset(params.position)
        made = rename(ls.texts.library(folder), index, offset, params.new_name, others)
        by_text: dict[Source, list[Change]] = {}
        for edit in made.edits:
            by_text.setdefault(edit.span.source, []).append(Change(edit.span.start, edit.span.end, edit.text))
        return _edits(ls, by_text, made.note), made.note

    try:
        edit, note = await ls.ask(look)
    except Refused as error:
        _refuse(error)
    if note and edit.change_annotations is None:
        ls.window_show_message(types.ShowMessageParams(type=types.MessageType.Info, message=note))
    return edit


def _edits(ls: Server, changes: dict[Source, list[Change]], note: str) -> types.WorkspaceEdit:
    """Return edits of several texts, with a note where the editor shows it."""
    capability = ls.client_capabilities.workspace
    can = capability.workspace_edit if capability is not None else None
    annotated = bool(note and can is not None and can.change_annotation_support is not None)
    documents: list[types.TextDocumentEdit | types.CreateFile | types.RenameFile | types.DeleteFile] = []
    plain: dict[str, Sequence[types.TextEdit]] = {}
    for source, own in changes.items():
        uri = ls.texts.uri_of(source)
        if uri is None:
            continue
        text = ls.texts.text_of(source)
        opened = ls.texts.open.get(uri)
        edits = [types.TextEdit(range=text.range(one.start, one.end), new_text=one.text) for one in own]
        plain[uri] = edits
        noted: list[Any] = edits
        if annotated:
            noted = [
                types.AnnotatedTextEdit(range=edit.range, new_text=edit.new_text, annotation_id="rename")
                for edit in edits
            ]
        version = opened.version if opened is not None else None
        identifier = types.OptionalVersionedTextDocumentIdentifier(uri=uri, version=version)
        documents.append(types.TextDocumentEdit(text_document=identifier, edits=noted))
    if can is None or not can.document_changes:
        return types.WorkspaceEdit(changes=plain)
    annotation = types.ChangeAnnotation(label="rename", description=note)
    return types.WorkspaceEdit(
        document_changes=documents, change_annotations={"rename": annotation} if annotated else None
    )


async def _lenses(ls: Server, params: types.CodeLensParams) -> list[types.CodeLens] | None:
    state = ls.state(params.text_document.uri)
    analysis = await ls.fresh(state)
    document = state.document
    if analysis is None:
        return None

    def look() -> list[types.CodeLens]:
        made = []
        index = ls.texts.index(document)
        for node in index.file.items:
            inner = node.statement if isinstance(node, tree.Annotated) else node
            if isinstance(inner, tree.Variant):
                name = inner.name.text
            elif isinstance(inner, tree.Net) and inner.name.text.lower() not in index.variants:
                name = inner.name.text.lower()
            else:
                continue
            if name not in analysis.nets:
                continue
            parts = ["shown" if name == analysis.net else "show"]
            parts += filter(None, [state.summaries.get(name)])
            command = types.Command(title=" · ".join(parts), command=SHOW, arguments=[document.uri, name])
            start = inner.name.start
            made.append(types.CodeLens(range=document.text.range(start, inner.name.end), command=command))
        return made

    return await ls.ask(look) or None


async def _folding(ls: Server, params: types.FoldingRangeParams) -> list[types.FoldingRange]:
    document = ls.state(params.text_document.uri).document

    def look() -> list[types.FoldingRange]:
        text = document.text
        found: dict[int, types.FoldingRange] = {}
        for start, end in folds(ls.texts.index(document).file, document.source.text):
            first, last = text.position(start).line, text.position(end).line
            if last > first:
                found[first] = types.FoldingRange(start_line=first, end_line=max(last, _last(found, first)))
        return list(found.values())

    return await ls.ask(look)


def _last(found: dict[int, types.FoldingRange], line: int) -> int:
    return found[line].end_line if line in found else 0


async def _tokens(ls: Server, params: types.SemanticTokensParams) -> types.SemanticTokens:
    document = ls.state(params.text_document.uri).document

    def look() -> types.SemanticTokens:
        return types.SemanticTokens(data=convert.tokens(classified(document.source.text), document.text))

    return await ls.ask(look)


def serve(tcp: int | None = None, log_file: Path | None = None) -> int:
    """Answer until the editor says that it is done: on standard input and output, or on a port of this machine."""
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    level = logging.INFO if log_file is not None else logging.ERROR
    handler = (
        logging.FileHandler(log_file, encoding="utf-8") if log_file is not None else logging.StreamHandler()
    )
    logging.basicConfig(level=level, format=form, handlers=[handler])
    gc.freeze()  # what was imported stays
    server = Server()
    if tcp is not None:
        server.start_tcp("127.0.0.1", tcp)
    else:
        # nothing else is to get into the stream: what prints does so where errors go
        stdin, stdout = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        server.start_io(stdin, stdout)
    return 0 if server.protocol._shutdown else 1
