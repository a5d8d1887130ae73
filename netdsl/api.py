"""What users call: `load` a spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from netdsl import data
from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.elaborate.build import MAX_NODES
from netdsl.elaborate.files import Files
from netdsl.elaborate.values import FileScope, NetDecl, VariantDecl
from netdsl.ir.types import Shape
from netdsl.network import Network, Recipe
from netdsl.source import Source

MAX_BYTES = 64 * 1024 * 1024
"""The largest file that is read."""


def load(
    spec: str,
    *,
    set: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Shape] | None = None,
    path: Iterable[str | Path] = (),
    max_nodes: int = MAX_NODES,
    **params: Any,
) -> Network:
    """Return the net of a spec: `vgg.net`, `vgg.net:vgg16`, or a name of the zoo such as `resnet50`.

    Args:
        spec: A file, with `:NAME` for one of its nets; else a packaged file's stem, a net or a variant of the zoo.
        set: Parameters and decisions by name; a decision's name has dots (`stage1.depth`).
        inputs: Shapes that replace the spec's, by input; "" names the only one.
        path: Folders in which imports are looked for too.
        max_nodes: How many ops the net may have.
        **params: Parameters of the net, such as `classes=10`.

    Raises:
        NetError: The spec is wrong; it carries every diagnostic.
    """
    file, name = locate(spec, path)
    return Network(recipe(file, name, {**(set or {}), **params}, inputs or {}, max_nodes))


def loads(text: str, name: str = "<string>", net: str = "", **settings: Any) -> Network:
    """Return the net of a text; its imports can only be of packaged files."""
    file = Files(_importer(None, ())).load(Source(name, text))
    return Network(recipe(file, net, settings, {}))


def recipe(
    file: FileScope,
    name: str,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Shape],
    max_nodes: int = MAX_NODES,
) -> Recipe:
    """Return what makes an instance of a file; "" is the only one, or the one named like the file."""
    available = instances(file)
    chosen = name
    if not chosen:
        stem = file.source.name.replace("\\", "/").rpartition("/")[2].removesuffix(".net")
        chosen = stem if stem in available else next(iter(available), "")
        if len(available) != 1 and chosen != stem:
            what = "has no net" if not available else "has several nets"
            help = f"choose one: {file.source.name}:{chosen}" if available else "declare one: net Name:"
            raise _usage("E502", f"{file.source.name} {what}", help, tuple(available))
    if chosen not in available:
        help = did_you_mean(chosen, list(available))
        raise _usage("E502", f"{file.source.name} has no net or variant `{chosen}`", help, tuple(available))
    net, variant = available[chosen]
    return Recipe(net, variant, settings, inputs, max_nodes)


def instances(file: FileScope) -> dict[str, tuple[NetDecl, VariantDecl | None]]:
    """Return a file's variants, and its nets that need no arguments under their lower-case names."""
    found: dict[str, tuple[NetDecl, VariantDecl | None]] = {
        name: (variant.net, variant) for name, variant in file.variants.items()
    }
    for name, net in file.nets.items():
        if all(param.default is not None for param in net.node.params):
            found.setdefault(name.lower(), (net, None))
    return found


def locate(spec: str, path: Iterable[str | Path] = ()) -> tuple[FileScope, str]:
    """Return the file that a SPEC names, read, and the name after its colon."""
    target, _, name = spec.rpartition(":") if _names_net(spec) else (spec, "", "")
    if "/" in target or "\\" in target or (target.endswith(".net") and Path(target).exists()):
        return read(Path(target), path), name
    stem = target.removesuffix(".net")
    if f"{stem}.net" in data.names("specs", ".net"):
        return packaged(f"{stem}.net"), name
    if not name and not target.endswith(".net"):
        for file_name in data.names("specs", ".net"):
            if _mentions(file_name, stem):
                file = packaged(file_name)
                if stem in instances(file):
                    return file, stem
    known = [*zoo_names()] if not target.endswith(".net") else data.names("specs", ".net")
    help = did_you_mean(stem, known) or "`netdsl zoo` lists what is packaged; a path contains `/` or ends in .net"
    what = f"there is no file {target}" if target.endswith(".net") else f"there is no net `{target}` in the zoo"
    raise _usage("E501", what, help)


def _names_net(spec: str) -> bool:
    return bool(spec.rpartition(":")[0]) and spec.rpartition(":")[2].isidentifier()


def _mentions(file_name: str, word: str) -> bool:
    """Tell whether a packaged file may declare a net of that name, without reading it closely."""
    return word.lower() in data.read("specs", file_name).lower()


def zoo_names() -> dict[str, str]:
    """Return every net and variant of the zoo with the packaged file that declares it."""
    names: dict[str, str] = {}
    for file_name in data.names("specs", ".net"):
        for name in instances(packaged(file_name)):
            names.setdefault(name, file_name)
    return names


@lru_cache(maxsize=None)
def packaged(file_name: str) -> FileScope:
    """Return a packaged file, read once."""
    source = Source(file_name, data.read("specs", file_name))
    return Files(_importer(None, ())).load(source)


def read(file: Path, path: Iterable[str | Path] = ()) -> FileScope:
    """Return a file of the user's; its imports lie in its folder, in `path`, or in the package."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise _usage("E501", f"{file} is larger than {MAX_BYTES:,} bytes")
        text = file.read_bytes().decode("utf-8")
    except OSError as error:
        raise _usage("E501", f"cannot read {file}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError as error:
        raise _usage("E501", f"{file} is not UTF-8 text: byte {error.start} is 0x{error.object[error.start]:02x}") from None
    return Files(_importer(file.parent, path)).load(Source(str(file), text))


def read_text(text: str) -> FileScope:
    """Return the declarations of standard input, which can import packaged specs only."""
    return Files(_importer(None, ())).load(Source("<stdin>", text))


def _importer(folder: Path | None, path: Iterable[str | Path]) -> Any:
    """Return a function that finds imports: beside the spec, in the search path, in the package."""
    roots = [p.resolve() for p in ([folder] if folder is not None else [])] + [Path(p).resolve() for p in path]

    def find(name: str, importer: Source) -> Source:
        if "\0" in name or not name.endswith(".net"):
            raise ValueError("the name of a spec ends in .net")
        outside = False
        if roots and importer.name not in data.names("specs", ".net"):
            for base in (Path(importer.name).parent.resolve(), *roots):
                candidate = (base / name).resolve()  # symlinks too
                inside = any(candidate.is_relative_to(root) for root in roots)
                if candidate.is_file():
                    if inside:
                        return Source(str(candidate), _import_text(candidate))
                    outside = True
        if name in data.names("specs", ".net"):
            return Source(name, data.read("specs", name))
        if outside:
            raise ValueError("it lies outside the spec's folder and the search path")
        raise ValueError("there is no such file beside the spec, in the search path or in the zoo")

    return find


def _import_text(file: Path) -> str:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError((error.strerror or str(error)).lower()) from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None


def _usage(code: str, message: str, help: str = "", details: tuple[str, ...] = ()) -> NetError:
    return NetError([Diagnostic(code, message, help=help, details=details)])
