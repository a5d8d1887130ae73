"""What a net on several devices does on each of them, as a table, and as an object for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netdsl.cost.table import human
from netdsl.diagnostics.render import printable
from netdsl.ir.types import DTYPES
from netdsl.sheet import Look, Sheet
from netdsl.transforms.towers import Held, Stage, Towers

VERSION = 1
"""Of the JSON form, docs/schema/towers.json."""


def render_text(
    plan: Towers, batch: int, dtype: str, optimizer: str, memory: int | None = None, look: Look | None = None
) -> str:
    """Return the stages, and what a step of training takes, with no newline at the end.

    Args:
        plan: The net on its devices.
        batch: The samples of a step, which all devices are given.
        dtype: That of all tensors.
        optimizer: sgd, momentum, adam or adamw.
        memory: The bytes that a device has.
        look: What it is printed on.
    """
    look = look or Look()
    rows, size = [], batch * DTYPES[dtype]
    for stage, net in zip(plan.stages, plan.nets, strict=True):
        layers = layers_of(plan, stage)
        received = sum(plan.received(move.of) for move in stage.moves if move.exchange)
        cost = net.cost()
        rows.append(
            (
                f"{stage.number}{' in training' if stage.train else ''}",
                printable(layers[0]),
                printable(layers[-1]),
                human(cost.params),
                human(cost.macs),
                f"{human(size * received)}B" if received else "-",
            )
        )
    cost = plan.net.cost()
    params, macs = (sum(getattr(net.cost(), field) for net in plan.nets) for field in ("params", "macs"))
    end = sum(plan.received(result.held) for result in plan.results if result.held.runs)
    if end:
        rows.append(("", "results", "", "", "", f"{human(size * end)}B"))
    sent = plan.exchanged(batch, dtype, train=False)
    total = ("", "a device", "", human(params), human(macs), f"{human(sent)}B")
    header = ("stage", "from", "to", "params", "MACs", "received before it")
    caption = f"{plan.net.name} on {plan.devices} devices, each with 1/{plan.devices} of the channels of every layer"
    sheet = Sheet(header, rows, [total], left=(0, 1, 2), caption=caption)
    notes = "\n".join(look.wrapped(note) for note in notes_of(plan, batch, dtype, optimizer, memory))
    return f"{sheet.text(look)}\n\n{notes}"


def layers_of(plan: Towers, stage: Stage) -> list[str]:
    """Return the layers of a stage."""
    given = plan.net.graph.inputs.values()
    return [name for name in stage.graph.nodes if name in plan.net.graph and name not in given]


def notes_of(plan: Towers, batch: int, dtype: str, optimizer: str, memory: int | None) -> Iterator[str]:
    """Yield what a step of training takes."""
    whole = plan.net.memory(batch, dtype, True, optimizer)
    own = plan.memory(batch, dtype, optimizer)
    parts = {"weights": own.weights, "gradients": own.gradients, optimizer: own.optimizer, "saved": own.saved}
    held = ", ".join(f"{human(size)}B {name}" for name, size in parts.items() if size)
    yield (
        f"training with a batch of {batch} in {dtype}: {human(own.peak)}B on each device ({held}), "
        f"{human(whole.peak)}B on one device alone"
    )
    yield "memory: tensors, those of the exchange too; kernels at work, and what the network takes, come on top"
    if memory is not None:
        fits = "fits" if own.peak <= memory else "does not fit"
        alone = "would fit" if whole.peak <= memory else "would not fit"
        yield f"it {fits} {human(memory)}B a device; the whole net {alone} one"
    sent = human(plan.exchanged(batch, dtype))
    summed = ", and gradients of weights that all have" if plan.whole else ""
    yield f"a step sends {sent}B to each device: maps, and their gradients on the way back{summed}"
    if plan.whole:
        params = human(sum(plan.whole_sizes))
        several = "s are" if len(plan.whole) > 1 else " is"
        yield (
            f"{len(plan.whole)} layer{several} whole on each device, as {plan.devices} cannot share the weights "
            f"({params} params): {_some(plan.whole)}"
        )


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(map(printable, names[:3]))
    return f"{shown}, ..." if len(names) > 3 else shown


def render_json(
    plan: Towers, batch: int, dtype: str, optimizer: str, memory: int | None = None
) -> dict[str, Any]:
    """Return a net on its devices as an object for `json.dumps`; its fields are those of docs/schema/towers.json."""
    net, size = plan.net, batch * DTYPES[dtype]

    def sent(held: Held) -> dict[str, Any]:
        value = held.value
        return {
            "name": held.name,
            "layer": value.node,
            "port": value.port,
            "shape": list(net.outputs_of(value.node)[value.port]),
            "bytes": size * plan.received(held),
        }

    return {
        "version": VERSION,
        "net": net.name,
        "spec": net.spec,
        "file": net.file,
        "inputs": {name: list(shape) for name, shape in net.inputs.items()},
        "devices": plan.devices,
        "batch": batch,
        "dtype": dtype,
        "optimizer": optimizer,
        "limit": memory,
        "convention": "; ".join(notes_of(plan, batch, dtype, optimizer, memory)),
        "memory": dict(plan.memory(batch, dtype, optimizer).__dict__),
        "alone": dict(net.memory(batch, dtype, True, optimizer).__dict__),
        "sent": plan.exchanged(batch, dtype),
        "whole": list(plan.whole),
        "stages": [
            {
                "stage": stage.number,
                "train": stage.train,
                "layers": layers_of(plan, stage),
                "params": own.cost().params,
                "macs": batch * own.cost().macs,
                "receives": [sent(move.of) for move in stage.moves if move.exchange],
            }
            for stage, own in zip(plan.stages, plan.nets, strict=True)
        ],
        "results": [
            {
                "train": result.train,
                "shared": bool(result.held.runs),
                **sent(result.held),
                "name": result.name,
            }
            for result in plan.results
        ],
    }
