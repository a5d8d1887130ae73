"""What must hold of every net, on random ones: facts, emission, factoring, work in place, style."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from assignment import unassigned
from hypothesis import HealthCheck, Phase, given, seed, settings
from netdsl_torch.lowering import HELPERS
from strategies import Spec, specs
from test_emitted import IGNORED, ROOT, RULES, tool
from test_flax_zoo import proof
from test_torch_factor import check_layers, lower, node_by_node, traced
from test_torch_facts import real_macs
from test_torch_inplace import sources
from torch import Tensor, nn
from torch.nn import functional as F
from torch_oracles import execute, inputs, outputs_by_path, perturb, run, tensors

from netdsl import Network
from netdsl.api import loads
from netdsl.backend import find
from netdsl.ir.graph import Scope
from netdsl.ops.source import Weight
from netdsl.source import Source
from netdsl.syntax import tree
from netdsl.syntax.format import format_text
from netdsl.syntax.parse import parse
from netdsl.verification import Experiment, check_facts

BATCH = 4

SOURCE = re.compile(r"'(\d+)(\.\d+)'")
"""Where a tensor in a log comes from: the number of a kernel, and which of its outputs."""


def net_of(spec: Spec) -> Network:
    """Return the net of a random spec."""
    return loads(spec.text, "random.net", "trial")


def on_meta(text: str) -> nn.Module:
    """Return the module of an emitted file, without numbers."""
    with torch.device("meta"):
        model: nn.Module = execute(text)["trial"]()
    return model


def registered(net: Network, scope: Scope) -> list[str]:
    """Return the keys of a scope's parameters in torch's order: learned tensors first, then the children's."""
    first, rest = [], []
    for item in scope.items:
        if isinstance(item, Scope):
            rest += registered(net, item)
            continue
        node = net.graph[item]
        keys = [f"{item}.{key}" if key else item for key in node.op.weights(*net.inputs_of(item))]
        (first if isinstance(node.op, Weight) else rest).extend(keys)
    return first + rest


def check_elaborates(spec: Spec) -> None:
    """Check that a spec is right, and that the shapes are those that it was drawn with."""
    net = net_of(spec)
    assert net.check() == []
    assert {name: tuple(shape) for name, shape in net.inputs.items()} == spec.inputs
    assert {name: tuple(shape) for name, shape in net.outputs.items()} == spec.outputs


def bare(node: object) -> object:
    """Return a tree without its places in the text."""
    if isinstance(node, tuple) and type(node) is tuple:
        return tuple(map(bare, node))
    if not isinstance(node, tree.Tree):
        return node
    fields = {name: value for name, value in node.__dict__.items() if name not in ("start", "end")}
    return type(node).__name__, {name: bare(value) for name, value in fields.items()}


def check_formats(spec: Spec) -> None:
    """Check that formatting keeps what a spec says, and that formatting it again changes nothing."""
    text = format_text(Source("random.net", spec.text))
    assert bare(parse(Source("random.net", text))) == bare(parse(Source("random.net", spec.text)))
    assert format_text(Source("random.net", text)) == text


VANISHING = 1e-6


def check_flax(spec: Spec) -> None:
    """Check flax against the facts, and against torch in float64: outputs, running statistics, gradients."""
    net, backends = net_of(spec), {name: find(name) for name in ("torch", "flax")}
    trial = Experiment(net, BATCH, backends, seed=0)  # type: ignore[arg-type]
    truth, ours = (trial.measure(name, "float64") for name in backends)
    errors = ours.errors(truth)
    if max(float(abs(gradient).max()) for gradient in truth.gradients.values()) < VANISHING:
        errors.pop("gradients")  # a tanh that is 1 within rounding leaves no digits to compare
    wrong = {what: {k: e for k, e in found.items() if not e <= 1e-9} for what, found in errors.items()}
    assert not any(wrong.values()), wrong
    facts = check_facts(net, backends["flax"], trial.texts["flax"])  # type: ignore[arg-type]
    assert {check: cell.differences for check, cell in facts.items() if not cell.ok} == {}


