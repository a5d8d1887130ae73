"""netdsl fmt: the canonical text of a spec, and the command that writes it."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from case_files import read
from hypothesis import given, settings
from hypothesis import strategies as st
from lark import Lark
from test_cli import ROOT, run

import netdsl
from netdsl import cli, data
from netdsl.codes import CODES
from netdsl.diagnostics import NetError
from netdsl.source import Source
from netdsl.syntax import tree
from netdsl.syntax.layout import LIMIT
from netdsl.syntax.parse import parse
from netdsl.syntax.tokens import Token, lex

SPECS = data.names("specs", ".net")
PAGES = [*sorted((Path(__file__).parent / "cases").glob("*.md")), data.folder("grammar") / "README.md"]
UGLY, NEAT = "net  N( c=4 ):\n  input 3,8x8\n", "net N(c = 4):\n    input 3, 8x8\n"
BROKEN = "net N:\n    conv 3x3 64\n"

Captured = pytest.CaptureFixture[str]


def texts() -> dict[str, str]:
    """Every text of the repository that parses, by its name."""
    found = {name: data.read("specs", name) for name in SPECS}
    for page in PAGES:
        for case in read(page):
            nets = [block.text for block in case.blocks if block.language == "net"]
            found |= {f"{page.name} {case.name} {i}": text for i, text in enumerate(nets)}
    found |= {f"{code} {kind}": getattr(CODES[code], kind) for code in CODES for kind in ("good", "bad")}
    return {name: text for name, text in found.items() if text and parses(text)}


def parses(text: str) -> bool:
    try:
        parse(Source("case.net", text))
    except NetError:
        return False
    return True


TEXTS = texts()


def shape(node: Any) -> Any:
    """A tree without its places."""
    if isinstance(node, tree.Tree):
        fields = {name for name in node._fields if name not in ("start", "end")}
        return type(node).__name__, [(name, shape(getattr(node, name))) for name in sorted(fields)]
    return [shape(item) for item in node] if isinstance(node, tuple) else node


def comments(text: str) -> list[str]:
    """The comments of a text that parses: whatever begins with a # outside of a string."""
    found = re.findall(r'"[^"\n]*"|(#[^\n]*)', text)
    return sorted(comment.rstrip(" \t\r") for comment in found if comment)


def hold(text: str) -> str:
    """Format a text; what must hold of every canonical text holds of this one."""
    formatted = netdsl.format(text)
    assert shape(parse(Source("a.net", formatted))) == shape(parse(Source("b.net", text)))
    assert comments(formatted) == comments(text)
    assert netdsl.format(formatted) == formatted
    lines = formatted.replace("\r\n", "\n")  # all of them, or none
    assert formatted in (lines, lines.replace("\n", "\r\n"))
    assert not lines or (lines.endswith("\n") and not lines.endswith("\n\n"))
    assert not lines.startswith("\n")
    assert "\n\n\n" not in lines
    assert not re.search(r"[ \t\r]\n", lines)
    return formatted


# ---------------------------------------------------------------- any text that parses


def test_there_is_something_to_format() -> None:
    assert len(TEXTS) > 250


@pytest.mark.parametrize("name", SPECS)
def test_the_zoo_is_formatted(name: str) -> None:
    assert netdsl.format(TEXTS[name]) == TEXTS[name]


@pytest.mark.parametrize("name", [name for name in TEXTS if name.startswith("README.md")])
def test_the_page_is_formatted(name: str) -> None:
    assert netdsl.format(TEXTS[name]) == TEXTS[name]


@pytest.mark.parametrize("name", TEXTS)
def test_text(name: str) -> None:
    hold(TEXTS[name])


@pytest.mark.parametrize("name", TEXTS)
def test_noise(name: str) -> None:
    """Spaces, line ends within brackets and before arrows, comments at the end of any line and above any."""
    some = random.Random(name)
    for much in (0.05, 0.4):
        noisy = noise(TEXTS[name], some, much)
        assert shape(parse(Source("a.net", noisy))) == shape(parse(Source("b.net", TEXTS[name])))
        hold(noisy)


