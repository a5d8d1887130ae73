"""What names mean: definitions, references and renaming, over small texts and the zoo."""

from pathlib import Path

import pytest

from netdsl import api
from netdsl.backend import emit_family
from netdsl.ide.index import Index, Library, Symbol, definitions
from netdsl.ide.outline import outline
from netdsl.ide.rename import Refused, rename
from netdsl.lint.edits import apply
from netdsl.net import Net
from netdsl.source import Source
from netdsl.syntax.tokens import lex

SPECS = sorted((Path(__file__).parent.parent / "specs").glob("*.net"))


def packaged(name: str, source: Source) -> Source:
    """Find an import in the zoo."""
    file = SPECS[0].parent / name
    if not file.is_file():
        raise ValueError("there is no such file")
    return Source(name, file.read_text(encoding="utf-8"))


def index(text: str, **others: str) -> Index:
    return library(**others).index(Source("spec.net", text))


def library(**others: str) -> Library:
    sources = {f"{name}.net": Source(f"{name}.net", text) for name, text in others.items()}

    def find(name: str, source: Source) -> Source:
        return sources[name] if name in sources else packaged(name, source)

    return Library(find)


def at(text: str, mark: str, nth: int = 0) -> int:
    """Return the offset of the n-th place where a text has a piece."""
    offset = -1
    for _ in range(nth + 1):
        offset = text.index(mark, offset + 1)
    return offset


def defined(found: Index, offset: int) -> list[int]:
    """Return the lines at which what is named at an offset is defined."""
    return [span.line for span in definitions(found, offset)[1]]


# ---------------------------------------------------------------- the zoo


@pytest.mark.parametrize("file", SPECS, ids=lambda file: file.stem)
def test_every_reference_of_the_zoo_resolves(file: Path) -> None:
    source = Source(file.name, file.read_text(encoding="utf-8"))
    found = library().index(source)
    assert [source.text[use.start : use.end] for use in found.unknown] == []
    assert outline(found.file, source.text)
    for use in found.uses:
        said = source.text[use.start : use.end].strip('"')
        shown = {one.name for one in use.symbols}
        braces = "{" in said or any("{" in name for name in shown)
        assert said in shown or use.stride or braces, (said, shown)


@pytest.mark.parametrize("file", SPECS, ids=lambda file: file.stem)
def test_no_name_of_the_zoo_is_passed_over(file: Path) -> None:
    source = Source(file.name, file.read_text(encoding="utf-8"))
    found = library().index(source)
    said = [range(use.start, use.end) for use in found.uses]
    tokens = list(lex(source.text, []))
    missed = []
    for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        argument = after.type == "EQUAL" and before.type in (
            "COMMA",
            "LPAR",
            "NAME",
            "META",
            "RPAR",
            "CONCAT",
        )
        member = before.type == "DOT"
        other = argument or member or before.type in ("COLON", "STAGE", "AT", "AS", "META", "INIT")
        if token.type == "NAME" and not other and not any(token.start in one for one in said):
            missed.append((token.text, source.position(token.start)[0]))
    quantities = ("params", "macs", "memory", "momentum", "adam", "activations")
    allowed = [
        (name, line) for name, line in missed if name not in quantities and "@allow" not in source.line(line)
    ]
    assert allowed == []


# ---------------------------------------------------------------- looking up

NESTED = """\
def wide(c) = 2*c
half = 4

block B(c, stride = 1) from a, b:
    c = c + 1
    from a -> conv 1x1, c, /stride as conv
    features:
        conv: conv 3x3, wide(half)
        from conv -> relu
    from conv, features -> concat

net N(n = 2, unit: op = B):
    input image: 3, 32x32
    for i in range(n):
        p{i}: conv 3x3, 8
    from p0, p1 -> unit 8, stride=2 as head
    from p{n-1} -> conv 1x1, image.c -> add
    resize like=image
    require head.macs <= 1M, n > 0
    return head
"""


def test_a_name_is_looked_up_from_the_inside_outwards() -> None:
    found = index(NESTED)
    assert defined(found, at(NESTED, "c + 1")) == [4, 5]
    assert defined(found, at(NESTED, "2*c") + 2) == [1]
    assert defined(found, at(NESTED, "from conv -> relu") + 5) == [8]
    assert defined(found, at(NESTED, "from conv, features") + 5) == [6]
    assert defined(found, at(NESTED, "wide(half)")) == [1]
    assert defined(found, at(NESTED, "half)")) == [2]
    assert defined(found, at(NESTED, "/stride") + 1) == [4]


