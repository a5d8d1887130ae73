"""Running emitted source. jax and flax are imported here, and only here."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from math import prod
from types import ModuleType
from typing import TYPE_CHECKING, Any

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.ir.graph import Node, Scope, Value
from netdsl.ir.types import Shape
from netdsl.network import Network
from netdsl.ops.conv import Convolution
from netdsl_flax.lowering import laid_out
from netdsl_flax.weights import places

if TYPE_CHECKING:
    from flax import nnx

    from netdsl.backend import Array


DENSE = 4 << 30
"""As many bytes of dense weights are left to XLA, which writes grouped convolutions in float64 as dense ones."""

_FLOPS: dict[str, float] = {}
"""What XLA counts for a product, by all that it depends on: nets of a family have most of them in common."""


def factory(text: str, net: Network) -> Callable[..., nnx.Module]:
    """Return the function that the source defines. Tracebacks show the emitted lines."""
    try:
        import flax
        import jax  # noqa: F401
    except ModuleNotFoundError as error:
        help = 'pip install "netdsl[flax]"'
        raise NetError([Diagnostic("E509", f"building a module needs {error.name}", help=help)]) from None
    del flax
    name = f"<netdsl {net.name}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    module = ModuleType(net.name)
    exec(compile(text, name, "exec", dont_inherit=True), module.__dict__)
    made: Callable[..., nnx.Module] = module.__dict__[net.name]
    return made


def build(text: str, net: Network) -> nnx.Module:
    """Return the module that the source's factory makes, with the random numbers of seed 0."""
    make = factory(text, net)
    from flax import nnx

    return make(rngs=nnx.Rngs(0))


def variables(module: nnx.Module) -> dict[str, nnx.Variable[Any]]:
    """Return the learned tensors and statistics of a module by their keys."""
    from flax import nnx

    state = nnx.state(module, nnx.Any(nnx.Param, nnx.BatchStat))
    return {".".join(map(str, path)): variable for path, variable in nnx.to_flat_state(state)}


def load(module: nnx.Module, state: Mapping[str, Any]) -> None:
    """Replace the arrays of a module; their dtypes stay."""
    import jax.numpy as jnp
    from flax import nnx

    found = nnx.state(module, nnx.Any(nnx.Param, nnx.BatchStat))
    for path, variable in nnx.to_flat_state(found):
        variable.set_value(jnp.asarray(state[".".join(map(str, path))], dtype=variable.get_value().dtype))
    nnx.update(module, found)