@pytest.mark.parametrize("name", SPECS)
def test_comments_stay_in_order(name: str) -> None:
    some = random.Random(name)
    lines = TEXTS[name].splitlines()
    for i in range(len(lines)):
        if some.random() < 0.3:
            lines[i] += f"  # behind {i}"
        if some.random() < 0.3:
            lines[i] = f"{' ' * some.randrange(12)}# above {i}\n{lines[i]}"
    text = "\n".join(lines)
    numbered = re.compile(r"# (?:above|behind) \d+")
    assert numbered.findall(hold(text)) == numbered.findall(text)


def noise(text: str, some: random.Random, much: float) -> str:
    """Put white space and comments at the borders of tokens, where they mean nothing."""
    result, end, depth, number = "", 0, 0, 0

    def comment() -> str:
        nonlocal number
        number += 1
        return f"#{' ' * some.randrange(2)}{number}{' ' * some.randrange(2)}"

    def gap(fresh: bool) -> str:
        """New lines, comments and blank lines; `fresh` if nothing stands on this line yet."""
        lines = "" if fresh else some.choice(["", "  ", comment()]) + "\n"
        while some.random() < 0.4:
            lines += some.choice(["", "   ", f"{' ' * some.randrange(9)}{comment()}"]) + "\n"
        return lines

    tokens = list(lex(text, []))
    before: Token | None = None
    for token in tokens:
        between = text[end : token.start]
        noisy = some.random() < much
        stays = before is not None and (between == "") and must_touch(before, token)
        if token.type == "_NL":
            between += " " * some.randrange(4) if noisy else ""
        elif noisy and not stays and before is not None and before.type != "_NL":
            breaks = depth or token.type == "ARROW"
            spaces = " " * some.randrange(5 if between == "" else 4)
            between += gap(fresh=False) + spaces if breaks and some.random() < 0.3 else spaces
        depth += {"LPAR": 1, "LSQB": 1, "RPAR": -1, "RSQB": -1}.get(token.type, 0)
        shown = token.text
        if token.type == "_NL" and noisy and not depth:
            newline, indentation = shown[: shown.rfind("\n") + 1], shown[shown.rfind("\n") + 1 :]
            shown = some.choice(["", f" {comment()}"]) + newline + gap(fresh=True) + indentation
        result += between + shown
        end, before = token.end, token
    return result + text[end:]


def must_touch(before: Token, token: Token) -> bool:
    """Tell whether a space would change what is meant; conv(64) is an error, conv (64) a layer."""
    return token.type == "LPAR" and before.type in ("NAME", "CHOOSE", "ADD", "MUL", "CONCAT", "FORK")


# ---------------------------------------------------------------- what the grammar allows, sense or nonsense


@cache
def productions() -> dict[str, list[list[str]]]:
    """The rules of the grammar: what each symbol may become."""
    lark = Lark(
        data.read("grammar", "net.lark"), parser="lalr", start=["start"], lexer="basic", keep_all_tokens=True
    )
    found: dict[str, list[list[str]]] = {}
    for rule in lark.rules:
        found.setdefault(rule.origin.name, []).append([symbol.name for symbol in rule.expansion])
    words = {t.name: t.pattern.value for t in lark.terminals if type(t.pattern).__name__ == "PatternStr"}
    return found | {name: [[f"'{word}"]] for name, word in words.items()}


SAMPLES = {
    "NAME": ["a", "conv", "x1", "relu"],
    "COUNT": ["n", "rows"],
    "COUNT_LPAR": ["("],
    "TEMPLATE": ["b{i}", "b{ i + 1 }_c{j*2}", "cell{2 if a else  f(1,2)}"],
    "COUNTED": ["{i}", "{ i + 1 }"],
    "DIMS": ["3x3", "1x7"],
    "NUMBER": ["1", "64", "0.5", "1e-6", "5M", "138_357_544"],
    "STRING": [
        '"a"',
        '"# no comment"',
        '"a very long text, which takes up more than half of a line of a spec"',
    ],
    "CMP": ["==", "<="],
    "SIGN": ["+", "-"],
    "TIMES": ["//", "%"],
}


