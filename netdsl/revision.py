"""Specs of git revisions, `HEAD:nets/a.net`: what is committed, with its imports, as `git cat-file` gives it."""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from netdsl import data, reading
from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.elaborate.files import Files
from netdsl.elaborate.values import FileScope
from netdsl.source import Source

_SPEC = re.compile(r"(?P<revision>[^:]+):(?P<path>[^:]+\.net)(:(?P<net>[^:]*))?")


def locate(spec: str, path: Iterable[str | Path] = ()) -> tuple[FileScope, str] | None:
    """Return the file that a SPEC names at a revision, read, and the net of it that it names; None if it names none.

    `REVISION:PATH.net` or `REVISION:PATH.net:NAME`; a path is from the root of the repository that this folder is
    in, or from here if it begins with `./` or `../`, as git has it. A file of that name is no revision.

    Args:
        spec: What to read.
        path: Folders of the repository in which imports are looked for too, at that revision.

    Raises:
        NetError: There is no git, repository, revision or file of that name, or the spec is wrong.
    """
    match = _SPEC.fullmatch(spec)
    if match is None or match["revision"].endswith(".net") or reading.exists(spec):
        return None
    if len(match["revision"]) == 1 and match["path"][0] in "/\\":  # a drive
        return None
    revision = Revision(match["revision"], match["path"])
    return revision.read(path), match["net"] or ""


class Revision:
    """A commit, and the path of a spec in it."""

    def __init__(self, name: str, path: str) -> None:
        """Find the commit; raise NetError if there is none."""
        self.name = name
        self.spec = f"{name}:{path}"
        self.here = self._git("rev-parse", "--show-prefix").rstrip("\n")
        try:
            self.commit = self._git(
                "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
            ).strip()
        except _Failed:
            known = ["HEAD", *self._git("for-each-ref", "--format=%(refname:short)").split()]
            help = did_you_mean(name, known) or "`git log --oneline --all` lists revisions"
            raise self._wrong(f"there is no revision `{name}`", help) from None
        relative = path.startswith(("./", "../"))
        self.path = posixpath.normpath(posixpath.join(self.here, path) if relative else path)

    def read(self, path: Iterable[str | Path]) -> FileScope:
        """Return the file's declarations; its imports lie in its folder at the revision, in `path`, or in the zoo."""
        known: dict[str, Source] = {}
        folders = [posixpath.dirname(self.path), *map(self._folder, path)]

        def find(name: str, importer: Source) -> Source:
            if "\0" in name or not name.endswith(".net"):
                raise ValueError("the name of a spec ends in .net")
            begin = f"{self.name}:"
            if importer.name.startswith(begin):
                beside = posixpath.dirname(importer.name.removeprefix(begin))
                for folder in dict.fromkeys((beside, *folders)):
                    found = posixpath.normpath(posixpath.join(folder, name))
                    if found not in known and any(_within(found, root) for root in folders):
                        text = self._text(found)
                        if text is not None:
                            known[found] = Source(begin + found, text)
                    if found in known:
                        return known[found]
            if name in data.names("specs", ".net"):
                return Source(name, data.read("specs", name))
            raise ValueError(f"there is no such file beside the spec at {self.name}, or in the zoo")

        text = self._text(self.path)
        if text is None:
            raise self._missing()
        return Files(find).load(Source(f"{self.name}:{self.path}", text))

    def _folder(self, folder: str | Path) -> str:
        """Return a folder of the working tree as a path from the root."""
        root = os.path.realpath(self._git("rev-parse", "--show-toplevel").rstrip("\n"))
        found = os.path.realpath(folder)
        if not Path(found).is_relative_to(root):
            raise self._wrong(f"--path {folder} is not in the repository of {self.spec}")
        relative = Path(found).relative_to(root).as_posix()
        return "" if relative == "." else relative

    def _text(self, path: str) -> str | None:
        """Return what a file holds at the revision, None if there is none."""
        place = f"{self.commit}:{path}"
        try:
            size = int(self._git("cat-file", "-s", place))
            if size > reading.MAX_TEXT:
                raise self._wrong(
                    f"cannot read {self.name}:{path}: it is larger than {reading.MAX_TEXT:,} bytes"
                )
            return self._git("cat-file", "blob", place)
        except _Failed:
            return None
        except UnicodeDecodeError as error:
            byte = f"byte {error.start} is 0x{error.object[error.start]:02x}"
            raise self._wrong(f"cannot read {self.name}:{path}: it is not UTF-8 text: {byte}") from None

    def _missing(self) -> NetError:
        """Return the error for a path that the commit lacks, with which was meant."""
        known = [
            path
            for path in self._git("ls-tree", "-r", "-z", "--name-only", "--full-tree", self.commit).split(
                "\0"
            )
            if path.endswith(".net")
        ]
        from_here = posixpath.normpath(posixpath.join(self.here, self.path))
        same = [path for path in known if posixpath.basename(path) == posixpath.basename(self.path)]
        meant = from_here if from_here in known else same[0] if len(same) == 1 else ""
        if meant:
            help = f"paths are from the root of the repository: {self.name}:{meant}"
        else:
            help = did_you_mean(f"{self.name}:{self.path}", [f"{self.name}:{path}" for path in known])
        return self._wrong(f"there is no file {self.path} at {self.name}", help)

    def _git(self, *arguments: str) -> str:
        """Return what git prints; NetError without git or a repository."""
        try:
            done = subprocess.run(
                ["git", *arguments], capture_output=True, check=False, stdin=subprocess.DEVNULL
            )
        except OSError as error:
            raise self._wrong(f"cannot read {self.spec}: git: {reading.reason(error)}") from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            if "--show-prefix" in arguments:
                what = said.split("\n")[0].removeprefix("fatal: ") or "git fails"
                raise self._wrong(f"cannot read {self.spec}: {what}", "run it in the repository")
            raise _Failed(said)
        # names of files and branches are any bytes; the text of a spec is not
        return done.stdout.decode("utf-8-sig", "strict" if "blob" in arguments else "surrogateescape")

    @staticmethod
    def _wrong(message: str, help: str = "") -> NetError:
        return NetError([Diagnostic("E533", message, help=help)])


class _Failed(Exception):
    """What git says where it finds nothing."""


def _within(path: str, folder: str) -> bool:
    return not path.startswith("../") and (not folder or path.startswith(f"{folder}/"))
