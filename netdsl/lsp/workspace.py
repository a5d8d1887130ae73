"""The texts that are open, and those that they import: an open one is read before the file's."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from pygls.uris import from_fs_path

from netdsl import api, data, reading
from netdsl.elaborate.files import Importer
from netdsl.ide.index import Index, Library
from netdsl.lsp.document import Document, Text
from netdsl.source import Source

MOST = 256
"""How many texts of files that are not open are kept."""
FOLDERS = 2_000
"""How many folders are looked into for specs."""


class Workspace:
    """What the editor has open."""

    def __init__(self, encoding: str = "utf-16") -> None:
        """`encoding` is what positions count."""
        self.encoding = encoding
        self.open: dict[str, Document] = {}
        self._files: dict[str, Source] = {}
        """Texts that were imported, by their keys: a text that is still the same stays the same object."""
        self._texts: dict[Source, Text] = {}
        self._libraries: dict[str, Library] = {}
        self._found: dict[str, tuple[reading.Stamp | None, Document]] = {}
        """Specs of the workspace, as they were when somebody looked for names, by their paths."""
        self.asked: dict[str, set[str]] = {}
        """By the URI of an open text the keys of what it imports, and of files that it might."""

    def put(self, document: Document) -> None:
        """Take a text, or another version of one."""
        self.open[document.uri] = document

    def remove(self, uri: str) -> None:
        """Forget a text that is open no longer."""
        self.open.pop(uri, None)
        self.asked.pop(uri, None)

    def with_key(self, key: str) -> Document | None:
        """Return the open text of a file."""
        return next((one for one in [*self.open.values()] if one.source.key == key), None)

    def importer(self, document: Document) -> Importer:
        """Return what finds the imports of an open text, and of those in turn."""
        folder = document.path.parent if document.path is not None else None
        find = self._importer(folder)
        asked = self.asked.setdefault(document.uri, set())

        def found(name: str, source: Source) -> Source:
            if source.path is not None and "\0" not in name:
                asked.add(os.path.realpath(source.path.parent / name))
            result = find(name, source)
            asked.add(result.key)
            return result

        return found

    def _importer(self, folder: Path | None) -> Importer:
        disk = api._importer(folder, ())
        root = os.path.realpath(folder) if folder is not None else ""

        def find(name: str, source: Source) -> Source:
            if source.path is not None and folder is not None and "\0" not in name and name.endswith(".net"):
                for beside in (source.path.parent, folder):
                    key = os.path.realpath(beside / name)
                    document = self.with_key(key)
                    if document is not None and Path(key).is_relative_to(root):
                        return document.source
            return self._same(disk(name, source))

        return find

    def _same(self, source: Source) -> Source:
        known = self._files.get(source.key)
        if known is not None and known.text == source.text:
            return known
        while len(self._files) >= MOST:
            self._texts.pop(self._files.pop(next(iter(self._files))), None)
        self._files[source.key] = source
        return source

    def files(self, folders: Iterable[str]) -> list[Document]:
        """Return specs in folders that are not open, at most `MOST`; what is hidden or cannot be read is left out."""
        opened = {one.source.key for one in [*self.open.values()]}
        found: dict[str, tuple[reading.Stamp | None, Document]] = {}
        for path in islice(_specs(folders), MOST):
            stamp, uri = reading.stamp(path), from_fs_path(path)
            known = self._found.get(path)
            if uri is None or (known is None and stamp is None):
                continue
            if known is None or known[0] != stamp:
                try:
                    known = stamp, Document(uri, 0, Text(reading.text(Path(path)), self.encoding))
                except reading.Unreadable:
                    continue
            found[path] = known
        self._found = found
        return [one for _, one in found.values() if one.source.key not in opened]

    def dependants(self, key: str) -> list[Document]:
        """Return the open texts that import a file, or would if it were there."""
        return [
            one for uri, one in self.open.items() if key in self.asked.get(uri, ()) and one.source.key != key
        ]

    def index(self, document: Document) -> Index:
        """Return what the names of an open text mean."""
        folder = str(document.path.parent) if document.path is not None else ""
        library = self.library(folder)
        return library.index(document.source)

    def library(self, folder: str) -> Library:
        """Return the indices of what files of a folder import."""
        if folder not in self._libraries:
            self._libraries[folder] = Library(self._importer(Path(folder) if folder else None))
        return self._libraries[folder]

    def uri_of(self, source: Source) -> str | None:
        """Return where an editor finds a text; None for one that is nowhere."""
        for document in self.open.values():
            if document.source.key == source.key:
                return document.uri
        path = source.path if source.path is not None else data.folder("specs") / source.name
        if source.path is None and not path.is_file():
            return None
        uri: str | None = from_fs_path(os.path.realpath(path))
        return uri

    def text_of(self, source: Source) -> Text:
        """Return a text with its lines."""
        for document in self.open.values():
            if document.source is source:
                return document.text
        if source not in self._texts:
            self._texts[source] = Text(source.text, self.encoding)
        return self._texts[source]


def _specs(folders: Iterable[str]) -> Iterator[str]:
    """Yield the paths of specs in folders, in a fixed order."""
    walks = chain.from_iterable(map(os.walk, dict.fromkeys(map(os.path.realpath, folders))))
    for folder, inner, names in islice(walks, FOLDERS):
        inner[:] = sorted(one for one in inner if not one.startswith(".") and one != "node_modules")
        yield from (
            os.path.join(folder, one) for one in sorted(names) if one.endswith(".net") and one[0] != "."
        )
