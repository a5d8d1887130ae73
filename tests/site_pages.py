"""The pages of the documentation site as Markdown: those of the repository, and those made from the compiler.

    python tests/site_pages.py build/pages

writes what Sphinx builds the site from, and leaves alone what has not changed. No framework is needed.
"""

from __future__ import annotations

import argparse
import posixpath
import re
import sys
from collections.abc import Iterable, Iterator
from inspect import cleandoc
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import ops_page
from pages import FENCE

import netdsl
from netdsl import NetError, Network, api, backend, data
from netdsl.cli import explain
from netdsl.codes import CODES, FAMILIES
from netdsl.elaborate.functions import FUNCTIONS
from netdsl.ops import Op, catalogue
from netdsl.picture import bubbles, graph, scatter
from netdsl.picture.svg import Svg
from netdsl.syntax.words import WORDS

ROOT = Path(__file__).parents[1]
PAGES = {
    "tutorial": "docs/tutorial.md",
    "coming-from-pytorch": "docs/coming-from-pytorch.md",
    "cookbook": "docs/cookbook.md",
    "editors": "docs/editors.md",
    "searching": "docs/search.md",
    "playground-page": "docs/playground.md",
    "language": "grammar/README.md",
    "ops": "docs/ops.md",
    "rules": "docs/rules.md",
    "zoo": "specs/README.md",
    "api": "docs/api.md",
    "claims": "docs/claims.md",
    "writing-ops-and-rules": "docs/writing-ops-and-rules.md",
    "backends": "backends/README.md",
    "emission": "netdsl/emission/README.md",
    "benchmarks": "benchmarks/README.md",
    "architecture": "ARCHITECTURE.md",
    "contributing": "CONTRIBUTING.md",
    "changelog": "CHANGELOG.md",
}
"""The pages that are files of the repository, by their names on the site; others of `docs/` are called as there."""
README = "README.md"
FRONT = ("Set-up", "More")
"""The sections of README.md that stand on the front page, behind what comes before all sections."""
NAVIGATION = {
    "To begin": (
        "tutorial",
        "coming-from-pytorch",
        "cookbook",
        "editors",
        "overview",
        "searching",
        "distributed",
        "playground-page",
    ),
    "Reference": ("language", "words", "ops", "errors", "rules", "zoo", "api"),
    "More": ("claims", "benchmarks", "writing-ops-and-rules", "backends", "architecture", "emission"),
    "The project": ("contributing", "changelog"),
}
BACKENDS = {"torch": "PyTorch", "flax": "Flax"}
LINK = re.compile(r"`+[^`]+`+|\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
"""A link with its text, target and place there; or code, in which nothing is one."""
ORPHAN = "---\norphan: true\n---\n\n"
"""Before a page that is not in the navigation."""
LANGUAGES = {".py": "python", ".toml": "toml", ".net": "net", ".md": "markdown"}
"""How files are shown that a page leads to."""


class Section(NamedTuple):
    """A heading of the second level, without its signs, and the text from it to the next."""

    title: str
    text: str


def sections(page: str) -> tuple[str, list[Section]]:
    """Return what stands before the first section of a page, and the sections."""
    parts: list[list[str]] = [[]]
    fenced = False
    for line in page.splitlines(keepends=True):
        fenced ^= line.startswith("```")
        if line.startswith("## ") and not fenced:
            parts.append([])
        parts[-1].append(line)
    head, *rest = ("".join(part) for part in parts)
    return head, [Section(text.partition("\n")[0].removeprefix("## "), text) for text in rest]


# ---------------------------------------------------------------- Markdown


def prose(text: str) -> str:
    """Return plain text, in which only what is between backticks is more than that, as Markdown."""

    def line(text: str) -> str:
        if text.startswith("    "):  # it is code there, too
            return text
        parts = text.split("`")
        parts[::2] = [re.sub(r"([\\*_<>\[\]#|~$])", r"\\\1", part) for part in parts[::2]]
        return "`".join(parts)

    return "\n".join(map(line, text.split("\n")))


def block(text: str, language: str, *classes: str) -> str:
    """Return a text as a fenced block."""
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    before = f"{{{' '.join(f'.{name}' for name in classes)}}}\n" if classes else ""
    return f"{before}{fence}{language}\n{text.rstrip()}\n{fence}\n"


def anchor(name: str) -> str:
    """Return what gives the heading below it a name that does not depend on its text."""
    return f'<a id="{name}"></a>\n\n'


def picture(svg: Svg, name: str) -> str:
    """Return a picture as a part of a page, with a link to it alone; nobody searches for the texts in its boxes."""
    return (
        f'```{{raw}} html\n:class: no-search\n\n<div class="picture" tabindex="0">\n{svg.inline()}</div>\n```\n\n'
        f"[The picture alone]({name}.svg)\n"
    )


def tree(names: Iterable[str], caption: str = "") -> str:
    """Return what puts pages into the navigation, below the page that has it."""
    options = ":hidden:\n" + f":caption: {caption}\n" * bool(caption)
    return f"```{{toctree}}\n{options}\n" + "\n".join(names) + "\n```\n"


# ---------------------------------------------------------------- pages of the repository


def files() -> dict[str, str]:
    """Return the pages that are files of the repository, by their names."""
    documents = [f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))]
    return PAGES | {Path(file).stem: file for file in documents if file not in PAGES.values()}


