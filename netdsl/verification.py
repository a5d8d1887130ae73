"""Verification: the modules that backends emit, held against the static facts and against each other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from math import ceil, inf, isfinite, lcm, prod
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from netdsl.backend import Backend, Deploy, ExactBackend, Runner, find, own_state, spare_state
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.diagnostics.render import printable
from netdsl.ir.types import Shape
from netdsl.network import Network, Recipe
from netdsl.ops import Op
from netdsl.ops.norm import BatchNorm, Norm
from netdsl.ops.source import Weight
from netdsl.record import Record
from netdsl.sheet import Look, aligned
from netdsl.weights.convert import convert_weights
from netdsl.weights.layout import need

if TYPE_CHECKING:
    from numpy.random import Generator

    from netdsl.backend import Array

VERSION = 1
"""Of the JSON form, docs/schema/verify.json."""
OWN = "torch"
"""The backend whose keys and layouts are the net's own."""
BOUNDS = {"float64": 1e-9, "float32": 1e-4}
"""The largest error between backends: of everything in float64, of evaluation in float32."""
DEPLOYED = {"float64": 1e-12, "float32": 1e-5}
"""The largest error of the form for inference, where rounding makes the net's own no larger."""
FACTOR = 10
"""How many times the reference's own float32 error another backend's may be in training, and that of such a form."""
FLOOR = 16 * 2.0**-23
"""The least float32 error that is asked for in training: 16 units of its last place."""
SMALL = 64
"""The longest side of an input that is used as it is."""
GROWTH = 256
"""The side up to which a small input may grow; a larger one may double."""
LEAST = 4
"""The least side of a map that a norm over the batch sees: it is ill-conditioned on few numbers."""
BATCH = 4
"""How many samples a bn sees; up to four times as many where its maps stay smaller, two where there is no bn."""
SHIFT = 6720
"""By how much an input is enlarged to see the strides: a multiple of all usual ones."""
SHOWN = 3
"""How many differences of one kind are named."""

Progress = Callable[[int, int, str], None]
"""Is told how many steps are done, of how many, and what comes next."""
T = TypeVar("T")


class Cell(Record):
    """What one backend gave for a check."""

    value: int | float | None
    """A count or an error; None where the module failed, or gave what is no number."""
    expected: int | float
    """The count that it must be, or the largest error that it may be."""
    differences: tuple[str, ...] = ()
    """What is wrong, the worst first."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        if self.value is None or self.differences:
            return False
        return (
            self.value <= self.expected if isinstance(self.expected, float) else self.value == self.expected
        )


class Row(Record):
    """One check, by backend. The backend that others are compared with may have no cell."""

    check: str
    kind: Literal["count", "error"]
    cells: Mapping[str, Cell]

    @property
    def ok(self) -> bool:
        """Whether it holds for all backends."""
        return all(cell.ok for cell in self.cells.values())


class Verification(Record):
    """The checks of a net, and what they were made with."""

    net: str
    spec: str
    backends: tuple[str, ...]
    """The first is the reference."""
    seed: int
    inputs: Mapping[str, Shape]
    """Those of the net, with which counts and shapes are compared."""
    sample: Mapping[str, Shape]
    """Those with which numbers are compared."""
    batch: int
    """Of the numbers."""
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether all checks hold."""
        return all(row.ok for row in self.rows)

    def __str__(self) -> str:
        return render_text(self)


def verify(
    net: Network,
    backends: Sequence[str] = ("torch", "flax"),
    seed: int = 0,
    progress: Progress = lambda done, total, what: None,
    at_size: bool = False,
) -> Verification:
    """Build a net with every backend, give all the same weights, and compare.

    Args:
        net: The net.
        backends: Their names; the first is the reference of the others.
        seed: Of weights, inputs, and the weights of the outputs' sum whose gradients are compared.
        progress: Is called before every step.
        at_size: Whether numbers, too, are compared at the net's own input, and not at a smaller one that suits.

    Raises:
        NetError: A backend cannot be verified, cannot write the net, or is not installed.
    """
    chosen = _exact(backends)
    need("numpy", "verifying a net")
    texts = {name: backend.emit(net) for name, backend in chosen.items()}
    steps = _steps(progress, 3 * len(chosen) + 1)
    columns = {}
    for name, backend in chosen.items():
        steps(f"{name}: counts and shapes")
        columns[name] = check_facts(net, backend, texts[name])
    checks = {check: None for cells in columns.values() for check in cells}
    rows = [
        Row(check, "count", {name: cells[check] for name, cells in columns.items() if check in cells})
        for check in checks
    ]
    notes = [f"{name}: {note}" for name, backend in chosen.items() for note in backend.notes(net)]
    sample, batch = _sample(net, chosen, texts, at_size)
    if rows[0].ok:
        rows += _numbers(Experiment(sample, batch, chosen, seed), steps)
    else:
        notes.append("numbers are not compared, since weights cannot be moved")
    return Verification(
        net.name, net.spec, tuple(chosen), seed, net.inputs, sample.inputs, batch, tuple(rows), tuple(notes)
    )


