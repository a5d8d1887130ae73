"""The language server as editors meet it: a process, and a client that holds its answers against the protocol."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_lsp
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

ROOT = Path(__file__).parent.parent
SERVER = [sys.executable, "-m", "netdsl", "lsp"]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(ROOT), *map(str, (ROOT / "backends", ROOT / "frontends"))]),
}
WAIT = 60.0
"""Seconds until a test gives up: what is waited for comes much sooner."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_lsp.fixture(
    scope="module",
    loop_scope="module",
    config=ClientServerConfig(server_command=SERVER, server_env=ENVIRONMENT),
)
async def client(lsp_client: LanguageClient) -> AsyncIterator[None]:
    refreshed: list[str] = []

    @lsp_client.feature(types.WORKSPACE_INLAY_HINT_REFRESH)
    def hints(params: None) -> None:
        refreshed.append("hints")

    @lsp_client.feature(types.WORKSPACE_CODE_LENS_REFRESH)
    def lenses(params: None) -> None:
        refreshed.append("lenses")

    lsp_client.refreshed = refreshed  # type: ignore[attr-defined]
    capabilities = client_capabilities("neovim@v0.11.0")
    assert capabilities.workspace is not None
    assert capabilities.general is not None
    capabilities.general.position_encodings = [types.PositionEncodingKind.Utf16]
    capabilities.workspace.inlay_hint = types.InlayHintWorkspaceClientCapabilities(refresh_support=True)
    capabilities.workspace.code_lens = types.CodeLensWorkspaceClientCapabilities(refresh_support=True)
    answer = await lsp_client.initialize_session(types.InitializeParams(capabilities=capabilities))
    lsp_client.offered = answer.capabilities  # type: ignore[attr-defined]
    yield
    await lsp_client.shutdown_session()


_numbers = count()


class Editor:
    """One text in the editor."""

    def __init__(self, client: LanguageClient, text: str, uri: str = "", name: str = "spec.net") -> None:
        self.client = client
        self.text = text
        self.version = 1
        self.uri = uri or f"file:///nowhere/{next(_numbers)}/{name}"
        client.text_document_did_open(
            types.DidOpenTextDocumentParams(types.TextDocumentItem(self.uri, "netdsl", 1, text))
        )

    @property
    def document(self) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.uri)

    def position(self, mark: str, nth: int = 0, behind: bool = False) -> types.Position:
        """Return the position of the n-th piece of the text, as editors count."""
        at = -1
        for _ in range(nth + 1):
            at = self.text.index(mark, at + 1)
        at += len(mark) if behind else 0
        before = self.text[:at].replace("\r\n", "\n")
        line = before.rpartition("\n")[2]
        return types.Position(before.count("\n"), len(line.encode("utf-16-le")) // 2)

    def range(self, mark: str, nth: int = 0) -> types.Range:
        return types.Range(self.position(mark, nth), self.position(mark, nth, behind=True))

    def change(self, old: str, new: str) -> None:
        """Replace a piece of the text, as typing does."""
        edit = types.TextDocumentContentChangePartial(range=self.range(old), text=new)
        self.text = self.text.replace(old, new, 1)
        self.version += 1
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(uri=self.uri, version=self.version), [edit]
            )
        )

    def close(self) -> None:
        self.client.text_document_did_close(types.DidCloseTextDocumentParams(self.document))

    async def diagnostics(
        self, wanted: Callable[[list[types.Diagnostic]], bool] = lambda found: True
    ) -> list[types.Diagnostic]:
        """Return what is wrong with the text as it is, as soon as it is what is wanted."""
        await self.hints()  # which wait for the analysis
        async with asyncio.timeout(WAIT):
            while True:
                found = list(self.client.diagnostics.get(self.uri, ()))
                if wanted(found):
                    return found
                await asyncio.sleep(0.02)

    async def hints(self) -> dict[int, str]:
        """Return what stands behind each line."""
        whole = types.Range(types.Position(0, 0), types.Position(100_000, 0))
        found = await self.client.text_document_inlay_hint_async(
            types.InlayHintParams(text_document=self.document, range=whole)
        )
        return {one.position.line: str(one.label) for one in found or ()}

    async def hover(self, mark: str, nth: int = 0) -> str:
        params = types.HoverParams(text_document=self.document, position=self.position(mark, nth))
        found = await self.client.text_document_hover_async(params)
        return "" if found is None else found.contents.value  # type: ignore[union-attr]

    async def completions(self, mark: str) -> dict[str, types.CompletionItem]:
        params = types.CompletionParams(
            text_document=self.document, position=self.position(mark, behind=True)
        )
        found = await self.client.text_document_completion_async(params)
        assert isinstance(found, types.CompletionList)
        return {one.label: one for one in found.items}