def check_torch_facts(spec: Spec) -> None:
    """Check shapes, parameters, keys and MACs against what torch does."""
    net = net_of(spec)
    model = on_meta(net.emit())
    assert [name for name, _ in model.named_parameters()] == registered(net, net.graph.tree)
    assert {name: tuple(p.shape) for name, p in model.named_parameters()} == {
        name: p.shape for name, p in net.parameters.items()
    }
    assert net.cost().buffers == sum(b.numel() for b in model.buffers())
    x = inputs(net, batch=BATCH, device="meta")
    macs, evaluated = real_macs(model.eval(), x)
    assert net.cost(batch=BATCH).macs == macs.get("", 0)
    kept = [output.name for output in net.graph.outputs if not output.train]
    assert [net.outputs[name] for name in kept] == [tuple(t.shape[1:]) for t in evaluated]
    with outputs_by_path(model.train()) as real:
        trained = tensors(model(*x))
    assert [tuple(s) for s in net.outputs.values()] == [tuple(t.shape[1:]) for t in trained]
    static = {node.name: tuple(map(tuple, net.outputs_of(node.name))) for node in net.graph}
    for scope in net.graph.tree.scopes():
        static[scope.path] = tuple(tuple(net.outputs_of(v.node)[v.port]) for v in scope.outputs)
    assert {path: shapes for path, shapes in real.items() if path in static and shapes != static[path]} == {}


def check_runs(spec: Spec) -> None:
    """Check that a module runs in both modes, on numbers, and returns what was drawn; that all names are bound."""
    net = net_of(spec)
    text = net.emit()
    assert unassigned(text) == []
    assert unassigned(net.emit("flax")) == []
    model, x = execute(text)["trial"](), inputs(net, batch=BATCH)
    kept = [output.name for output in net.graph.outputs if not output.train]
    with torch.no_grad():
        for training, names in ((False, kept), (True, list(spec.outputs))):
            found = tensors(model.train(training)(*x))
            assert [tuple(t.shape) for t in found] == [(BATCH, *spec.outputs[name]) for name in names]
            assert all(bool(t.isfinite().all()) for t in found)


def check_inplace(spec: Spec) -> None:
    """Check that working in place changes no output, gradient or statistic, but by rounding.

    A tensor that is written over keeps its layout in memory, so that torch may sum in another order.
    """
    net = net_of(spec)
    fast, plain = sources(net)
    if fast == plain:
        return
    models = []
    for text in (fast, plain):
        torch.manual_seed(0)
        models.append(perturb(execute(text)["trial"]()).double())
    x = [tensor.double() for tensor in inputs(net, batch=BATCH)]
    for training in (True, False):
        (ours, gradients), (theirs, expected) = (run(model.train(training), x) for model in models)
        close(ours, theirs)
        assert list(gradients) == list(expected)
        close(gradients.values(), expected.values())
    close(*([b.double() for b in model.buffers()] for model in models))


def close(found: Iterable[Tensor], expected: Iterable[Tensor]) -> None:
    """Check that tensors are equal up to rounding in float64."""
    expected = list(expected)
    largest = max((float(tensor.abs().max()) for tensor in expected), default=0.0)
    torch.testing.assert_close(list(found), expected, rtol=1e-9, atol=1e-9 * largest)


def check_factored(spec: Spec) -> None:
    """Check that classes and arguments make the very layers and calls that the graph has.

    A class works in place where all its instances may, on both sides of every condition; the graph is one instance.
    """
    net = net_of(spec)
    text = net.emit()
    model, names = on_meta(text), {"nn": nn, "torch": torch, "F": F, "Tensor": Tensor}
    for helper in HELPERS.values():  # what nobody reads is not in the file, but its node is run here
        exec(helper, names)
    names.update(execute(text))
    lowered = lower(net)
    check_layers(lowered, model, names, inplace=False)
    x = inputs(net, batch=BATCH, device="meta")
    for training in (True, False):
        one = traced(model.train(training), model, x)
        assert read(*one) == read(*traced(node_by_node(net, lowered, model, names), model, x))