def _exact(names: Sequence[str]) -> dict[str, ExactBackend]:
    """Return the backends by name, or say which cannot be verified."""
    chosen: dict[str, ExactBackend] = {}
    for name in names:
        backend: Backend = find(name)
        if name in chosen:
            raise _unverifiable(f"the backend {name} is named twice", "name different ones: torch,flax")
        if not isinstance(backend, ExactBackend):
            help = "it has to say what its state holds: see ExactBackend in netdsl.backend"
            raise _unverifiable(f"the {name} backend cannot be verified", help)
        chosen[name] = backend
    if not chosen:
        raise _unverifiable("there is no backend to verify", "name at least one: torch")
    first = next(iter(chosen))
    if isinstance(chosen[first], Deploy):
        help = f"name first what it is made of: {first.partition(':')[0]},{first}"
        raise _unverifiable(f"{first} is compared with what trains, and cannot be the reference", help)
    return chosen


def _unverifiable(message: str, help: str) -> NetError:
    return NetError([Diagnostic("E518", message, help=help)])


def _steps(progress: Progress, total: int) -> Callable[[str], None]:
    """Return a function that counts the steps and tells what the next one is."""
    done = iter(range(total))
    return lambda what: progress(next(done), total, what)


def _attempt(step: Callable[..., T], *args: Any, **options: Any) -> T | str:
    """Return what a step gives, or what its framework raises, as a message."""
    try:
        return step(*args, **options)
    except NetError:
        raise
    except Exception as error:  # frameworks raise what they like; that the module fails is the finding
        lines = str(error).strip().splitlines() or [""]
        return f"{type(error).__name__}: {lines[0]}"


# ---------------------------------------------------------------- counts and shapes


def check_facts(net: Network, backend: ExactBackend, text: str) -> dict[str, Cell]:
    """Return what can be counted, against the static facts; the module computes nothing."""
    if isinstance(backend, Deploy):
        net, backend = cast("Network", backend.form(net)), backend.backend
    check = "keys, shapes and dtypes of the state"
    tensors = backend.tensors(net)
    runner = _attempt(backend.runner, text, net, "float32")
    if isinstance(runner, str):
        return {check: Cell(None, len(tensors), (runner,))}
    state = runner.state()
    kept = {tensor.key for tensor in tensors if tensor.parameter not in net.parameters}
    params = sum(prod(shape) for key, (shape, _) in state.items() if key not in kept)
    macs = _attempt(runner.macs, _nothing(net, 1))
    counted = backend.counted(net, 1)
    return {
        check: _state(net, backend, state),
        "params": Cell(params, net.cost().params),
        "MACs of a sample": Cell(None, counted, (macs,)) if isinstance(macs, str) else Cell(macs, counted),
        "shapes of layers and containers": _shapes(net, backend, runner),
    }


def _nothing(net: Network, batch: int) -> dict[str, Array]:
    """Return inputs that have a shape, and take no memory."""
    import numpy as np

    return {name: np.broadcast_to(np.float32(0), (batch, *shape)) for name, shape in net.inputs.items()}


