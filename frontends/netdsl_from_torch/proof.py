"""A lifted net against its model, with live numbers: keys, outputs, running statistics, MACs.

Outputs in evaluation are compared of one sample at the size that was read. What only training has is rates of dropout
and statistics of batches, which no size changes: two samples of a smaller one show it, where model and net take that.
Where there are outputs in training only, it is compared at the size that was read, too. Nets of very many MACs are
compared at the smaller size in evaluation as well; shapes and MACs are those of the size that was read in any case.

The net is given the model's own memory, and what both multiply of equal numbers is multiplied once.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress

import torch
from torch import Tensor, nn

from netdsl.against import flat
from netdsl.frontend import Check
from netdsl.network import Network
from netdsl.ops import Op
from netdsl.ops.dropout import Drop
from netdsl_from_torch.common import same_keys
from netdsl_from_torch.once import Once
from netdsl_from_torch.tape import BATCH, copied, counted, emptied

SEED = 0
BOUND = 1e-9
"""The largest error in float64 where sums are taken in another order, relative to the largest number."""
SCALE = 8
"""How many times the first sample's numbers the second's are, and of one alone the second half those of the first:
relu6 is relu where all are near 1."""
STEP = 64
"""Sizes that differ by it are rounded alike, up or down, wherever six strides halve them; and the least of maps."""

LARGE = 10**10
"""MACs beyond which a sample takes a second or more on one core."""


def prove(
    net: Network, model: nn.Module, shapes: Sequence[Sequence[int]], macs: int | None = None
) -> tuple[Check, ...]:
    """Return what was compared; the model stays as it is. `macs` are those of a sample, where they are known."""
    random = torch.random.get_rng_state()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            return _prove(net, model, shapes, macs)
    finally:
        torch.random.set_rng_state(random)


def _prove(
    net: Network, model: nn.Module, shapes: Sequence[Sequence[int]], macs: int | None
) -> tuple[Check, ...]:
    ours, theirs = _built(net), copied(model, _apart)
    keys = same_keys(ours.state_dict(), theirs.state_dict())
    if not keys.ok:
        return (keys,)
    torch.manual_seed(SEED)
    alone, inputs = [_sample(shapes)], [_drawn(shapes)]
    small = [_smaller(shape) for shape in shapes]
    if small != [[*shape] for shape in shapes]:
        if net.cost().macs > LARGE:
            alone.insert(0, _sample(small))
        if not any(output.train for output in net.graph.outputs):
            inputs.insert(0, _drawn(small))
    enliven(theirs)
    held = {id(buffer) for buffer in theirs.buffers()}
    state = theirs.state_dict(keep_vars=True)
    ours.load_state_dict(
        {key: one.clone() if id(one) in held else one.detach() for key, one in state.items()}, assign=True
    )
    constant = not any(_changes(node.op) for node in net.graph)
    found: list[Check] = []
    for dtype in (torch.float32, torch.float64):
        found = _outputs(ours, theirs, alone, inputs, dtype, constant)
        if all(check.ok for check in found):
            break
    return (keys, *found, _macs(ours, theirs, shapes, macs))


def _changes(op: Op) -> bool:
    """Tell whether an op makes something else in training than in evaluation."""
    return op.tracks or (op.draws and not (isinstance(op, Drop) and op.p == 0))


def _built(net: Network) -> nn.Module:
    """Return the module of a net without numbers, which it is given later; with them where some are in no state."""
    with torch.device("meta"):
        made: nn.Module = net.build("torch")
    kept = made.state_dict()
    return made if all(key in kept for key, _ in made.named_buffers()) else net.build("torch")


def _apart(tensor: Tensor) -> Tensor:
    """Return a tensor for a copy of a module on the CPU: a parameter is the same numbers, which no run writes into.

    That it learns is said as a new module says it: torch multiplies otherwise by what does not.
    """
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(tensor.detach().cpu(), tensor.is_floating_point())
    return tensor.detach().cpu().clone()


def _sample(shapes: Sequence[Sequence[int]]) -> list[Tensor]:
    """Return one sample of each input."""
    inputs = [torch.randn(1, *shape) for shape in shapes]
    for x in inputs:
        x[..., x.shape[-1] // 2 :] *= SCALE
    return inputs


def _drawn(shapes: Sequence[Sequence[int]]) -> list[Tensor]:
    """Return two samples of each input."""
    inputs = [torch.randn(BATCH, *shape) for shape in shapes]
    for x in inputs:
        x[1:] *= SCALE
    return inputs


def _smaller(shape: Sequence[int]) -> list[int]:
    """Return a shape of a smaller map, whose sizes are rounded as those of the larger one."""
    if len(shape) < 3:
        return [*shape]
    return [shape[0], *(size if size < STEP else STEP + size % STEP for size in shape[1:])]


def enliven(model: nn.Module) -> None:
    """Give a model numbers of which all show: what is constant is drawn, into memory of its own.

    Norms scale by 0.5 to 8, so that activations get numbers of all sizes; a layer that starts as zeros would hide
    what is before it.
    """
    for key, parameter in model.named_parameters():
        if not parameter.is_floating_point() or not _constant(parameter):
            continue
        if parameter.ndim == 1 and key.endswith("weight"):
            parameter.data = torch.exp2(torch.empty_like(parameter).uniform_(-1, 3))
        else:
            parameter.data = torch.randn_like(parameter) * 0.1


def _constant(tensor: Tensor) -> bool:
    """Tell whether all numbers of a tensor are the same, which its first hundred show of most."""
    numbers = tensor.flatten()
    return all(not bool((some != numbers[:1]).any()) for some in (numbers[:100], numbers))


def settle(model: nn.Module, begin: Mapping[str, Tensor]) -> None:
    """Set running statistics to about those of the batches that norms got in the one run since they were as given."""
    for path, norm in model.named_modules():
        held = dict(norm.named_buffers(recurse=False))
        if not isinstance(norm, nn.modules.batchnorm._BatchNorm) or "running_mean" not in held:
            continue
        share = 1.0 if norm.momentum is None else norm.momentum
        mean, var = (
            (held[name] - (1 - share) * begin[f"{path}.{name}" if path else name]) / share
            if share
            else held[name]
            for name in ("running_mean", "running_var")
        )
        var = torch.where(var > 0, var, held["running_var"])  # a module that ran twice, or rounded
        held["running_mean"].copy_(mean + torch.randn_like(mean) * var.sqrt() * 0.1)
        held["running_var"].copy_(var * torch.empty_like(var).uniform_(0.8, 1.25))


def _outputs(
    ours: nn.Module,
    theirs: nn.Module,
    alone: Sequence[Sequence[Tensor]],
    inputs: Sequence[Sequence[Tensor]],
    dtype: torch.dtype,
    constant: bool,
) -> list[Check]:
    """Compare outputs of one sample in evaluation, and of several in training, and what that leaves.

    What is `constant` makes the same in both: where training was compared of several samples at the size that was
    read, evaluation is, too, and most of its products are there already.
    """
    mine, other = (_of(one, dtype) for one in (ours, theirs))
    begin = copy.deepcopy(dict(other.named_buffers()))
    once = Once(4 if constant else 2)

    def trained(x: Sequence[Tensor], sizes: str) -> list[Check]:
        for key, buffer in other.named_buffers():
            buffer.copy_(begin[key])
        _copy_buffers(other, mine)
        return _trained(mine, other, x, dtype, sizes, once)

    def evaluated(x: Sequence[Tensor], sizes: str) -> list[Check]:
        results = _both(mine, other, False, x, dtype, once)
        return [_compared("outputs in evaluation", results, dtype, sizes)]

    with _unfused() if constant else nullcontext():
        taken, found = _first_equal(inputs, trained)
        settle(other, begin)
        _copy_buffers(other, mine)
        if constant and taken is inputs[-1]:
            alone = [*alone[:-1], taken]
        return _first_equal(alone, evaluated)[1] + found


def _of(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return a module whose numbers are of a type, if they are of another one."""
    tensors = (*module.parameters(), *module.buffers())
    same = all(one.dtype == dtype for one in tensors if one.is_floating_point() or one.is_complex())
    return module if same else module.to(dtype)


