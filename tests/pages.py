"""Pages whose snippets run: as a reader would, from top to bottom and in one folder.

What follows from the language behind the fence, and from what stands behind that:

- `net`: a spec as `netdsl fmt` has it, all of whose nets are checked; `file=NAME` keeps it in the folder, `error`
  says that it is wrong, `NAME=VALUE` decides a search space.
- `sh`: commands that succeed. With `parse` they are slow, or need what is not there: their arguments are looked at.
- `console`: commands behind `$ `, each with all that it prints; a line `...` stands for any lines.
- `python`: code, in one namespace; what it prints is the `text` block behind it. `file=NAME` only keeps it.
- `toml`, `yaml`: kept if they have a name; `py` is tested elsewhere.

    python tests/pages.py docs/tutorial.md    # in an empty folder: prints the page with what is really printed
"""

from __future__ import annotations

import importlib
import io
import os
import re
import shlex
import sys
import tomllib
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from netdsl import NetError, format

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ANY = "..."


class Snippet(NamedTuple):
    """A fenced block: its language, the words behind that, its text, and where it is."""

    language: str
    options: list[str]
    text: str
    line: int

    @property
    def file(self) -> str:
        """The name of the file that it is, or ""."""
        return next((word.removeprefix("file=") for word in self.options if word.startswith("file=")), "")


class Wrong(Exception):
    """A snippet that does not do what the page says."""


def snippets(page: str) -> list[Snippet]:
    """Return the fenced blocks of a page."""
    return [
        Snippet(m[1], m[2].split(), m[3], page.count("\n", 0, m.start()) + 1) for m in FENCE.finditer(page)
    ]


def blocks(page: str, language: str) -> list[str]:
    """Return the texts of the fenced blocks of a language."""
    return [one.text for one in snippets(page) if one.language == language]


def commands(text: str) -> list[list[str]]:
    """Return the commands of a block as lists of words, without comments."""
    lines = text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def same(shown: str, printed: str) -> bool:
    """Tell whether a text is what was printed, `...` being any lines."""
    pattern = "".join(
        r"(?:[^\n]*\n)*?" if line.strip() == ANY else re.escape(line)
        for line in shown.splitlines(keepends=True)
    )
    return re.fullmatch(pattern, printed) is not None


def netdsl(words: list[str]) -> tuple[int, str]:
    """Run the command here; return its status and all that it printed."""
    from netdsl import cli

    assert words[0] == "netdsl", words
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with redirect_stdout(out), redirect_stderr(out):
        status = cli.main(words[1:])
    return status, out.buffer.getvalue().decode()


def install() -> None:
    """Register the distribution of this folder, as an installer would, where this process finds it."""
    from netdsl import ops

    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = Path(f"{project['name'].replace('-', '_')}-{project['version']}.dist-info")
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head)
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {place}" for name, place in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines))
    importlib.invalidate_caches()
    ops.points.cache_clear()
    ops.find.cache_clear()


class Reader:
    """Who follows a page, in the folder where the process is."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.printed = ""
        """What Python printed, and no `text` showed yet."""

    def read(self, one: Snippet) -> str:
        """Do what a snippet says; return its text as it should be."""
        if self.printed and one.language != "text":
            raise Wrong(f"what was printed before is not shown:\n{self.printed}")
        if one.file:
            Path(one.file).parent.mkdir(parents=True, exist_ok=True)
            Path(one.file).write_text(one.text, encoding="utf-8")
        text: str = getattr(self, one.language)(one)
        return text

    def net(self, one: Snippet) -> str:
        """Check all nets of a spec."""
        from netdsl import api

        file = Path(one.file or "example.net")
        file.write_text(one.text, encoding="utf-8")
        settings = [word for word in one.options if "=" in word and not word.startswith("file=")]
        chosen = [part for word in settings for part in ("--set", word)]
        if "error" in one.options:
            if netdsl(["netdsl", "check", str(file)])[0] != 1:
                raise Wrong("there is no error")
        else:
            if format(one.text) != one.text:
                raise Wrong(f"netdsl fmt makes it\n{format(one.text)}")
            for name in api.instances(api.read(file)):
                status, printed = netdsl(["netdsl", "check", f"{file}:{name}", *chosen])
                if status:
                    raise Wrong(printed)
        if not one.file:
            file.unlink()
        return one.text

    def sh(self, one: Snippet) -> str:
        """Run commands, or look at them."""
        from netdsl import cli

        for words in commands(one.text):
            if words[0] == "make":
                if not re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE):
                    raise Wrong(f"make has no {words[1]}")
            elif words == ["pip", "install", "."]:
                install()
            elif words[:2] == ["pip", "install"]:
                extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
                    "optional-dependencies"
                ]
                wanted = re.findall(r"\w+", words[2].partition("[")[2])
                if {*wanted} - {*extras}:
                    raise Wrong(f"there are no extras {wanted}")
            elif "parse" in one.options:
                cli.parser(words[1:]).parse_args(words[1:])
            else:
                status, printed = netdsl(words)
                if status:
                    raise Wrong(f"{shlex.join(words)} exits with {status}:\n{printed}")
        return one.text

    def console(self, one: Snippet) -> str:
        """Run commands; return them with what they print."""
        done = []
        for part in re.split(r"^\$ ", one.text, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            _, printed = netdsl(shlex.split(command, comments=True))
            done.append(f"$ {command}\n{shown if same(shown, printed) else printed}")
        return "".join(done)

    def python(self, one: Snippet) -> str:
        """Run code."""
        if not one.file:
            out = io.StringIO()
            with redirect_stdout(out):
                exec(compile(one.text, "<snippet>", "exec"), self.names)
            self.printed = out.getvalue()
        return one.text

    def text(self, one: Snippet) -> str:
        """Return what Python printed."""
        if not self.printed:
            raise Wrong("nothing was printed")
        printed, self.printed = self.printed, ""
        return one.text if same(one.text, printed) else printed

    def toml(self, one: Snippet) -> str:
        """Parse it."""
        tomllib.loads(one.text)
        return one.text

    def yaml(self, one: Snippet) -> str:
        """Leave it."""
        return one.text

    py = yaml


def followed(page: str) -> str:
    """Return a page with what its snippets really print; raise Wrong at the first that fails."""
    reader = Reader()
    parts, at = [], 0
    for match, one in zip(FENCE.finditer(page), snippets(page), strict=True):
        try:
            text = reader.read(one)
        except Exception as error:
            said = str(error) if isinstance(error, Wrong | NetError) else traceback.format_exc()
            raise Wrong(f"line {one.line}: {said}") from None
        parts += [page[at : match.start(3)], text]
        at = match.end(3)
    if reader.printed:
        raise Wrong(f"what was printed last is not shown:\n{reader.printed}")
    return "".join([*parts, page[at:]])


if __name__ == "__main__":
    sys.path[0] = ""  # the reader's folder, for what is compiled into it
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):  # pages are as a file of the output is
        os.environ.pop(name, None)
    try:
        whole = followed(Path(sys.argv[1]).read_text(encoding="utf-8"))
    except Wrong as wrong:
        sys.exit(f"{sys.argv[1]}: {wrong}")
    sys.stdout.write(whole)
