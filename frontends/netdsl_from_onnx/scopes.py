"""The modules that a file's nodes were in: from what torch's exporters write beside nodes, or into their names."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from itertools import pairwise, takewhile

import onnx
from torch import nn

from netdsl.elaborate.names import class_name

_SCOPES = "pkg.torch.onnx.name_scopes"
_CLASSES = "pkg.torch.onnx.class_hierarchy"
_QUOTED = re.compile(r"'([^'\\]*)'")
SEQUENTIAL = "Sequential"

Stack = tuple[tuple[str, str], ...]
"""The modules that a node is in, the outermost first and without the model: their paths and classes."""


def told(node: onnx.NodeProto) -> tuple[list[str], list[str]]:
    """Return the scopes and classes that torch's newer exporter writes, of which the last are the function's."""
    properties = {one.key: one.value for one in node.metadata_props}
    scopes, classes = (_QUOTED.findall(properties.get(key, "")) for key in (_SCOPES, _CLASSES))
    return (scopes, classes) if len(scopes) == len(classes) > 0 and scopes[0] == "" else ([], [])


def function(node: onnx.NodeProto) -> str:
    """Return the function of torch that a node is some of: `aten.silu.default`; "" where that is not known."""
    _, classes = told(node)
    return classes[-1] if classes else ""


class Scopes:
    """The modules of a file."""

    def __init__(self, graph: onnx.GraphProto, name: str) -> None:
        """Find them; `name` is what the model is called where the file does not say it."""
        self.sequential: set[str] = set()
        self.stacks: list[Stack] = []
        self.told = any(told(node)[0] for node in graph.node)
        self.root = name
        self.chains: set[str] = set()
        """Paths of Sequentials, whatever their class is called."""
        for node in graph.node:
            scopes, classes = told(node)
            if scopes and len(scopes) > 1 and self.root == name:
                self.root = classes[0].rpartition(".")[2]
            self.stacks.append(self._told(scopes, classes) if self.told else self._named(node.name))
        if self.told:
            self._fill(graph)
            self.chains = self._chains()
        else:
            self.stacks = [
                tuple((path, SEQUENTIAL if path in self.sequential else _class(path)) for path, _ in stack)
                for stack in self.stacks
            ]

    def _fill(self, graph: onnx.GraphProto) -> None:
        """Put nodes of which nothing is said, such as an optimiser's, into the module of all that reads them."""
        places: dict[str, Stack] = {}
        for index in reversed(range(len(graph.node))):
            node = graph.node[index]
            if not told(node)[0]:
                read = [places[name] for name in node.output if name in places]
                self.stacks[index] = _common(read)
            for name in node.input:
                places[name] = _common([self.stacks[index], *([places[name]] if name in places else [])])

    def _chains(self) -> set[str]:
        """Return the modules that do no more than call what they hold by number, in order: they are Sequentials."""
        called: dict[str, list[int]] = {}
        others: set[str] = set()
        for stack in self.stacks:
            others.update(path for path, _ in stack[-1:])  # it computes something itself
            for (outer, _), (path, _) in pairwise(stack):
                last = path.removeprefix(f"{outer}.")
                if last.isdigit():
                    called.setdefault(outer, []).append(int(last))
                else:
                    others.add(outer)
        return {path for path, each in called.items() if path not in others and each == sorted(each)}

    def _told(self, scopes: Sequence[str], classes: Sequence[str]) -> Stack:
        found: list[tuple[str, str]] = []
        for path, name in zip(scopes[1:-1], classes[1:-1], strict=True):
            clean = tidy(path.partition("@")[0])
            if clean and (not found or clean != found[-1][0]):
                found.append((clean, name.rpartition(".")[2]))
        return tuple(found)

    def _named(self, name: str) -> Stack:
        """Return the modules in a node's name: `/layer1/layer1.0/conv1/Conv`, as the older exporter calls them."""
        if not name.startswith("/"):
            return ()
        found: list[tuple[str, str]] = []
        path = last = ""
        for part in name.split("/")[1:-1]:
            own = part.removeprefix(f"{last}.") if last else part
            if own != part:
                self.sequential.add(path)
            path = tidy(f"{path}.{own}" if path else own)
            last = part
            found.append((path, ""))
        return tuple(found)


def _common(stacks: Sequence[Stack]) -> Stack:
    """Return the modules that stacks begin with."""
    same = zip(*stacks, strict=False)
    return tuple(each[0] for each in takewhile(lambda each: len({*each}) == 1, same))


def tidy(key: str) -> str:
    """Return a key as a state may have it: letters, numbers, hyphens and lines, between points."""
    parts = (re.sub(r"[^A-Za-z0-9_-]+", "_", part).strip("_") or "_" for part in key.split("."))
    return ".".join(parts)


def _class(path: str) -> str:
    """Return a name for the class of a module of which only the path is known."""
    words = [part for part in path.split(".") if not part.isdigit()]
    stem = re.sub(r"\d+$", "", words[-1]) if words else ""
    return class_name(stem) or "Block"


class Modules:
    """Modules that stand for those of the file: they have its paths and classes, and compute nothing."""

    def __init__(self, root: str, chains: Container[str]) -> None:
        """Begin with the model, of class `root`; `chains` are the paths of Sequentials of any class."""
        self.chains = chains
        self.root = _module(root, False)
        self.made: dict[str, nn.Module] = {"": self.root}

    def get(self, path: str, name: str = "") -> nn.Module:
        """Return the module at a path, which is of class `name` if it was not known."""
        if path not in self.made:
            outer, _, last = path.rpartition(".")
            module = _module(name, path in self.chains)
            self.get(outer)._modules[last] = module
            self.made[path] = module
        return self.made[path]


def _module(name: str, chain: bool) -> nn.Module:
    if name == SEQUENTIAL:
        return nn.Sequential()
    base = nn.Sequential if chain else nn.Module
    return type(re.sub(r"\W", "", name) or "Module", (base,), {})()  # type: ignore[no-any-return]


def ordered(keys: Sequence[str]) -> list[str]:
    """Return keys as a state has them: of each module its own first, then those of its modules, as they come."""
    own: list[str] = []
    inner: dict[str, list[str]] = {}
    for key in keys:
        first, point, rest = key.partition(".")
        if point:
            inner.setdefault(first, []).append(rest)
        else:
            own.append(key)
    return own + [f"{first}.{key}" for first, rest in inner.items() for key in ordered(rest)]