def codes(found: list[types.Diagnostic]) -> list[str]:
    return [str(one.code).partition(" ")[0] for one in found]


NET = """\
block Unit(c, stride = 1):
    conv: conv 3x3, c, /stride
    relu

net Small(classes = 10):
    input 3, 32x32
    stem: Unit 8
    down: Unit 16, stride=2
    gap
    fc: fc classes

variant small = Small():
    require params <= 1M
variant wide  = Small(classes=1000)
"""


# ---------------------------------------------------------------- what is wrong


async def test_syntax_and_meaning_are_reported_at_once(client: LanguageClient) -> None:
    text = NET.replace("relu\n", "relu ) \n").replace("stem: Unit 8", "stem: Unti 8").replace("gap", "gapp")
    found = await Editor(client, text).diagnostics()
    assert sorted(codes(found)) == ["E100", "E201", "E201"]
    assert [one.range.start.line for one in found if one.code == "E201"] == [6, 8]
    assert "did you mean `Unit`?" in found[1].message


async def test_places_that_explain_are_related_information(client: LanguageClient) -> None:
    editor = Editor(client, NET.replace("conv 3x3, c, /stride", "conv 3x3, c, groups=5"))
    (found, *_) = await editor.diagnostics()
    assert found.code == "E301"
    assert found.severity == types.DiagnosticSeverity.Error
    assert found.source == "netdsl"
    (call, *_) = found.related_information or ()
    assert call.location.uri == editor.uri
    assert call.location.range == editor.range("Unit 8")
    assert "in Unit(c=8)" in call.message


async def test_positions_count_utf16(client: LanguageClient) -> None:
    editor = Editor(client, 'net N:\n    meta note="😀é😀", year=oops  # 😀\n    input 3, 8x8\n')
    (found,) = await editor.diagnostics()
    assert found.range == editor.range("oops")
    editor.change("oops", "2020")
    assert await editor.diagnostics() == []
    assert "input" in await editor.hover("input")
    editor.change("# 😀", "# 😀😀\n    meta top1=oops")
    (found,) = await editor.diagnostics()
    assert found.range == editor.range("oops")


async def test_lines_may_end_in_any_way(client: LanguageClient) -> None:
    editor = Editor(client, NET.replace("\n", "\r\n").replace("gap", "gapp"))
    (found,) = await editor.diagnostics()
    assert found.range == editor.range("gapp")
    editor.change("gapp\r\n", "gap\r\n")
    assert await editor.diagnostics() == []
    odd = Editor(client, "\ufeffnet N:\n    # \u2028 \x0c\n    input 3, 8x8\n    covn 3\n")
    (found,) = await odd.diagnostics()
    assert found.range.start == types.Position(3, 4)


async def test_what_is_typed_last_counts(client: LanguageClient) -> None:
    editor = Editor(client, NET)
    for number in range(30):
        editor.change(f"Unit {8 + number}", f"Unit {9 + number}")
        editor.change("fc classes", f"fc classes + {number}")
        editor.change(f"fc classes + {number}", "fc classes")
    editor.change("fc classes", "fc clases")
    found = await editor.diagnostics()
    assert codes(found) == ["E200"]
    assert found[0].range == editor.range("clases")


