"""The module that runs a net on several devices, each with its share of the channels: stages, and exchanges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from string import Template

from netdsl import __version__
from netdsl.emission.code import Arg, Call, Listed, Name
from netdsl.emission.writer import INDENT, WIDTH, layout
from netdsl.transforms.towers import Held, Result, Towers
from netdsl_torch import Backend
from netdsl_torch.emit import emit

HEAD = Template('''\
"""$name on $devices devices, compiled by netdsl $version: each makes 1/$devices of the channels of every layer.
$but
Where a layer needs all channels, the devices exchange what they have made. All of them are given
the same batch, and compute the same loss of the same outputs:

    dist.init_process_group("gloo")  # $devices processes, as torchrun --nproc-per-node $devices starts them
    model = $class()
    model.load_share(torch.load("$name.pth"))  # its rows of the whole net's weights
    criterion(model(images), labels).backward()

Each process has to draw numbers of its own, for initial weights and dropout: torch.manual_seed.

    netdsl split $spec --towers $devices
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
$from_torch
$imports

TOWERS = $devices
$tables

def share_of(whole: Tensor, rank: int, axis: int, runs: Sequence[int] = ()) -> Tensor:
    """Return a device's part of each of some runs along an axis, which are all of it."""
    parts = torch.split(whole, list(runs) or whole.shape[axis], axis)
    return torch.cat([part.chunk(TOWERS, axis)[rank] for part in parts], axis)


