"""A net to the source of a Flax module."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from netdsl.backend import missing, spelled
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.values import BlockDecl, OpValue
from netdsl.emission.code import Arg, Call, Expr, Lowered, Name, Param
from netdsl.emission.concolic import Maker
from netdsl.emission.dialect import Dialect
from netdsl.emission.family import Family
from netdsl.emission.function import Function
from netdsl.emission.items import Layer, walk
from netdsl.emission.members import Members
from netdsl.emission.module import ModuleText, checked
from netdsl.emission.stack import stack
from netdsl.emission.writer import INDENT, shown
from netdsl.net import Net
from netdsl.ops import Op
from netdsl.symbolic import text as symbol_text
from netdsl_flax import Backend
from netdsl_flax.definitions import IDIOMATIC_LAYERS, LAYERS, Definitions
from netdsl_flax.helpers import FUNCTIONS, HELPERS
from netdsl_flax.lowering import IDIOMATIC, LOWERINGS, OPTIONS


def _registered(name: Expr, module: Expr) -> Expr:
    return Call("setattr", tuple(Arg("", part, keyword=False) for part in (Name("self"), name, module)))


def _chain_of(layers: Expr) -> Expr:
    return Call("NamedSequential", (Arg("layers", Call("items", (), receiver=layers), keyword=False),))


DIALECT = Dialect(
    array="Array",
    layer="Callable[[Array], Array]",
    learned="nnx.Param[Array]",
    module="nnx.Module",
    call="__call__",
    training="not self.deterministic",
    multiply="jnp.multiply",
    sequential="nnx.Sequential",
    named=("NamedSequential",),
    identity=Name("nnx.identity"),
    nothing="nnx.data(None)",
    typed=frozenset(["nnx.relu", "jnp.concatenate", *FUNCTIONS]),
    last=True,
    remat="@nnx.remat",
    names=frozenset(HELPERS),
    initialised=False,
    parameters=("*", "rngs: nnx.Rngs", "**options: Unpack[LayerOptions]"),
    options=OPTIONS,
    conditional=True,
    several="Callable[..., {}]",
    register=_registered,
    lists={"list": "nnx.List", "mapping": "nnx.Dict", "path": "child_at(self, {})"},
    of_any="[Any]",
    chain_of=_chain_of,
    labels=False,
    mapping="dict[str, Callable[[Array], Array]]",
    empty="{}",
)

SCANNED = DIALECT.replace(stacked="Stacked")

_IMPORTS = (
    ("functools.", "import functools"),
    ("math.", "import math"),
    (r"re\.", "import re"),
    (r"(Callable|Iterable|Sequence)\b", "from collections.abc import {}"),
    (r"partial\(", "from functools import partial"),
    (r"(Any|NamedTuple|TypedDict|Unpack)\b", "from typing import {}"),
)
_FRAMEWORK = (
    (r"jax\.(random|image|nn|device_put|shard_map)\b", "import jax"),
    (r"jnp\.", "import jax.numpy as jnp"),
    (r"nnx\.", "from flax import nnx"),
    (r"(dot_product_attention_weights)\b", "from flax.nnx.nn.attention import {}"),
    (r"(PrecisionLike)\b", "from flax.typing import {}"),
    (r"(Array|lax)\b", "from jax import {}"),
    (r"(Mesh|NamedSharding|PartitionSpec)\b", "from jax.sharding import {}"),
    (r"(DTypeLike)\b", "from jax.typing import {}"),
)


SHARDING = frozenset({"SHARDING", "cut", "shard", "whole", "Mesh", "NamedSharding", "PartitionSpec"})
"""Names that the option of this name brings into a module."""


def emit(nets: Sequence[Net], backend: Backend) -> str:
    """Return the source as the backend's options say; NetError at the layers of ops that Flax lacks."""
    for net in nets:
        missing(net, backend)
        checked(net)
    if backend.sharding and len(nets) > 1:
        help = f"choose one: {nets[0].spec}:{nets[0].name}"
        raise NetError([Diagnostic("E506", "flax:sharding writes one net a file", help=help)])
    options = {name: getattr(backend, name) for name in ("scan", "idiomatic", "remat", "sharding")}
    return "\n".join(FlaxText(family(nets), form=spelled(backend), **options).lines()) + "\n"


def family(nets: Sequence[Net]) -> Family:
    """Stage nets as Flax needs it, whose layers are made with their initial weights and take any groups."""
    return Family(nets, own_inits=True, lenient=True)