async def test_other_nets_and_the_linter_follow(client: LanguageClient) -> None:
    text = NET.replace("classes=1000", "classes=0")
    editor = Editor(client, text)
    await editor.diagnostics(lambda found: "E301" in codes(found) or "E203" in codes(found) or len(found) > 0)
    lint = Editor(client, NET.replace("    gap\n", "    flatten\n    dropout 0.0\n"))
    found = await lint.diagnostics(lambda found: "L205" in codes(found))
    (one,) = [one for one in found if codes([one]) == ["L205"]]
    assert one.source == "netdsl lint"
    assert one.range == lint.range("dropout 0.0")
    lint.change("block Unit", "# moved\nblock Unit")
    found = await lint.diagnostics(lambda found: "L205" in codes(found))
    assert next(one for one in found if codes([one]) == ["L205"]).range == lint.range("dropout 0.0")


async def test_what_is_closed_has_nothing_wrong(client: LanguageClient) -> None:
    editor = Editor(client, NET.replace("gap", "gapp"))
    assert await editor.diagnostics()
    editor.close()
    async with asyncio.timeout(WAIT):
        while client.diagnostics[editor.uri]:
            await asyncio.sleep(0.02)
    with pytest.raises(JsonRpcException, match="is not open"):
        await editor.hints()


# ---------------------------------------------------------------- costs


async def test_hints_say_what_a_line_makes_and_costs(client: LanguageClient) -> None:
    editor = Editor(client, NET)
    found = await editor.hints()
    assert found[1] == "8x32x32, 16x16x16 · 1.39K params · 516.1K MACs"
    assert found[9] == "10 · 170 params · 160 MACs"
    assert 4 not in found
    editor.change("Unit 8", "Unit 4")
    assert (await editor.hints())[6].startswith("4x32x32 · ")


async def test_a_broken_line_leaves_no_false_hint_below_it(client: LanguageClient) -> None:
    editor = Editor(client, NET.replace("stem: Unit 8", "stem: Unit 8 )("))
    found = await editor.hints()
    assert not {6, 7, 8, 9} & set(found)


async def test_settings_choose_the_hints(client: LanguageClient) -> None:
    editor = Editor(client, NET)
    client.set_configuration({"netdsl": {"inlayHints": {"shape": True, "params": False, "macs": False}}})
    client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings={}))
    async with asyncio.timeout(WAIT):
        while (await editor.hints())[9] != "10":
            await asyncio.sleep(0.05)
    assert "hints" in client.refreshed  # type: ignore[attr-defined]
    client.set_configuration({"netdsl": {"inlayHints": True}})
    client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings={}))
    async with asyncio.timeout(WAIT):
        while (await editor.hints())[9] == "10":
            await asyncio.sleep(0.05)


async def test_a_lens_says_totals_and_chooses_the_net(client: LanguageClient) -> None:
    editor = Editor(client, NET)
    async with asyncio.timeout(WAIT):
        while True:
            lenses = await client.text_document_code_lens_async(types.CodeLensParams(editor.document)) or ()
            titles = [lens.command.title for lens in lenses if lens.command]
            if len(titles) == 2 and "18.39K" in titles[1]:
                break
            await asyncio.sleep(0.05)
    assert titles == [
        "shown · 1.56K params · 516.26K MACs · within budget",
        "show · 18.39K params · 532.1K MACs",
    ]
    command = lenses[1].command
    assert command is not None
    assert command.command == "netdsl.showNet"
    await client.workspace_execute_command_async(
        types.ExecuteCommandParams(command.command, command.arguments)
    )
    assert (await editor.hints())[9] == "1000 · 17K params · 16K MACs"


