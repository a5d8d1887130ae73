"""Modules whose nodes are taken as one: together they are one call, however the exporter wrote it.

Only files that say the classes of modules have them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from netdsl_from_torch.layout import Layout, Unknown
from netdsl_from_torch.tape import Call, Event
from netdsl_from_torch.whole import MODULES
from torch import Tensor

from netdsl.record import Record
from netdsl_from_onnx.scopes import Stack

if TYPE_CHECKING:
    from netdsl_from_torch.translate import Translation

    from netdsl_from_onnx.patterns import Patterns
    from netdsl_from_onnx.run import Run
    from netdsl_from_onnx.scopes import Scopes

Whole = Callable[["Run", "Group", Tensor, Tensor, Sequence[Event]], Any]


class Group(Record):
    """Nodes of one call of a module, from the first to the last, and what they read and make together."""

    stack: Stack
    first: int
    last: int
    reads: str
    makes: str

    def called(self, at: Run, x: Tensor, y: Tensor, events: Sequence[Event]) -> Any:
        """Return what the module's one call makes; Unknown where `events`, what its nodes called, is another."""
        return WHOLE[self.stack[-1][1]](at, self, x, y, events)


def groups_of(scopes: Scopes, patterns: Patterns) -> Iterator[Group]:
    """Yield the modules that are taken as one, in order."""
    if not scopes.told:
        return
    places = [_whole(stack) for stack in scopes.stacks]
    for stack, each in groupby(range(len(places)), key=lambda index: places[index]):
        if not stack:
            continue
        inside = list(each)
        made = {name for index in inside for name in patterns.nodes[index].output}
        reads = {name for index in inside for name in patterns.nodes[index].input if name}
        reads -= made | patterns.known
        makes = [
            name
            for name in made - patterns.known
            if name in patterns.outputs
            or any(not inside[0] <= reader <= inside[-1] for reader in patterns.readers.get(name, ()))
        ]
        if len(reads) == len(makes) == 1:
            yield Group(stack, inside[0], inside[-1], reads.pop(), makes[0])


def _whole(stack: Stack) -> Stack:
    """Return the modules down to the outermost that is taken as one; none if none is."""
    for depth, (_, name) in enumerate(stack, 1):
        if name in WHOLE:
            return stack[:depth]
    return ()


# ---------------------------------------------------------------- modules


def adaptive_pool(name: str) -> Whole:
    """Return what a pool to some size is, whatever windows make it."""

    def called(at: Run, group: Group, x: Tensor, y: Tensor, events: Sequence[Event]) -> Any:
        if x.ndim != 4 or y.ndim != 4 or x.shape[:2] != y.shape[:2]:
            raise Unknown("it is not over rows and columns")
        return at.call(name, x, tuple(y.shape[2:]))

    return called


def windows(at: Run, group: Group, x: Tensor, y: Tensor, events: Sequence[Event]) -> Any:
    """Attention in windows: their size and shift are those by which its nodes cut and roll."""
    calls = [event for event in events if isinstance(event, Call)]
    cut = next((one.args[0] for one in calls if one.name == "permute" and one.args[0].ndim == 6), None)
    if cut is None or x.shape != y.shape:
        raise Unknown("it cuts no windows")
    shift = [0, 0]
    for one in calls:
        if one.name == "permute" and one.args[0] is cut:
            break
        if one.name == "cat" and one.args[1] in (1, 2):
            shift[one.args[1] - 1] = one.args[0][-1].shape[one.args[1]]
    path = group.stack[-1][0]
    known = {f"{path}.{name}": name for name in (*PARAMETERS, *BUFFERS)}
    held = {known[key]: at.stored(key, known[key] in BUFFERS) for key in at.file.stored if key in known}
    heads = held.get("relative_position_bias_table", held.get("logit_scale"))
    if heads is None:
        raise Unknown("it has no bias by places")
    module = SimpleNamespace(
        window_size=[cut.shape[2], cut.shape[4]],
        shift_size=shift,
        num_heads=max(heads.shape[1:]) if "logit_scale" not in held else heads.shape[0],
        dropout=0.0,
        attention_dropout=0.0,
        qkv=_linear(held, "qkv"),
        proj=_linear(held, "proj"),
    )
    if "logit_scale" in held:
        module.logit_scale = held["logit_scale"]
        module.cpb_mlp = _linear(held, "cpb_mlp.0"), None, _linear(held, "cpb_mlp.2")
    return at.put("windows", y.view_as(y), x, module)


PARAMETERS = (
    "logit_scale",
    "relative_position_bias_table",
    "qkv.weight",
    "qkv.bias",
    "proj.weight",
    "proj.bias",
    "cpb_mlp.0.weight",
    "cpb_mlp.0.bias",
    "cpb_mlp.2.weight",
    "cpb_mlp.2.bias",
)
BUFFERS = ("relative_position_index", "relative_coords_table")


def _linear(held: dict[str, Tensor], path: str) -> SimpleNamespace:
    return SimpleNamespace(out_features=held[f"{path}.weight"].shape[0], bias=held.get(f"{path}.bias"))


def in_windows(at: Translation, x: Tensor, one: Any) -> Layout:
    """Return the ops of attention in windows."""
    return MODULES["torchvision.ShiftedWindowAttention"](at, one, x)  # type: ignore[no-any-return]


WHOLE: dict[str, Whole] = {
    "AdaptiveAvgPool2d": adaptive_pool("adaptive_avg_pool2d"),
    "AdaptiveMaxPool2d": adaptive_pool("adaptive_max_pool2d"),
    "ShiftedWindowAttention": windows,
    "ShiftedWindowAttentionV2": windows,
}
"""By class what its nodes are together."""