class Repository:
    """The pages that are files, with links that lead to pages of the site."""

    def __init__(self, tree: str) -> None:
        """`tree` is the address below which the files of the repository are; where it is "", they become pages."""
        self.tree = tree
        self.homes = {file: f"{name}.md" for name, file in files().items()}
        self.homes[README] = "index.md"
        self.homes.update(
            {f"specs/{file}": f"zoo/{Path(file).stem}.md" for file in data.names("specs", ".net")}
        )
        self.shown: dict[str, str] = {}
        """The pages of further files, by name."""

    def read(self, file: str) -> str:
        """Return a page."""
        text = (ROOT / file).read_text(encoding="utf-8")

        def led(match: re.Match[str]) -> str:
            return self._link(file, *match.groups(default="")) if match[2] else match[0]

        parts, at = [], 0
        for fence in FENCE.finditer(text):
            parts += [LINK.sub(led, text[at : fence.start()]), fence[0]]
            at = fence.end()
        return "".join([*parts, LINK.sub(led, text[at:])])

    def _link(self, file: str, text: str, target: str, place: str) -> str:
        if "://" in target:
            return f"[{text}]({target}{place})"
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file), target))
        if path not in self.homes:
            if self.tree:
                return f"[{text}]({self.tree.rstrip('/')}/{path})"
            self.homes[path] = home = path if path.endswith(".md") else f"source/{path}.md"
            self.shown[home] = ""  # it may lead to itself
            self.shown[home] = ORPHAN + (self.read(path) if path.endswith(".md") else _source(path))
        named = not place and target in (text, f"{text}README.md")  # its title says more than its file
        return f"[{'' if named else text}](/{self.homes[path]}{place})"


def _source(place: str) -> str:
    """Return the page of a file, or of a folder with its files."""
    path = ROOT / place
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    parts = [f"# {place}\n"]
    for file in files:
        if file.suffix in LANGUAGES:
            head = f"\n## {file.relative_to(path).as_posix()}\n" if path.is_dir() else ""
            text = file.read_text(encoding="utf-8")
            parts.append(f"{head}\n{block(text, LANGUAGES[file.suffix], 'no-search')}")
    return "".join(parts)


def readme(repository: Repository) -> Iterator[tuple[str, str]]:
    """Yield the front page, and what else README.md says."""
    head, parts = sections(repository.read(README))
    titled = dict(parts)
    chosen = [titled.pop(title) for title in FRONT]
    known = {name for names in NAVIGATION.values() for name in names}
    others = {"More": [name for name in files() if name not in known]}
    trees = [tree([*names, *others.get(caption, ())], caption) for caption, names in NAVIGATION.items()]
    yield "index.md", "\n".join([head, *chosen, *trees])
    yield "overview.md", "\n".join(["# What it does\n", *titled.values()])


# ---------------------------------------------------------------- pages that are made


def errors() -> str:
    """Return the page of the codes."""
    parts = ["# Errors\n\n`netdsl explain E204` says of a code what this page says of it.\n"]
    for family, about in FAMILIES.items():
        parts.append(f"\n## {family}xx: {about}\n")
        for name, code in CODES.items():
            if name.startswith(family):
                parts.append(f"\n{anchor(name)}### {name}: {prose(code.title)}\n\n{prose(code.text)}\n")
                for title, text in (("Wrong", code.bad), ("Right", code.good)):
                    parts += [f"\n**{title}.**\n\n{_example(text)}"] * bool(text)
    return "".join(parts)


def _example(text: str) -> str:
    """Return the example of a code: a spec, or a command line."""
    return block(f"$ {text}", "console") if text.startswith("netdsl ") else block(text, "net")


def words() -> str:
    """Return the page of the language's words."""
    parts = [
        "# Words and signs\n\nAll that means something by itself, with a spec that shows it; "
        "`netdsl explain ramp` says the same. [The language in one page](language.md) puts them together.\n"
    ]
    for kind, names in explain.language().items():
        parts += [f"\n## {kind.capitalize()}\n", *map(_word, names)]
    return "".join(parts)


def _word(name: str) -> str:
    """Return the section of a word, sign or function."""
    parts = [f"\n{anchor(name)}### `{name}`\n"]
    if name in WORDS:
        one = WORDS[name]
        said = prose(f"{one.is_[:1].upper()}{one.is_[1:]}.\n\n{one.text}")
        parts.append(f"\n{said}\n\n{block(one.example, 'net')}")
    if name in FUNCTIONS:
        called, _, about = api.explain_function(name).partition("\n\n")
        parts.append(f"\n{block(called, 'net')}\n{prose(about)}\n")
    return "".join(parts)