async def test_hover_says_what_a_thing_is_and_costs(client: LanguageClient) -> None:
    editor = Editor(client, NET)
    await editor.hints()
    said = await editor.hover("conv 3x3")
    assert "conv(kernel: dims, channels: int" in said
    assert "A two-dimensional convolution" in said
    assert "1,392 params" in said
    assert "c_out · h_out · w_out · c_in/groups · kh · kw" in said
    assert "block Unit(c: int, stride: int = 1)" in await editor.hover("Unit 16")
    assert "stride: int = 1" in await editor.hover("stride=2")
    assert "parameter" in await editor.hover("c, /stride")
    assert "a network" in await editor.hover("net Small")
    assert await editor.hover(" 3, 32x32") == ""


# ---------------------------------------------------------------- names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "unit.net").write_text("# One.\nblock Unit(c, stride = 1):\n    conv: conv 3x3, c, /stride\n")
    text = 'import Unit from "unit.net"\n\nnet N:\n    input 3, 8x8\n    a: Unit 8\n    b: Unit 8, stride=2\n'
    (tmp_path / "n.net").write_text(text)
    return tmp_path


def opened(client: LanguageClient, file: Path) -> Editor:
    return Editor(client, file.read_text(encoding="utf-8"), file.as_uri())


async def test_definitions_and_references_go_across_files(client: LanguageClient, folder: Path) -> None:
    editor = opened(client, folder / "n.net")
    params = types.DefinitionParams(text_document=editor.document, position=editor.position("Unit 8"))
    (found,) = await client.text_document_definition_async(params) or ()
    assert isinstance(found, types.Location)
    assert found.uri == (folder / "unit.net").as_uri()
    assert found.range.start == types.Position(1, 6)
    asked = types.ReferenceParams(
        text_document=editor.document,
        position=editor.position("Unit 8"),
        context=types.ReferenceContext(include_declaration=True),
    )
    places = await client.text_document_references_async(asked) or ()
    assert [(Path(one.uri).name, one.range.start.line) for one in places] == [
        ("n.net", 0),
        ("n.net", 4),
        ("n.net", 5),
        ("unit.net", 1),
    ]
    marked = types.DocumentHighlightParams(text_document=editor.document, position=editor.position("a: "))
    (one,) = await client.text_document_document_highlight_async(marked) or ()
    assert one.kind == types.DocumentHighlightKind.Write


async def test_an_open_text_is_read_before_its_file(client: LanguageClient, folder: Path) -> None:
    editor = opened(client, folder / "n.net")
    assert await editor.diagnostics() == []
    unit = opened(client, folder / "unit.net")
    unit.change("stride = 1", "step = 1")
    unit.change("/stride", "/step")
    found = await editor.diagnostics(lambda found: bool(found))
    assert codes(found) == ["E202"]
    assert found[0].range == editor.range("stride=2")
    unit.change("/step", "/stpe")
    found = await editor.diagnostics(lambda found: codes(found) != ["E202"])
    assert any(one.related_information for one in found)
    unit.close()
    await editor.diagnostics(lambda found: not found)


async def test_renaming_edits_all_files_and_says_what_changes(client: LanguageClient, folder: Path) -> None:
    editor, unit = opened(client, folder / "n.net"), opened(client, folder / "unit.net")
    where = types.PrepareRenameParams(text_document=unit.document, position=unit.position("stride"))
    prepared = await client.text_document_prepare_rename_async(where)
    assert isinstance(prepared, types.PrepareRenamePlaceholder)
    assert prepared.placeholder == "stride"
    edit = await client.text_document_rename_async(
        types.RenameParams(text_document=unit.document, position=unit.position("stride"), new_name="step")
    )
    assert edit is not None
    edits = {change.text_document.uri: change.edits for change in edit.document_changes or ()}  # type: ignore[union-attr]
    edits = edits or dict(edit.changes or {})
    assert sorted((Path(uri).name, len(own)) for uri, own in edits.items()) == [("n.net", 1), ("unit.net", 2)]
    label = types.RenameParams(
        text_document=editor.document, position=editor.position("a: "), new_name="first"
    )
    edit = await client.text_document_rename_async(label)
    assert edit is not None
    told = [one.message for one in client.messages] + [
        one.description or "" for one in (edit.change_annotations or {}).values()
    ]
    assert any("state_dict" in one for one in told)
    with pytest.raises(JsonRpcException, match="is an op"):
        await client.text_document_rename_async(
            types.RenameParams(text_document=unit.document, position=unit.position("Unit"), new_name="conv")
        )
    with pytest.raises(JsonRpcException, match="belongs to the language"):
        await client.text_document_prepare_rename_async(
            types.PrepareRenameParams(text_document=unit.document, position=unit.position("conv 3x3"))
        )