def _state(net: Network, backend: ExactBackend, state: Mapping[str, tuple[tuple[int, ...], str]]) -> Cell:
    """Compare the state with what the backend says that it holds."""
    expected = {
        t.key: (t.shape if t.place is None else (t.place[1], *t.shape), t.parameter)
        for t in backend.tensors(net)
    }
    whole = spare_state(net)
    wrong = {key: "unknown" for key in state if key not in expected}
    for key, (shape, parameter) in expected.items():
        if key not in state:
            wrong[key] = "missing"
            continue
        found, dtype = state[key]
        kind = "int" if parameter in whole else "float32"
        if tuple(found) != tuple(shape):
            wrong[key] = f"{list(found)} instead of {list(shape)}"
        elif not dtype.removeprefix("u").startswith(kind):
            wrong[key] = f"{dtype} instead of {kind}"
    right = sum(key in state and key not in wrong for key in expected)
    return Cell(right, len(expected), tuple(f"{key}: {what}" for key, what in wrong.items()))


def buffers(net: Network) -> list[str]:
    """Return the keys of what is kept and not learned, and may not lack."""
    spare = spare_state(net)
    kept = (key for node in net.graph for key in own_state(net, node))
    return [key for key in kept if key not in net.parameters and key not in spare]


def _shapes(net: Network, backend: ExactBackend, runner: Runner) -> Cell:
    """Compare what every layer and container returns; those with weights of their own have to be there."""
    found = _attempt(runner.shapes, _nothing(net, 2))
    static: dict[str, tuple[tuple[int, ...], ...]] = {}
    for node in net.graph:
        static[node.name] = tuple(map(tuple, net.outputs_of(node.name)))
    for scope in net.graph.tree.scopes():
        static[scope.path] = tuple(tuple(net.outputs_of(v.node)[v.port]) for v in scope.outputs)
    single = {t.parameter for t in backend.tensors(net) if t.place is None}
    needed = {
        node.name
        for node in net.graph
        for key in node.op.weights(*net.inputs_of(node.name))
        if key and f"{node.name}.{key}" in single
    }
    if isinstance(found, str):
        return Cell(None, len(needed), (found,))
    # backends name the stateless modules of unlabelled layers themselves
    known = {path: shapes for path, shapes in found.items() if path in static}
    wrong = {path: "is not there" for path in static if path in needed and path not in known}
    wrong |= {
        path: f"{_sizes(shapes)} instead of {_sizes(static[path])}"
        for path, shapes in known.items()
        if shapes != static[path]
    }
    paths = {*known, *needed}
    said = tuple(f"{path}: {what}" for path, what in wrong.items())
    return Cell(len(paths) - len(wrong), len(paths), said)


def _sizes(shapes: Iterable[Iterable[int]]) -> str:
    return " and ".join("x".join(map(str, shape)) for shape in shapes) or "nothing"


# ---------------------------------------------------------------- the input of the numbers


