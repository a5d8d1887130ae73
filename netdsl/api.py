"""What users call: `load` a spec."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import cache
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netdsl import data, reading
from netdsl.diagnostics import Diagnostic, NetError, closest, did_you_mean
from netdsl.diagnostics.render import printable
from netdsl.elaborate.arguments import declared_parameters, op_parameters, type_name
from netdsl.elaborate.build import MAX_NODES, is_open
from netdsl.elaborate.evaluate import Evaluator
from netdsl.elaborate.files import Files, Importer
from netdsl.elaborate.functions import FUNCTIONS
from netdsl.elaborate.values import MISSING, Choice, FileScope, NetDecl, SpecError, VariantDecl, show
from netdsl.ir.types import Dims, Shape
from netdsl.lifting.words import op_words
from netdsl.network import Network, Recipe
from netdsl.ops import Example, Op
from netdsl.record import Record
from netdsl.sheet import aligned
from netdsl.source import Source
from netdsl.syntax import tree
from netdsl.syntax.parse import parse
from netdsl.syntax.read import read as read_file

if TYPE_CHECKING:
    from netdsl.space.overview import Explored

MAX_STEPS = 10_000
"""What evaluating one setting may take."""


def load(
    spec: str | Path,
    *,
    set: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Sequence[int]] | Sequence[int] | None = None,
    path: Iterable[str | Path] = (),
    max_nodes: int = MAX_NODES,
    **params: Any,
) -> Network:
    """Return the net of a spec: `vgg.net`, `vgg.net:vgg16`, or a name of the zoo such as `resnet50`.

    Args:
        spec: A file, with `:NAME` for one of its nets; else a packaged file's stem, or a net or variant of
            the zoo. A Path is a file.
        set: Parameters and decisions by name; a decision's name has dots (`stage1.depth`). A text is read as
            the spec would be: `norm="bn"`, `size="160x160"`.
        inputs: Shapes that replace the spec's, by input, channels first and without the batch; of the only
            input the shape alone, `(3, 160, 160)`.
        path: Folders in which imports are looked for too.
        max_nodes: How many ops the net may have.
        **params: Parameters of the net, such as `classes=10`; all that it needs, if no variant gives it.

    Raises:
        NetError: The spec is wrong; it carries every diagnostic.
    """
    file, name = locate(spec, path)
    return Network(recipe(file, name, {**(set or {}), **params}, _by_input(inputs), max_nodes))


def load_family(
    spec: str | Path,
    *,
    set: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Sequence[int]] | Sequence[int] | None = None,
    path: Iterable[str | Path] = (),
    max_nodes: int = MAX_NODES,
    **params: Any,
) -> tuple[Network, ...]:
    """Return all nets of a file, in its order: `resnet.net`; the only one of `resnet.net:resnet50` or `resnet50`.

    Args:
        spec: As for `load`.
        set: As for `load`; a net is given those that it has.
        inputs: As for `load`, for every net.
        path: As for `load`.
        max_nodes: How many ops each net may have.
        **params: As `set`.

    Raises:
        NetError: The spec is wrong, or one of its nets is a search space with something left to decide.
    """
    file, name = locate(spec, path)
    settings = {**(set or {}), **params}
    name = name or alone(file, os.fspath(spec))
    return tuple(map(Network, recipes(file, name, settings, _by_input(inputs), max_nodes)))


def loads(
    text: str,
    name: str = "<string>",
    net: str = "",
    *,
    set: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Sequence[int]] | Sequence[int] | None = None,
    max_nodes: int = MAX_NODES,
    **params: Any,
) -> Network:
    """Return the net of a text; its imports can only be of packaged files.

    Args:
        text: What a file would hold.
        name: What errors call it.
        net: Which of its nets or variants, if it has several.
        set: As for `load`.
        inputs: As for `load`.
        max_nodes: As for `load`.
        **params: As for `load`.

    Raises:
        NetError: The text is wrong; it carries every diagnostic.
    """
    file = Files(_importer(None, ())).load(Source(name, text.removeprefix("\ufeff")))
    return Network(recipe(file, net, {**(set or {}), **params}, _by_input(inputs), max_nodes))


def explore(
    spec: str | Path,
    *,
    set: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Sequence[int]] | Sequence[int] | None = None,
    path: Iterable[str | Path] = (),
    max_nodes: int = MAX_NODES,
    **params: Any,
) -> Explored:
    """Return the search space of a spec: how many nets it has, what they cost, draws and fronts within its budgets.

    Args:
        spec: As for `load`.
        set: Parameters and decisions that are made, as for `load`.
        inputs: As for `load`.
        path: As for `load`.
        max_nodes: How many ops each net may have.
        **params: As for `load`.

    Raises:
        NetError: The spec is wrong, leaves nothing open, or has no valid net.
    """
    from netdsl.space.overview import Explored
    from netdsl.space.space import Space

    file, name = locate(spec, path)
    return Explored(Space(recipe(file, name, {**(set or {}), **params}, _by_input(inputs), max_nodes)))


def _by_input(inputs: Mapping[str, Sequence[int]] | Sequence[int] | None) -> Mapping[str, Sequence[int]]:
    """Return shapes by input; one alone is that of the only one, which "" names."""
    return {} if inputs is None else inputs if isinstance(inputs, Mapping) else {"": inputs}


def recipe(
    file: FileScope,
    name: str,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Sequence[int]],
    max_nodes: int = MAX_NODES,
) -> Recipe:
    """Return what makes an instance of a file; "" is the only one, or the one named like the file."""
    available = instances(file, settings)
    chosen = name
    if not chosen:
        several = distinct(file, settings)
        stem = file.source.name.replace("\\", "/").rpartition("/")[2].removesuffix(".net")
        chosen = stem if stem in available else next(iter(several or [one.lower() for one in file.nets]), "")
        if len(several) > 1 and chosen != stem:
            help = f"choose one: {file.source.name}:{chosen}"
            raise _usage("E502", f"{file.source.name} has several nets", help, tuple(several))
        if not chosen:
            raise _usage("E502", f"{file.source.name} has no net", "declare one: net Name:")
    chosen = called(file, chosen) or chosen
    if chosen in available:
        net, variant = available[chosen]
    else:
        net, variant = _declared(file, chosen, settings), None
    values = {key: _setting(net, key, value) for key, value in settings.items()}
    shapes = {key: _shape(key, value) for key, value in inputs.items()}
    return Recipe(net, variant, values, shapes, max_nodes)


def _declared(file: FileScope, name: str, settings: Mapping[str, Any]) -> NetDecl:
    """Return the net of that name, as declared or in lower case; NetError if it needs more than the settings give."""
    net = file.nets.get(name) or next((one for key, one in file.nets.items() if key.lower() == name), None)
    available = instances(file, settings)
    if net is None:
        help = did_you_mean(name, list(available))
        raise _usage("E502", f"{file.source.name} has no net or variant `{name}`", help, tuple(available))
    missing = needs(net, settings)
    if missing:
        variants = tuple(one for one, (other, _) in available.items() if other is net)
        given = "give it" if len(missing) == 1 else "give them"
        help = f"{given} with {' '.join(f'--set {one}=...' for one in missing)}"
        help += f", in Python {', '.join(f'{one}=...' for one in missing)}, or "
        help += (
            "choose a variant" if variants else f"declare one: variant {net.name.lower()} = {net.name}(...)"
        )
        what = f"net {net.name} needs {', '.join(f'`{one}`' for one in missing)}"
        raise _usage("E502", f"{file.source.name}: {what}", help, variants)
    return net


def recipes(
    file: FileScope,
    name: str,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Sequence[int]],
    max_nodes: int = MAX_NODES,
) -> list[Recipe]:
    """Return what makes each instance of a file, or the one of that name; settings go to the nets that have them."""
    available = instances(file, settings)
    if name or not available:
        return [recipe(file, name, settings, inputs, max_nodes)]
    order = list(dict.fromkeys([*file.nets.values(), *(net for net, _ in available.values())]))
    names = sorted(
        distinct(file, settings),
        key=lambda one: (order.index(available[one][0]), available[one][1] is not None),
    )
    known = {net: declared_parameters(net) for net, _ in available.values()}
    common = {key for key in settings if any(key in params for params in known.values())}
    made = []
    for one in names:
        own = {k: v for k, v in settings.items() if k not in common or k in known[available[one][0]]}
        made.append(recipe(file, one, own, inputs, max_nodes))
    return made


def _setting(net: NetDecl, name: str, value: Any) -> Any:
    """Return a parameter's value; a text is an expression of the language, unless it is to be a text.

    Dimensions and paddings may be tuples, as frameworks have them: (3, 3).
    """
    param = declared_parameters(net).get(name)
    types = {*param.types} if param is not None else set()
    if isinstance(value, (tuple, list)) and types & {"dims", "pad"} and "list" not in types:
        if len(value) > 1 and all(type(n) is int and n >= 0 for n in value):
            return Dims(value)
    if isinstance(value, list):
        return tuple(_setting(net, name, item) if isinstance(item, list) else item for item in value)
    # a decision's options are compared as texts
    if (
        not isinstance(value, str)
        or param is None
        or "str" in param.types
        or isinstance(param.default, tree.Choice)
    ):
        return value
    try:
        if not value.strip() or "\n" in value:
            raise ValueError
        source = Source("<setting>", f"{name} = {value}")
        (item,) = parse(source).items
        if not isinstance(item, tree.Assign):
            raise ValueError
        evaluator = Evaluator(MAX_STEPS)
        evaluator.decide = _undecided
        result = evaluator.eval(item.value, net.file.env, source)
        if result is not None and not type_name(result):
            raise ValueError
    except (NetError, SpecError, ValueError):
        raise _usage("E504", f"{name}: `{value}` is no value", f"{name} is {param.describe()}") from None
    return result


def _undecided(choice: Choice, name: str) -> Any:
    raise ValueError("a value from outside decides, and leaves nothing open")


def _shape(name: str, sizes: Sequence[int]) -> Shape:
    """Return the shape of an input, from any sequence of sizes, or from what a spec would have: "3x64x64"."""
    if isinstance(sizes, Shape):
        return sizes
    given: Any = sizes
    if isinstance(given, str):
        parts = given.split("x")
        whole = all(part.isascii() and part.isdecimal() and len(part) < 16 for part in parts)
        sizes = [int(part) for part in parts] if whole else ()
    fine = isinstance(sizes, Sequence) and not isinstance(sizes, bytes) and 1 <= len(sizes) <= 3
    if not fine or any(type(n) is not int or n < 1 for n in sizes):
        what = f"an input has one to three sizes from 1, got {show(given) if isinstance(given, str) else given!r}"
        raise _usage(
            "E505", f"{name}: {what}" if name else what, "for example 3x224x224: channels, height, width"
        )
    return Shape(*sizes)


def needs(net: NetDecl, given: Container[str] = ()) -> list[str]:
    """Return the parameters of a net that have no default, without those that are given."""
    return [
        param.name.text for param in net.node.params if param.default is None and param.name.text not in given
    ]


def instances(file: FileScope, given: Container[str] = ()) -> dict[str, tuple[NetDecl, VariantDecl | None]]:
    """Return a file's variants, and its nets that need no arguments under their lower-case names.

    A net that no variant makes is one of them if what it needs is given.
    """
    found: dict[str, tuple[NetDecl, VariantDecl | None]] = {
        name: (variant.net, variant) for name, variant in file.variants.items()
    }
    made = {variant.net for variant in file.variants.values()}
    for name, net in file.nets.items():
        if not needs(net, () if net in made else given):
            found.setdefault(name.lower(), (net, None))
    return found


def unmade(file: FileScope, given: Container[str] = ()) -> dict[str, list[str]]:
    """Return the nets of a file that no variant makes, with what they need beyond what is given."""
    made = {variant.net for variant in file.variants.values()}
    return {
        name: needs(net, given) for name, net in file.nets.items() if net not in made and needs(net, given)
    }


def called(file: FileScope, name: str) -> str:
    """Return the instance that has a name, or whose net is declared so (`MNASNet`); "" if there is none."""
    available = instances(file)
    if name in available:
        return name
    net, variant = available.get(name.lower(), (None, None))
    same = name in file.nets and net is file.nets[name] and (variant is None or variant.is_plain)
    return name.lower() if same else ""


def distinct(file: FileScope, given: Container[str] = ()) -> list[str]:
    """Return a file's instances, without a net's own name where a variant without arguments is the same."""
    same = {variant.net for variant in file.variants.values() if variant.is_plain}
    return [
        name
        for name, (net, variant) in instances(file, given).items()
        if variant is not None or net not in same
    ]


def locate(spec: str | Path, path: Iterable[str | Path] = ()) -> tuple[FileScope, str]:
    """Return the file that a SPEC names, read, and the name after its colon; a Path is a file's, and no more."""
    if not isinstance(spec, str):
        return read(Path(spec), path), ""
    target, _, name = spec.rpartition(":") if _names_net(spec) else (spec, "", "")
    if "/" in target or "\\" in target or (target.endswith(".net") and reading.exists(target)):
        if not reading.exists(target) and (help := beside(target)):
            raise _usage("E501", f"there is no file {target}", help)
        return read(Path(target), path), name
    stem = target.removesuffix(".net")
    if f"{stem}.net" in data.names("specs", ".net"):
        return packaged(f"{stem}.net"), name
    if not name and not target.endswith(".net"):
        for file_name in data.names("specs", ".net"):
            if _mentions(file_name, stem):
                file = packaged(file_name)
                if called(file, stem):
                    return file, called(file, stem)
    if os.path.isdir(target):
        raise _usage(
            "E501", f"{target} is a folder", f"a spec is a file in it, such as {target}/{_net_in(target)}"
        )
    if os.path.exists(target):
        raise _usage("E501", f"{target} is no spec", "the name of one ends in .net")
    known = [*zoo_names()] if not target.endswith(".net") else data.names("specs", ".net")
    help = (
        beside(target)
        or did_you_mean(stem, known)
        or "`netdsl zoo` and netdsl.zoo() list what is packaged; a path contains `/` or ends in .net"
    )
    what = (
        f"there is no file {target}" if target.endswith(".net") else f"there is no net `{target}` in the zoo"
    )
    raise _usage("E501", what, help)