async def test_completion_offers_what_fits_and_explains_it(client: LanguageClient) -> None:
    editor = Editor(client, NET.replace("    gap\n", "    gap -> \n"))
    found = await editor.completions("gap -> ")
    assert {"conv", "Unit", "same"} <= set(found)
    assert "import" not in found
    resolved = await client.completion_item_resolve_async(found["conv"])
    assert isinstance(resolved.documentation, types.MarkupContent)
    assert "Dumoulin" in resolved.documentation.value
    editor.change("gap -> ", "gap -> dropout p")
    assert "p=" in await editor.completions("dropout p")


async def test_signature_help_follows_the_arguments(client: LanguageClient) -> None:
    editor = Editor(client, NET.replace("Unit 16, stride=2", "Unit 16, stride="))
    at = types.SignatureHelpParams(
        text_document=editor.document, position=editor.position("stride=", behind=True)
    )
    found = await client.text_document_signature_help_async(at)
    assert found is not None
    assert found.signatures[0].label == "Unit(c: int, stride: int = 1)"
    assert found.active_parameter == 1


async def test_outline_folding_and_symbols(client: LanguageClient) -> None:
    editor = Editor(client, NET)
    found = (
        await client.text_document_document_symbol_async(types.DocumentSymbolParams(editor.document)) or ()
    )
    assert [one.name for one in found] == ["Unit", "Small", "small", "wide"]
    inner = found[1].children  # type: ignore[union-attr]
    assert [one.name for one in inner or ()] == ["stem", "down", "fc"]
    folds = await client.text_document_folding_range_async(types.FoldingRangeParams(editor.document)) or ()
    assert sorted((one.start_line, one.end_line) for one in folds) == [(0, 2), (4, 9), (11, 12)]
    symbols = await client.workspace_symbol_async(types.WorkspaceSymbolParams("smll"))
    assert any(one.name == "Small" and one.location.uri == editor.uri for one in symbols or ())  # type: ignore[union-attr]


async def test_symbols_of_files_that_are_not_open(client: LanguageClient, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("one.net", "deep/two.net", ".hidden/three.net"):
        (tmp_path / name).write_text(NET.replace("Small", "Lonely"))
    (tmp_path / "broken.net").write_bytes(b"\xff\xfe")
    folder = types.WorkspaceFolder(tmp_path.as_uri(), "here")
    for added, removed, wanted in (((folder,), (), {"one.net", "deep/two.net"}), ((), (folder,), set())):
        event = types.WorkspaceFoldersChangeEvent(added, removed)
        client.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(event))
        found = await client.workspace_symbol_async(types.WorkspaceSymbolParams("lonely")) or ()
        names = {
            one.location.uri.removeprefix(f"{tmp_path.as_uri()}/") for one in found if one.name == "Lonely"
        }
        assert names == wanted
        if added:  # one that changes is read anew, and one that is open is what the editor has
            assert {one.location.range.start.line for one in found if one.name == "Lonely"} == {4}  # type: ignore[union-attr]
            (tmp_path / "one.net").write_text("# above\n" + NET.replace("Small", "Lonely"))
            Editor(client, NET.replace("Small", "Lonely7"), uri=(tmp_path / "deep" / "two.net").as_uri())
            again = await client.workspace_symbol_async(types.WorkspaceSymbolParams("lonely")) or ()
            lines = {one.name: one.location.range.start.line for one in again}  # type: ignore[union-attr]
            assert (lines["Lonely"], lines["Lonely7"]) == (5, 4)