@cache
def heights() -> dict[str, int]:
    """The least depth of what each symbol can become."""
    rules, known = productions(), dict.fromkeys([*SAMPLES, "_NL", "_INDENT", "_DEDENT"], 0)
    while True:
        fresh = {
            symbol: 1
            + min(max((known.get(s, 0 if s[0] == "'" else 99) for s in e), default=0) for e in expansions)
            for symbol, expansions in rules.items()
            if symbol not in SAMPLES
        } | dict.fromkeys([*SAMPLES, "_NL", "_INDENT", "_DEDENT"], 0)
        if fresh == known:
            return known
        known = fresh


def derive(symbol: str, some: random.Random, depth: int, out: list[str]) -> None:
    """Add a random text of a symbol, word by word."""
    if symbol in ("_NL", "_INDENT", "_DEDENT") or symbol[0] == "'":
        out.append(symbol.removeprefix("'"))
    elif symbol in SAMPLES:
        out.append(some.choice(SAMPLES[symbol]))
    else:
        known = heights()
        expansions = productions()[symbol]
        tall = [max((known.get(s, 0) for s in expansion), default=0) for expansion in expansions]
        fitting = [
            e for e, height in zip(expansions, tall, strict=True) if height < depth or height == min(tall)
        ]
        for part in some.choice(fitting):
            derive(part, some, depth - 1, out)


def written(words: list[str]) -> str:
    """Put words on lines, with the indentation that they ask for."""
    text, level = "", 0
    for word in words:
        if word == "_NL":
            text += "\n"
        elif word in ("_INDENT", "_DEDENT"):
            level += 1 if word == "_INDENT" else -1
        else:
            text += "  " * level + word if text.endswith("\n") or not text else " " + word
    return text


def random_text(some: random.Random, depth: int) -> str:
    """A random file that the grammar allows."""
    words: list[str] = []
    for _ in range(some.randrange(1, 4)):
        derive("item", some, depth, words)
    return written(words)


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**64), st.integers(10, 26))
def test_random_text(seed: int, depth: int) -> None:
    some = random.Random(seed)
    text = random_text(some, depth)
    if len(text) < 5000 and parses(text):
        formatted = hold(text)
        hold(noise(formatted, some, 0.2))


@pytest.mark.parametrize("label", ["a.{i}.138_357 . 1 . {j}", "a . 1 . 2", "a{i} . 1 . 2.3"])
def test_dots_of_a_label_are_closed_up(label: str) -> None:
    hold(f"block B:\n    {label}: relu as {label}\n")


def test_words_of_declarations_in_brackets() -> None:
    """Brackets that are closed end there alone, whatever a line within begins with."""
    hold("a = [\ntable in b,\nnet not in c\n]\nb = 1\n")


def test_random_texts_parse() -> None:
    tried = [random_text(random.Random(seed), 18) for seed in range(200)]
    assert sum(map(parses, tried)) > 100


# ---------------------------------------------------------------- the style