def _sample(
    net: Network, chosen: Mapping[str, ExactBackend], texts: Mapping[str, str], own: bool = False
) -> tuple[Network, int]:
    """Return the net with the input that numbers are compared at, and how many samples there are.

    It is the net's `own` if that is asked for.

    The input is the smallest that leaves every map of a bn at least LEAST on a side, aligned as the spec's
    own is: sides change by multiples of the strides. Where that would change a weight or a line of the emitted
    code, or the spec's own is small and leaves such maps, it is the spec's own.
    """
    best = net if own else next(_smaller(net), net)
    if best is not net and any(_code(chosen[name].emit(best)) != _code(text) for name, text in texts.items()):
        best = net
    seen = [best.inputs_of(node.name)[0] for node in best.graph if isinstance(node.op, BatchNorm)]
    if not seen:
        return best, 2
    least = min(shape.elements // shape.c for shape in seen)
    return best, BATCH * max(1, min(4, LEAST**2 // least))


def _smaller(net: Network) -> Iterator[Network]:
    """Yield the net for other inputs, the smallest that suits first; nothing if its own suits."""
    larger = _resized(net, SHIFT)
    if larger is None:
        return
    strides = {
        name: max(1, SHIFT // (larger.shapes[name].h - shape.h))
        for name, shape in net.shapes.items()
        if shape.axes == "chw" and larger.shapes[name].h > shape.h
    }
    watched = [node for node in net.graph if isinstance(node.op, BatchNorm)]
    watched = watched or [node for node in net.graph if net.layer_costs[node.name].macs]
    heads = {value.node for node in watched for value in node.inputs if value.node in strides}
    step = lcm(*strides.values())
    wanted = [ceil((LEAST - min(net.shapes[name][1:])) * strides[name] / step) for name in heads]
    sides = [side for shape in net.inputs.values() if shape.axes == "chw" for side in shape[1:]]
    fewest = max([-((min(sides) - 1) // step), *wanted])
    suits = fewest == 0 or (fewest < 0 and max(sides) <= SMALL)
    if suits or fewest * step > max(GROWTH - min(sides), min(sides)):
        return
    for steps in range(fewest, max(0, fewest + 1)):
        other = _resized(net, steps * step)
        if other is not None:
            yield other


def _resized(net: Network, by: int) -> Network | None:
    """Return the net for maps that are larger by so much; None where it cannot be, or has other weights."""
    maps = {name: Shape(s.c, s.h + by, s.w + by) if s.axes == "chw" else s for name, s in net.inputs.items()}
    recipe = net.recipe
    if maps == net.inputs:
        return None
    try:
        other = Network(Recipe(recipe.net, recipe.variant, recipe.settings, maps, recipe.max_nodes))
    except NetError:
        return None
    same = list(other.shapes) == list(net.shapes) and other.parameters == net.parameters
    return other if same else None


def _code(text: str) -> str:
    """Return a module's code without its first docstring, which names the input, and without comments."""
    import ast

    tree = ast.parse(text)
    tree.body = tree.body[ast.get_docstring(tree) is not None :]
    return ast.unparse(tree)


# ---------------------------------------------------------------- numbers

QUANTITIES = {
    "evaluation": "outputs in evaluation",
    "training": "outputs in training",
    "statistics": "running statistics after a step",
    "gradients": "gradients in training",
}
"""The fields of Measured, and what a row calls them."""

Errors = Mapping[str, Mapping[str, float]]
"""By quantity, and within it by output or tensor."""


class Measured(Record):
    """The numbers that a module gave, by the net's own keys; None where it does not train."""

    evaluation: Mapping[str, Array]
    training: Mapping[str, Array] | None = None
    statistics: Mapping[str, Array] | None = None
    """Running statistics after one step of training."""
    gradients: Mapping[str, Array] | None = None
    """In training, of the learned tensors and the inputs."""

    def errors(self, truth: Measured) -> Errors:
        """Return max |a - b| / max |b|, where b is the truth: for gradients the largest of the whole net."""
        found: dict[str, Mapping[str, float]] = {}
        for quantity in QUANTITIES:
            ours, theirs = getattr(self, quantity), getattr(truth, quantity)
            if ours is None:
                found[quantity] = {}
                continue
            scales = {key: _largest(value) for key, value in theirs.items()}
            if quantity == "gradients":
                scales = dict.fromkeys(scales, max(scales.values(), default=0.0))
            found[quantity] = {
                key: _error(ours[key], theirs[key], scales[key])
                if key in ours and key in theirs and ours[key].shape == theirs[key].shape
                else inf
                for key in {**theirs, **ours}
            }
        return found

    def outputs(self, net: Network, batch: int) -> Cell:
        """Compare names and shapes of the outputs with the net's, in evaluation and in training."""
        kept = [output.name for output in net.graph.outputs if not output.train]
        wrong = []
        asked = [("evaluation", self.evaluation, kept)]
        asked += [("training", self.training, list(net.outputs))] if self.training is not None else []
        for mode, found, names in asked:
            shapes = {name: (batch, *net.outputs[name]) for name in names}
            for name in {**shapes, **found}:
                got = found[name].shape if name in found else None
                if got != shapes.get(name):
                    said = "nothing" if got is None else _sizes([got])
                    wanted = _sizes([shapes[name]]) if name in shapes else "nothing"
                    wrong.append(f"{name}, {mode}: {said} instead of {wanted}")
        count = sum(len(names) for _, _, names in asked)
        return Cell(max(0, count - len(wrong)), count, tuple(wrong))


def _largest(value: Array) -> float:
    return float(abs(value).max(initial=0))


def _error(a: Array, b: Array, scale: float) -> float:
    """Return max |a - b| / scale; infinite where a number is none."""
    from numpy import finfo

    difference = _largest(a.astype("float64") - b)
    if (
        difference <= finfo(a.dtype).smallest_normal
    ):  # below it frameworks differ in whether there are numbers
        return 0.0
    return difference / scale if scale > 0 and isfinite(difference) and isfinite(scale) else inf


class Experiment:
    """One set of weights and inputs for the modules of all backends."""

    def __init__(self, net: Network, batch: int, chosen: Mapping[str, ExactBackend], seed: int) -> None:
        """Draw everything from the seed, in float32, which float64 holds exactly."""
        import numpy as np

        self.net = net
        self.batch = batch
        self.chosen = chosen
        self.texts = {name: backend.emit(net) for name, backend in chosen.items()}
        self.random = np.random.default_rng(seed)
        self.weights = draw(net, self.random)
        self.inputs = {name: self._normal((batch, *shape)) for name, shape in net.inputs.items()}
        self.factors = {name: self._normal((batch, *shape)) for name, shape in net.outputs.items()}
        """By output: gradients are those of the sum of factors * outputs."""

    def _normal(self, shape: tuple[int, ...]) -> Array:
        return self.random.standard_normal(shape, dtype="float32")

    @property
    def reference(self) -> str:
        """The backend that the others are compared with."""
        return next(iter(self.chosen))

    def settle(self) -> None:
        """Move the running statistics to those of the inputs, so that evaluation keeps activations near 1.

        What was drawn for them stays as a deviation. A step of training from zeros leaves momentum * statistics.
        """
        import numpy as np

        norms = {
            n.name: n.op.momentum for n in self.net.graph if isinstance(n.op, BatchNorm) and n.op.momentum
        }
        drawn = {
            key: self.weights[key]
            for norm in norms
            for key in (f"{norm}.running_mean", f"{norm}.running_var")
        }
        self.weights.update({key: np.zeros_like(value) for key, value in drawn.items()})
        runner = self.runner(self.reference, "float64")
        self.train(runner, "float64")
        state = self.own(self.reference, runner.read())
        for norm, momentum in norms.items():
            mean, variance = (state[f"{norm}.{key}"] / momentum for key in ("running_mean", "running_var"))
            shift, stretch = (drawn[f"{norm}.{key}"] for key in ("running_mean", "running_var"))
            self.weights[f"{norm}.running_mean"] = (mean + shift * variance**0.5).astype("float32")
            # a channel that is always the same has no variance
            self.weights[f"{norm}.running_var"] = ((variance + 0.01) * stretch).astype("float32")

    def runner(self, name: str, dtype: str) -> Runner:
        """Return a module of a backend with the weights."""
        runner = self.chosen[name].runner(self.texts[name], self.net, dtype)
        dtypes = {key: dtype for key, (_, dtype) in runner.state().items()}
        kept = spare_state(self.net)
        weights = {k: value if k in kept else value.astype(dtype) for k, value in self.weights.items()}
        state = convert_weights(self.net, weights, OWN, name)
        runner.load({key: value.astype(dtypes[key], copy=False) for key, value in state.items()})
        return runner

    def measure(self, name: str, dtype: str) -> Measured:
        """Return the numbers of one backend in one dtype."""
        runner = self.runner(name, dtype)
        evaluation = runner.evaluate(self._cast(self.inputs, dtype))
        if isinstance(self.chosen[name], Deploy):
            return Measured(evaluation)
        training, found = self.train(runner, dtype)
        state, gradients = runner.read(), dict(found)
        del runner  # the largest nets fit into memory once
        outer = {key: gradients.pop(key) for key in [f"input {name}" for name in self.inputs]}
        statistics = self.own(name, state)
        learned = self.own(name, {**state, **gradients})
        return Measured(
            evaluation,
            training,
            {key: statistics[key] for key in buffers(self.net)},
            {key: learned[key] for key in self.net.parameters} | outer,
        )

    def train(self, runner: Runner, dtype: str) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        """Return outputs and gradients of a step of training."""
        return runner.train(self._cast(self.inputs, dtype), self._cast(self.factors, dtype))

    def own(self, name: str, state: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return a backend's state in the net's own names and layouts."""
        return convert_weights(self.net, state, name, OWN)

    def _cast(self, arrays: Mapping[str, Array], dtype: str) -> dict[str, Array]:
        return {key: value.astype(dtype) for key, value in arrays.items()}


def draw(net: Network, random: Generator) -> dict[str, Array]:
    """Return random weights and buffers by the net's own keys, which keep activations near 1 behind relu."""
    import numpy as np

    drawn: dict[str, Array] = {}
    spare = spare_state(net)
    for node in net.graph:
        for key, shape in own_state(net, node).items():
            what = key.rpartition(".")[2]
            if key in net.parameters:
                drawn[key] = random.standard_normal(shape, dtype="float32") * np.float32(
                    _deviation(node.op, shape)
                )
                if isinstance(node.op, Norm) and what == "weight":
                    drawn[key] += 1
            elif key in spare:
                drawn[key] = np.array(spare[key], "int64").reshape(shape)
            elif what == "running_var":
                drawn[key] = random.uniform(0.6, 1.6, shape).astype("float32")  # 1 / them is 1 on average
            else:
                drawn[key] = random.normal(0, 0.1, shape).astype("float32")
    return drawn


def _deviation(op: Op, shape: tuple[int, ...]) -> float:
    """Return the standard deviation of a learned tensor."""
    if isinstance(op, Weight):
        return 0.2
    return 0.1 if len(shape) < 2 else float((2 / prod(shape[1:])) ** 0.5)


def _numbers(experiment: Experiment, steps: Callable[[str], None]) -> Iterator[Row]:
    """Yield the rows of numbers. Errors are those against the reference in float64."""
    net, reference = experiment.net, experiment.reference
    steps(f"{reference}: running statistics")
    _attempt(experiment.settle)  # what fails here fails below too
    steps(f"{reference}: float64")
    truth = _attempt(experiment.measure, reference, "float64")
    if isinstance(truth, str):
        yield Row("the module runs", "count", {reference: Cell(None, 1, (truth,))})
        return
    outputs = {reference: truth.outputs(net, experiment.batch)}
    rows: list[Row] = []
    for dtype in BOUNDS:
        errors: dict[str, Errors | str] = {}
        for name in experiment.chosen:
            if (name, dtype) == (reference, "float64"):
                continue
            steps(f"{name}: {dtype}")
            measured = _attempt(experiment.measure, name, dtype)
            if isinstance(measured, str):
                errors[name] = measured
                outputs.setdefault(name, Cell(None, outputs[reference].expected, (measured,)))
            else:
                errors[name] = measured.errors(truth)
                outputs.setdefault(name, measured.outputs(net, experiment.batch))
            del measured  # before the next is made
        deployed = [name for name, backend in experiment.chosen.items() if isinstance(backend, Deploy)]
        rows += _error_rows(errors, dtype, reference, deployed)
    yield Row("names and shapes of outputs", "count", outputs)
    yield from rows


def _error_rows(
    errors: Mapping[str, Errors | str], dtype: str, reference: str, deployed: Collection[str]
) -> Iterator[Row]:
    """Yield a row for each quantity; alone, the reference has no bound for what training gives."""
    trained = [name for name in errors if name not in deployed]
    for quantity, title in QUANTITIES.items():
        own = errors.get(reference, {})
        error = 0.0 if isinstance(own, str) else max(own.get(quantity, {}).values(), default=0.0)
        rounding = FACTOR * error if isfinite(error) else 0.0
        bound = BOUNDS[dtype]
        if dtype == "float32" and quantity != "evaluation":
            bound = max(FLOOR, rounding)
            if len(trained) == 1:
                continue
        cells = {}
        for name, found in errors.items():
            limit = max(DEPLOYED[dtype], rounding) if name in deployed else bound
            if isinstance(found, str):
                cells[name] = Cell(None, limit, (found,))
            elif found[quantity]:
                cells[name] = _error_cell(found[quantity], limit)
        if cells:
            yield Row(f"{title}, {dtype}", "error", cells)


def _error_cell(errors: Mapping[str, float], bound: float) -> Cell:
    """Return the largest error, and whose the errors beyond the bound are."""
    worst = sorted(errors, key=lambda key: -errors[key])
    beyond = [f"{key}: {errors[key]:.1e}" for key in worst if errors[key] > bound]
    value = errors[worst[0]]
    return Cell(value if isfinite(value) else None, bound, tuple(beyond))


# ---------------------------------------------------------------- forms


def render_text(found: Verification, width: int = 0) -> str:
    """Return the table, what differs, and what it was made with; no newline at the end.

    A table of more columns than `width`, if that is not 0, is a line or two for each check.
    """
    lines = [("check", "expected", *found.backends, "")]
    for row in found.rows:
        expected = {cell.expected for cell in row.cells.values()}
        limit = f"{next(iter(expected)):,}" if row.kind == "count" else f"<= {next(iter(expected)):.1e}"
        cells = [_cell(row, name, found.backends[0], len(expected) == 1) for name in found.backends]
        verdict = "ok" if row.ok else "DIFFERENT"
        lines.append((row.check, limit if len(expected) == 1 else "", *cells, verdict))
    different = differences(found)
    below = [*different, ""] if different else []
    caption = f"{printable(found.net)} ({printable(found.spec)}), input {_inputs(found.inputs)}"
    body = aligned(lines, (0, len(lines[0]) - 1), ruled=1)
    if width and max(map(len, body)) > width:
        body = list(_stacked(lines, Look(width)))
    return "\n".join([caption, "", *body, "", *below, *_footer(found)])


def _stacked(lines: Sequence[Sequence[str]], look: Look) -> Iterator[str]:
    """Yield a table's lines where its columns have no room: each check with its verdict, and its cells below."""
    (_, *names, _), *rows = lines
    for check, *cells, verdict in rows:
        yield f"{look.hung(check)}: {verdict}"
        said = "; ".join(f"{name} {cell}" for name, cell in zip(names, cells, strict=True) if cell)
        yield look.hung(f"  {said}")


def differences(found: Verification) -> list[str]:
    """Return a line for each kind of difference of a backend, the worst named first."""
    lines: dict[tuple[str, str], str] = {}
    for row in found.rows:
        for name, cell in row.cells.items():
            if not cell.ok:
                shown = [printable(text) for text in cell.differences[:SHOWN]]
                more = len(cell.differences) - len(shown)
                said = "; ".join([*shown, *([f"and {more:,} more"] if more else [])])
                value = _number(row, cell)
                lines.setdefault(
                    (name, said), f"{name}: {row.check}: {said or f'{value} instead of {cell.expected:,}'}"
                )
    return list(lines.values())


def _cell(row: Row, name: str, reference: str, alike: bool) -> str:
    """Return what stands in a backend's column."""
    if name not in row.cells:
        return "reference" if row.kind == "error" and name == reference else "-"
    cell = row.cells[name]
    return _number(row, cell) if alike or cell.value is None else f"{_number(row, cell)} of {cell.expected:,}"


def _number(row: Row, cell: Cell) -> str:
    if cell.value is None:
        return "failed"
    return f"{cell.value:,}" if row.kind == "count" else f"{cell.value:.1e}"


def _inputs(shapes: Mapping[str, Shape]) -> str:
    return ", ".join(f"{printable(k)} {s}" if len(shapes) > 1 else str(s) for k, s in shapes.items())


def _footer(found: Verification) -> list[str]:
    lines = [*found.notes, f"counts and shapes at {_inputs(found.inputs)}"]
    if any(row.kind == "error" for row in found.rows):
        lines[-1] += f"; numbers at {_inputs(found.sample)}, batch {found.batch}, seed {found.seed}"
        lines.append(
            f"an error is max |a - b| / max |b|, b from {found.backends[0]} in float64; "
            "for gradients, max |b| is over the whole net"
        )
    return lines


def render_json(found: Verification) -> dict[str, Any]:
    """Return the checks as an object for `json.dumps`; its fields are those of docs/schema/verify.json."""
    return {
        "version": VERSION,
        "net": found.net,
        "spec": found.spec,
        "ok": found.ok,
        "backends": list(found.backends),
        "seed": found.seed,
        "inputs": {name: list(shape) for name, shape in found.inputs.items()},
        "sample": {name: list(shape) for name, shape in found.sample.items()},
        "batch": found.batch,
        "rows": [
            {
                "check": row.check,
                "kind": row.kind,
                "ok": row.ok,
                "cells": {
                    name: {
                        "value": cell.value,
                        "expected": cell.expected,
                        "ok": cell.ok,
                        "differences": list(cell.differences),
                    }
                    for name, cell in row.cells.items()
                },
            }
            for row in found.rows
        ],
        "notes": list(found.notes),
    }
