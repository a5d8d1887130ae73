"""What a net on several devices does on each of them, as a table."""

from __future__ import annotations

from collections.abc import Iterator

from netdsl.cost.table import human
from netdsl.diagnostics.render import printable
from netdsl.ir.types import DTYPES
from netdsl.sheet import Look, Sheet
from netdsl.transforms.towers import Towers


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
        layers = [name for name in stage.graph.nodes if name not in stage.graph.inputs.values()]
        received = sum(plan.received(held) for held in stage.takes if held.exchanged)
        cost = net.cost()
        rows.append(
            (
                str(stage.number),
                printable(layers[0]),
                printable(layers[-1]),
                human(cost.params),
                human(cost.macs),
                f"{human(size * received)}B" if received else "-",
            )
        )
    cost = plan.net.cost()
    params, macs = (sum(getattr(net.cost(), field) for net in plan.nets) for field in ("params", "macs"))
    end = sum(plan.received(result.held) for result in plan.results if result.share)
    if end:
        rows.append(("", "results", "", "", "", f"{human(size * end)}B"))
    sent = plan.exchanged(batch, dtype, train=False)
    total = ("", "a device", "", human(params), human(macs), f"{human(sent)}B")
    header = ("stage", "from", "to", "params", "MACs", "received before it")
    caption = f"{plan.net.name} on {plan.devices} devices, each with 1/{plan.devices} of the channels of every layer"
    sheet = Sheet(header, rows, [total], left=(0, 1, 2), caption=caption)
    notes = "\n".join(look.wrapped(note) for note in notes_of(plan, batch, dtype, optimizer, memory))
    return f"{sheet.text(look)}\n\n{notes}"


def notes_of(plan: Towers, batch: int, dtype: str, optimizer: str, memory: int | None) -> Iterator[str]:
    """Yield what a step of training takes."""
    whole = plan.net.memory(batch, dtype, True, optimizer)
    own = plan.memory(batch, dtype, optimizer)
    parts = {"weights": own.weights, "gradients": own.gradients, optimizer: own.optimizer, "saved": own.saved}
    held = ", ".join(f"{human(size)}B {name}" for name, size in parts.items() if size)
    yield (
        f"training with a batch of {batch} in {dtype}: {human(own.peak)}B on each device ({held}), "
        f"{human(whole.peak)}B on one device alone; what the exchange itself takes is not counted"
    )
    if memory is not None:
        fits = "fits" if own.peak <= memory else "does not fit"
        alone = "would fit" if whole.peak <= memory else "would not fit"
        yield f"it {fits} {human(memory)}B a device; the whole net {alone} one"
    sent = human(plan.exchanged(batch, dtype))
    yield f"a step sends {sent}B to each device: maps, and their gradients on the way back"
