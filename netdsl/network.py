"""A net: its graph and every fact about it, worked out when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from netdsl.cost.model import Cost
from netdsl.elaborate.build import MAX_NODES, Allow, Budget, Decision, Elaborated, Elaborator
from netdsl.elaborate.values import NetDecl, VariantDecl
from netdsl.ir.graph import Graph
from netdsl.ir.types import Parameter, Shape


class Recipe:
    """What a net is made from, so that it can be made again with another setting."""

    def __init__(
        self,
        net: NetDecl,
        variant: VariantDecl | None,
        settings: Mapping[str, Any],
        inputs: Mapping[str, Shape],
        max_nodes: int = MAX_NODES,
    ) -> None:
        """`settings` are values by parameter or decision, `inputs` shapes by input ("" for the only one)."""
        self.net = net
        self.variant = variant
        self.settings = settings
        self.inputs = inputs
        self.max_nodes = max_nodes

    def elaborate(self, **changes: Any) -> Elaborated:
        """Return the net's graph, some parameters changed; raise NetError."""
        return Elaborator(
            self.net, self.variant, {**self.settings, **changes}, self.inputs, self.max_nodes
        ).run()


class Network:
    """One net of a spec, elaborated. Shapes and costs are per sample unless a batch is given."""

    def __init__(self, recipe: Recipe) -> None:
        """Elaborate; raise NetError with every error found."""
        self.recipe = recipe
        self.elaborated = recipe.elaborate()

    @property
    def name(self) -> str:
        """The variant's name, or the net's in lower case."""
        variant = self.recipe.variant
        return variant.name if variant is not None else self.recipe.net.name.lower()

    @property
    def class_name(self) -> str:
        """The net's name."""
        return self.recipe.net.name

    @property
    def spec(self) -> str:
        """The file's name, without its folder."""
        decl = self.recipe.variant or self.recipe.net
        return decl.file.source.name.replace("\\", "/").rpartition("/")[2]

    @property
    def graph(self) -> Graph:
        """The graph; `net.graph.nx` is the networkx graph."""
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
        return {name: shapes[0] for name, shapes in self.elaborated.shapes.items()}

    def outputs_of(self, name: str) -> tuple[Shape, ...]:
        """Return the shapes of a node's outputs."""
        return self.elaborated.shapes[name]

    def inputs_of(self, name: str) -> tuple[Shape, ...]:
        """Return the shapes of a node's inputs."""
        shapes = self.elaborated.shapes
        return tuple(shapes[value.node][value.port] for value in self.graph[name].inputs)

    @property
    def inputs(self) -> Mapping[str, Shape]:
        """Shape by name of input, channels first."""
        return {name: self.shapes[node] for name, node in self.graph.inputs.items()}

    @property
    def outputs(self) -> Mapping[str, Shape]:
        """Shape by name of output; the first is `out`."""
        shapes = self.elaborated.shapes
        return {o.name: shapes[o.value.node][o.value.port] for o in self.graph.outputs}

    @cached_property
    def layer_costs(self) -> Mapping[str, Cost]:
        """Cost of each node for one sample, with activations in elements."""
        return {node.name: node.op.cost(*self.inputs_of(node.name)) for node in self.graph}

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """The learned tensors by their key in the state_dict, in its order within a layer."""
        return {
            f"{node.name}.{key}" if key else node.name: parameter
            for node in self.graph
            for key, parameter in node.op.params(*self.inputs_of(node.name)).items()
        }