def _nets_in(folder: str) -> list[str]:
    """Return the names of the specs of a folder; none if it cannot be read."""
    try:
        return sorted(name for name in os.listdir(folder or os.curdir) if name.endswith(".net"))
    except (OSError, ValueError):
        return []


def _net_in(folder: str) -> str:
    return next(iter(_nets_in(folder)), "NAME.net")


def beside(target: str) -> str:
    """Return which file may have been meant by a path that there is not, or ""."""
    folder, name = os.path.split(target)
    stems = [found.removesuffix(".net") for found in _nets_in(folder)]
    stem = name.removesuffix(".net")
    if stem in stems:
        return f"did you mean `{target}.net`?" if stem == name else ""
    meant = closest(stem, stems)
    return f"did you mean `{os.path.join(folder, meant)}.net`?" if meant else ""


def alone(file: FileScope, spec: str) -> str:
    """Return the net that a SPEC without a colon means if it is a name of the zoo, such as `unet`; "" for a file."""
    return called(file, spec)


def in_zoo(word: str) -> bool:
    """Tell whether a word is a name of the zoo."""
    files = data.names("specs", ".net")
    return f"{word}.net" in files or any(
        _mentions(file, word) and called(packaged(file), word) for file in files
    )


def _names_net(spec: str) -> bool:
    return bool(spec.rpartition(":")[0]) and spec.rpartition(":")[2].isidentifier()