def body(*lines: str) -> str:
    """A block with these lines."""
    return "block B:\n" + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("line", "formatted"),
    [
        ("conv  3x3 ,64,/ 2  first", "conv 3x3, 64, /2 first"),
        ("a:conv 3x3->bn  as  b", "a: conv 3x3 -> bn as b"),
        ("n*conv 2 * c, groups = 1 + c", "n * conv 2*c, groups=1 + c"),
        ("w=4*c//2 ** 3", "w = 4 * c // 2**3"),
        ("w = a*b+c", "w = a*b + c"),
        ("w = (a*b)+c", "w = (a * b) + c"),
        ("w = not(a) and b!=2*c", "w = not (a) and b != 2*c"),
        ("w = - a . c [ 0 ] % f ( x,y )", "w = -a.c[0] % f(x, y)"),
        ("w = [ [1,2,],[i for i in  x] , ]", "w = [[1, 2], [i for i in x]]"),
        ("w=cs [ 1 : ] [: 2][i+1 : n-1][ : ]", "w = cs[1:][:2][i+1:n-1][:]"),
        ("w = [ c for i,( a,b ) in  x if a>b ]", "w = [c for i, (a, b) in x if a > b]"),
        ("w = a  in b or c not  in [1,2]", "w = a in b or c not in [1, 2]"),
        ("n [ i ] . c*conv 2*n[ 0 ] * 3->( r . n*relu )", "n[i].c * conv 2*n[0]*3 -> (r.n * relu)"),
        ('"a-{ i+1 }" :relu', '"a-{i+1}": relu'),
        ("a:( A if  b==1 else C )c*2,/2", "a: (A if b == 1 else C) c*2, /2"),
        ("w = choose( 3x3,5x5 )", "w = choose(3x3, 5x5)"),
        ("w = ((choose (1, 2)))", "w = ((choose(1, 2)))"),
        ("cell{ s * n + i }: relu", "cell{s*n+i}: relu"),
        ("( a:relu|b:tanh )as  c", "(a: relu | b: tanh) as c"),
        ("[ relu when c>1 ]", "[relu when c > 1]"),
        ("a,b=from  flow [ 0 ],x->split 2", "a, b = from flow[0], x -> split 2"),
        ("conv (64)", "conv (64)"),
        ("conv (1 if a else 2), bias = true", "conv (1 if a else 2), bias=true"),
        ("weight s [ x.c ,1 ], init = constant ( 0.1 )", "weight s [x.c, 1], init=constant(0.1)"),
        ("require params<=5M,macs<=2*k", "require params <= 5M, macs <= 2*k"),
        ("decide  a.b = 3 ,c . 0 . 1.d=  5x5", "decide a.b=3, c.0.1.d=5x5"),
        ('decide "x-y" . k=conv( c = 2 * 3 ),n=- 1', 'decide "x-y".k=conv(c=2*3), n=-1'),
        ("decide ( a=1, b = add, )", "decide (a=1, b=add)"),
        ("if c==1 : relu", "if c == 1: relu"),
        ('"a b" :relu#why', '"a b": relu  #why'),
    ],
)
def test_a_line(line: str, formatted: str) -> None:
    assert hold(body(line)) == body(formatted)


LONG = "conv 3x3, 64, groups=16, bias=false, pad=same as "


def test_a_chain_breaks_before_an_arrow() -> None:
    a, b, c = LONG + "one", LONG + "two", LONG + "three"
    assert hold(body(f"{a} -> {b} -> {c}")) == body(f"{a}", f"    -> {b}", f"    -> {c}")
    assert hold(body("relu -> tanh", "       -> relu -> tanh")) == body("relu -> tanh", "    -> relu -> tanh")


def test_breaks_in_brackets_are_not_kept() -> None:
    assert hold(body("w = [", "  1,", "2 ]")) == body("w = [1, 2]")
    a, b = LONG + "one", LONG + "two"
    assert hold(body(f"(x: {a} | y: {b}) -> add")) == body("(", f"    x: {a}", f"    | y: {b}", ") -> add")
    names = [f"parameter{i} = {i}" for i in range(9)]
    header = f"block B({', '.join(names)}):\n    relu\n"
    assert len(header.split("\n")[0]) > LIMIT
    assert hold(header) == "block B(\n    " + ",\n    ".join(names) + "\n):\n    relu\n"


def test_decisions_break_in_brackets() -> None:
    decisions = [f"stage{i}.depth={i}" for i in range(1, 9)]
    line = f"decide ({','.join(decisions)},)  # found"
    broken = [
        "    decide (",
        *(f"        {one}," for one in decisions[:-1]),
        f"        {decisions[-1]}",
        "    )  # found",
    ]
    assert netdsl.format(f"variant v = N():\n  {line}\n") == "\n".join(["variant v = N():", *broken, ""])


def test_a_line_of_the_limit_is_whole() -> None:
    name = "a" * (LIMIT - len("    (: relu | tanh)"))
    assert hold(body(f"({name}: relu | tanh)")) == body(f"({name}: relu | tanh)")
    assert hold(body(f"({name}a: relu | tanh)")) == body("(", f"    {name}a: relu", "    | tanh", ")")


def test_comments() -> None:
    text = """\
# file



block B:  # header
      # first
      relu # behind
    # shallow
      w = [ # open
       1 # one
       , # comma
  # above
       2 + # inside
       3, 4
      # last
       ] # closed
      relu # arrow
             # between
         -> tanh # end
      # of the body

   # of B too

# of the net
net N:
   B
   # end
"""
    assert (
        hold(text)
        == """\
# file

block B:  # header
    # first
    relu  # behind
    # shallow
    w = [  # open
        1,  # one
        # comma
        # above
        # inside
        2 + 3,
        4
        # last
    ]  # closed
    relu  # arrow
        # between
        -> tanh  # end
    # of the body

# of B too

# of the net
net N:
    B
    # end
"""
    )


