"""Factoring is right: an emitted file with its classes, arguments and loops is the very net it came from.

The net is run twice on tensors without numbers. Once as emitted; once node by node, each op as it was lowered before
anything was factored. Both must make the same layers and call the same kernels on the same values in the same order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from netdsl_torch.lowering import LOWERINGS
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from torch_oracles import FAMILIES, ZOO, emitted, execute, inputs, load, tensors

from netdsl.backend import batchless
from netdsl.emission.code import Call, Context, Expr, Input, Lowered, Name, Self, mentions_self, transform
from netdsl.emission.writer import flat
from netdsl.ir.graph import Value
from netdsl.network import Network
from netdsl.passes.inplace import overwriting


def lower(net: Network) -> dict[str, Lowered]:
    """Return every op by itself, with the numbers of this net."""
    writing = overwriting(net.graph)
    lowered: dict[str, Lowered] = {}
    shared = {node.name for node in batchless(net)}
    for node in net.graph:
        batched = tuple(value.node not in shared for value in node.inputs)
        shapes = net.inputs_of(node.name), net.outputs_of(node.name)
        context = Context(*shapes, node.name in writing, batched or (True,))
        lowered[node.name] = LOWERINGS[type(node.op)](node.op, context)
    return lowered


def bound(expr: Expr, operands: list[str], this: str) -> Expr:
    """Return an op's expression with names for its inputs and itself."""

    def change(e: Expr) -> Expr | None:
        if isinstance(e, Input):
            return Name(operands[e.index])
        if isinstance(e, Self):
            return Name(this)
        if isinstance(e, Call) and isinstance(e.func, Self):
            return e.replace(
                func=this, args=tuple(a.replace(value=transform(a.value, change)) for a in e.args)
            )
        return None

    return transform(expr, change)


def form(value: object) -> object:
    """Return all that a tensor without numbers is, anything else as it is."""
    if not isinstance(value, Tensor):
        return value
    return value.shape, value.stride(), value.storage_offset(), value.dtype, value.device


MADE: dict[str, Any] = {}
"""What kernels have made, without numbers, by what they were called with."""


def called(func: Any, args: Any, kwargs: Any) -> Any:
    """Call a kernel on tensors without numbers; one that only makes new ones, once with the same forms.

    Torch works out many of these forms in Python, a batch norm's for milliseconds.
    """
    schema = func._schema
    if schema.is_mutable or any(value.alias_info for value in schema.returns):
        return func(*args, **kwargs)
    key = f"{func} {tree_map(form, (args, kwargs))}"
    if key not in MADE:
        MADE[key] = func(*args, **kwargs)
    return tree_map(
        lambda t: torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=t.device), MADE[key]
    )


class Log(TorchDispatchMode):
    """The kernels that were called: each with its constants, and where its tensors came from."""

    def __init__(self, model: nn.Module, x: list[Tensor]) -> None:
        super().__init__()
        known = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        self.origins: dict[int, str] = {id(t): name for name, t in known.items()}
        self.origins |= {id(t): f"input {i}" for i, t in enumerate(x)}
        self.alive: list[Any] = [known, x]
        self.lines: list[str] = []

    def origin(self, value: object) -> object:
        """Return a name for a tensor, anything else as it is."""
        return self.origins.get(id(value), "?") if isinstance(value, Tensor) else value

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.lines.append(f"{func} {tree_map(self.origin, (args, kwargs or {}))}")
        out = called(func, args, kwargs or {})
        self.alive.append(out)
        for port, tensor in enumerate(tree_flatten(out)[0]):
            if isinstance(tensor, Tensor):
                self.origins[id(tensor)] = f"{len(self.lines)}.{port}"
        return out