def _mentions(file_name: str, word: str) -> bool:
    """Tell whether a packaged file may declare a net of that name, without reading it closely."""
    return word.lower() in data.read("specs", file_name).lower()


def zoo_names() -> dict[str, str]:
    """Return every net and variant of the zoo with the file that its name means, a file's stem first."""
    names: dict[str, str] = {}
    for file_name in data.names("specs", ".net"):
        for name in distinct(packaged(file_name)):
            if name not in names or file_name == f"{name}.net":
                names[name] = file_name
    return names


class Entry(Record):
    """One net of the zoo. A search space has no costs before it is decided."""

    name: str
    spec: str
    """The packaged file."""
    net: str
    """The architecture, which is the class's name."""
    params: int | None
    macs: int | None
    inputs: Mapping[str, Shape]
    meta: Mapping[str, Any]

    def line(self) -> tuple[str, str, str, str, str]:
        """Return name, params, MACs, input and what is known about it, as texts."""
        params, macs = ("" if count is None else f"{count:,}" for count in (self.params, self.macs))
        inputs = ", ".join(map(str, self.inputs.values()))
        about = ", ".join(
            f"{key} {value if isinstance(value, str) else show(value)}" for key, value in self.meta.items()
        )
        return (
            self.name,
            params,
            macs,
            inputs,
            printable(about) if self.params is not None else "a search space",
        )

    def json(self) -> dict[str, Any]:
        """Return the entry as an object for `json.dumps`; see docs/schema/zoo.json."""
        meta = {
            k: v if isinstance(v, (str, int, float, type(None))) else show(v) for k, v in self.meta.items()
        }
        inputs = {name: list(shape) for name, shape in self.inputs.items()}
        return {**{name: self.__dict__[name] for name in self._fields}, "inputs": inputs, "meta": meta}