@contextmanager
def _unfused() -> Iterator[None]:
    """Let attention be the same products in evaluation as in training, not torch's one kernel for it."""
    begin = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(begin)


def _first_equal(
    inputs: Sequence[Sequence[Tensor]], compared: Callable[[Sequence[Tensor], str], list[Check]]
) -> tuple[Sequence[Tensor], list[Check]]:
    """Return the first inputs of which all can be compared, and is equal, and what was; the last ones in any case."""
    *smaller, last = inputs
    for x in smaller:
        with suppress(Exception):  # one of them takes one size only, and raises what it likes
            found = compared(x, f", at {'x'.join(map(str, x[0].shape[1:]))}")
            if all(check.ok for check in found):
                return x, found
    return last, compared(last, "")


def _trained(
    mine: nn.Module, other: nn.Module, inputs: Sequence[Tensor], dtype: torch.dtype, sizes: str, once: Once
) -> list[Check]:
    """Compare outputs in training, and what it leaves."""
    results = _both(mine, other, True, inputs, dtype, once)
    found = [_compared("outputs in training, from one seed", results, dtype, sizes)]
    own, state, buffers = mine.state_dict(), other.state_dict(), dict(other.named_buffers())
    keys = [key for key in own if key in buffers and own[key].is_floating_point()]
    if keys:
        kept = [[held[key] for key in keys] for held in (own, state)]
        found.append(_compared("running statistics after it", kept, dtype, sizes))
    return found


