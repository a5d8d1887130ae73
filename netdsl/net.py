"""A net: its graph and every fact about it, worked out when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from netdsl.cost.budget import check
from netdsl.cost.model import Cost
from netdsl.cost.table import GROUPINGS, Row, Table, of_nets, summed, tabulate
from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.elaborate.build import Recipe
from netdsl.elaborate.result import Allow, Budget, Decision, Elaborated
from netdsl.ir.graph import Graph
from netdsl.ir.types import DTYPES, Parameter, Shape
from netdsl.ops import OpError
from netdsl.passes import (
    Facts,
    Liveness,
    Receptive,
    count_backward,
    count_costs,
    find_fused,
    find_holds,
    find_lifetimes,
    find_receptive_fields,
    infer_shapes,
    measure_liveness,
    verify_graph,
)
from netdsl.quantities import Options

if TYPE_CHECKING:
    from netdsl.passes.checkpoint import Plan
    from netdsl.passes.training import Memory


T = TypeVar("T")
RENAMED = {"costs": "cost_table"}
"""What a net's attributes were called before 0.2, and are called now."""


class ByLayer(dict[str, T]):
    """Something of each layer, by its name; who asks for another is told what is called so, or like it."""

    def __init__(self, items: Mapping[str, T], elaborated: Elaborated) -> None:
        """`elaborated` knows what the net's blocks are, and what they make."""
        super().__init__(items)
        self._elaborated = elaborated

    def __missing__(self, name: str) -> T:
        """Raise a KeyError."""
        scopes = self._elaborated.graph.tree.scopes()
        scope = next((one for one in scopes if one.path == name and one.kind != "net"), None)
        if scope is not None:
            shapes = [self._elaborated.shapes[value.node][value.port] for value in scope.outputs]
            what = f"`{name}` is a {scope.kind}" + (f", {scope.block}" if scope.block else "")
            makes = f", which makes {' and '.join(map(str, shapes))}" if shapes else ""
            inner = next((one for one in self if one.startswith(f"{name}.")), "")
            raise NoLayer(what + makes + (f"; a layer in it is `{inner}`" if inner else ""))
        help = did_you_mean(name, list(self)) if isinstance(name, str) else ""
        raise NoLayer(f"there is no layer `{name}`" + (f": {help}" if help else ""))


class NoLayer(KeyError):
    """A KeyError that is shown as a sentence."""

    def __str__(self) -> str:
        """Return the sentence."""
        return str(self.args[0])