def test_blank_lines() -> None:
    text = "\n\ndefault conv bias=false\nblock A:\n\n    relu\n\n\n    if a:\n\n        relu\n\n    else:\n"
    text += "        tanh\n@allow(a)\n\nnet N:\n    relu\nvariant a = N()\n\n\n\n"
    want = "default conv bias=false\n\nblock A:\n    relu\n\n    if a:\n        relu\n    else:\n        tanh\n\n"
    want += "@allow(a)\nnet N:\n    relu\n\nvariant a = N()\n"
    assert hold(text) == want


def test_tables_are_columns() -> None:
    text = 'table t(a,b,c,d):\n  1,10,relu,-2.5 # x\n\n  16 , 5.25, f ( 1 ),10\n  2,0.5,"a",3\n'
    want = """\
table t(a, b, c, d):
    1, 10,    relu, -2.5  # x

    16, 5.25, f(1), 10
    2,  0.5,  "a",   3
"""
    assert hold(text) == want


def test_variants_are_columns() -> None:
    text = "variant a = N(1):\n    relu\nvariant longer = N(2)\n\nvariant c = N(3)\n"
    want = "variant a      = N(1):\n    relu\nvariant longer = N(2)\n\nvariant c = N(3)\n"
    assert hold(text) == want


def test_columns_that_someone_made_are_kept() -> None:
    made = body(
        "stage 1: conv 64   -> relu              -> maxpool   # one",
        "stage 2: conv 128  -> conv 128          -> maxpool   # two",
        "stage 3: conv 256  -> relu  -> tanh     -> maxpool",
        "conv  64,   8 -> relu",
        "conv 128, 128 -> relu",
        "a   = from x",
        "bcd = from x",
    )
    assert hold(made) == body(
        "stage 1: conv 64  -> relu         -> maxpool  # one",
        "stage 2: conv 128 -> conv 128     -> maxpool  # two",
        "stage 3: conv 256 -> relu -> tanh -> maxpool",
        "conv  64,   8 -> relu",
        "conv 128, 128 -> relu",
        "a   = from x",
        "bcd = from x",
    )
    assert hold(body("conv 64   -> relu", "conv 8 -> relu")) == body("conv 64 -> relu", "conv 8 -> relu")
    apart = body("conv 64    -> relu", "conv 123456 -> relu").replace("relu\n", "relu\n\n", 1)
    assert hold(apart) == apart.replace("    -> ", " -> ")


def test_columns_that_are_too_wide_are_not_made() -> None:
    rows = [f"    {'1' * 18}, 1\n", "    2, " + "+".join("x" * 9 for _ in range(9)) + "\n"]
    text = "table t(a, b):\n" + "".join(rows)
    assert len(rows[1]) + 17 > LIMIT
    assert hold(text).split("\n")[1] == rows[0].rstrip("\n")
    assert hold(text).split("\n")[2].startswith("    2, x")


@pytest.mark.parametrize("text", ["", "\n", "  \n\n", "# only this", "\n\n  # only\n\n\n  # this\n"])
def test_nothing_but_comments(text: str) -> None:
    hold(text)


def test_line_ends() -> None:
    other = hold(NEAT.replace("\n", "  # x\r\n\n"))
    assert other == hold(NEAT.replace("\n", "  # x\n\n")).replace("\n", "\r\n")
    assert hold(NEAT.removesuffix("\n")) == NEAT
    odd = "# a\x0bb\x0cc\u2028d\n" + body('"\x0c\u2028": relu  # \x85')
    assert hold(odd) == odd


def test_deep_and_wide() -> None:
    deep = "".join(f"{' ' * i}a{i}:\n" for i in range(62)) + " " * 62 + "relu -> (relu -> tanh)\n"
    hold("block B:\n" + "".join(f" {line}\n" for line in deep.splitlines()))
    hold(body(f"w = {'[' * 60}1, 2{']' * 60}"))
    hold(body("conv " + ", ".join(f"f({i}, 2)" for i in range(2000))))