def zoo() -> list[Entry]:
    """Return every packaged net with its parameters, MACs, inputs and what is known about it, by file.

    `[entry.name for entry in netdsl.zoo()]` are the names that `load` takes. All nets are made for it: seconds.
    """
    entries = []
    for name, file_name in sorted(zoo_names().items(), key=lambda pair: pair[1]):
        file = packaged(file_name)
        try:
            net = Network(recipe(file, name, {}, {}))
        except NetError as error:
            if not is_open(error):
                raise
            entries.append(Entry(name, file_name, instances(file)[name][0].name, None, None, {}, {}))
        else:
            cost = net.cost()
            entries.append(
                Entry(name, file_name, net.class_name, cost.params, cost.macs, net.inputs, net.meta)
            )
    return entries


def explain_op(op: type[Op]) -> str:
    """Return what an op is: its text, arguments with types and defaults, names elsewhere, examples with costs."""
    lines = [op.name, "", cleandoc(op.__doc__ or "")]
    params = op_parameters(op).values()
    if params:
        lines += ["", "arguments"]
        table = []
        for param in params:
            default = (
                "required" if param.default is MISSING and param.name in op._fields else show(param.default)
            )
            if param.name in op.references and param.default is MISSING:
                default = "required"
            table.append((param.name, f"{param.describe() or 'ints'}, {default}"))
        lines += (f"  {line}" for line in aligned(table, (0, 1)))
    others = {"PyTorch": op.elsewhere.torch, "Keras": op.elsewhere.keras, "JAX": op.elsewhere.jax}
    called = [(name, names) for name, names in others.items() if names]
    if called:
        lines += ["", "elsewhere", *(f"  {line}" for line in aligned(called, (0, 1)))]
    lines += ["", "examples"]
    for example in op.examples():
        lines += _example(example)
    return "\n".join(lines)


