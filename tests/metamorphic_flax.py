"""How the emitted classes of Flax are called, and held against the block of the spec; see `metamorphic`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from interpreter import draw_state, interpret, state_shapes
from metamorphic import (
    BATCH,
    CLOSE_FLAX,
    Draw,
    Framework,
    NoWord,
    Subject,
    called,
    expected_order,
    gradients,
    owned,
    small,
    text_of,
    unsaid,
)
from netdsl_flax import Backend
from netdsl_flax.run import abstract, channels_first, channels_last, still, variables, without_dropout

from netdsl.backend import Tensor
from netdsl.elaborate.values import BlockDecl, OpValue
from netdsl.ir.types import Shape
from netdsl.network import Network
from netdsl.weights.convert import convert_weights

OFTEN = 4
"""Of so many draws one has its gradients compared, which takes three times as long to compile."""
NODES = 30
"""And of none with more nodes than these."""
ROUGH = ("hsigmoid", "hswish", "celu")
"""Ops in whose gradients torch has a number as a float32: a sixth, or 1 / alpha."""


def plain(key: str) -> str:
    """Return a key without the name of what holds a Sequential's layers."""
    return ".".join(part for part in key.split(".") if part != "layers")


def is_statistic(tensor: Tensor) -> bool:
    """Tell whether a tensor is no learned one."""
    return tensor.parameter.rpartition(".")[2].startswith("running_")


