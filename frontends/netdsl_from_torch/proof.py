"""A lifted net against its model, with live numbers: keys, outputs, running statistics, MACs."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from netdsl.against import flat
from netdsl.frontend import Check
from netdsl.network import Network
from netdsl_from_torch.common import same_keys
from netdsl_from_torch.tape import BATCH, Shapes, abstract

SEED = 0
BOUND = 1e-9
"""The largest error in float64 where sums are taken in another order, relative to the largest number."""
SCALE = 8
"""How many times the first sample's numbers the second's are: relu6 is relu where all are near 1."""


def prove(net: Network, model: nn.Module, shapes: Sequence[Sequence[int]]) -> tuple[Check, ...]:
    """Return what was compared; the model stays as it is."""
    random = torch.random.get_rng_state()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _prove(net, model, shapes)
    finally:
        torch.random.set_rng_state(random)


def _prove(net: Network, model: nn.Module, shapes: Sequence[Sequence[int]]) -> tuple[Check, ...]:
    ours = net.build("torch")
    theirs = copy.deepcopy(model).cpu()
    keys = same_keys(ours.state_dict(), theirs.state_dict())
    if not keys.ok:
        return (keys,)
    torch.manual_seed(SEED)
    inputs = [torch.randn(BATCH, *shape) for shape in shapes]
    for x in inputs:
        x[1:] *= SCALE
    enliven(theirs, inputs)
    found: list[Check] = []
    for dtype in (torch.float32, torch.float64):
        found = _outputs(ours, theirs, inputs, dtype)
        if all(check.ok for check in found):
            break
    return (keys, *found, _macs(ours, model, shapes))


def enliven(model: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Give a model numbers of which all show: what is constant is drawn, running statistics are the input's.

    Norms scale by 0.5 to 8, so that activations get numbers of all sizes; a layer that starts as zeros would hide
    what is before it.
    """
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if not parameter.is_floating_point() or bool((parameter != parameter.flatten()[:1]).any()):
                continue
            if parameter.ndim == 1 and key.endswith("weight"):
                parameter.copy_(torch.exp2(torch.empty_like(parameter).uniform_(-1, 3)))
            else:
                parameter.copy_(torch.randn_like(parameter) * 0.1)
        norms: list[Any] = [
            one for one in model.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)
        ]
        momenta = [one.momentum for one in norms]
        for one in norms:
            one.momentum = 1.0
        model.train()(*(x.clone() for x in inputs))
        for one, momentum in zip(norms, momenta, strict=True):
            one.momentum = momentum
            if one.running_mean is not None:
                deviation = one.running_var.sqrt()
                one.running_mean += torch.randn_like(deviation) * deviation * 0.1
                one.running_var *= torch.empty_like(deviation).uniform_(0.8, 1.25)


def _outputs(ours: nn.Module, theirs: nn.Module, inputs: Sequence[Tensor], dtype: torch.dtype) -> list[Check]:
    """Compare outputs in evaluation and in training, and what training leaves."""
    mine, other = ours.to(dtype), theirs.to(dtype)
    mine.load_state_dict(other.state_dict())
    found = []
    for train, what in ((False, "outputs in evaluation"), (True, "outputs in training, from one seed")):
        results: list[list[Tensor]] = []
        for module in (mine, other):
            torch.manual_seed(SEED)
            with torch.no_grad():
                y = module.train(train)(*(x.to(dtype) for x in inputs))
            results.append([*flat(y)])
        found.append(_compared(what, results[0], results[1], dtype))
    own, state, buffers = mine.state_dict(), other.state_dict(), dict(other.named_buffers())
    keys = [key for key in own if key in buffers and own[key].is_floating_point()]
    if keys:
        kept = [[held[key] for key in keys] for held in (own, state)]
        found.append(_compared("running statistics after it", kept[0], kept[1], dtype))
    return found


def _compared(what: str, ours: list[Tensor], theirs: list[Tensor], dtype: torch.dtype) -> Check:
    """Compare tensors, bit for bit or, in float64, up to what the order of sums makes."""
    if len(ours) != len(theirs):
        return Check(what, f"{len(ours)} here, {len(theirs)} there", False)
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape:
            return Check(what, f"{list(a.shape)} here, {list(b.shape)} there", False)
        if not bool(b.isfinite().all()):
            return Check(what, "the model makes numbers that are not finite", False)
    if all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True)):
        return Check(what, "equal bit for bit", True)
    worst = max(
        float((a - b).abs().max() / b.abs().max().clamp(min=1e-30)) for a, b in zip(ours, theirs, strict=True)
    )
    said = f"differ by {worst:.1e} of the largest number at most, in {str(dtype).removeprefix('torch.')}"
    return Check(what, said, dtype == torch.float64 and worst <= BOUND)


def _macs(ours: nn.Module, model: nn.Module, shapes: Sequence[Sequence[int]]) -> Check:
    """Compare what torch's counter counts of a sample."""
    counts = []
    for module in (ours, model):
        one = abstract(module).float().eval()
        with FlopCounterMode(display=False) as counter, Shapes(), torch.no_grad():
            one(*(torch.zeros(1, *shape, device="meta") for shape in shapes))
        counts.append(counter.get_total_flops() // 2)
    mine, other = counts
    said = f"{mine:,}" if mine == other else f"{mine:,} here, {other:,} there"
    return Check("MACs of a sample", said, mine == other)