def test_labels_with_braces_are_found_by_what_they_may_be() -> None:
    found = index(NESTED)
    assert defined(found, at(NESTED, "p0")) == [15]
    assert defined(found, at(NESTED, "p{n-1}")) == [15]
    assert defined(found, at(NESTED, "n-1}")) == [12]


def test_an_argument_is_the_parameter_of_what_is_called() -> None:
    found = index(NESTED)
    assert defined(found, at(NESTED, "stride=2")) == [4]
    assert defined(found, at(NESTED, "like=image") + 5) == [13]
    assert defined(found, at(NESTED, "image.c")) == [13]
    assert defined(found, at(NESTED, "head.macs")) == [16]
    assert defined(found, at(NESTED, "return head") + 7) == [16]
    assert [use.start for use in found.uses_of(found.top.names["B"])] == [
        at(NESTED, "B(c"),
        at(NESTED, "= B)") + 2,
    ]


DECIDED = """\
block Cell(c, kernel = choose(3x3, 5x5)):
    conv: conv kernel, c

net Space(width = choose(8, 16)):
    order head
    input 3, 32x32
    stage1:
        depth = choose(1, 2)
        depth * conv 3x3, width
    cell: Cell 8
    same cell
    neck: choose:
        identity
        wide: conv 1x1, 64
    head: fc 10

variant found = Space():
    decide width=8, stage1.depth=2, cell.kernel=5x5, neck=wide
"""


def test_decisions_are_called_by_labels_and_what_they_are_for() -> None:
    found = index(DECIDED)
    lines = {"width=8": 4, "stage1.d": 7, "depth=2": 8, "cell.k": 10, "kernel=5x5": 1, "neck=w": 12}
    assert {mark: defined(found, at(DECIDED, mark)) for mark in lines} == {k: [v] for k, v in lines.items()}
    assert defined(found, at(DECIDED, "order head") + 6) == [15]
    assert defined(found, at(DECIDED, "same cell") + 5) == [10]


ROWS = """\
table small(unit, k, c):
    conv, 3x3, 16
    conv, 5x5, 32

net N(rows: table):
    input 3, 32x32
    for i, row in enumerate(rows):
        conv{i}: conv row.k, row.c
    stem: conv small[0].k, rows[0].c

variant n = N(small)
"""


def test_columns_are_found_through_loops_and_parameters() -> None:
    found = index(ROWS)
    for mark in ("row.k", "small[0].k", "rows[0].c", "row.c"):
        assert defined(found, at(ROWS, mark) + len(mark) - 1) == [1], mark


def test_imports_lead_to_the_other_file() -> None:
    text = 'import Unit from "unit.net"\n\nnet N:\n    input 3, 8x8\n    Unit 8, stride=2\n'
    unit = "# One unit.\nblock Unit(c, stride = 1):\n    conv: conv 3x3, c, /stride\n"
    found = index(text, unit=unit)
    (span,) = definitions(found, at(text, "Unit 8"))[1]
    assert (span.source.name, span.line) == ("unit.net", 2)
    (span,) = definitions(found, at(text, "stride=2"))[1]
    assert (span.source.name, span.text) == ("unit.net", "stride")
    gone = index(text.replace("unit.net", "gone.net"))
    assert [text[use.start : use.end] for use in gone.unknown] == ["Unit"]


def test_files_that_import_each_other_are_indexed_all_the_same() -> None:
    a, b = 'import B from "b.net"\nblock A(c):\n    B c\n', 'import A from "a.net"\nblock B(c):\n    A c\n'
    found = library(a=a, b=b).index(Source("a.net", a))
    assert defined(found, at(a, "B c")) == [2]


def test_an_import_that_changes_is_indexed_anew() -> None:
    held = {"unit.net": "block Unit(c):\n    conv: conv 3x3, c\n"}
    shelf = Library(lambda name, source: Source(name, held[name]))
    source = Source("spec.net", 'import Unit from "unit.net"\n\nnet N:\n    input 3, 8x8\n    Unit 8\n')
    assert shelf.index(source) is shelf.index(source)
    assert not shelf.index(source).unknown
    held["unit.net"] = "block Other(c):\n    conv: conv 3x3, c\n"
    assert [use.start for use in shelf.index(source).unknown] == [7]


# ---------------------------------------------------------------- renaming


def renamed(text: str, offset: int, new: str) -> str:
    shelf = library()
    found = shelf.index(Source("spec.net", text))
    return apply(text, rename(shelf, found, offset, new).edits)


