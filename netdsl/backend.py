"""What a backend is, and where it is found."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeVar, runtime_checkable

from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.elaborate.evaluate import deep_recursion
from netdsl.ir.graph import Node
from netdsl.net import Net
from netdsl.ops import Op, points
from netdsl.record import Record
from netdsl.transforms.inference import Deployed, deployed

if TYPE_CHECKING:
    from numpy import ndarray

    from netdsl.transforms.towers import Towers

    Array = ndarray[Any, Any]

GROUP = "netdsl.backends"
"""The entry point under which distributions register backends: a name, and a class.

The class takes no arguments but its options, each a bool by name. Its `OPTIONS` say in a line what each does.
"""


LOWERINGS = "netdsl.lowerings"
"""The entry point under which distributions register what an op is in a backend: `BACKEND.OP`, and a function."""

L = TypeVar("L", bound=Callable[..., Any])


class Backend(Protocol):
    """A framework that netdsl emits code for."""

    name: str

    def lowers(self, op: type[Op]) -> bool:
        """Tell whether it has the op."""

    def emit(self, net: Net) -> str:
        """Return the source of a module: pure text, the framework need not be installed. Raises NetError."""

    def build(self, text: str, net: Net) -> Any:
        """Return the module that the source defines; imports the framework here, and only here."""


@runtime_checkable
class FamilyBackend(Backend, Protocol):
    """A backend that writes several nets of a file into one module, or files beside it."""

    def files(self, nets: Sequence[Net]) -> Mapping[str, str]:
        """Return texts by names of files, the module first. Raises NetError."""


@runtime_checkable
class TowersBackend(Backend, Protocol):
    """A backend that writes what runs a net on several devices, each with its share of the channels."""

    def towers(self, plan: Towers) -> Mapping[str, str]:
        """Return texts by names of files, what is called first. Raises NetError."""


@runtime_checkable
class LayeredBackend(Backend, Protocol):
    """A backend that tells what of a net is a module in what it emits, and what a function."""

    def layers(self, net: Net) -> Mapping[str, bool]:
        """Return by node whether it is a module; those that are not there only wire others, or are not emitted.

        Imports no framework. Raises NetError as `emit` does.
        """


class PipelineRun(Record):
    """How the parts of a net run as a pipeline."""

    schedule: str
    """1f1b or gpipe."""
    micro_batch: int
    micro_batches: int
    dtype: str


@runtime_checkable
class PipelineBackend(Backend, Protocol):
    """A backend that writes the program which runs the parts of a net as a pipeline."""

    def pipeline(
        self, name: str, parts: Sequence[Net], learned: Sequence[Sequence[bool]], run: PipelineRun
    ) -> str:
        """Return the source of the program, which imports the modules of the parts by their names. Raises NetError.

        Args:
            name: What the whole net is called.
            parts: What each process runs; the outputs of one are the inputs of the next, in this order.
            learned: By part and input whether that needs a gradient.
            run: The schedule.
        """


class Lowerings(dict[type[Op], L]):
    """What each op is in a framework, by its class; those of other distributions are found when they are asked for.

    A distribution registers one for each backend and op, `torch.snake = "netdsl_snake:in_torch"`.
    """

    def __init__(self, backend: str, change: Callable[[L], L] = lambda lowering: lowering) -> None:
        """`change` is applied to those that are found."""
        self.backend = backend
        self.change = change

    def __missing__(self, op: type[Op]) -> L:
        point = points(LOWERINGS).get(f"{self.backend}.{op.name}")
        if point is None:
            raise KeyError(op)
        try:
            self[op] = self.change(point.load())
        except Exception as error:
            what = f"{point.value}, what `{op.name}` is in {self.backend}, cannot be imported"
            raise NetError([Diagnostic("E507", f"{what}: {type(error).__name__}: {error}")]) from None
        return self[op]

    def has(self, op: type[Op]) -> bool:
        """Tell whether there is one."""
        return op in self or f"{self.backend}.{op.name}" in points(LOWERINGS)


class Tensor(Record):
    """A tensor of a backend's state, and which numbers of the net it holds.

    The net's own layout is torch's: keys are the layer's path and the name of its weight or buffer, sizes are those
    of `op.weights` and `op.buffers`. From there, in this order: take rows of the first axis, permute, reshape.
    """

    key: str
    """Its name in the backend's state."""
    shape: tuple[int, ...]
    """Its shape there; with `place`, that of one of the equal layers."""
    parameter: str
    """Whose numbers it holds: a key of the net's own state."""
    rows: tuple[int, int] | None = None
    """Which rows of the parameter's first axis, from and up to; None: all."""
    axes: tuple[int, ...] | None = None
    """The order of the axes; None: as they are."""
    place: tuple[int, int] | None = None
    """Index and count along a first axis of its own, where equal layers are stacked under one key."""