class Gather(torch.autograd.Function):
    """The shares of all devices, in the order of the whole. Each goes on with it, so that gradients are summed."""

    @staticmethod
    def forward(ctx: Any, share: Tensor, axis: int, runs: Sequence[int]) -> Tensor:
        ctx.axis, ctx.runs = axis, runs or [TOWERS * share.shape[axis]]
        share = share.contiguous()
        shares = [torch.empty_like(share) for _ in range(TOWERS)]
        dist.all_gather(shares, share)
        parts = [torch.split(one, [run // TOWERS for run in ctx.runs], axis) for one in shares]
        return torch.cat([part for run in zip(*parts, strict=True) for part in run], axis)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        shares = [share_of(gradient, rank, ctx.axis, ctx.runs) for rank in range(TOWERS)]
        summed = torch.empty_like(shares[0])
        dist.reduce_scatter(summed, shares)
        return summed, None, None


class GatherResult(Gather):
    """The same of what leaves the net: of that all devices have the same gradient, which is whole."""

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return share_of(gradient, dist.get_rank(), ctx.axis, ctx.runs), None, None


def gather(share: Tensor, axis: int, runs: Sequence[int] = (), result: bool = False) -> Tensor:
    """Return all channels of a value of which each device has its share."""
    function = GatherResult if result else Gather
    found: Tensor = function.apply(share, axis, runs)  # type: ignore[no-untyped-call]
    return found


${parts}class $class(nn.Module):
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
            for key, x in own.items():
                own[key] = state[key]
                if $divided:
                    own[key] = share_of(state[key], dist.get_rank(), $lies)
            stage.load_state_dict(own)

    def share(self) -> dict[str, Tensor]:
        """Return this device's rows of the weights, by the keys of the whole net."""
        return {key: x for stage in self.children() for key, x in stage.state_dict().items()}

    @torch.no_grad()
    def whole_state(self) -> dict[str, Tensor]:
        """Return the weights of the whole net, by its keys, on every device, of those of all."""
        state = self.share()
        for key, x in state.items():
            if $divided:
                state[key] = gather(x, $lies)
        return state

$forward
''')

LIES = Template('''\
def lies(key: str) -> tuple[int, Sequence[int]]:
    """Return along which axis a tensor of the state is divided, and in which runs."""
    return $axis, $runs


''')
WHOLE_RESULT = '''\
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
SUMMED = '''\
class Summed(torch.autograd.Function):
    """Weights that each device has: the gradients of what all have made with them are summed."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        summed = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed


def is_whole(key: str) -> bool:
    """Tell whether each device has all of a tensor."""
    return f"{key}.".startswith(WHOLE)


def run(stage: nn.Module, *given: Tensor) -> Any:
    """Run a stage some of whose weights each device has."""
    weights = {key: x for key, x in stage.named_parameters() if is_whole(key)}
    summed = {key: Summed.apply(x) for key, x in weights.items()}  # type: ignore[no-untyped-call]
    return functional_call(stage, summed, given)


'''
SAME_NUMBERS = '''\
class SameNumbers:
    """Around a stage that has to draw the same numbers on all devices: the first says where they begin."""

    def before(self, stage: nn.Module, given: tuple[Tensor, ...]) -> None:
        x = given[0]
        self.own = torch.random.fork_rng([x.device] if x.is_cuda else [], stage.training)
        self.own.__enter__()
        if stage.training:
            seed = torch.randint(2**31, (), device=x.device)
            dist.broadcast(seed, 0)
            torch.manual_seed(int(seed))

    def after(self, stage: nn.Module, given: tuple[Tensor, ...], made: Any) -> None:
        self.own.__exit__(None, None, None)


def draw_same(stage: nn.Module) -> None:
    """Let a stage draw the same numbers on all devices."""
    around = SameNumbers()
    stage.register_forward_pre_hook(around.before)
    stage.register_forward_hook(around.after, always_call=True)


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
    same = [f"self.stage{stage.number}" for stage in plan.stages if stage.same]
    axis = "AXES.get(key, 0)" if plan.axes else "0"
    runs = 'ROWS.get(key, ROWS.get(key.rpartition(".")[0], ()))' if plan.rows else "()"
    parts = [
        (LIES.substitute(axis=axis, runs=runs), bool(plan.axes or plan.rows)),
        (WHOLE_RESULT, any(not result.held.runs for result in plan.results)),
        (SUMMED, bool(plan.whole)),
        (SAME_NUMBERS, bool(same)),
    ]
    tables = [
        *_table(
            "WHOLE", "The layers of which each device has all weights.", [f"{name}." for name in plan.whole]
        ),
        *_by(
            "ROWS: dict[str, Sequence[int]]",
            "By layer the runs of rows of each of which a device has its part.",
            {name: _tuple(runs) for name, runs in plan.rows.items()},
        ),
        *_by(
            "AXES", "By key the axis along which a tensor is divided, where it is not the first.", plan.axes
        ),
    ]
    return HEAD.substitute(
        name=plan.net.name,
        devices=plan.devices,
        version=__version__,
        spec=f"{plan.net.spec}:{plan.net.name}" if plan.net.spec else plan.net.name,
        but="\nThose of WHOLE each makes by itself, as they cannot be divided.\n" if plan.whole else "",
        from_torch="from torch.func import functional_call\n" if plan.whole else "",
        imports="\n".join(f"from {net.name} import {net.name}" for net in plan.nets),
        tables="\n".join(["", *tables, ""]) if tables else "",
        parts="".join(text for text, needed in parts if needed),
        made="\n".join(_made(plan, same)),
        lies="*lies(key)" if plan.axes or plan.rows else "0",
        divided="x.dim() and not is_whole(key)" if plan.whole else "x.dim()",
        forward="\n".join(_forward(plan)),
        **{"class": f"{plan.net.class_name}Towers"},
    )


def _table(name: str, what: str, texts: Sequence[str]) -> Iterator[str]:
    if texts:
        yield from layout(f"{name} = ", Listed(tuple([Name(f'"{text}"') for text in texts]), "()"), "", "")
        yield f'"""{what}"""'


def _by(name: str, what: str, values: Mapping[str, int | str]) -> Iterator[str]:
    if values:
        yield f"{name} = {{"
        yield from (f'    "{key}": {value},' for key, value in values.items())
        yield "}"
        yield f'"""{what}"""'


def _tuple(runs: Sequence[int]) -> str:
    """Return a tuple of two or more, in which what repeats is counted: `(64, *[32] * 6)`."""
    parts = ((run, len([*same])) for run, same in groupby(runs))
    texts = (f"*[{run}] * {times}" if times > 3 else ", ".join([str(run)] * times) for run, times in parts)
    return f"({', '.join(texts)}{',' if len({*runs}) == 1 and len(runs) > 3 else ''})"


def _made(plan: Towers, same: Sequence[str]) -> Iterator[str]:
    at = INDENT * 2
    for number, net in enumerate(plan.nets, 1):
        yield f"{at}self.stage{number} = {net.name}()"
    if plan.whole:
        yield f"{at}for key, x in self.share().items():"
        yield f"{at}    if is_whole(key):"
        yield f"{at}        dist.broadcast(x, 0)"
    if same:
        if len(same) > 1:
            yield from layout("for stage in ", Listed(tuple(map(Name, same)), "()"), ":", at)
            yield f"{at}{INDENT}draw_same(stage)"
        else:
            yield f"{at}draw_same({same[0]})"


def _forward(plan: Towers) -> Iterator[str]:
    always = [result for result in plan.results if not result.train]
    kinds = dict.fromkeys(_type(results) for results in (always, plan.results))
    given = _called("forward", "self", *(f"{name}: Tensor" for name in plan.net.graph.inputs))
    yield from layout("def ", given, f" -> {' | '.join(kinds)}:", INDENT)
    at, train = INDENT * 2, False
    for stage in plan.stages:
        if stage.train and not train:
            train = True
            yield f"{at}if not self.training:"
            yield from _return(always, at + INDENT)
        for move in stage.moves:
            runs = move.of.runs or move.held.runs
            listed = [_tuple(runs)] if len(runs) > 1 else []
            axis = str(move.held.axis)
            call = (
                _called("gather", move.of.name, axis, *listed)
                if move.exchange
                else _called("share_of", move.of.name, "dist.get_rank()", axis, *listed)
            )
            yield from layout(f"{move.held.name} = ", call, "", at)
        name, names = f"self.stage{stage.number}", [held.name for held in stage.takes]
        call = _called("run", name, *names) if stage.whole else _called(name, *names)
        made = [held.name for held in stage.makes]
        if len(f"{at}{', '.join(made)} = {name}(") > WIDTH:
            yield f"{at}("
            yield from (f"{at}{INDENT}{one}," for one in made)
            yield from layout(") = ", call, "", at)
        else:
            yield from layout(f"{', '.join(made)} = ", call, "", at)
    yield from _return(plan.results, at)


def _type(results: Sequence[Result]) -> str:
    return f"tuple[{', '.join('Tensor' for _ in results)}]" if len(results) > 1 else "Tensor"


def _return(results: Sequence[Result], at: str) -> Iterator[str]:
    found = tuple([_result(result.held) for result in results])
    yield from layout("return ", Listed(found, "()") if len(found) > 1 else found[0], "", at)


def _result(held: Held) -> Call:
    if not held.runs:
        return _called("whole_result", held.name)
    runs = [_tuple(held.runs)] if len(held.runs) > 1 else []
    return _called("gather", held.name, str(held.axis), *runs, "result=True")


def _called(function: str, *arguments: str) -> Call:
    return Call(function, tuple([Arg("", Name(text), keyword=False) for text in arguments]))