def test_a_parameter_is_renamed_in_calls_and_decisions() -> None:
    text = renamed(DECIDED, at(DECIDED, "kernel"), "window")
    assert text == DECIDED.replace("kernel", "window")
    text = renamed(NESTED, at(NESTED, "/stride") + 1, "step")
    assert text == NESTED.replace("stride", "step")
    short = NESTED.replace("stride=2", "/2")
    assert renamed(short, at(short, "stride"), "step") == NESTED.replace("stride", "step")


def test_a_label_is_renamed_wherever_it_is_read() -> None:
    text = renamed(DECIDED, at(DECIDED, "head"), "logits")
    assert text == DECIDED.replace("head", "logits")
    assert renamed(DECIDED, at(DECIDED, "cell:"), "one") == DECIDED.replace("cell", "one")
    text = renamed(NESTED, at(NESTED, "p{i}"), "level{i}")
    assert text == NESTED.replace("p{i}", "level{i}").replace("p0, p1", "level0, level1").replace(
        "p{n-1}", "level{n-1}"
    )
    quoted = renamed(NESTED, at(NESTED, "features"), "a-b")
    assert quoted == NESTED.replace("features", '"a-b"')
    with pytest.raises(Refused, match="cannot have that name"):  # no path has quotes
        renamed(NESTED, at(NESTED, "head.macs"), "a-b")


def test_a_label_that_is_renamed_says_that_keys_change() -> None:
    shelf = library()
    found = shelf.index(Source("spec.net", DECIDED))
    assert "state_dict" in rename(shelf, found, at(DECIDED, "head"), "logits").note


@pytest.mark.parametrize(
    ("mark", "new", "why"),
    [
        ("half = 4", "wide", "another thing is called so"),
        ("c = c + 1", "a b", "is no name"),
        ("half = 4", "conv", "is an op"),
        ("half = 4", "for", "is a word"),
        ("p{i}", "p", "braces"),
        ("conv: conv 3x3", "forward", "attribute"),
        ("conv: conv 3x3", "a/b", "key of a state_dict"),
        ("conv 1x1", "kernel", "belongs to the language"),
        ("from a, b", "z", "nothing here"),
        ("B(c", "relu", "op of the language"),
        ("N(n = 2", "net1", "small letter"),
        ("n = 2", "unit", "another thing is called so"),
    ],
)
def test_a_name_that_cannot_be_is_refused(mark: str, new: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        renamed(NESTED, at(NESTED, mark), new)


def test_what_depends_on_calls_is_not_renamed() -> None:
    text = "block A(c, k = 1):\n    conv: conv 3x3, c\n\nblock B(c, k = 1):\n    conv: conv 3x3, c\n\n"
    text += "net N(unit: op):\n    input 3, 8x8\n    unit 8, k=2\n\nvariant a = N(A)\nvariant b = N(B)\n"
    for mark in ("k = 1", "k=2"):
        with pytest.raises(Refused, match=r"depends on calls|what a call decides"):
            renamed(text, at(text, mark), "depth")


FAMILIES = ("alexnet", "googlenet", "mobilenet_v3", "shufflenet_v2")


@pytest.mark.parametrize("family", FAMILIES)
def test_renaming_blocks_and_parameters_of_the_zoo_changes_no_more_than_the_name(family: str) -> None:
    file = SPECS[0].parent / f"{family}.net"
    source = Source(file.name, file.read_text(encoding="utf-8"))
    shelf = library()
    found = shelf.index(source)
    symbols: dict[tuple[str, str, str, int], Symbol] = {
        use.symbols[0].key: use.symbols[0]
        for use in found.uses
        if use.named and use.symbols[0].kind in ("block", "parameter")
    }
    before = emitted(source.text)
    refused = []
    for symbol in symbols.values():
        new = f"{symbol.name}Qz" if symbol.kind == "block" else f"{symbol.name}_qz"
        try:
            edits = rename(shelf, found, symbol.sites[0][0], new).edits
        except Refused as error:
            refused.append(str(error))
            continue
        after = emitted(apply(source.text, edits))
        assert squeezed(after.replace(new, symbol.name)) == squeezed(before), symbol
    assert len(refused) < len(symbols) // 2
    assert [why for why in refused if "first`" not in why and "call decides" not in why] == []


def emitted(text: str) -> str:
    """Return the module of a text's nets."""
    file = api.read_text(text)
    nets = [Net(recipe) for recipe in api.recipes(file, "", {}, {})]
    return "\n".join(emit_family(nets[:2]).values())


def squeezed(text: str) -> str:
    """Return a module's text, however its lines are broken."""
    return "".join(text.replace(",)", ")").split())
