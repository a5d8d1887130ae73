"""The module that runs a net on several devices, each with its share of the channels: stages, and exchanges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from string import Template

from netdsl import __version__
from netdsl.emission.code import Arg, Call, Listed, Name
from netdsl.emission.writer import INDENT, layout
from netdsl.transforms.towers import Held, Towers
from netdsl_torch import Backend
from netdsl_torch.emit import emit

HEAD = Template('''\
"""$name on $devices devices, compiled by netdsl $version: each makes 1/$devices of the channels of every layer.

Where a layer needs all channels, the devices exchange what they have made. All of them are given
the same batch, and compute the same loss of the same outputs:

    dist.init_process_group("gloo")  # $devices processes, as torchrun --nproc-per-node $devices starts them
    model = $class()
    model.load_share(torch.load("$name.pth"))  # its rows of the whole net's weights
    criterion(model(images), labels).backward()

Each process has to draw numbers of its own, for initial weights and dropout: torch.manual_seed.

    netdsl split $spec --towers $devices
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

$imports

TOWERS = $devices


class Gather(torch.autograd.Function):
    """The shares of all devices, side by side. Each goes on with all, so that gradients are summed."""

    @staticmethod
    def forward(ctx: Any, share: Tensor, axis: int) -> Tensor:
        ctx.axis = axis
        share = share.contiguous()
        shares = [torch.empty_like(share) for _ in range(TOWERS)]
        dist.all_gather(shares, share)
        return torch.cat(shares, axis)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        shares = [share.contiguous() for share in gradient.chunk(TOWERS, ctx.axis)]
        summed = torch.empty_like(shares[0])
        dist.reduce_scatter(summed, shares)
        return summed, None


class GatherResult(Gather):
    """The same of what leaves the net: of that all devices have the same gradient, which is whole."""

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.chunk(TOWERS, ctx.axis)[dist.get_rank()], None


def gather(share: Tensor, axis: int, result: bool = False) -> Tensor:
    """Return all channels of a value of which each device has its share."""
    function = GatherResult if result else Gather
    found: Tensor = function.apply(share, axis)  # type: ignore[no-untyped-call]
    return found


${whole}def share_of(whole: Tensor, like: Tensor, rank: int) -> Tensor:
    """Return a device's rows of a tensor: along the axis that is longer than its own."""
    axes = [axis for axis in range(like.dim()) if like.shape[axis] != whole.shape[axis]]
    return whole.chunk(TOWERS, axes[0])[rank] if axes else whole


class $class(nn.Module):
    """What one device does."""

    def __init__(self) -> None:
        super().__init__()
        if dist.get_world_size() != TOWERS:
            raise ValueError(f"it is made for {TOWERS} processes, not {dist.get_world_size()}")
$made

    def load_share(self, state: dict[str, Tensor]) -> None:
        """Take this device's rows of the weights of the whole net, by its keys."""
        for stage in self.children():
            own = stage.state_dict()
            rows = {key: share_of(state[key], own[key], dist.get_rank()) for key in own}
            stage.load_state_dict(rows)

    def share(self) -> dict[str, Tensor]:
        """Return this device's rows of the weights, by the keys of the whole net."""
        return {key: x for stage in self.children() for key, x in stage.state_dict().items()}

$forward
''')


WHOLE = '''\
class WholeResult(torch.autograd.Function):
    """What all devices have made alike: as gradients are summed, each goes back with its part of this one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient / TOWERS


def whole_result(x: Tensor) -> Tensor:
    """Return a result that all devices have made alike."""
    found: Tensor = WholeResult.apply(x)  # type: ignore[no-untyped-call]
    return found


'''


def files(plan: Towers, backend: Backend) -> Mapping[str, str]:
    """Return the module that runs a plan, and specs and modules of its stages, by names of files."""
    found = {f"{plan.net.name}_towers.py": runner(plan)}
    for net in plan.nets:
        found[f"{net.name}.net"] = net.recipe.net.file.source.text
        found[f"{net.name}.py"] = emit([net], backend)
    return found


def runner(plan: Towers) -> str:
    """Return the module that runs a plan."""
    return HEAD.substitute(
        name=plan.net.name,
        devices=plan.devices,
        version=__version__,
        spec=f"{plan.net.spec}:{plan.net.name}" if plan.net.spec else plan.net.name,
        imports="\n".join(f"from {net.name} import {net.name}" for net in plan.nets),
        made="\n".join(f"        self.stage{at} = {net.name}()" for at, net in enumerate(plan.nets, 1)),
        whole="" if all(result.share for result in plan.results) else WHOLE,
        forward="\n".join(_forward(plan)),
        **{"class": f"{plan.net.class_name}Towers"},
    )


def _forward(plan: Towers) -> Iterator[str]:
    several = len(plan.results) > 1
    returned = f"tuple[{', '.join('Tensor' for _ in plan.results)}]" if several else "Tensor"
    given = _called("forward", "self", *(f"{name}: Tensor" for name in plan.net.graph.inputs))
    yield from layout("def ", given, f" -> {returned}:", INDENT)
    at = INDENT * 2
    gathered: set[Held] = set()
    for stage in plan.stages:
        for held in stage.takes:
            if held.exchanged and held not in gathered:
                gathered.add(held)
                own = plan.made[held.value].name
                yield from layout(f"{held.name} = ", _called("gather", own, str(held.axis)), "", at)
        call = _called(f"self.stage{stage.number}", *(held.name for held in stage.takes))
        yield from layout(f"{', '.join(held.name for held in stage.makes)} = ", call, "", at)
    results = [
        _called("gather", result.held.name, str(result.held.axis), "result=True")
        if result.share
        else _called("whole_result", result.held.name)
        for result in plan.results
    ]
    yield from layout("return ", Listed(tuple(results), "()") if several else results[0], "", at)


def _called(function: str, *arguments: str) -> Call:
    return Call(function, tuple([Arg("", Name(text), keyword=False) for text in arguments]))
