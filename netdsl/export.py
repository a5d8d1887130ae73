"""Nets as files of ONNX: the exporter of a backend's framework writes them, and ONNX Runtime runs them."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, NoReturn

from netdsl import __version__
from netdsl.backend import Deploy, OnnxBackend, emit, find
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.diagnostics.render import printable
from netdsl.emission.prose import command
from netdsl.net import Net
from netdsl.record import Record
from netdsl.weights.convert import Held, Move, Stored
from netdsl.weights.layout import Layout, layout, need

if TYPE_CHECKING:
    from netdsl.backend import Array, Beside

LARGEST = 2**31 - 2**20
"""Bytes of weights that a file of ONNX holds at most, beside its nodes: it is a message of protobuf."""
OWN = frozenset({"float32", "int64"})
"""Types that a module has."""
BOUND = 1e-4
"""The largest error of what ONNX Runtime computes: max |a - b| / max |b|, in float32."""


class Exported(Record):
    """A net as a file of ONNX, and the module that it was written from."""

    net: Net
    """The net, in the form that the backend writes."""
    backend: OnnxBackend
    text: str
    """The module's source."""
    state: Mapping[str, Array]
    """Its weights, by the backend's names."""
    file: bytes
    beside: Beside | None = None
    """The file that has its large tensors."""


class Checked(Record):
    """What ONNX Runtime makes of a file."""

    difference: float
    """By how much its outputs differ from the module's: max |a - b| / max |b|, the largest."""
    silent: tuple[str, ...]
    """Outputs that are 0 everywhere with these weights, of which it says nothing."""


def too_large(net: Net, backend: str = "torch") -> bool:
    """Tell whether a file of ONNX cannot hold a net's weights, so that they have to lie in a file beside it."""
    return _size(layout(net, backend)) > LARGEST


def _size(target: Layout) -> int:
    """Return the bytes of a module's weights in float32."""
    return sum(4 * prod(shape) for shape in target.shapes.values())


def export(
    net: Net,
    backend: str = "torch",
    weights: Mapping[str, Stored] | None = None,
    subject: str = "the state",
    beside: Beside | None = None,
) -> Exported:
    """Return a net as ONNX: what its module does in evaluation, for any batch.

    Inputs and outputs have the net's names, nodes the paths of their modules. The file says which net it is of, which
    command writes the module, and what `meta` says.

    Args:
        net: The net, at the size of its input.
        backend: Whose module it is: "torch"; "torch:deploy" is the form for inference.
        weights: By the names of that backend, or of the one without options; None: initial weights, which are random.
        subject: What errors call the weights.
        beside: Where the bytes of large tensors go; None: into the file of ONNX, which holds 2 GiB.

    Raises:
        NetError: The backend or its exporter is missing, the weights do not fit or are too large, or the exporter
            refuses the module.
    """
    chosen = find(backend)
    made, form = (chosen.backend, chosen.form(net)) if isinstance(chosen, Deploy) else (chosen, net)
    if not isinstance(made, OnnxBackend):
        raise NetError([Diagnostic("E506", f"the {made.name} backend writes no ONNX", help="torch does")])
    target = layout(net, backend)
    if beside is None and _size(target) > LARGEST:
        message = f"{net.name} has {_size(target):,} bytes of weights, and a file of ONNX holds {LARGEST:,}"
        _refuse(message, "`netdsl export` writes them into a file beside it")
    text = emit(net, backend)
    if weights is None:
        state = made.runner(text, form, "float32").read()
    else:
        source = backend if _same(target, weights) else made.name
        given = Move(net, weights, source, source, subject)
        if not OWN.issuperset(given.dtypes.values()):
            weights = _in_float32(given)
        move = Move(net, weights, source, backend, subject)
        state = {key: move.numbers(key) for key in target.shapes}
    model = made.build(text, form)
    made.load(model, state, form)
    file = made.onnx(model, form, _about(net, backend), beside)
    return Exported(form, made, text, state, file, beside)


def _same(target: Layout, weights: Mapping[str, Stored]) -> bool:
    """Tell whether weights have the names of a backend's state."""
    return target.shapes.keys() - target.optional <= weights.keys() <= target.shapes.keys()


def _in_float32(move: Move) -> dict[str, Stored]:
    """Return weights as the module has them, of whichever types they are, before they are folded."""
    held: dict[str, Stored] = {}
    for key in move.target.shapes:
        numbers = move.numbers(key)
        held[key] = Held(
            key, numbers if numbers.dtype.kind in "biu" else numbers.astype("float32", copy=False)
        )
    return held


def _about(net: Net, backend: str) -> dict[str, str]:
    """Return what a file says of itself."""
    made = {"netdsl": __version__, "net": net.name, "spec": net.spec, "module": command([net], backend)}
    return made | {f"meta.{key}": str(value) for key, value in net.meta.items()}


def check(exported: Exported, seed: int = 0) -> Checked:
    """Run a file in ONNX Runtime, and hold its outputs against the module's.

    Raises:
        NetError: ONNX Runtime is missing, refuses the file, or differs by more than BOUND.
    """
    runtime = need("onnxruntime", "checking ONNX")
    numpy = need("numpy", "checking ONNX")
    random = numpy.random.default_rng(seed)
    net = exported.net
    batch = 3  # the exporter has seen another
    x = {name: random.standard_normal((batch, *shape), "float32") for name, shape in net.inputs.items()}
    expected = _expected(exported, x)
    options = runtime.SessionOptions()
    beside = exported.beside
    try:
        if beside is not None and beside.stream.tell():
            held = beside.read()
            options.add_external_initializers_from_files_in_memory([beside.name], [held], [held.size])
        session = runtime.InferenceSession(exported.file, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        found = dict(zip(names, session.run(names, x), strict=True))
    except Exception as error:  # whatever it finds wrong with the file
        _refuse(f"ONNX Runtime cannot run {net.name}: {_line(error)}")
    if {name: array.shape for name, array in found.items()} != {n: a.shape for n, a in expected.items()}:
        _refuse(f"ONNX Runtime gives outputs {', '.join(found)} of {net.name} that are not the module's")
    differences = {name: _difference(found[name], array) for name, array in expected.items()}
    for name, difference in differences.items():
        if not difference <= BOUND:
            message = f"ONNX Runtime differs from the module of {net.name} by {difference:.1e} of the largest"
            _refuse(f"{message} number of {name}")
    silent = tuple(name for name, array in expected.items() if not array.any())
    return Checked(max(differences.values()), silent)


def _expected(exported: Exported, x: Mapping[str, Array]) -> Mapping[str, Array]:
    """Return what the module gives, which is gone when ONNX Runtime begins: each is as large as the weights."""
    runner = exported.backend.runner(exported.text, exported.net, "float32")
    runner.load(exported.state)
    return runner.evaluate(x)


def _difference(found: Array, expected: Array) -> float:
    """Return max |a - b| / max |b|; max |a - b| where b is 0."""
    difference = float(abs(found.astype("float64") - expected).max(initial=0))
    return difference / (float(abs(expected).max(initial=0)) or 1.0)


def _line(error: Exception) -> str:
    """Return what an error of another library says, in a line."""
    return printable(str(error).strip().split("\n")[0] or type(error).__name__)


def _refuse(message: str, help: str = "") -> NoReturn:
    raise NetError([Diagnostic("E592", message, help=help)])