async def test_on_a_port() -> None:
    """It answers there as on its streams, and ends when it is told to."""
    await asyncio.to_thread(talk_on_a_port)


def talk_on_a_port() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([*SERVER, "--tcp", str(port)], env=ENVIRONMENT)
    try:
        deadline = time.monotonic() + WAIT
        while True:
            try:
                stream = socket.create_connection(("127.0.0.1", port), timeout=WAIT)
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        with stream, stream.makefile("rwb") as file:

            def tell(method: str, params: object, **more: object) -> None:
                body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more}).encode()
                file.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
                file.flush()

            def hear(wanted: Callable[[Any], bool]) -> Any:
                while True:
                    length = 0
                    while line := file.readline().strip():
                        name, _, value = line.partition(b":")
                        length = int(value) if name.lower() == b"content-length" else length
                    message = json.loads(file.read(length))
                    if wanted(message):
                        return message

            tell("initialize", {"processId": None, "rootUri": None, "capabilities": {}}, id=1)
            answer = hear(lambda message: message.get("id") == 1)
            assert answer["result"]["serverInfo"]["name"] == "netdsl"
            tell("initialized", {})
            item = {
                "uri": "file:///a.net",
                "languageId": "netdsl",
                "version": 1,
                "text": "net A:\n    input 3, 8x8\n    rlu\n",
            }
            tell("textDocument/didOpen", {"textDocument": item})
            said = hear(lambda message: message.get("method") == "textDocument/publishDiagnostics")
            assert [one["code"] for one in said["params"]["diagnostics"]] == ["E201"]
            tell("shutdown", None, id=2)
            assert hear(lambda message: message.get("id") == 2)["result"] is None
            tell("exit", None)
        assert process.wait(WAIT) == 0
    finally:
        process.kill()
        process.wait()


async def test_words_have_kinds(client: LanguageClient) -> None:
    editor = Editor(client, NET.replace("gap", "gap  # 😀\n    relu"))
    found = await client.text_document_semantic_tokens_full_async(
        types.SemanticTokensParams(text_document=editor.document)
    )
    assert found is not None
    provider = client.offered.semantic_tokens_provider  # type: ignore[attr-defined]
    assert isinstance(provider, types.SemanticTokensOptions)
    lines = [line.encode("utf-16-le") for line in editor.text.splitlines()]
    said, line, column = [], 0, 0
    for down, along, length, kind, _ in zip(*[iter(found.data)] * 5, strict=True):
        line, column = line + down, along if down else column + along
        word = lines[line][2 * column : 2 * (column + length)].decode("utf-16-le")
        said.append((word, provider.legend.token_types[kind]))
    assert said[:4] == [("block", "keyword"), ("Unit", "class"), ("c", "parameter"), ("stride", "parameter")]
    assert ("# 😀", "comment") in said
    assert said[-1] == ("1000", "number")
    assert ("relu", "function") in said


# ---------------------------------------------------------------- edits