def ops(tables: str) -> Iterator[tuple[str, str]]:
    """Yield a page for each family of ops, and the tables of all, which lead to them."""
    families = []
    by_module = groupby(sorted(catalogue().values(), key=lambda op: op.__module__), lambda op: op.__module__)
    for module, members in by_module:
        family = module.rpartition(".")[2]
        families.append(f"ops/{family}")
        about = cleandoc(sys.modules[module].__doc__ or "").partition("\n")[0]
        parts = [f"# {family}\n\n{prose(about)}\n"]
        for op in members:
            parts.append(_op(op))
            tables = tables.replace(f"\n| {op.name} | ", f"\n| [{op.name}](ops/{family}.md#{op.name}) | ")
        yield f"ops/{family}.md", "".join(parts)
    yield "ops.md", f"{tables}\n{tree(families)}"


def _op(op: type[Op]) -> str:
    """Return the section of an op: what it is, as `netdsl explain` has it, and a net with it."""
    about = cleandoc(op.__doc__ or "")
    rest = api.explain_op(op).removeprefix(f"{op.name}\n\n{about}").strip("\n")
    net = block(ops_page.spec(op), "net")
    return f"\n{anchor(op.name)}## {op.name}\n\n{prose(about)}\n\n{block(rest, 'text')}\n{net}"


def zoo(page: str) -> Iterator[tuple[str, str]]:
    """Yield a page for each file of the zoo, their pictures, and the page of all."""
    head, parts = sections(page)
    published: list[bubbles.Bubble] = []
    names = []
    for title, text in parts:
        table = text[text.index("| Net ") :]
        stem = Path(next(found[2] for found in LINK.finditer(text) if found[2])).stem
        names.append(f"zoo/{stem}")
        file = f"{stem}.net"
        nets = _nets(file)
        if nets:
            net = next((net for net in nets if net.name == stem), nets[0])
            svg, command = graph.draw(net), f"netdsl graph {net.name} -o {stem}.svg"
            published += [
                bubbles.Bubble(net.name, net.meta["top1"], net.cost().macs, net.cost().params)
                for net in nets
                if "top1" in net.meta and net.name in table
            ]
        else:
            svg, command = scatter.draw(netdsl.explore(stem)), f"netdsl plot {stem} -o {stem}.svg"
        yield f"zoo/{stem}.svg", str(svg)
        said = [
            f"# {stem}\n\n{title}\n\n{table.strip()}\n\n[What the columns are](../zoo.md)\n",
            f"## Picture\n\n`{command}`\n\n{picture(svg, stem)}",
            f"## Spec\n\n`{file}`:\n\n{block(data.read('specs', file), 'net')}",
            *(_emitted(file, nets, name) for name in BACKENDS if nets),
        ]
        yield f"zoo/{stem}.md", "\n".join(said)
    svg = bubbles.draw(published)
    yield "zoo.svg", str(svg)
    yield "zoo.md", "\n".join([head, picture(svg, "zoo"), *(text for _, text in parts), tree(names)])


def _nets(file: str) -> list[Network]:
    """Return all nets of a file of the zoo; none if it is a search space."""
    try:
        return [netdsl.load(f"{file}:{name}") for name in api.instances(api.packaged(file))]
    except NetError as error:
        if {one.code for one in error.diagnostics} != {"E217"}:
            raise
        return []


def _emitted(file: str, nets: list[Network], name: str) -> str:
    """Return what a backend writes for the nets of a file, folded, and not searched: all have the same words."""
    text = "".join(backend.emit_family(nets, name).values())
    said = f"<code>netdsl compile {file} --backend {name}</code>, {text.count(chr(10)):,} lines"
    code = block(text, "python", "no-search")
    return f"## {BACKENDS[name]}\n\n<details>\n<summary>{said}</summary>\n\n{code}\n</details>\n"


def pages(tree: str = "") -> Iterator[tuple[str, str]]:
    """Yield all files that the site is made of, with their texts."""
    repository = Repository(tree)
    read = {name: repository.read(file) for name, file in files().items()}
    yield from readme(repository)
    yield from ops(read.pop("ops"))
    yield from zoo(read.pop("zoo"))
    yield from ((f"{name}.md", text) for name, text in read.items())
    yield "errors.md", errors()
    yield "words.md", words()
    yield from repository.shown.items()


def write(folder: Path, tree: str = "") -> None:
    """Write them, but for what is there already, and remove what an earlier run wrote and this one does not."""
    made = folder / "made.txt"
    before = made.read_text(encoding="utf-8").splitlines() if made.is_file() else []
    texts = dict(pages(tree))
    for name in {*before} - {*texts}:
        (folder / name).unlink(missing_ok=True)
    for name, text in {**texts, made.name: "\n".join(texts)}.items():
        file = folder / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where they are written")
    parser.add_argument(
        "--tree", default="", help="the address of the repository's files; none: they become pages"
    )
    given = parser.parse_args()
    write(given.folder, given.tree)
