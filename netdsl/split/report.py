"""A net in parts as a table, and as an object for JSON."""

from __future__ import annotations

from typing import Any

from netdsl.cost.model import CONVENTION
from netdsl.cost.table import human
from netdsl.diagnostics.render import printable
from netdsl.hardware.report import FLOOR, duration
from netdsl.sheet import Look, Sheet
from netdsl.split.parts import SCHEDULES, Carried, Part, Split

VERSION = 1
"""Of the JSON form, docs/schema/split.json."""


def render_text(split: Split, look: Look | None = None) -> str:
    """Return what each part takes and each cut carries, with no newline at the end."""
    look = look or Look()
    parts = _parts(split, look).text(look)
    cuts = _cuts(split).text(look)
    notes = "\n".join(look.wrapped(note) for note in notes_of(split))
    return f"{parts}\n\n{cuts}\n\n{notes}"


def _parts(split: Split, look: Look) -> Sheet:
    options, whole = split.options, sum(split.work)
    timed = bool(options.device)
    train = options.train
    kinds = ("weights", "buffers", "gradients", "optimizer") if train else ("weights", "buffers")
    header = ("part", "from", "to", "layers", "params", "MACs", *(("at least",) if timed else ()))
    header += ("%", "", "memory", *kinds, *(("saved",) if train else ()))

    def line(
        name: str, ends: tuple[str, str], parts: tuple[Part, ...], share: str, bar: str
    ) -> tuple[str, ...]:
        def total(field: str) -> int:
            return sum(getattr(part, field) for part in parts)

        cells = [
            name,
            *ends,
            f"{sum(len(part.layers) - part.inputs for part in parts):,}",
            human(total("params")),
            human(total("macs")),
        ]
        if timed:
            cells.append(duration(sum(part.seconds or 0.0 for part in parts)))
        cells += [share, bar, f"{human(total('memory'))}B", *(f"{human(total(kind))}B" for kind in kinds)]
        if train:
            cells.append(f"{human(sum(part.flights * part.saved for part in parts))}B")
        return tuple(cells)

    rows = [
        line(
            str(part.rank),
            (printable(part.layers[part.inputs]), printable(part.layers[-1])),
            (part,),
            f"{100 * work / whole:.1f}" if whole else "",
            look.bar(work / max(split.work)) if whole else "",
        )
        for part, work in zip(split.parts, split.work, strict=True)
    ]
    net = split.net
    inputs = ", ".join(map(str, net.inputs.values()))
    caption = f"{printable(net.name)} ({printable(net.spec)}), input {inputs}, in {len(split.parts)} parts"
    bar = header.index("")
    spare = [
        [header.index(name)]
        for name in ("buffers", "layers", "optimizer", "gradients", "weights")
        if name in header
    ] + [[bar]]
    return Sheet(
        header,
        rows,
        [line("total", ("", ""), split.parts, "", "")],
        (0, 1, 2, bar),
        caption,
        bars=(bar,),
        spare=spare,
    )


def _cuts(split: Split) -> Sheet:
    number = split.options.micro_batches
    rows = [
        (
            f"{part.rank} to {part.rank + 1}",
            f"{human(part.carried)}B",
            f"{human(number * part.carried * (1 + split.options.train))}B",
            ", ".join(_carried(one) for one in part.sent),
        )
        for part in split.parts[:-1]
    ]
    return Sheet(("cut", "a micro-batch", "a step", "carries"), rows, left=(0, 3), prose=(3,))


def _carried(one: Carried) -> str:
    port = f"[{one.value.port}]" if one.value.port else ""
    return f"{printable(one.value.node)}{port} {one.shape}"


def notes_of(split: Split) -> list[str]:
    """Return what is to be known of the numbers, a line each."""
    options, parts = split.options, len(split.parts)
    runs = f"training with {options.optimizer}" if options.train else "evaluation"
    several = "es" if options.micro_batches > 1 else ""
    batches = f"{options.micro_batches} micro-batch{several} of {options.micro_batch}"
    lines = [f"batch {options.batch} in {batches}, {SCHEDULES[options.schedule]}, {options.dtype}, {runs}"]
    what = "least time" if options.device else "forward and backward MACs" if options.train else "MACs"
    lines.append(
        f"balance {100 * split.balance:.1f} %: the mean of {what} in parts of the most; no other cuts make the "
        "largest smaller"
    )
    bubble = f"({parts} - 1) / ({options.micro_batches} + {parts} - 1)"
    lines.append(
        f"bubble {100 * split.bubble:.1f} %: {bubble} of the time parts wait; "
        f"{100 * split.waiting:.1f} % with these parts"
    )
    if options.train:
        flights = ", ".join(str(part.flights) for part in split.parts)
        lines.append(
            f"memory: weights, buffers, gradients, the optimizer's state, and what autograd keeps of the "
            f"micro-batches in flight ({flights}); kernels at work, and buffers for what is sent, come on top"
        )
        lines.append("a step: values on, and their gradients back")
    else:
        lines.append("memory: weights and buffers; values, and kernels at work, come on top")
    lines += FLOOR if options.device else [CONVENTION]
    return lines


def render_json(split: Split) -> dict[str, Any]:
    """Return a net in parts as an object for `json.dumps`; its fields are those of docs/schema/split.json."""
    options, net = split.options, split.net
    return {
        "version": VERSION,
        "net": net.name,
        "spec": net.spec,
        "file": net.file,
        "inputs": {name: list(shape) for name, shape in net.inputs.items()},
        "batch": options.batch,
        "micro_batches": options.micro_batches,
        "schedule": options.schedule,
        "dtype": options.dtype,
        "train": options.train,
        "optimizer": options.optimizer if options.train else None,
        "limit": options.memory,
        "device": options.device or None,
        "convention": "; ".join(notes_of(split)),
        "balance": split.balance,
        "bubble": split.bubble,
        "waiting": split.waiting,
        "parts": [
            {
                "part": part.rank,
                "layers": list(part.layers[part.inputs :]),
                "params": part.params,
                "macs": part.macs,
                "seconds": part.seconds,
                "share": work / sum(split.work) if sum(split.work) else None,
                "memory": part.memory,
                "weights": part.weights,
                "buffers": part.buffers,
                "gradients": part.gradients,
                "optimizer": part.optimizer,
                "saved": part.saved,
                "in_flight": part.flights,
                "carried": part.carried,
                "sends": [
                    {
                        "name": one.name,
                        "layer": one.value.node,
                        "port": one.value.port,
                        "shape": list(one.shape),
                    }
                    for one in part.sent
                ],
            }
            for part, work in zip(split.parts, split.work, strict=True)
        ],
        "findings": [finding.json() for finding in split.findings],
    }