def edited(text: str, edits: Sequence[types.TextEdit] | None) -> str:
    """Return a text of plain characters after edits, the last of which come first."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for edit in edits or ():
        start, end = (starts[at.line] + at.character for at in (edit.range.start, edit.range.end))
        text = text[:start] + edit.new_text + text[end:]
    return text


async def test_formatting_is_that_of_fmt(client: LanguageClient) -> None:
    options = types.FormattingOptions(tab_size=4, insert_spaces=True)
    editor = Editor(client, NET.replace("conv 3x3, c, /stride", "conv   3x3,c,/stride"))
    asked = types.DocumentFormattingParams(text_document=editor.document, options=options)
    assert edited(editor.text, await client.text_document_formatting_async(asked)) == NET
    asked = types.DocumentFormattingParams(text_document=Editor(client, NET).document, options=options)
    assert await client.text_document_formatting_async(asked) is None
    broken = Editor(client, NET.replace("gap", "gap )"))
    asked = types.DocumentFormattingParams(text_document=broken.document, options=options)
    assert await client.text_document_formatting_async(asked) is None
    assert any("not formatted: line 9" in one.message for one in client.messages)


async def actions(editor: Editor, mark: str) -> dict[str, types.CodeAction]:
    params = types.CodeActionParams(
        text_document=editor.document, range=editor.range(mark), context=types.CodeActionContext([])
    )
    found = await editor.client.text_document_code_action_async(params) or ()
    return {one.title: one for one in found if isinstance(one, types.CodeAction)}


async def test_errors_are_mended_by_what_their_help_says(client: LanguageClient) -> None:
    editor = Editor(client, NET.replace("gap", "gapp").replace("Unit 16, stride=2", "Unit(16, stride=2)"))
    assert list(await actions(editor, "gapp")) == ["replace `gapp` by `gap`"]
    (action, *_) = (await actions(editor, "Unit(16")).values()
    assert action.is_preferred
    assert action.edit is not None
    ((edit,),) = (action.edit.changes or {}).values()
    assert (edit.new_text, edit.range) == ("Unit 16, stride=2", editor.range("Unit(16, stride=2)"))
    assert await actions(editor, "input") == {}


async def test_findings_are_mended_and_allowed(client: LanguageClient) -> None:
    editor = Editor(client, NET.replace("    gap\n", "    gap\n    dropout 0.0\n"))
    await editor.diagnostics(lambda found: "L205" in codes(found))
    found = await actions(editor, "dropout 0.0")
    assert any("mend it" in title for title in found), found
    allow = found["identity_op: allow it here"].edit
    assert allow is not None
    ((edit,),) = (allow.changes or {}).values()
    assert edit.new_text == '    @allow(identity_op, "why")\n'
    assert edit.range.start == types.Position(editor.position("dropout").line, 0)


# ---------------------------------------------------------------- texts of all kinds


async def test_texts_without_a_file(client: LanguageClient) -> None:
    text = 'import BasicBlock from "resnet.net"\n\nnet N:\n    input 3, 8x8\n    BasicBlock 8\n'
    editor = Editor(client, text, uri=f"untitled:Untitled-{next(_numbers)}")
    assert await editor.diagnostics() == []
    params = types.DefinitionParams(text_document=editor.document, position=editor.position("BasicBlock 8"))
    (found,) = await client.text_document_definition_async(params) or ()
    assert isinstance(found, types.Location)
    assert found.uri.endswith("specs/resnet.net")


async def test_a_long_text_is_served(client: LanguageClient) -> None:
    lines = "".join(f"    c{i}: conv 1x1, 8\n" for i in range(2_000))
    blocks = "".join(f"block B{i}(c):\n    conv: conv 3x3, c\n    relu\n\n" for i in range(2_000))
    editor = Editor(client, f"{blocks}net Long:\n    input 8, 8x8\n{lines}    gapp\n")
    found = await editor.diagnostics()
    assert codes(found) == ["E201"]
    assert len(editor.text.splitlines()) > 10_000
    assert "B1999" in await editor.completions("    c1999: ")
    editor.close()


@pytest.mark.parametrize(
    "text", ["", "\n", "net", '"', "((((", "\x00\ufffe", "net N:\n\tinput 3", "@", "# only", "🙂"]
)
async def test_no_text_is_too_odd(client: LanguageClient, text: str) -> None:
    editor = Editor(client, text)
    for position in (types.Position(0, 0), types.Position(0, 99), types.Position(99, 3)):
        await client.text_document_hover_async(
            types.HoverParams(text_document=editor.document, position=position)
        )
        await client.text_document_completion_async(
            types.CompletionParams(text_document=editor.document, position=position)
        )
        await client.text_document_definition_async(
            types.DefinitionParams(text_document=editor.document, position=position)
        )
        await client.text_document_signature_help_async(
            types.SignatureHelpParams(text_document=editor.document, position=position)
        )
    await editor.diagnostics()
    await client.text_document_document_symbol_async(types.DocumentSymbolParams(editor.document))
    await client.text_document_folding_range_async(types.FoldingRangeParams(editor.document))
    await client.text_document_code_lens_async(types.CodeLensParams(editor.document))
    editor.change(text, NET)
    assert await editor.diagnostics() == []


async def test_a_request_may_be_cancelled(client: LanguageClient) -> None:
    editor = Editor(client, NET)
    whole = types.Range(types.Position(0, 0), types.Position(100, 0))
    for _ in range(5):
        editor.change("Unit 8", "Unit 8")
        asked = asyncio.ensure_future(
            client.text_document_inlay_hint_async(
                types.InlayHintParams(text_document=editor.document, range=whole)
            )
        )
        await asyncio.sleep(0)
        (number,) = [key for key, future in client.protocol._request_futures.items() if not future.done()]
        client.cancel_request(types.CancelParams(id=number))
        with pytest.raises(JsonRpcException, match="cancel"):
            await asked
    assert await editor.hints()


async def test_what_is_not_open_is_an_answer_and_no_end(client: LanguageClient) -> None:
    nowhere = types.TextDocumentIdentifier("file:///nowhere/at/all.net")
    with pytest.raises(JsonRpcException, match="is not open"):
        await client.text_document_hover_async(
            types.HoverParams(text_document=nowhere, position=types.Position(0, 0))
        )
    await client.workspace_execute_command_async(
        types.ExecuteCommandParams("netdsl.showNet", [nowhere.uri, "n"])
    )
    assert await Editor(client, NET).hints()


# ---------------------------------------------------------------- the process


def message(**fields: Any) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", **fields}).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


INITIALIZE = message(
    id=1, method="initialize", params={"processId": None, "rootUri": None, "capabilities": {}}
)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (INITIALIZE + message(id=2, method="shutdown") + message(method="exit"), 0),
        (INITIALIZE + message(method="exit"), 1),
        (INITIALIZE, 1),
        (b"", 1),
    ],
    ids=["shutdown", "exit", "gone", "nothing"],
)
async def test_the_process_ends_when_the_editor_does(sent: bytes, status: int) -> None:
    done = subprocess.run(SERVER, input=sent, capture_output=True, timeout=WAIT, env=ENVIRONMENT, check=False)
    assert done.returncode == status, done.stderr.decode()
    assert done.stderr == b""
    assert done.stdout.count(b"Content-Length") == sent.count(b'"id"')


async def test_nonsense_does_not_end_the_server() -> None:
    wrong = message(id=7, method="textDocument/hover", params={"textDocument": 3})
    wrong += message(method="textDocument/didChange", params={"nothing": True})
    wrong += message(id=8, method="no/such", params={})
    sent = INITIALIZE + wrong + message(id=9, method="shutdown") + message(method="exit")
    done = subprocess.run(SERVER, input=sent, capture_output=True, timeout=WAIT, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b'"id": 9' in done.stdout or b'"id":9' in done.stdout


async def test_a_log_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    log = tmp_path / "netdsl.log"
    sent = INITIALIZE + message(id=2, method="shutdown") + message(method="exit")
    run = [*SERVER, "--log", str(log)]
    done = subprocess.run(run, input=sent, capture_output=True, timeout=WAIT, env=ENVIRONMENT, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "initialize" in log.read_text(encoding="utf-8")


async def test_without_its_packages_the_command_names_the_extra() -> None:
    code = "import sys; sys.modules['pygls'] = None; from netdsl.cli import main; sys.exit(main(['lsp']))"
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 2
    assert "E553" in done.stderr
    assert "netdsl[lsp]" in done.stderr