def node_by_node(
    net: Network, lowered: dict[str, Lowered], model: nn.Module, names: dict[str, Any]
) -> Callable[..., list[Tensor]]:
    """Return the net as a function that runs its ops one after the other, with the model's leaves."""
    leaves: dict[str, Any] = {**dict(model.named_modules()), **dict(model.named_parameters())}
    leaves |= dict(model.named_buffers())
    leaves = {path: leaf for path, leaf in leaves.items() if type(leaf) is not nn.Identity}  # of no op's name

    def forward(*x: Tensor) -> list[Tensor]:
        values: dict[Value, Any] = dict(zip(map(Value, net.graph.inputs.values()), x, strict=True))
        for node in net.graph:
            if node.op.name == "input" or (node.train and not model.training):
                continue
            own, leaf = lowered[node.name], leaves.get(node.name)
            scope = {f"x{i}": values[value] for i, value in enumerate(node.inputs)}
            function = own.function
            if function is None or (isinstance(leaf, nn.Module) and not mentions_self(function)):
                if leaf is None:  # a module without state, whose name the spec does not give
                    assert own.module is not None
                    leaf = eval(flat(bound(own.module, [], "")), names).train(model.training)
                out = leaf(*scope.values())
            else:
                out = eval(flat(bound(function, [*scope], "m")), {**names, **scope, "m": leaf})
            for port, value in enumerate((out,) if isinstance(out, Tensor) else out):
                values[Value(node.name, port)] = value
        return [values[o.value] for o in net.graph.outputs if model.training or not o.train]

    return forward


OWN_STRIDE = re.compile(r"(?<=pool2d_with_indices.default \(\()('[\d.]+', (\[\d+, \d+\])), \2(?=\), )")
"""A pool's stride that is its kernel's size, which says as much as none: an argument may have that value."""


def traced(function: Callable[..., Any], model: nn.Module, x: list[Tensor]) -> tuple[list[str], list[object]]:
    """Return the kernels of a call, and where its outputs came from."""
    log = Log(model, x)
    with log, torch.no_grad():
        out = tensors(function(*x))
    return [OWN_STRIDE.sub(r"\1", line) for line in log.lines], [log.origin(t) for t in out]


INPLACE = r"(?<=\()inplace=True|, inplace=True"
"""What the text of a layer that works in place says more."""


def check_layers(
    lowered: dict[str, Lowered], model: nn.Module, names: dict[str, Any], inplace: bool = True
) -> None:
    """Check that a module has the very layers that its ops were before factoring, as much in place if asked."""
    modules = dict(model.named_modules())
    for path, own in lowered.items():
        if own.module is not None and path in modules and type(modules[path]) is not nn.Identity:
            with torch.device("meta"):
                alone = eval(flat(bound(own.module, [], "")), names)
            both = [re.sub(INPLACE, "", repr(m)) if not inplace else repr(m) for m in (modules[path], alone)]
            assert both[0] == both[1], path


# Swin V2 calls a block with a learned tensor, whose class does not know that samples share it: one view more.
# AlexNet's norms take a number of groups, which is 1 for one tower: a layer by itself has none then.
APART = "swin_v2", "alexnet_one_tower"


@pytest.mark.parametrize("name", [name for name in ZOO if not name.startswith(APART)])
def test_an_emitted_file_is_the_net_that_it_came_from(name: str) -> None:
    net, module = load(name), execute(emitted(name))
    with torch.device("meta"):
        model = module[name.rpartition(":")[2]]()
    names = {**module, "nn": nn, "torch": torch, "F": F}
    lowered = lower(net)
    check_layers(lowered, model, names)
    x = inputs(net, device="meta")
    for training in (True, False) if name in FAMILIES else (True,):
        one = traced(model.train(training), model, x)
        two = traced(node_by_node(net, lowered, model, names), model, x)
        assert one == two
        assert len(one[0]) >= len(list(model.modules())) // 2


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet152", "se_resnext50_32x4d", "densenet201", "convnext_large", "vit_h_14"]
)
def test_all_instances_of_a_block_share_one_class(name: str) -> None:
    text = emitted(name)
    blocks = {s.block for s in load(name).graph.tree.scopes() if s.kind == "block"}
    for block in blocks:
        assert text.count(f'"""Block {block} of ') == 1