def test_time_is_linear() -> None:
    """What a line costs does not grow with the file; the rest is the parser's."""
    code = "import netdsl, time, sys; t = sys.stdin.read(); s = time.process_time(); netdsl.format(t); "
    code += "print(time.process_time() - s)"
    text = "a:  conv 3x3, 2*c  -> relu    # b\n"
    seconds = []
    for lines in (2_000, 16_000):
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=body(*[text.rstrip("\n")] * lines),
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        seconds.append(float(done.stdout))
    assert seconds[1] < 8 * 2 * seconds[0]


# ---------------------------------------------------------------- the command


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a fresh folder with one spec to format."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ugly.net").write_text(UGLY)
    return tmp_path


def test_command_writes(folder: Path, capsys: Captured) -> None:
    (folder / "neat.net").write_text(NEAT)
    before = (folder / "neat.net").stat().st_mtime_ns
    assert cli.main(["fmt", "ugly.net", "neat.net"]) == 0
    assert (folder / "ugly.net").read_text() == NEAT
    assert (folder / "neat.net").stat().st_mtime_ns == before
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "formatted ugly.net\n")
    assert sorted(os.listdir(folder)) == ["neat.net", "ugly.net"]


def test_command_checks(folder: Path, capsys: Captured) -> None:
    (folder / "neat.net").write_text(NEAT)
    assert cli.main(["fmt", "--check", "neat.net", "ugly.net"]) == 1
    assert capsys.readouterr().out == "ugly.net\n"
    assert (folder / "ugly.net").read_text() == UGLY
    assert cli.main(["fmt", "--check", "neat.net"]) == 0
    assert capsys.readouterr().out == ""


def test_command_shows_a_diff(folder: Path, capsys: Captured) -> None:
    assert cli.main(["fmt", "ugly.net", "--diff"]) == 1
    diff = capsys.readouterr().out
    assert (folder / "ugly.net").read_text() == UGLY
    assert diff == (
        "--- ugly.net\n+++ ugly.net\n@@ -1,2 +1,2 @@\n-net  N( c=4 ):\n-  input 3,8x8\n"
        "+net N(c = 4):\n+    input 3, 8x8\n"
    )
    assert cli.main(["fmt", "ugly.net", "--diff", "--check"]) == 1
    assert capsys.readouterr().out == diff
    done = subprocess.run(["patch", "-p0"], input=diff, text=True, capture_output=True, cwd=folder)
    assert done.returncode == 0, done.stdout
    assert (folder / "ugly.net").read_text() == NEAT
    assert cli.main(["fmt", "ugly.net", "--diff"]) == 0
    (folder / "ugly.net").write_text(NEAT.rstrip("\n"))
    assert cli.main(["fmt", "ugly.net", "--diff"]) == 1
    assert "\n\\ No newline at end of file\n" in capsys.readouterr().out


def test_command_reads_standard_input() -> None:
    done = run("fmt", "-", stdin=UGLY.encode())
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, NEAT, b"")
    done = run("fmt", "-", stdin=NEAT.encode())
    assert (done.returncode, done.stdout.decode()) == (0, NEAT)
    done = run("fmt", "-", "--check", stdin=UGLY.encode())
    assert (done.returncode, done.stdout) == (1, b"<stdin>\n")
    done = run("fmt", "-", "--diff", stdin=UGLY.encode())
    assert done.returncode == 1
    assert done.stdout.startswith(b"--- <stdin>\n")
    done = run("fmt", "-", stdin=b"net \xff")
    assert done.returncode == 2
    assert b"error[E501]: cannot read <stdin>: it is not UTF-8" in done.stderr
    done = run("fmt", "-", stdin=BROKEN.encode())
    assert (done.returncode, done.stdout) == (1, b"")