def read(lines: list[str], outputs: list[object]) -> list[str]:
    """Return the kernels that outputs depend on, in the order of operands.

    What nobody reads need not be computed, and branches of a joint may take turns with its sums.
    """
    order: dict[str, str] = {}
    todo = [(number, False) for number, _ in reversed(SOURCE.findall(repr(outputs)))]
    while todo:
        number, ready = todo.pop()
        if number in order:
            continue
        if ready:
            order[number] = str(len(order) + 1)
            continue
        todo.append((number, True))
        todo += [(one, False) for one, _ in reversed(SOURCE.findall(lines[int(number) - 1]))]
    kernels = [re.sub(r"^(\w+\.\w+?)_\.", r"\1.", lines[int(number) - 1]) for number in order]
    return [SOURCE.sub(lambda m: f"'{order[m[1]]}{m[2]}'", line) for line in kernels]


def each(examples: int, shrink: bool = True) -> settings:
    """Run a test on that many random specs, newly drawn each time; a failure prints how to draw it again.

    Making a failing spec smaller takes hundreds of runs: too many where each compiles two modules.
    """
    phases = [phase for phase in Phase if shrink or phase not in (Phase.shrink, Phase.explain)]
    return settings(
        phases=phases,
        max_examples=examples,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@each(150)
@given(specs())
def test_is_right_and_has_the_shapes_that_were_drawn(spec: Spec) -> None:
    check_elaborates(spec)


@each(100)
@given(specs())
def test_formats_to_the_same_tree(spec: Spec) -> None:
    check_formats(spec)


@each(100)
@given(specs())
def test_torch_has_the_static_shapes_parameters_and_macs(spec: Spec) -> None:
    check_torch_facts(spec)


@each(60)
@given(specs())
def test_runs_in_evaluation_and_in_training(spec: Spec) -> None:
    check_runs(spec)


@each(80)
@given(specs())
def test_work_in_place_changes_no_number(spec: Spec) -> None:
    check_inplace(spec)


@each(80)
@given(specs())
def test_the_emitted_classes_are_the_net_that_they_came_from(spec: Spec) -> None:
    check_factored(spec)


@pytest.mark.slow
@each(50, shrink=False)
@given(specs())
def test_flax_is_equal_to_torch(spec: Spec) -> None:
    check_flax(spec)


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.parametrize("part", range(1, 6))
def test_flax_is_equal_to_torch_on_the_same_nets_as_ever(part: int) -> None:
    """Again when anything has changed; in parts, which may run side by side."""
    found = drawn(50, part)
    with proof(f"random_nets_{part}", *map(net_of, found), checks=[sys.modules[__name__]]) as known:
        for spec in found if not known else ():
            print(spec.text)
            check_flax(spec)


def drawn(count: int, part: int) -> list[Spec]:
    """Return random specs, the same in every run."""
    found: list[Spec] = []

    @seed(part)
    @settings(each(count), phases=[Phase.generate], database=None)
    @given(specs())
    def draw(spec: Spec) -> None:
        found.append(spec)

    draw()
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the emitted files of random specs, each with its spec beside it."""
    path = tmp_path_factory.mktemp("random")
    for number, spec in enumerate(drawn(40, 0)):
        (path / f"trial{number}.net").write_text(spec.text)
        (path / f"trial{number}.py").write_text(net_of(spec).emit())
    return path


def test_ruff_and_mypy_find_nothing(folder: Path) -> None:
    ruff = ("--isolated", "--no-cache", "--line-length", "100")
    rules = ("--target-version", "py311", "--select", RULES, "--ignore", IGNORED["torch"])
    found = tool("ruff", "check", *ruff, *rules, folder)
    found += tool("ruff", "format", *ruff, "--check", "--diff", folder)
    found += tool(
        *("mypy", "--strict", "--config-file", os.devnull, "--cache-dir", ROOT / ".mypy_cache"),
        *("--enable-error-code", "possibly-undefined", folder),  # definite assignment
    )
    assert found == ""