class Runner(Protocol):
    """A built module under measurement. Arrays are numpy's, maps channels first, with the batch in front.

    Keys of weights and gradients are the backend's own. In training, norms use the batch, every output is there, and
    dropout does nothing.
    """

    def state(self) -> Mapping[str, tuple[tuple[int, ...], str]]:
        """Return shape and dtype ("float32") by key."""

    def load(self, state: Mapping[str, Array]) -> None:
        """Replace all weights and buffers."""

    def evaluate(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return the outputs by name, in evaluation."""

    def train(
        self, inputs: Mapping[str, Array], weights: Mapping[str, Array]
    ) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        """Return the outputs of a step of training, and the gradients of sum(weights * outputs).

        Gradients go by key, and by "input NAME". Running statistics move.
        """

    def read(self) -> Mapping[str, Array]:
        """Return all weights and buffers by key."""

    def shapes(self, inputs: Mapping[str, Array]) -> Mapping[str, tuple[tuple[int, ...], ...]]:
        """Return by path what every layer and container returned in training, channels first, without the batch.

        Of a module that runs again it is what the first call returned.
        Of the inputs only the shapes are looked at, here and in `macs`.
        """

    def macs(self, inputs: Mapping[str, Array]) -> int:
        """Return the multiply-accumulates that the framework counts for one evaluation."""


@runtime_checkable
class WeightsBackend(Backend, Protocol):
    """A backend whose weights can be moved."""

    def tensors(self, net: Net) -> tuple[Tensor, ...]:
        """Return what its state holds, in its order; imports no framework."""

    def load(self, model: Any, state: Mapping[str, Array], net: Net) -> None:
        """Replace all weights and buffers of a built module, whose dtypes stay.

        The state has every key of `tensors` and no other, in the right shapes; its arrays are numpy's, and nobody
        else's.
        """


@runtime_checkable
class ExactBackend(WeightsBackend, Protocol):
    """A backend whose weights can be moved, and whose numbers can be compared."""

    def counted(self, net: Net, batch: int) -> int:
        """Return the MACs of the net by the rules that `Runner.macs` counts by; imports no framework."""

    def notes(self, net: Net) -> list[str]:
        """Return what is to be known about the numbers that the framework gives."""

    def runner(self, text: str, net: Net, dtype: str) -> Runner:
        """Return the module that the source defines, in float32 or float64, to measure it."""


class Beside(Record):
    """The file beside one of ONNX that has the bytes of its large tensors: external data, as ONNX calls it."""

    name: str
    """What the file of ONNX calls it, relative to its own folder."""
    stream: BinaryIO
    """It, to be written and read."""

    def read(self) -> Array:
        """Return its bytes, of which no more is in memory than what is looked at."""
        import numpy

        self.stream.flush()
        return numpy.memmap(self.stream, mode="r")


@runtime_checkable
class OnnxBackend(ExactBackend, Protocol):
    """A backend whose modules its framework writes as ONNX."""

    def onnx(self, model: Any, net: Net, about: Mapping[str, str], beside: Beside | None) -> bytes:
        """Return a built module in evaluation as a file of ONNX, for any batch, with `about` as its metadata.

        Inputs and outputs have the net's names; large tensors go into the file beside it, if there is one. Raises
        NetError if the exporter is missing, or refuses the module.
        """


class Deploy:
    """A backend that writes nets in the form for inference; see netdsl.transforms.inference.

    What it is asked of a net, it answers of that form. From several nets of a file it makes a module each. A backend
    that has `merges(net)` says whether convolutions over one map are to be one; with an option `features` it returns
    what stages end with, which stays what it is.
    """

    def __init__(self, backend: Backend) -> None:
        """Take the backend that writes the form."""
        self.backend: Any = backend
        self.name = backend.name

    def deployed(self, net: Net) -> Deployed:
        """Return what is written of a net, and what becomes of its weights."""
        merges: Callable[[Net], bool] = getattr(self.backend, "merges", lambda net: False)
        return deployed(net, merges(net), getattr(self.backend, "features", False))

    def form(self, net: Net) -> Net:
        """Return what is written of a net."""
        return self.deployed(net).net

    def lowers(self, op: type[Op]) -> bool:
        """Tell whether the backend has the op."""
        return bool(self.backend.lowers(op))

    def emit(self, net: Net) -> str:
        """Return the source of a module for inference. Raises NetError."""
        missing(net, self.backend)  # at the layers of the spec
        return str(self.backend.emit(self.form(net)))

    def files(self, nets: Sequence[Net]) -> Mapping[str, str]:
        """Return a module for each net, and what the backend puts beside it, by names of files."""
        if not isinstance(self.backend, FamilyBackend):
            return {f"{net.name}.py": self.emit(net) for net in nets}
        found: dict[str, str] = {}
        for net in nets:
            missing(net, self.backend)
            found.update(self.backend.files([self.form(net)]))
        return found

    def build(self, text: str, net: Net) -> Any:
        """Return the module that the source defines."""
        return self.backend.build(text, self.form(net))

    def layers(self, net: Net) -> Mapping[str, bool]:
        """Return by node of the form whether it is a module."""
        return dict(self.backend.layers(self.form(net)))

    def tensors(self, net: Net) -> tuple[Tensor, ...]:
        """Return what the state of the form holds."""
        return tuple(self.backend.tensors(self.form(net)))

    def load(self, model: Any, state: Mapping[str, Array], net: Net) -> None:
        """Replace all weights of a built module."""
        self.backend.load(model, state, self.form(net))

    def counted(self, net: Net, batch: int) -> int:
        """Return the MACs that the framework counts for the form."""
        return int(self.backend.counted(self.form(net), batch))

    def notes(self, net: Net) -> list[str]:
        """Return what is to be known about the numbers of the form."""
        return list(self.backend.notes(self.form(net)))

    def runner(self, text: str, net: Net, dtype: str) -> Runner:
        """Return the module that the source defines, to measure it."""
        runner: Runner = self.backend.runner(text, self.form(net), dtype)
        return runner


def own_state(net: Net, node: Node) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a layer's weights and buffers, by their keys in the net's own state."""
    if node.module:  # these are of the module that it is again
        return {}
    x = net.inputs_of(node.name)
    held = {**node.op.weights(*x), **node.op.buffers(*x)}
    return {_own_key(node, name): tuple(shape) for name, shape in held.items()}


def _own_key(node: Node, name: str) -> str:
    """Return the key of a layer's tensor in the net's own state: the layer's own name, if the tensor has none."""
    return f"{node.name}.{name}" if name else node.name


def batchless(net: Net) -> list[Node]:
    """Return the nodes that make of learned tensors alone what all samples of a batch share, computed once for it."""
    found: dict[str, Node] = {}
    for node in net.graph:
        sources = [value.node for value in node.inputs]
        if node.op.batchless and all(source in found for source in sources):
            found[node.name] = node
    return list(found.values())


def spare_state(net: Net) -> dict[str, Sequence[int]]:
    """Return by key of the net's own state what the buffers hold that a state may lack; see `Op.spare`."""
    return {
        _own_key(node, name): numbers
        for node in net.graph
        if not node.module
        for name, numbers in node.op.spare(*net.inputs_of(node.name)).items()
    }


def emit(net: Net, backend: str = "torch") -> str:
    """Return the source of a module for a backend; raise NetError if there is none of that name."""
    with deep_recursion():  # a product of many values is as deep
        return find(backend).emit(net)


def build(net: Net, backend: str = "torch") -> Any:
    """Return the module itself, with initial weights; raise NetError where the framework is missing."""
    chosen = find(backend)
    with deep_recursion():
        return chosen.build(chosen.emit(net), net)


def emit_family(nets: Sequence[Net], backend: str = "torch") -> dict[str, str]:
    """Return a module for nets of one file, and what the backend's options put beside it, by names of files.

    Raises:
        NetError: There is no such backend, or it cannot write them.
    """
    chosen = find(backend)
    with deep_recursion():
        if isinstance(chosen, FamilyBackend):
            return dict(chosen.files(nets))
        if len(nets) > 1:
            net = nets[0]
            help = f"choose one: {net.spec}:{net.name}"
            raise NetError(
                [Diagnostic("E506", f"the {chosen.name} backend writes one net a file", help=help)]
            )
        return {f"{module_name(nets)}.py": chosen.emit(nets[0])}


def module_name(nets: Sequence[Net]) -> str:
    """Return what the module of some nets is called: as the only one, or as their file."""
    if len(nets) == 1:
        return nets[0].name
    name = re.sub(r"[^A-Za-z0-9_]", "_", nets[0].spec.removesuffix(".net"))
    return f"_{name}" if not name.isidentifier() or keyword.iskeyword(name) else name


def options_of(name: str) -> Mapping[str, str]:
    """Return a backend's options, with what each does."""
    return dict(getattr(points(GROUP)[name].load(), "OPTIONS", {}))


def names() -> list[str]:
    """Return what `find` takes: each installed backend, and each with one option."""
    found = []
    for name in points(GROUP):
        try:
            found += [name, *(f"{name}:{option}" for option in options_of(name))]
        except ImportError:  # a broken distribution is an error where it is asked for
            continue
    return found


def spelled(backend: Backend) -> str:
    """Return what `find` takes for a backend with its options."""
    chosen = [option for option in getattr(backend, "OPTIONS", ()) if getattr(backend, option)]
    return f"{backend.name}:{','.join(chosen)}" if chosen else backend.name


def find(name: str) -> Backend:
    """Return the backend of a name, with options as in `torch:features,test`, from any installed distribution.

    Raises:
        NetError: There is none, or it has no such option.
    """
    name, *options = re.split("[:,]", name)
    found = points(GROUP)
    if name not in found:
        help = did_you_mean(name, list(found)) or f"installed are {', '.join(found)}"
        raise NetError([Diagnostic("E506", f"there is no backend `{name}`", help=help)])
    backend: type[Backend] = found[name].load()
    known = tuple(getattr(backend, "OPTIONS", ()))
    for option in options:
        if option not in known:
            help = did_you_mean(option, known) or (f"there are {', '.join(known)}" if known else "")
            raise NetError([Diagnostic("E506", f"the {name} backend has no option `{option}`", help=help)])
    chosen = backend(**dict.fromkeys(options, True))
    return Deploy(chosen) if "deploy" in options else chosen


def missing(net: Net, backend: Backend) -> None:
    """Raise NetError at the layers whose ops a backend lacks."""
    unknown = {op for op in net.elaborated.ops if not backend.lowers(op)}
    if not unknown:
        return
    first: dict[type[Op], Node] = {}
    for node in net.graph:
        if type(node.op) in unknown:
            first.setdefault(type(node.op), node)
    what = f"the {backend.name} backend has no"
    raise NetError(
        [Diagnostic("E507", f"{what} `{op.name}`", node.span, calls=node.calls) for op, node in first.items()]
    )