class Net:
    """One net of a spec, elaborated. Shapes and costs are per sample unless a batch is given."""

    def __init__(self, recipe: Recipe, elaborated: Elaborated | None = None) -> None:
        """Elaborate, unless the recipe has been; raise NetError with every error found."""
        self.recipe = recipe
        """What it was made from."""
        self.asked = recipe
        """What names it on a command line: for one that a transform made, what the net before was made from."""
        self.elaborated = elaborated or recipe.elaborate()
        self.name = recipe.variant.name if recipe.variant is not None else recipe.net.name.lower()
        """The variant's name, or the net's in lower case."""
        decl = recipe.variant or recipe.net
        self.spec = decl.file.source.name.replace("\\", "/").rpartition("/")[2]
        """The file's name, without its folder; "" of a net that comes from no file."""
        self.file = decl.file.source.name
        """The file as it was named when it was read, with its folder."""

    if not TYPE_CHECKING:  # which would take any name

        def __getattr__(self, name: str) -> Any:
            """Raise the error for an attribute that is not there, with what an old one is called now."""
            if name in RENAMED:
                raise AttributeError(
                    f"`{name}` is called `{RENAMED[name]}` since 0.2: net.{RENAMED[name]}(...)"
                )
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self
            )

    @classmethod
    def from_graph(
        cls,
        graph: Graph,
        name: str = "made",
        structured: bool = True,
        labels: bool = True,
        meta: Mapping[str, Any] = {},
        accept: Callable[[Self], object] | None = None,
        notes: bool = False,
        file: str = "",
    ) -> Self:
        """Return the net that a graph is, such as one that a transform made.

        It is written as a spec, `recipe.net.file.source`, with blocks, their parameters, conditions, counts and
        loops, and is the net of that: it can be linted, drawn, emitted and verified as any other. Keys of the state
        stay; ops that have none may be called otherwise.

        Args:
            graph: The graph.
            name: What the net is called.
            structured: Whether blocks have parameters, conditions, counts and loops; else every number is as it is.
            labels: Whether ops without state keep labels from which nothing follows.
            meta: What its `meta` line says.
            accept: Raises a NetError where blocks of a net are of no use, such as ones that have no class: these are
                written apart. It is not asked of a net without structure.
            notes: Whether rows of layers get stages, in the graph too, and lines comments, where maps get smaller.
            file: What its spec's file is called, if not after the net.

        Raises:
            GraphError: The graph is broken, or an op refuses what it reads.
            NetError: No spec makes this graph, or no net can have that name.
        """
        from netdsl.lifting import lifted  # most nets come from a text
        from netdsl.lifting.stages import staged

        shapes = infer_shapes(verify_graph(Facts(graph))).shapes
        if notes:
            staged(graph, shapes)
        asked = None if accept is None else lambda recipe, made: accept(cls(recipe, made))
        return cls(*lifted(graph, shapes, name, structured, labels, meta, asked, notes, file))

    @property
    def class_name(self) -> str:
        """The net's name in its spec."""
        return self.recipe.net.name

    def vary(self, name: str, value: Any) -> Self:
        """Return the same net with another value of one parameter; raise NetError if there is none."""
        return type(self)(self.recipe.given({name: value}))

    @property
    def graph(self) -> Graph:
        """The graph; `net.graph.nx` is the same for networkx, read-only."""
        return self.elaborated.graph

    @property
    def meta(self) -> Mapping[str, Any]:
        """What `meta` lines say."""
        return self.elaborated.meta

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The `require` lines."""
        return self.elaborated.budgets

    @property
    def allows(self) -> tuple[Allow, ...]:
        """The `@allow` annotations."""
        return self.elaborated.allows

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The decisions of a search space, with what was chosen."""
        return self.elaborated.decisions

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Output shape by node, the first where there are several (see `outputs_of`)."""
        return ByLayer({name: shapes[0] for name, shapes in self.elaborated.shapes.items()}, self.elaborated)

    def outputs_of(self, name: str) -> tuple[Shape, ...]:
        """Return the shapes of a node's outputs."""
        return self.elaborated.shapes[name]

    def inputs_of(self, name: str) -> tuple[Shape, ...]:
        """Return the shapes of a node's inputs."""
        return self._inputs[name]

    @cached_property
    def _inputs(self) -> Mapping[str, tuple[Shape, ...]]:
        shapes = self.elaborated.shapes
        return {node.name: tuple([shapes[name][port] for name, port in node.inputs]) for node in self.graph}

    @property
    def inputs(self) -> Mapping[str, Shape]:
        """Shape by name of input, channels first."""
        shapes = self.elaborated.shapes
        return {name: shapes[node][0] for name, node in self.graph.inputs.items()}

    @property
    def outputs(self) -> Mapping[str, Shape]:
        """Shape by name of output; the first is the net's result, `out` unless `return` names it."""
        shapes = self.elaborated.shapes
        return {o.name: shapes[o.value.node][o.value.port] for o in self.graph.outputs}

    @cached_property
    def layer_costs(self) -> Mapping[str, Cost]:
        """Cost of each node for one sample, with activations in elements."""
        facts = Facts(self.graph, self.elaborated.shapes)
        return ByLayer(count_costs(facts, self.recipe.net.file.shared).costs, self.elaborated)

    @cached_property
    def layer_backward_macs(self) -> Mapping[str, int]:
        """Multiply-accumulates of each node in the backward pass of a training step, for one sample."""
        return count_backward(Facts(self.graph, self.elaborated.shapes))

    @cached_property
    def receptive(self) -> Mapping[str, Receptive]:
        """Receptive field of each node that sees an input."""
        return find_receptive_fields(Facts(self.graph, self.elaborated.shapes)).receptive

    def liveness(self, batch: int = 1, dtype: str = "float32", fused: bool = False) -> Liveness:
        """Return how many bytes are alive at each step of inference, without the weights.

        `fused` runs norms and activations in the step before them, as inference engines do; emitted code does not.

        Raises:
            NetError: The batch is less than 1, or the dtype unknown.
        """
        _check_options(batch, dtype)
        if (batch, dtype, fused) not in self._measured:  # each row of a table asks
            parts = find_fused(self.graph) if fused else {}
            self._measured[batch, dtype, fused] = measure_liveness(self._lifetimes, batch, dtype, parts)
        return self._measured[batch, dtype, fused]

    @cached_property
    def _measured(self) -> dict[tuple[int, str, bool], Liveness]:
        """Liveness by batch, dtype and whether steps are fused, as far as it was asked for."""
        return {}

    def memory(
        self, batch: int = 1, dtype: str = "float32", train: bool = False, optimizer: str = "sgd"
    ) -> Memory:
        """Return how many bytes running the net takes, and training it if `train`.

        Args:
            batch: The number of samples.
            dtype: That of all tensors: parameters, values, gradients and the optimizer's state.
            train: Whether a step of training is meant, which has gradients and keeps values for them.
            optimizer: sgd, momentum (sgd with it), adam or adamw, for training.

        Raises:
            NetError: The batch is less than 1, the dtype unknown or none that trains, the
                optimizer unknown or given without `train`, or an op does not say what it keeps.
        """
        from netdsl.passes.training import measure_inference, measure_training

        check_training(batch, dtype, optimizer, train)
        if not train:
            return measure_inference(self._lifetimes, batch, dtype)
        with of_ops():
            return measure_training(self._holds, batch, dtype, optimizer)

    def saved(self, batch: int = 1, dtype: str = "float32") -> Mapping[str, int]:
        """Return how many bytes each node keeps for the backward pass that none before it does.

        Raises:
            NetError: The batch is less than 1, the dtype unknown, or an op does not say what it keeps.
        """
        from netdsl.passes.training import record, saved_bytes

        _check_options(batch, dtype)
        if (batch, dtype) not in self._saved:
            with of_ops():
                tape, _ = record(Facts(self.graph, self.elaborated.shapes), batch, dtype)
            self._saved[batch, dtype] = saved_bytes(tape)
        return self._saved[batch, dtype]

    @cached_property
    def biased_apart(self) -> Set[str]:
        """The layers whose bias PyTorch adds in a step by itself, as the rows that they multiply do not lie in order.

        Raises:
            NetError: An op does not say how its output lies (`Op.saved`).
        """
        from netdsl.passes.training import record

        with of_ops():
            tape, _ = record(Facts(self.graph, self.elaborated.shapes), 1, "float32")
        return tape.apart

    def training_trace(
        self, batch: int = 1, dtype: str = "float32", optimizer: str = "sgd"
    ) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        """Return the bytes alive in a step of training, with weights and the optimizer's state: forward, and back.

        Both are by layer, in the order in which they run. The most is that of `memory`, but for what the optimizer
        itself takes when gradients are there.

        Raises:
            NetError: As `memory` does.
        """
        from netdsl.passes.training import trace_training

        check_training(batch, dtype, optimizer)
        with of_ops():
            return trace_training(self._holds, batch, dtype, optimizer)

    def largest_batch(
        self, memory: int, dtype: str = "float32", train: bool = False, optimizer: str = "sgd"
    ) -> int:
        """Return the largest batch whose `memory` has a peak of at most so many bytes, 0 if none has.

        Raises:
            NetError: As `memory` does, or that is no number of bytes.
        """
        if type(memory) is not int or memory < 0:
            raise NetError([Diagnostic("E503", f"memory must be an int of bytes from 0, got {memory!r}")])

        def peak(batch: int) -> int:
            return self.memory(batch, dtype, train, optimizer).peak

        fits, least = 1, peak(1)
        if least > memory:
            return 0
        above, most = 2, peak(2)
        while most <= memory:
            fits, least = above, most
            above = max(2 * fits, fits + (memory - least) * fits // max(1, least))
            most = peak(above)
        while above - fits > 1:  # the peak is convex in the batch, so that what the chord says fits
            guess = fits + max(1, (memory - least) * (above - fits) // (most - least))
            guess = min(guess, above - 1)
            found = peak(guess)
            if found <= memory:
                fits, least = guess, found
                if guess + 1 < above and (next_one := peak(guess + 1)) > memory:
                    above, most = guess + 1, next_one
            else:
                above, most = guess, found
        return fits

    @cached_property
    def _saved(self) -> dict[tuple[int, str], Mapping[str, int]]:
        return {}

    def checkpoint_plan(
        self, memory: int, batch: int = 1, dtype: str = "float32", optimizer: str = "sgd"
    ) -> Plan:
        """Return what a step of training has to compute a second time, so that it fits into so many bytes.

        Of all that fits it is what takes the least MACs again; see `netdsl.passes.checkpoint`. The other arguments
        are those of `memory`.

        Raises:
            NetError: No choice fits, and the message says the least that can be reached; or an argument is none.
        """
        from netdsl.passes.checkpoint import plan_checkpoints

        check_training(batch, dtype, optimizer)
        if type(memory) is not int or memory < 1:
            raise NetError([Diagnostic("E503", f"memory must be an int of bytes from 1, got {memory!r}")])
        with of_ops():
            return plan_checkpoints(self._holds, memory, batch, dtype, optimizer)

    @cached_property
    def _lifetimes(self) -> Facts:
        return find_lifetimes(Facts(self.graph, self.elaborated.shapes))

    @cached_property
    def _holds(self) -> Facts:
        return find_holds(Facts(self.graph, self.elaborated.shapes))

    def cost(self, batch: int = 1, dtype: str = "float32", train: bool = False) -> Cost:
        """Return the cost of the net for a batch, with activations in bytes.

        MACs, ops and activations leave training-only layers out unless `train`; params and buffers hold all.

        Raises:
            NetError: The batch is less than 1, or the dtype unknown.
        """
        _check_options(batch, dtype)
        cost = summed(list(self.graph), self.layer_costs, train) if train else self._cost
        return cost.scaled(batch, DTYPES[dtype])

    def backward_macs(self, batch: int = 1) -> int:
        """Return the multiply-accumulates of the backward pass of a training step.

        The whole step takes `cost(batch, train=True).macs` for its forward pass and these.

        Raises:
            NetError: The batch is less than 1.
        """
        _check_options(batch, "float32")
        return batch * sum(self.layer_backward_macs.values())

    @cached_property
    def _cost(self) -> Cost:
        return summed(list(self.graph), self.layer_costs, train=False)

    def cost_table(
        self,
        by: str = "layer",
        batch: int = 1,
        dtype: str = "float32",
        train: bool = False,
        optimizer: str = "sgd",
        depth: int | None = None,
    ) -> Table:
        """Return the rows of `cost`, by layer, block, stage or op; their sum is the net's cost.

        A block's row is its outermost instance; what is in no block or stage counts for the net's own child. With
        `depth`, what lies deeper than names of so many parts counts for the layer, block or container that begins so.

        Raises:
            NetError: An option has no meaning.
        """
        _check_options(batch, dtype)
        if by not in GROUPINGS:
            raise _option("by", by, GROUPINGS)
        if depth is not None and (type(depth) is not int or depth < 1):
            raise NetError([Diagnostic("E503", f"depth must be an int from 1, got {depth!r}")])
        if depth is not None and by not in ("layer", "block"):
            raise NetError([Diagnostic("E503", f"depth is of layers and blocks, and means nothing by {by}")])
        memory = self.memory(batch, dtype, train, optimizer)
        options = Options(batch, dtype, train, optimizer)
        rows = tabulate(self, self.shapes, by, options, depth)
        live = self.liveness(batch, dtype)
        return Table(self.name, self.spec, self.file, self.inputs, by, options, rows, live, memory)

    def cost_row(
        self, batch: int = 1, dtype: str = "float32", train: bool = False, optimizer: str = "sgd"
    ) -> Row:
        """Return what a row of a table of nets has: all that `costs` sums, and memory.

        Raises:
            NetError: As `memory` does.
        """
        check_training(batch, dtype, optimizer, train)
        options = Options(batch, dtype, train, optimizer)
        nodes = list(self.graph)
        with of_ops():
            values = {one.name: one.of(self, nodes, options) for one in of_nets(options)}
        return Row(self.name, self.class_name, next(iter(self.outputs.values())), values)

    def check(self) -> list[Diagnostic]:
        """Return the budgets (`require`) that do not hold, and those that cannot be checked."""
        return check(self)

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """The learned tensors by their key in the state_dict, in its order within a layer."""
        return {
            f"{node.name}.{key}" if key else node.name: parameter
            for node in self.graph
            if not node.module
            for key, parameter in node.op.params(*self.inputs_of(node.name)).items()
        }


@contextmanager
def of_ops() -> Iterator[None]:
    """Turn what an op does not say into an error of the net."""
    try:
        yield
    except OpError as error:
        raise NetError([Diagnostic("E507", error.message, help=error.help)]) from None


def _check_options(batch: int, dtype: str) -> None:
    if type(batch) is not int or batch < 1:
        raise NetError([Diagnostic("E503", f"batch must be an int from 1, got {batch!r}")])
    if dtype not in DTYPES:
        raise _option("dtype", dtype, tuple(DTYPES))


def check_training(batch: int, dtype: str, optimizer: str, train: bool = True) -> None:
    """Raise NetError where options of `Net.memory` are none."""
    from netdsl.passes.training import OPTIMIZERS

    _check_options(batch, dtype)
    if optimizer not in OPTIMIZERS:
        raise _option("optimizer", optimizer, tuple(OPTIMIZERS))
    if not train and optimizer != "sgd":  # which nobody needs to give
        message = f"optimizer `{optimizer}` means nothing without train"
        raise NetError([Diagnostic("E503", message, help=f'train=True, optimizer="{optimizer}"')])
    if train and dtype == "int8":
        raise NetError([Diagnostic("E503", "int8 has no gradients", help="train in another dtype")])


def _option(name: str, value: object, known: tuple[str, ...]) -> NetError:
    help = did_you_mean(str(value), known) or f"there are {', '.join(known)}"
    return NetError([Diagnostic("E503", f"unknown {name} `{value}`", help=help)])
