"""A net to the source of a Flax module."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netdsl.backend import Backend, missing
from netdsl.emission.code import Name
from netdsl.emission.constants import lower_all, mark
from netdsl.emission.dialect import Dialect
from netdsl.emission.factor import Factory
from netdsl.emission.plan import ClassPlan, Plan
from netdsl.emission.source import Source, checked
from netdsl.emission.writer import INDENT
from netdsl.network import Network
from netdsl_flax.definitions import Definitions
from netdsl_flax.helpers import FUNCTIONS, HELPERS
from netdsl_flax.lowering import LOWERINGS, OPTIONS

DIALECT = Dialect(
    array="Array",
    layer="Callable[[Array], Array]",
    module="nnx.Module",
    call="__call__",
    training="not self.deterministic",
    sequential="nnx.Sequential",
    named=("NamedSequential",),
    identity=Name("nnx.identity"),
    nothing="nnx.data(None)",
    typed=frozenset(["nnx.relu", "jnp.concatenate", *FUNCTIONS]),
    layout=" Shapes are channels first, the arrays channels last.",
    names=frozenset(HELPERS),
    initialised=False,
    frees=False,
    parameters=("**options: Unpack[LayerOptions]",),
    options=(OPTIONS,),
)

SCANNED = DIALECT.replace(stacked="Stacked")

_IMPORTS = (
    ("math.", "import math"),
    (r"(Callable|Iterable|Sequence)\b", "from collections.abc import {}"),
    (r"partial\(", "from functools import partial"),
    (r"(Any|NamedTuple|Required|TypedDict|Unpack)\b", "from typing import {}"),
)
_FRAMEWORK = (
    (r"jax\.(random|image)", "import jax"),
    (r"jnp\.", "import jax.numpy as jnp"),
    (r"nnx\.", "from flax import nnx"),
    (r"(dot_product_attention_weights)\b", "from flax.nnx.nn.attention import {}"),
    (r"(Array|lax)\b", "from jax import {}"),
    (r"(DTypeLike)\b", "from jax.typing import {}"),
)


def emit(net: Network, backend: Backend, scan: bool = False) -> str:
    """Return the source, equal blocks in a row stacked if `scan`; NetError at the layers of ops that Flax lacks."""
    missing(net, backend)
    checked(net)
    factory, arguments, definitions = prepare(net, scan)
    return "\n".join(FlaxSource(net, factory.plan(), arguments, definitions).lines()) + "\n"


def prepare(net: Network, scan: bool) -> tuple[Factory, dict[str, object], Definitions]:
    """Return what makes the classes, the parameters that stay arguments, and what the layers have in common."""
    lowered, arguments = mark(net, lambda n, known: lower_all(n, LOWERINGS, known=known), lambda _: {})
    definitions = Definitions(lowered, _names(net))
    settled = {name: definitions.settle(value) for name, value in lowered.items()}
    dialect = SCANNED if scan else DIALECT
    dialect = dialect.replace(names=dialect.names | {*definitions.names.values()})
    return Factory(net, settled, {}, dialect), arguments, definitions


def _names(net: Network) -> set[str]:
    """Return the names that the spec gives, which definitions leave to it."""
    names = {net.name, net.class_name}
    for scope in net.graph.tree.scopes():
        names |= {scope.block, scope.name, *scope.args}
    return names | {node.name.rpartition(".")[2] for node in net.graph}


class FlaxSource(Source):
    """The text of one nnx.Module."""

    dialect = DIALECT

    def __init__(
        self, net: Network, plan: Plan, arguments: dict[str, object], definitions: Definitions
    ) -> None:
        """Take the definitions of the net's layers, too."""
        super().__init__(net, plan, arguments)
        self.definitions = definitions

    def imports(self, text: str) -> Iterator[str]:
        """Yield the imports that the text needs."""
        standard = list(_imports(text, _IMPORTS))
        yield from [*standard, ""]
        yield from _imports(text, _FRAMEWORK)
        yield ""
        yield ""

    def helpers(self, text: str) -> list[str]:
        """Return what Flax has not, then the definitions of the layers."""
        definitions = self.definitions.text()
        text = "\n".join([text, *definitions])
        needed: list[str] = []
        for name, source in reversed(HELPERS.items()):  # a helper uses those above it
            if re.search(rf"\b{name}\b", text):
                needed.insert(0, source)
                text += source
        return [*needed, *definitions]

    def settled(self, plan: ClassPlan) -> Iterator[str]:
        """Yield what `train()` and `eval()` set, where the net asks for it."""
        if plan.scope.kind == "net" and any(output.train for output in self.net.graph.outputs):
            yield f"{2 * INDENT}self.deterministic = False"


def _imports(text: str, table: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for pattern, line in table:
        found = re.findall(rf"(?<![\w.]){pattern}", text)
        if found:
            yield line.format(", ".join(sorted(set(found), key=str.lower))) if "{" in line else line