def explain_function(name: str) -> str:
    """Return what a function of the language is: how it is called, and its text."""
    function = FUNCTIONS[name]
    given = (
        f"{one}={show(function.optional[one])}" if one in function.optional else one
        for one in function.params
    )
    return f"{name}({', '.join(given)})".replace("(*)", "(...)") + f"\n\n{function.about}"


def _example(example: Example) -> list[str]:
    """Return an example as lines: the op, shapes, weights, costs."""
    op, x = example.op, example.inputs
    outputs = " and ".join(map(str, op.outputs(*x)))
    cost = op.cost(*x)
    counts = ", ".join(
        f"{n:,} {what}" for n, what in ((cost.params, "params"), (cost.macs, "MACs"), (cost.ops, "ops"))
    )
    weights = ", ".join(f"{key or 'itself'} {show(shape)}" for key, shape in op.weights(*x).items())
    lines = [
        f"  {op.name} {', '.join(op_words(op))}".rstrip(),
        f"      {' and '.join(map(str, x)) or 'nothing'} -> {outputs}",
    ]
    if weights:
        lines.append(f"      weights: {weights}")
    lines.append(f"      {counts}")
    return lines


@cache
def packaged(file_name: str) -> FileScope:
    """Return a packaged file, read once."""
    source = Source(file_name, data.read("specs", file_name))
    return Files(_importer(None, ())).load(source)