def _copy_buffers(source: nn.Module, target: nn.Module) -> None:
    """Give a module the buffers of another one's state."""
    state = source.state_dict()
    for key, buffer in target.named_buffers():
        if key in state:
            buffer.copy_(state[key])


def _both(
    mine: nn.Module, other: nn.Module, train: bool, inputs: Sequence[Tensor], dtype: torch.dtype, once: Once
) -> list[list[Tensor]]:
    """Return what two modules make of the same inputs, from one seed."""
    with once:
        return [_run(module, train, inputs, dtype) for module in (mine, other)]


def _run(module: nn.Module, train: bool, inputs: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """Return what a module makes of some inputs, from one seed."""
    torch.manual_seed(SEED)
    return [*flat(module.train(train)(*(x.to(dtype) for x in inputs)))]


def _compared(what: str, both: Sequence[list[Tensor]], dtype: torch.dtype, sizes: str = "") -> Check:
    """Compare tensors, bit for bit or, in float64, up to what the order of sums makes."""
    ours, theirs = both
    if len(ours) != len(theirs):
        return Check(what, f"{len(ours)} here, {len(theirs)} there", False)
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape:
            return Check(what, f"{list(a.shape)} here, {list(b.shape)} there", False)
        if not bool(b.isfinite().all()):
            return Check(what, "the model makes numbers that are not finite", False)
    if all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True)):
        return Check(what, f"equal bit for bit{sizes}", True)
    worst = max(
        float((a - b).abs().max() / b.abs().max().clamp(min=1e-30)) for a, b in zip(ours, theirs, strict=True)
    )
    said = (
        f"differ by {worst:.1e} of the largest number at most, in {str(dtype).removeprefix('torch.')}{sizes}"
    )
    return Check(what, said, dtype == torch.float64 and worst <= BOUND)


def _macs(ours: nn.Module, theirs: nn.Module, shapes: Sequence[Sequence[int]], macs: int | None) -> Check:
    """Compare what torch counts of a sample; the modules lose their numbers."""
    mine = counted(emptied(ours).float(), shapes)[1]
    other = counted(emptied(theirs).float(), shapes)[1] if macs is None else macs
    said = f"{mine:,}" if mine == other else f"{mine:,} here, {other:,} there"
    return Check("MACs of a sample", said, mine == other)
