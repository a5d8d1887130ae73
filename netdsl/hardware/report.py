"""Estimates and devices as text and as objects for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netdsl.cost.table import GROUPINGS, grouping
from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.diagnostics.render import printable
from netdsl.hardware.device import NUMBERS, Device
from netdsl.hardware.model import BACKWARD, FORWARD, UPDATE, Estimate, Step
from netdsl.record import Record
from netdsl.sheet import Look, Sheet, csv

VERSION = 1
"""Of the JSON form, docs/schema/device.json."""
FLOOR = (
    "a floor, no forecast: every step runs at the peak rate or at full bandwidth, and reads its inputs and weights "
    "from memory",
    "launches and real kernels take more; what a cache holds, and Winograd's convolutions, may take less",
)
BACK = (
    "the backward pass: its multiply-accumulates are exact, its other operations as many as forward, its bytes a "
    "model: gradients, what was kept and weights are read once, gradients written",
)
"""What holds of training beside."""


def quantity(value: float | None, unit: str) -> str:
    """Return a number of a unit as people say it: `1.58 Tops/s`, `192 GB/s`, `0.52 mJ`; `-` if it is not known."""
    if not value:
        return "-" if value is None else f"0 {unit}"
    scales = (
        (1e12, "T"),
        (1e9, "G"),
        (1e6, "M"),
        (1e3, "k"),
        (1.0, ""),
        (1e-3, "m"),
        (1e-6, "u"),
        (1e-9, "n"),
    )
    scale, prefix = next(((scale, prefix) for scale, prefix in scales if value >= scale), scales[-1])
    return f"{value / scale:.4g} {prefix}{unit}"


def duration(seconds: float) -> str:
    """Return a time with three digits: `12.3 us`, `1.05 ms`, `2.40 s`."""
    if seconds >= 1e6:
        return f"{seconds:.3g} s"
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= scale:
            return f"{seconds / scale:.{_digits(seconds / scale)}f} {unit}"
    return f"{seconds / 1e-9:.{_digits(seconds / 1e-9)}f} ns"


def _digits(value: float) -> int:
    return 2 if value < 10 else 1 if value < 100 else 0


class Row(Record):
    """What some layers take together, in both directions."""

    name: str
    op: str
    """Of a layer its op, with those that are fused with it; of a block its name."""
    macs: int
    ops: int
    bytes: int
    seconds: Mapping[str, float]
    """The least time by part of a step of training; in evaluation there is `forward` alone."""
    waiting: float | None
    """Which share of that memory bounds; None if the bandwidth is not known."""

    @property
    def operations(self) -> int:
        """Two for each multiply-accumulate, and what else is computed."""
        return 2 * self.macs + self.ops

    @property
    def intensity(self) -> float:
        """Operations per byte; of what moves none, none."""
        return self.operations / self.bytes if self.bytes else 0.0

    @property
    def whole(self) -> float:
        """The least time of all."""
        return sum(self.seconds.values())

    @property
    def bound(self) -> str:
        """What most of the time is waited for: `compute` or `memory`; "" if the bandwidth is not known."""
        if self.waiting is None:
            return ""
        return "memory" if self.waiting > 0.5 else "compute"


def rows(estimate: Estimate, by: str = "layer") -> list[Row]:
    """Return the steps of an estimate together by layer, block, stage or op, in the order of the net.

    Raises:
        NetError: There is no such grouping.
    """
    if by not in GROUPINGS:
        help = did_you_mean(by, GROUPINGS) or f"there are {', '.join(GROUPINGS)}"
        raise NetError([Diagnostic("E503", f"unknown by `{by}`", help=help)])
    graph = estimate.net.graph
    group_of = grouping(graph, by)
    groups: dict[tuple[str, str], list[Step]] = {}
    for step in estimate.steps:
        name, op = (step.name, step.op) if step.phase == UPDATE else group_of(graph[step.name])
        groups.setdefault((name, step.op if by == "layer" else op), []).append(step)
    return [_row(name, op, steps) for (name, op), steps in groups.items()]


def _row(name: str, op: str, steps: Sequence[Step]) -> Row:
    seconds = dict.fromkeys((step.phase for step in steps), 0.0)
    for step in steps:
        seconds[step.phase] += step.seconds
    waiting = None
    if all(step.bound for step in steps):
        whole = sum(seconds.values())
        bound = sum(step.seconds for step in steps if step.bound == "memory")
        waiting = min(1.0, bound / whole) if whole else 0.0
    macs, ops, moved = (
        sum(counts) for counts in zip(*((s.macs, s.ops, s.bytes) for s in steps), strict=True)
    )
    return Row(name, op, macs, ops, moved, seconds, waiting)


def _bound(row: Row) -> str:
    """Return what a row waits for, and for which share of its time if not for all."""
    if row.waiting is None:
        return ""
    percent = round(100 * (row.waiting if row.bound == "memory" else 1 - row.waiting))
    return row.bound if percent == 100 else f"{row.bound} {percent}%"


def _sheet(estimate: Estimate, by: str) -> Sheet:
    """Return the steps and what they add up to, as texts."""
    whole, found = estimate.latency, rows(estimate, by)
    phases = (FORWARD, BACKWARD) if estimate.train else ()
    about = by != "op"  # a row by op has no other op

    def line(row: Row, name: str, share: str, bound: str) -> tuple[str, ...]:
        counts = (f"{row.operations:,}", f"{row.bytes:,}", f"{row.intensity:.1f}")
        times = tuple(duration(row.seconds[phase]) if phase in row.seconds else "" for phase in phases)
        named = (name, row.op) if about else (name,)
        return (*named, *counts, *times, duration(row.whole), share, bound)

    header = ("step" if by == "layer" else by, *(("op",) if about else ()))
    header += ("operations", "bytes", "ops/byte", *phases, "at least", "%", "bound by")
    lines = []
    for row in found:
        share = f"{100 * row.whole / whole:.1f}" if whole else ""
        lines.append(line(row, printable(row.name), share, _bound(row)))
    total = _row("total", "", estimate.steps) if estimate.steps else Row("total", "", 0, 0, 0, {}, None)
    left = (*range(1 + about), len(header) - 1)
    totals = [line(total, "total", "", "")]
    spare = [
        [header.index(name)]
        for name in ("ops/byte", "operations", "bytes", *phases, *(("op",) if about else ()))
    ]
    return Sheet(header, lines, totals, left, _caption(estimate), _footer(estimate), spare=spare)


def _caption(estimate: Estimate) -> str:
    net = estimate.net
    inputs = ", ".join(map(str, net.inputs.values()))
    return f"{printable(net.name)} ({printable(net.spec)}), input {inputs}, on {printable(estimate.device.title)}"


def render_text(estimate: Estimate, by: str = "layer", look: Look | None = None) -> str:
    """Return a table of the steps and what they add up to, with no newline at the end."""
    return _sheet(estimate, by).text(look)


def render_markdown(estimate: Estimate, by: str = "layer") -> str:
    """Return the same as Markdown."""
    return _sheet(estimate, by).markdown()


def render_csv(estimate: Estimate, by: str = "layer") -> str:
    """Return the rows as CSV: whole counts, seconds, the share of these that memory bounds; no total."""
    phases = (FORWARD, BACKWARD) if estimate.train else ()
    about = by != "op"  # a row by op has no other op
    header = (by, *(("op",) if about else ()), "macs", "ops", "bytes", "seconds")
    header += tuple(f"{phase}_seconds" for phase in phases)
    lines: list[tuple[str, ...]] = [(*header, "bound", "memory_bound")]
    for row in rows(estimate, by):
        times = [row.whole, *(row.seconds.get(phase, 0.0) for phase in phases)]
        waiting = "" if row.waiting is None else f"{row.waiting:.6g}"
        counts = map(str, (row.macs, row.ops, row.bytes))
        named = (row.name, row.op) if about else (row.name,)
        lines.append((*named, *counts, *(f"{time:.9g}" for time in times), row.bound, waiting))
    return csv(lines)


def _footer(estimate: Estimate) -> list[str]:
    device, steps = estimate.device, estimate.steps
    parts = [f"batch {estimate.batch}, {estimate.dtype}"]
    parts.append(f"a step of training with {estimate.optimizer}" if estimate.train else "evaluation")
    fused = "activations" if estimate.train else "norms and activations"
    parts.append(f"{fused} fused" if estimate.fused else "nothing fused")
    lines = [f"{', '.join(parts[:2])}{''.join(f'; {part}' for part in parts[2:])}"]
    rate = estimate.throughput
    samples = f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
    lines.append(f"at least {duration(estimate.latency)} a batch, at most {samples} samples a second")
    fitted, forecast = device.calibration, estimate.forecast
    if fitted is not None and forecast is not None:
        lines.append(
            f"{duration(forecast)} expected by calibration: half of {fitted.nets} other nets were within "
            f"{100 * fitted.error:.0f} %"
        )
    elif fitted is not None:
        unknown = sorted({step.kernel for step in steps if step.kernel not in fitted.kernels})
        why = (
            f"{', '.join(unknown)} was not measured"
            if unknown
            else f"it is of batch 1, {fitted.dtype}, nothing fused, no training"
        )
        lines.append(f"calibration expects nothing: {why}")
    if estimate.energy is not None:
        lines.append(
            f"{quantity(estimate.energy / estimate.batch, 'J')} a sample, if it draws its rated "
            f"{quantity(device.power, 'W')} for that time"
        )
    peak = f"peak {quantity(device.rate(estimate.dtype), 'ops/s')} in {estimate.dtype}"
    if estimate.ridge is None:
        lines.append(f"{peak}; the bandwidth is not known, so that only operations count")
    else:
        bound = [step for step in steps if step.bound == "memory"]
        lines.append(
            f"{peak}, {quantity(device.bandwidth, 'B/s')}: below {estimate.ridge:.1f} operations a byte memory "
            f"bounds, {len(bound)} of {len(steps)} steps"
        )
    largest = estimate.largest_batch
    if largest is not None:
        what = "weights, gradients and the optimizer's state" if estimate.train else "weights"
        held = f"{what} {quantity(estimate.weights, 'B')}, {quantity(estimate.sample, 'B')} a sample"
        memory = f"{quantity(device.memory, 'B')} of memory"
        if device.flash is not None:
            memory += f", {quantity(device.flash, 'B')} more for weights"
        lines.append(
            f"largest batch {largest:,} in {memory}: {held}" if largest else f"too large for {memory}: {held}"
        )
    if device.note:
        lines.append(printable(device.note))
    return [*lines, *FLOOR, *(BACK if estimate.train else ())]


def render_json(estimate: Estimate, by: str = "layer") -> dict[str, Any]:
    """Return an estimate as an object for `json.dumps`; its fields are those of docs/schema/device.json."""
    train = estimate.train
    return {
        "version": VERSION,
        "net": estimate.net.name,
        "spec": estimate.net.spec,
        "file": estimate.net.file,
        "inputs": {name: list(shape) for name, shape in estimate.net.inputs.items()},
        "device": estimate.device.name,
        "by": by,
        "batch": estimate.batch,
        "dtype": estimate.dtype,
        "fused": estimate.fused,
        "train": train,
        "optimizer": estimate.optimizer if train else None,
        "convention": "; ".join((*FLOOR, *(BACK if train else ()))),
        "steps": [
            {
                "name": row.name,
                "op": row.op,
                "macs": row.macs,
                "ops": row.ops,
                "bytes": row.bytes,
                "intensity": row.intensity,
                "seconds": row.whole,
                "parts": dict(row.seconds),
                "bound": row.bound,
                "memory_bound": row.waiting,
            }
            for row in rows(estimate, by)
        ],
        "total": {
            "seconds": estimate.latency,
            "expected_seconds": estimate.forecast,
            "joules": estimate.energy,
            "largest_batch": estimate.largest_batch,
            "weights": estimate.weights,
            "peak_per_sample": estimate.sample,
        },
    }


# ---------------------------------------------------------------- devices

_RATES = ("float32", "float16", "int8")


def render_devices(devices: Sequence[Device], look: Look | None = None) -> str:
    """Return a line a device, and no newline at the end."""
    header = ("device", *_RATES, "bandwidth", "memory", "power", "title")
    rows = [
        (
            printable(device.name),
            *(quantity(device.peak.get(dtype), "ops/s") for dtype in _RATES),
            quantity(device.bandwidth, "B/s"),
            quantity(device.memory, "B"),
            quantity(device.power, "W"),
            printable(device.title),
        )
        for device in devices
    ]
    title = len(header) - 1
    spare = [[header.index(name)] for name in ("title", "power", "int8", "memory", "bandwidth")]
    return Sheet(header, rows, left=(0, title), spare=spare, prose=(title,)).text(look)


def render_device(device: Device, look: Look | None = None) -> str:
    """Return all that is known of one device, each number with its source, and no newline at the end."""
    numbers = [(f"peak {dtype}", quantity(rate, "ops/s"), "peak") for dtype, rate in device.peak.items()]
    units = {"bandwidth": "B/s", "memory": "B", "flash": "B", "power": "W"}
    for key in NUMBERS:
        if getattr(device, key) is not None:
            numbers.append((key, quantity(getattr(device, key), units[key]), key))
    rows, last = [], ""
    for name, value, key in numbers:
        source = printable(device.source.get(key, "no source given"))
        rows.append((name, value, "the same" if source == last else source))
        last = source
    caption = f"{printable(device.name)}: {printable(device.title)}"
    notes = [printable(device.note)] if device.note else []
    header = ("number", "", "source")
    return Sheet(header, rows, left=(0, 2), caption=caption, notes=notes, prose=(2,)).text(look)


def device_json(device: Device) -> dict[str, Any]:
    """Return a device as an object for `json.dumps`."""
    return {
        "name": device.name,
        "title": device.title,
        "peak": dict(device.peak),
        **{key: getattr(device, key) for key in NUMBERS},
        "source": dict(device.source),
        "note": device.note,
    }