class Runner:
    """A built module under measurement, compiled as a whole. See netdsl.backend.Runner."""

    def __init__(self, text: str, net: Network, dtype: str, scan: bool) -> None:
        """Build it in a dtype, its weights still to be loaded; dropout does nothing."""
        make = factory(text, net)
        from flax import nnx

        self.net = net
        self.scan = scan
        self.dtype = dtype
        with self.wide():
            self.module: Any = nnx.eval_shape(lambda: without_dropout(make(rngs=still())))
            for variable in variables(self.module).values():
                variable.set_value(abstract(variable.shape, self.numbers(variable.dtype)))

    def numbers(self, dtype: Any) -> Any:
        """Return the dtype of a tensor that was built with another."""
        return self.dtype if self.dtype == "float64" else dtype

    def wide(self) -> Any:
        """Return a context in which jax has the dtype."""
        import jax

        return jax.enable_x64(self.dtype == "float64")

    def computing(self) -> Any:
        """Return a context for numbers of the dtype; ops run one by one where together they would need too much."""
        import jax

        context = ExitStack()
        context.enter_context(self.wide())
        if self.dtype == "float64" and not self.scan and dense(self.net) * 8 > DENSE:
            context.enter_context(jax.disable_jit())
        return context

    def state(self) -> Mapping[str, tuple[tuple[int, ...], str]]:
        """Return shape and dtype by key."""
        return {key: (tuple(v.shape), str(v.dtype)) for key, v in variables(self.module).items()}

    def load(self, state: Mapping[str, Array]) -> None:
        """Replace all weights and statistics."""
        with self.wide():
            load(self.module, state)

    def read(self) -> Mapping[str, Array]:
        """Return all weights and statistics by key."""
        import numpy

        return {key: numpy.array(v.get_value()) for key, v in variables(self.module).items()}

    def evaluate(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return the outputs by name."""
        import jax
        from flax import nnx

        with self.computing():
            graph, state = nnx.split(self.mode(train=False))
            forward = jax.jit(lambda state, x: self.outputs(nnx.merge(graph, state)(*x)))
            return self.channels_first(forward(state, self.arrays(inputs)))

    def train(
        self, inputs: Mapping[str, Array], weights: Mapping[str, Array]
    ) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        """Return the outputs of a step of training, and the gradients of sum(weights * outputs)."""
        import jax
        import numpy
        from flax import nnx

        with self.computing():
            graph, learned, *rest = nnx.split(self.mode(train=True), nnx.Param, ...)
            orders = {name: channels_last(shape) for name, shape in self.net.outputs.items()}
            factors = {name: value.transpose(orders[name]) for name, value in weights.items()}

            def loss(learned: Any, x: list[Any]) -> Any:
                module = nnx.merge(graph, learned, *rest, copy=True)
                outputs = self.outputs(module(*x))
                total = sum((factors[name] * value).sum() for name, value in outputs.items())
                return total, (outputs, nnx.state(module))

            step = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
            (gradient, by_input), (outputs, after) = step(learned, self.arrays(inputs))
            nnx.update(self.module, after)
            found = {
                ".".join(map(str, path)): numpy.asarray(value.get_value())
                for path, value in nnx.to_flat_state(gradient)
            }
            for (name, shape), value in zip(self.net.inputs.items(), by_input, strict=True):
                found[f"input {name}"] = numpy.asarray(value).transpose(channels_first(shape))
            return self.channels_first(outputs), found

    def shapes(self, inputs: Mapping[str, Array]) -> Mapping[str, tuple[tuple[int, ...], ...]]:
        """Return what every module returned in training, by the net's path; nothing is computed."""
        from flax import nnx

        made = {}
        known = places(self.net, self.scan)

        def note(path: str, call: Callable[..., Any]) -> Callable[..., Any]:
            def noted(module: Any, *args: Any, **kwargs: Any) -> Any:
                output = call(module, *args, **kwargs)
                for place, _ in known.get(path, ()):
                    made[place.path if isinstance(place, Scope) else place.name] = self.logical(place, output)
                return output

            return noted

        def run(module: Any, x: list[Any]) -> Any:
            for path, inner in nnx.iter_modules(module):
                kind: Any = type(inner)
                if path and callable(inner):
                    noted = note(".".join(map(str, path)), kind.__call__)
                    object.__setattr__(inner, "__class__", type(kind.__name__, (kind,), {"__call__": noted}))
            return module(*x)

        self.abstractly(run, inputs, train=True)
        return made

    def macs(self, inputs: Mapping[str, Array]) -> int:
        """Return half of the FLOPs that XLA counts in the convolutions and products of one evaluation."""
        import jax

        with self.wide():
            traced = self.abstractly(lambda module, x: module(*x), inputs, train=False)
            total = 0.0
            for equation, times in products(traced.jaxpr):
                shapes = [variable.aval for variable in equation.invars]
                key = f"{equation.primitive} {equation.params} {shapes}"
                if key not in _FLOPS:
                    alone = jax.jit(lambda *x, e=equation: e.primitive.bind(*x, **e.params)).lower(*shapes)
                    # XLA says nothing of FLOPs where every tap is on padding
                    _FLOPS[key] = dict(alone.cost_analysis() or {}).get("flops", 0.0)
                total += times * _FLOPS[key]
        return round(total) // 2

    # ---------------------------------------------------------------- the order of axes

    def arrays(self, inputs: Mapping[str, Array]) -> list[Any]:
        """Return the inputs as jax's, channels last, in the net's order."""
        import jax.numpy as jnp

        return [
            jnp.asarray(inputs[name].astype(self.dtype).transpose(channels_last(shape)))
            for name, shape in self.net.inputs.items()
        ]

    def outputs(self, output: Any) -> dict[str, Any]:
        """Return a net's outputs by name: a NamedTuple has several, None where one is there in training only."""
        if not isinstance(output, tuple):
            return {next(iter(self.net.outputs)): output}
        named: dict[str, Any] = output._asdict()  # type: ignore[attr-defined]
        return {name: value for name, value in named.items() if value is not None}

    def channels_first(self, outputs: Mapping[str, Any]) -> dict[str, Array]:
        """Return outputs as the net describes them."""
        import numpy

        return {
            name: numpy.asarray(value).transpose(channels_first(self.net.outputs[name]))
            for name, value in outputs.items()
        }

    def logical(self, place: Node | Scope, output: Any) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of what a module returned, in the net's order and without the batch."""
        values = place.outputs if isinstance(place, Scope) else [Value(place.name, i) for i in range(9)]
        arrays = output if isinstance(output, (tuple, list)) else (output,)
        return tuple(
            tuple(array.shape[axis] for axis in channels_first(self.net.outputs_of(v.node)[v.port])[1:])
            for v, array in zip(values, arrays, strict=False)
        )

    # ---------------------------------------------------------------- the module

    def mode(self, train: bool) -> Any:
        """Return the module in training or evaluation."""
        self.module.train() if train else self.module.eval()
        return self.module

    def abstractly(
        self, run: Callable[[Any, list[Any]], Any], inputs: Mapping[str, Array], train: bool
    ) -> Any:
        """Return what `run(module, inputs)` traces to; nothing is computed."""
        import jax
        from flax import nnx

        with self.wide():
            graph, state = nnx.split(self.mode(train))
            x = [
                abstract([inputs[name].shape[axis] for axis in channels_last(shape)], self.dtype)
                for name, shape in self.net.inputs.items()
            ]
            return jax.make_jaxpr(lambda state, x: run(nnx.merge(graph, state), x))(state, x)


def channels_last(shape: Shape) -> list[int]:
    """Return the order of a batch's axes in which an array of that shape lies in memory."""
    return [0, *(shape.axis(axis) + 1 for axis in laid_out(shape.axes))]


def channels_first(shape: Shape) -> list[int]:
    """Return the order that takes it back to the net's own."""
    return [0, *(laid_out(shape.axes).index(axis) + 1 for axis in shape.axes)]


def abstract(shape: Sequence[int], dtype: Any) -> Any:
    """Return an array's shape and dtype without its numbers."""
    import jax

    return jax.eval_shape(lambda: jax.numpy.zeros(shape, dtype))


def still() -> nnx.Rngs:
    """Return random numbers for shapes only: one key, since counting the draws makes tracing them quadratic."""
    from flax import nnx

    class Still(nnx.RngStream):
        def __call__(self) -> Any:
            return self.key[...]

    rngs = nnx.Rngs(0)
    setattr(rngs, "default", Still(0, tag="default"))  # noqa: B010 - streams are attributes that no stub knows
    return rngs


def without_dropout(module: nnx.Module) -> nnx.Module:
    """Return the module with dropout that does nothing in training, and needs no random numbers."""
    from flax import nnx

    for _, inner in nnx.iter_modules(module):
        if isinstance(inner, nnx.Dropout):
            inner.rate, inner.rngs = 0.0, nnx.data(None)
        elif isinstance(inner, nnx.MultiHeadAttention):
            inner.dropout_rate, inner.rngs = 0.0, nnx.data(None)
        elif type(inner).__name__ == "RandomLeakyRelu":  # the emitted module's own
            layer: Any = inner
            layer.lower = layer.upper = (layer.lower + layer.upper) / 2
            layer.rngs = nnx.data(None)
    return module


def dense(net: Network) -> int:
    """Return how many weights the grouped convolutions of a net would have with one group."""
    return sum(
        prod(node.op.kernel) * c * node.op.channels_of(c)
        for node in net.graph
        if isinstance(node.op, Convolution) and node.op.groups_of(c := net.inputs_of(node.name)[0].c) > 1
    )


def products(jaxpr: Any, times: int = 1) -> Iterator[tuple[Any, int]]:
    """Yield the convolutions and matrix products of a traced function, and how often each runs."""
    from jax.extend.core import jaxprs_in_params

    for equation in jaxpr.eqns:
        if equation.primitive.name in ("conv_general_dilated", "dot_general"):
            yield equation, times
        for inner in jaxprs_in_params(equation.params):
            yield from products(inner, times * equation.params.get("length", 1))