def read(file: Path, path: Iterable[str | Path] = ()) -> FileScope:
    """Return a file of the user's; its imports lie in its folder, in `path`, or in the package."""
    return reread(file, read_file(file).text, path)


def reread(file: Path, text: str, path: Iterable[str | Path] = ()) -> FileScope:
    """Return what a file of the user's would declare if it held that text."""
    return Files(_importer(file.parent, path)).load(Source(str(file), text, file))


def read_text(text: str, name: str = "<stdin>") -> FileScope:
    """Return the declarations of a text that is in no file, and can import packaged specs only."""
    return Files(_importer(None, ())).load(Source(name, text))


def _importer(folder: Path | None, path: Iterable[str | Path]) -> Importer:
    """Return a function that finds imports: beside the spec, in the search path, in the package."""
    folders = [Path(p) for p in (*([folder] if folder is not None else []), *path)]
    roots = [Path(os.path.realpath(p)) for p in folders]
    known: dict[Path, Source] = {}  # so that a file is read once, however often it is imported

    def find(name: str, asking: Source) -> Source:
        if "\0" in name or not name.endswith(".net"):
            raise ValueError("the name of a spec ends in .net")
        outside = False
        if asking.path is not None:
            for said in (Path(asking.name).parent, *folders):
                candidate = Path(os.path.realpath(said / name))  # symlinks too
                inside = any(candidate.is_relative_to(root) for root in roots)
                if reading.exists(said / name) and not candidate.is_dir():
                    if inside:
                        if candidate not in known:
                            shown = os.path.normpath(said / name)
                            known[candidate] = Source(shown, _import_text(candidate), candidate)
                        return known[candidate]
                    outside = True
        if name in data.names("specs", ".net"):
            return Source(name, data.read("specs", name))
        if outside:
            raise ValueError("it lies outside the spec's folder and the search path")
        raise ValueError("there is no such file beside the spec, in the search path or in the zoo")

    return find


def _import_text(file: Path) -> str:
    try:
        return reading.text(file)
    except reading.Unreadable as error:
        raise ValueError(str(error)) from None


def _usage(code: str, message: str, help: str = "", details: tuple[str, ...] = ()) -> NetError:
    return NetError([Diagnostic(code, message, help=help, details=details)])
