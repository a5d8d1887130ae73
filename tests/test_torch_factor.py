"""Factoring is right: classes and calls expand to the very tree that they came from."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from netdsl_torch.emit import SEQUENTIAL, _init_calls, _lower_all
from torch import nn
from torch.nn import functional as F
from torch_oracles import ZOO, build, load

from netdsl.code import Binary, Call, Comment, Const, Expr, Lowered, Name, Param
from netdsl.constants import mark
from netdsl.factor import ClassPlan, Factory, Plan, Ref, transform, within
from netdsl.inplace import overwriting
from netdsl.ir.graph import Scope, Value
from netdsl.network import Network
from netdsl.writer import flat

Environment = dict[str, Expr]


def evaluate(expr: Expr, env: Environment) -> Expr:
    """Return an expression with a class's arguments in their places, and arithmetic done."""

    def change(e: Expr) -> Expr | None:
        if isinstance(e, Name):
            return env.get(e.text.removeprefix("self."))
        if isinstance(e, Const):
            return Const(e.value)
        if isinstance(e, Binary):
            left, right = evaluate(e.left, env), evaluate(e.right, env)
            if isinstance(left, Const) and isinstance(right, Const):
                a: Any = left.value
                b: Any = right.value
                return Const({"*": a * b, "//": a // b if b else 0, "+": a + b, "-": a - b}[e.operator])
        return None

    return transform(expr, change)


class Expansion:
    """The module tree that a plan stands for."""

    def __init__(self, net: Network, plan: Plan) -> None:
        self.net = net
        self.classes = {c.name: c for c in plan.classes}
        self.modules: dict[str, Expr] = {}
        self.functions: dict[str, Expr | None] = {}
        self.wires: dict[str, tuple[Value, ...]] = {}
        self.inits: list[tuple[str, Expr]] = []
        self.called: set[str] = set()
        self.body(plan.classes[-1], {}, net.graph.tree)

    def construct(self, expr: Expr, item: str | Scope, prefix: str) -> None:
        """Expand what constructs one child."""
        if isinstance(item, str):
            self.modules[item] = expr
            return
        assert isinstance(expr, Call)
        if expr.func == SEQUENTIAL:
            args = [a for a in expr.args if not isinstance(a.value, Comment)]
            value = item.inputs[0]
            for arg, inner in zip(args, item.items, strict=True):
                path = inner if isinstance(inner, str) else inner.path
                assert path == f"{item.path}.{arg.role}"
                self.wires[path] = (value,)
                self.functions[path] = None
                value = Value(inner) if isinstance(inner, str) else inner.outputs[0]
                self.construct(arg.value, inner, path)
            assert item.outputs == (value,)
            return
        assert isinstance(expr.func, str)
        self.body(self.classes[expr.func], {a.role: a.value for a in expr.args}, item)

    def body(self, plan: ClassPlan, env: Environment, scope: Scope) -> None:
        """Expand one instance of a class, and note what each of its children reads."""
        self.called.add(plan.name)
        assert set(env) == {a.name for a in plan.arguments}
        items = iter([i for i in scope.items if i not in self.net.graph.inputs.values()])
        values: dict[Ref, Value] = {}
        incoming = tuple(map(Value, self.net.graph.inputs.values())) if scope.kind == "net" else scope.inputs
        values.update({Ref(-1, port): value for port, value in enumerate(incoming)})
        for index, step in enumerate(plan.steps):
            if step.argument and env[step.attribute] == Const(None):
                assert step.optional
                values[Ref(index)] = values[step.inputs[0]]
                continue
            item = next(items)
            while plan.sequential is False and self.is_wire(item):
                item = next(items)
            path = item if isinstance(item, str) else item.path
            self.wires[path] = tuple(values[ref] for ref in step.inputs)
            outputs = [Value(item, p) for p in range(step.outputs)] if isinstance(item, str) else item.outputs
            values.update({Ref(index, port): value for port, value in enumerate(outputs)})
            module = env[step.attribute] if step.argument else step.module
            if module is not None:
                self.construct(evaluate(module, env), item, path)
            self.functions[path] = None if step.function is None else evaluate(step.function, env)
            self.inits += [(path, evaluate(init, env)) for init in step.inits]
        assert all(map(self.is_wire, items))
        assert tuple(self.root(values[ref]) for ref in plan.outputs) == tuple(map(self.root, scope.outputs))

    def is_wire(self, item: str | Scope) -> bool:
        """Tell whether an item is an identity, which is left out where it needs no place."""
        return isinstance(item, str) and self.net.graph[item].op.name == "identity"

    def root(self, value: Value) -> Value:
        """Return the value that identities pass on."""
        while self.is_wire(value.node):
            value = self.net.graph[value.node].inputs[0]
        return value


def plan_of(net: Network) -> tuple[Plan, dict[str, Lowered], dict[str, tuple[Expr, ...]]]:
    """Return the classes of a net, and the tree before factoring."""
    writing = overwriting(net.graph)
    lowered, _ = mark(net, lambda n: _lower_all(n, writing), _init_calls)
    inits = {name: calls for name, calls in _init_calls(net).items() if calls}
    return Factory(net, lowered, inits, SEQUENTIAL, writing).plan(), lowered, inits


@pytest.mark.parametrize("name", ZOO)
def test_classes_and_calls_expand_to_the_tree_that_they_came_from(name: str) -> None:
    net = load(name)
    plan, lowered, inits = plan_of(net)
    params = {k: Const(v) for k, v in net.elaborated.params.items() if isinstance(v, (int, float, bool))}
    found = Expansion(net, plan)
    assert found.called == set(found.classes)
    values = {node.name: node.inputs for node in net.graph if node.op.name != "input"}
    values |= {scope.path: scope.inputs for scope in net.graph.tree.scopes() if scope.path}
    for path, wires in found.wires.items():
        assert tuple(map(found.root, wires)) == tuple(map(found.root, values.pop(path))), path
    assert all(map(found.is_wire, values))
    for path, module in found.modules.items():
        assert evaluate(module, params) == evaluate(lowered[path].module or Const(None), {}), path
    for path, function in found.functions.items():
        if function is not None:
            assert evaluate(function, params) == evaluate(lowered[path].function or Const(None), {}), path
        else:
            assert path in found.modules or path not in lowered
    wanted = [(node, init) for node, calls in inits.items() for init in calls]
    assert {anchored(*pair) for pair in found.inits} == {anchored(*pair) for pair in wanted}


def anchored(path: str, init: Expr) -> str:
    """Return a statement about a parameter, with the parameter's whole path."""
    return flat(transform(within(path, init), lambda e: Name(e.path.rstrip(".")) if isinstance(e, Param) else None))


@pytest.mark.parametrize("name", ZOO)
def test_the_built_modules_are_what_each_layer_was_lowered_to(name: str) -> None:
    net, model = load(name), build(name, "meta")
    _, lowered, _ = plan_of(net)
    names = {"nn": nn, "torch": torch, "F": F,}
    names |= {k: v for k, v in model.forward.__func__.__globals__.items() if not k.startswith("_")}
    with torch.device("meta"):
        for path, module in model.named_modules():
            if path in lowered:
                expr = lowered[path].module
                assert expr is not None
                assert repr(module) == repr(eval(flat(evaluate(expr, {})), names)), path


def test_instances_of_one_block_share_a_class() -> None:
    for name in ("resnet18", "resnet152", "se_resnext50", "densenet201", "convnext_large", "vit_h_14"):
        plan, _, _ = plan_of(load(name))
        blocks = [c.scope.block for c in plan.classes if c.scope.kind == "block"]
        assert len(blocks) == len(set(blocks)), name