def test_command_takes_folders(folder: Path, capsys: Captured) -> None:
    for name in ("a/x.net", "a/b/y.net", "a/.hidden/z.net", "a/text.txt", "empty/none.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(UGLY)
    assert cli.main(["fmt", "a"]) == 0
    assert capsys.readouterr().err == f"formatted {Path('a/b/y.net')}\nformatted {Path('a/x.net')}\n"
    assert (folder / "a/b/y.net").read_text() == (folder / "a/x.net").read_text() == NEAT
    assert (folder / "a/.hidden/z.net").read_text() == (folder / "a/text.txt").read_text() == UGLY
    assert cli.main(["fmt", "empty"]) == 2
    assert "error[E501]: there is no .net file in empty" in capsys.readouterr().err


def test_one_of_two_is_broken(folder: Path, capsys: Captured) -> None:
    (folder / "broken.net").write_text(BROKEN)
    assert cli.main(["fmt", "broken.net", "missing.net", "ugly.net"]) == 1
    printed = capsys.readouterr().err
    assert "error[E100]" in printed
    assert "--> broken.net:2:14" in printed
    assert "error[E501]: cannot read missing.net" in printed
    assert (folder / "broken.net").read_text() == BROKEN
    assert (folder / "ugly.net").read_text() == NEAT


def test_what_does_not_elaborate_is_formatted(folder: Path) -> None:
    (folder / "ugly.net").write_text("net  N:\n  nothing  3 ,x\n  fc undefined\n")
    assert cli.main(["fmt", "ugly.net"]) == 0
    assert (folder / "ugly.net").read_text() == "net N:\n    nothing 3, x\n    fc undefined\n"


def test_a_byte_order_mark_stays(folder: Path) -> None:
    (folder / "ugly.net").write_text("\ufeff" + UGLY)
    assert cli.main(["fmt", "ugly.net"]) == 0
    assert (folder / "ugly.net").read_text() == "\ufeff" + NEAT
    assert cli.main(["fmt", "ugly.net", "--check"]) == 0


def test_a_byte_order_mark_within_is_reported(folder: Path, capsys: Captured) -> None:
    (folder / "ugly.net").write_text(UGLY + "\ufeff")
    assert cli.main(["fmt", "ugly.net"]) == 1
    assert "a byte order mark stands at the beginning of a file" in capsys.readouterr().err


def test_windows_line_ends_stay(folder: Path) -> None:
    neat = NEAT.replace("\n", "\r\n").encode()
    (folder / "ugly.net").write_bytes(UGLY.replace("\n", "\r\n").encode())
    assert cli.main(["fmt", "ugly.net"]) == 0
    assert (folder / "ugly.net").read_bytes() == neat
    assert cli.main(["fmt", "ugly.net", "--check"]) == 0


def test_no_text(folder: Path, capsys: Captured) -> None:
    (folder / "ugly.net").write_bytes(b"net \xff")
    assert cli.main(["fmt", "ugly.net"]) == 2
    assert (
        "error[E501]: cannot read ugly.net: it is not UTF-8 text: byte 4 is 0xff" in capsys.readouterr().err
    )


def test_mode_and_links_stay(folder: Path) -> None:
    (folder / "ugly.net").chmod(0o640)
    (folder / "link.net").symlink_to("ugly.net")
    assert cli.main(["fmt", "link.net"]) == 0
    assert (folder / "link.net").is_symlink()
    assert (folder / "ugly.net").read_text() == NEAT
    assert (folder / "ugly.net").stat().st_mode & 0o777 == 0o640


def test_a_read_only_file_stays(folder: Path, capsys: Captured) -> None:
    (folder / "ugly.net").chmod(0o444)
    assert cli.main(["fmt", "ugly.net"]) == 2
    assert "error[E510]: cannot write ugly.net: it is read-only" in capsys.readouterr().err
    assert (folder / "ugly.net").read_text() == UGLY
    assert cli.main(["fmt", "ugly.net", "--check"]) == 1


def test_a_failed_write_leaves_the_file(
    folder: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert cli.main(["fmt", "ugly.net"]) == 2
    assert "error[E510]: cannot write ugly.net: no space left on device" in capsys.readouterr().err
    assert os.listdir(folder) == ["ugly.net"]
    assert (folder / "ugly.net").read_text() == UGLY


def test_formatting_imports_little() -> None:
    code = "import sys, netdsl.cli; netdsl.cli.main(['fmt', 'ugly.net']); print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stderr == "formatted ugly.net\n"
    loaded = set(done.stdout.split())
    assert not {"networkx", "lark", "netdsl.api", "netdsl.network", "netdsl.elaborate"} & loaded