class FlaxText(ModuleText):
    """The text of nnx.Modules."""

    dialect = DIALECT
    lowerings = LOWERINGS

    def __init__(
        self,
        family: Family,
        scan: bool = False,
        form: str = "flax",
        idiomatic: bool = False,
        remat: bool = False,
        sharding: bool = False,
    ) -> None:
        """Find what the layers have in common, too; `idiomatic` leaves out what is there to equal torch."""
        super().__init__(family, form=form, remat=remat)
        self.scan, self.sharding = scan, sharding
        self.lowerings = IDIOMATIC if idiomatic else LOWERINGS
        for cls in family.classes if scan else ():
            stack(cls)
        layers = [item for cls in family.classes for item in walk(cls.items) if isinstance(item, Layer)]
        lowered = [self.lower(item, False) for item in layers]
        given = [Lowered(self.example(value)) for value in family.given_ops()]
        known = IDIOMATIC_LAYERS if idiomatic else LAYERS
        self.definitions = Definitions(lowered, given, self.given_names(), known)
        self.lowered = {key: self.definitions.settle(value) for key, value in self.lowered.items()}
        dialect = SCANNED if scan else DIALECT
        self.dialect = dialect.replace(names=dialect.names | {*self.definitions.names.values()})
        self.taken |= self.dialect.names | (SHARDING if sharding else set())

    def body(self) -> Iterator[str]:
        """Yield the classes and factories, and behind them how a model is laid over devices, if that is asked for."""
        yield from super().body()
        if self.sharding:
            from netdsl_flax.sharding import table  # which asks this module where weights are

            (net,) = self.family.nets
            yield from table(net, self.scan)

    def given_names(self) -> set[str]:
        """Return the names that the spec gives, which definitions leave to it."""
        names = set(self.names) | {net.name for net in self.family.nets}
        for cls in self.family.classes:
            names |= {parameter.name for parameter in cls.params} | set(cls.hints)
            names |= {getattr(item, "key", "") for item in walk(cls.items)}
        return names

    def constructed(self, item: Layer, lowered: Lowered) -> Expr:
        """Return the call of an argument that makes a norm; an activation is the function itself."""
        assert item.given is not None
        name, channels = symbol_text(item.given.whole), self.channels_of(item)
        return Call(name, (*channels, *self.dialect.options)) if channels else Name(name)

    def argument(self, value: OpValue) -> Expr:
        """Return a norm as what makes it, or an activation as a function."""
        module = self.definitions.settle(Lowered(self.example(value))).module
        assert module is not None
        assert not isinstance(value.target, BlockDecl)
        if not isinstance(module, Call) or value.target.weights is Op.weights:
            return module
        options = tuple(
            arg for arg in shown(module.args) if not self.is_open(arg) and arg not in self.dialect.options
        )
        name = Name(str(module.func))
        return Call("partial", (Arg("", name, keyword=False), *options)) if options else name

    def alone(self, value: OpValue) -> Expr:
        """Return the construction of a module, also of what is a function: an attribute holds one or the other."""
        expr = self.definitions.settle(Lowered(self.example(value))).module
        assert expr is not None
        if isinstance(expr, Call) and expr.func != "partial":
            return expr
        return Call("nnx.Sequential", (Arg("", expr, keyword=False),))

    def initial(self, item: Layer) -> Iterator[tuple[Param, Expr, bool]]:
        """Yield nothing: a layer is made with its initial weights."""
        return iter(())

    def annotation(self, targets: Iterable[OpValue | None]) -> str:
        """Return the type of an argument that is an op: a function, if it has no weights, or what makes a module."""
        targets = list(targets)
        ops = [value.target for value in targets if value is not None and not isinstance(value, Maker)]
        if any(not isinstance(op, BlockDecl) and op.weights is Op.weights for op in ops):
            return f"{self.dialect.layer}{' | None' if None in targets else ''}"
        return super().annotation(targets)

    def imports(self, text: str) -> Iterator[str]:
        """Yield the imports that the text needs."""
        standard = list(_imports(text, _IMPORTS))
        yield from [*standard, ""]
        yield from _imports(text, _FRAMEWORK)

    def helpers(self, text: str) -> list[str]:
        """Return what Flax has not, then the definitions of the layers."""
        definitions = self.definitions.text(text)
        text = "\n".join([text, *definitions])
        needed: list[str] = []
        for name, source in reversed((HELPERS | self.own_helpers).items()):  # a helper uses those above it
            if name in text and re.search(rf"\b{name}\b", text):
                needed.insert(0, source)
                text += source
        return [*needed, *definitions]

    def settled(self, function: Function, members: Members) -> Iterator[str]:
        """Yield what `train()` and `eval()` set, where the net asks for it."""
        if function.kind == "net" and any(side.train for side in function.staged.sides):
            yield f"{2 * INDENT}self.deterministic = False"


def _imports(text: str, table: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for pattern, line in table:
        found = re.findall(rf"(?<![\w.]){pattern}", text)
        if found:
            yield line.format(", ".join(sorted(set(found), key=str.lower))) if "{" in line else line