def in_flax(subject: Subject, net: Network, numbers: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Return torch's numbers by Flax's keys and in its layouts."""
    converted = convert_weights(net, numbers, "torch", "flax")
    return {plain(owned(subject, key)): value for key, value in converted.items()}


def named_inputs(arrays: Sequence[Any]) -> dict[str, Any]:
    """Return the gradients of inputs by what these are called."""
    return {f"input {number}": array for number, array in enumerate(arrays)}


def laid_out(values: Sequence[torch.Tensor], shapes: Sequence[Shape]) -> list[Any]:
    """Return values with channels last."""
    return [t.detach().numpy().transpose(channels_last(s)) for t, s in zip(values, shapes, strict=True)]


def arrays_of(values: Sequence[torch.Tensor], shapes: Sequence[Shape]) -> list[jax.Array]:
    """Return values as Flax has them, with channels last."""
    return [jnp.asarray(array) for array in laid_out(values, shapes)]


def nothing(x: Any, **options: Any) -> Any:
    """Return the input; for the channels of a norm, what returns its input."""
    return nothing if isinstance(x, int) else x


class Flax(Framework):
    """Flax, in float64 and under jit."""

    bound = CLOSE_FLAX
    checked = 0
    """How many draws were run of which gradients can be had in no time."""

    def nothing(self) -> Any:
        return nothing

    makes = "Callable[..., collections.abc.Callable["

    def making(self, op: Any) -> Callable[..., Any]:
        return lambda channels, **options: nnx.Sequential(op)

    def op(self, value: OpValue, subject: Subject) -> Any:
        if isinstance(value.target, BlockDecl):
            return self.block(value, subject)
        given = {k: g.value for k, g in value.args.items() if not unsaid(g.value)}
        known = {
            "relu": nnx.relu,
            "relu6": nnx.relu6,
            "hswish": nnx.hard_swish,
            "hsigmoid": nnx.hard_sigmoid,
            "sigmoid": nnx.sigmoid,
            "silu": nnx.silu,
            "tanh": nnx.tanh,
            "gelu": partial(nnx.gelu, approximate=False),
        }
        if value.name in known and not given:
            return known[value.name]
        if value.name == "bn" and set(given) <= {"eps", "momentum"}:
            kind: Any = subject.names.get("UnbiasedBatchNorm", nnx.BatchNorm)
            momentum, eps = 1 - given.get("momentum", 0.1), given.get("eps", 1e-5)
            return partial(kind, use_fast_variance=False, momentum=momentum, epsilon=eps)
        raise NoWord(text_of(value))

    def make(self, subject: Subject, draw: Draw) -> Any:
        """Return the class's module without numbers, and without dropout."""
        given = self.arguments(subject, draw)
        takes = inspect.signature(subject.cls).parameters
        if "rngs" in takes or any(p.kind is inspect.Parameter.VAR_KEYWORD for p in takes.values()):
            given["rngs"] = still()
        return nnx.eval_shape(lambda: without_dropout(subject.cls(**given)))

    def run(self, subject: Subject, draw: Draw) -> None:
        module = self.make(subject, draw)
        module.eval()
        graph, state = nnx.split(module)
        x = [
            abstract([(BATCH, *shape)[axis] for axis in channels_last(shape)], "float32")
            for shape in draw.shapes
        ]
        jax.eval_shape(lambda state, x: _call(nnx.merge(graph, state), x), state, x)

    def check(self, subject: Subject, draw: Draw, net: Network) -> str:
        if not small(net):
            return self.sizes(subject, draw, net)
        light = len(net.graph) <= NODES
        steep = light and self.checked % OFTEN == 0
        self.checked += light
        shapes = state_shapes(net)
        numbers = draw_state(shapes, seed=3)
        generator = torch.Generator().manual_seed(5)

        def normal(shape: Shape) -> torch.Tensor:
            return torch.randn(BATCH, *shape, generator=generator, dtype=torch.float64)

        x = [normal(shape) for shape in draw.shapes]
        tensors = {plain(owned(subject, t.key)): t for t in Backend().tensors(net)}
        arrays = in_flax(subject, net, numbers)
        with torch.no_grad():
            found = interpret(net, numbers, x, False)
        still_ones = expected_order(subject, net, found)
        still_orders = expected_order(subject, net, {name: net.outputs[name] for name in found})
        leaves = [t.clone().requires_grad_(steep) for t in x]
        learned = {t.parameter: numbers[t.parameter] for t in tensors.values() if not is_statistic(t)}
        for tensor in learned.values():
            tensor.requires_grad_(steep)
        found = interpret(net, numbers, leaves, True)
        theirs = expected_order(subject, net, found)
        orders = expected_order(subject, net, {name: net.outputs[name] for name in found})
        factors = [normal(shape) for shape in orders]
        with jax.enable_x64(True):
            module = self.make(subject, draw)
            wrong = self.load(module, tensors, arrays)
            if wrong:
                return wrong
            module.eval()
            still_graph, _ = nnx.split(module)
            module.train()
            graph, params, rest = nnx.split(module, nnx.Param, ...)

            def weighed(params: Any, x: list[jax.Array], factors: list[jax.Array]) -> Any:
                trained = nnx.merge(graph, params, rest, copy=True)
                outputs = _call(trained, x)
                total = sum((f * t).sum() for f, t in zip(factors, outputs, strict=True))
                return total, (outputs, nnx.state(trained))

            @jax.jit
            def both(*given: Any) -> Any:
                step = jax.grad(weighed, argnums=(0, 1), has_aux=True) if steep else weighed
                still = nnx.merge(still_graph, given[0], rest, copy=True)
                return _call(still, given[1]), step(*given)

            evaluated, (slopes, (trained, after)) = both(
                params, arrays_of(x, draw.shapes), arrays_of(factors, orders)
            )
            nnx.update(module, after)
            kept = {plain(key): np.asarray(v.get_value()) for key, v in variables(module).items()}
        for what, outputs, others, shapes_of in (
            ("evaluation", evaluated, still_ones, still_orders),
            ("training", trained, theirs, orders),
        ):
            wrong = self.differ(what, outputs, [t.detach() for t in others], shapes_of)
            if wrong:
                return wrong
        if steep:
            expected = gradients(theirs, factors, [*learned.values(), *leaves])
            known = numbers | dict(zip(learned, expected, strict=False))
            wanted = in_flax(subject, net, {key: tensor.detach() for key, tensor in known.items()})
            wanted |= named_inputs(laid_out(expected[len(learned) :], draw.shapes))
            ours = {plain(".".join(map(str, k))): v.get_value() for k, v in nnx.to_flat_state(slopes[0])}
            ours |= named_inputs(slopes[1])
            scale = max((float(t.abs().max()) for t in expected), default=0.0)
            rough = any(node.op.name in ROUGH for node in net.graph)
            bound = 1e-7 if rough else self.bound
            for key, array in ours.items():
                error = float(np.abs(np.asarray(array) - np.asarray(wanted[key])).max())
                if not error <= bound * scale:
                    return f"the gradient of {key} differs by {error / scale:.1e}"
        for key, tensor in tensors.items():
            if is_statistic(tensor):
                other = numbers[tensor.parameter].numpy()
                if not np.abs(kept[key] - other).max() <= self.bound * max(1.0, np.abs(other).max()):
                    return f"statistics: {key} differs"
        return ""

    def sizes(self, subject: Subject, draw: Draw, net: Network) -> str:
        """Return how state or sizes of the outputs differ, or an empty string; nothing is computed."""
        module = self.make(subject, draw)
        tensors = {plain(owned(subject, t.key)): t for t in Backend().tensors(net)}
        wrong = self.load(module, tensors, None)
        if wrong:
            return wrong
        x = [
            abstract([(BATCH, *shape)[axis] for axis in channels_last(shape)], "float32")
            for shape in draw.shapes
        ]
        for what, mode in (("evaluation", False), ("training", True)):
            module.train() if mode else module.eval()
            graph, state = nnx.split(module)
            outputs = jax.eval_shape(
                lambda state, x, graph=graph: _call(nnx.merge(graph, state), x), state, x
            )
            names = [o.name for o in net.graph.outputs if mode or not o.train]
            shapes = expected_order(subject, net, {name: net.outputs[name] for name in names})
            wanted = [tuple(shape[axis - 1] for axis in channels_last(shape)[1:]) for shape in shapes]
            found = [tuple(array.shape[1:]) for array in outputs]
            if found != wanted:
                return f"{what}: {found} instead of {wanted}"
        return ""

    def load(
        self, module: nnx.Module, tensors: Mapping[str, Tensor], arrays: Mapping[str, Any] | None
    ) -> str:
        """Put numbers, if any, into a module; return how its state differs, or an empty string."""
        state = nnx.state(module, nnx.Any(nnx.Param, nnx.BatchStat))
        flat = {plain(".".join(map(str, path))): v for path, v in nnx.to_flat_state(state)}
        missing, unknown = [k for k in tensors if k not in flat], [k for k in flat if k not in tensors]
        if missing or unknown:
            return f"state: {', '.join(missing[:2])} missing, {', '.join(unknown[:2])} too much"
        for key, variable in flat.items():
            if tuple(variable.shape) != tuple(tensors[key].shape):
                return f"state: {key} is {list(variable.shape)} instead of {list(tensors[key].shape)}"
            if variable.dtype != jnp.float32:
                return f"state: {key} is {variable.dtype}"
            if arrays is not None:
                variable.set_value(jnp.asarray(arrays[key], jnp.float64))
        if arrays is not None:
            nnx.update(module, state)
        return ""

    def differ(
        self, what: str, ours: Sequence[Any], theirs: Sequence[torch.Tensor], shapes: Sequence[Shape]
    ) -> str:
        """Return how outputs differ, or an empty string."""
        if len(ours) != len(theirs):
            return f"{what}: {len(ours)} outputs instead of {len(theirs)}"
        for mine, other, shape in zip(ours, theirs, shapes, strict=True):
            array = np.asarray(mine)
            if array.ndim != other.ndim:
                return f"{what}: {list(array.shape)} instead of {list(other.shape)}"
            array = array.transpose(channels_first(shape))
            if array.shape != tuple(other.shape):
                return f"{what}: {list(array.shape)} instead of {list(other.shape)}"
            scale, error = float(other.abs().max()), float(np.abs(array - other.numpy()).max())
            if not error <= self.bound * scale:
                return f"{what} differs by {error / scale if scale else error:.1e}"
        return ""


def _call(module: Any, x: Sequence[Any]) -> tuple[Any, ...]:
    return called(module, module.__call__, x)
