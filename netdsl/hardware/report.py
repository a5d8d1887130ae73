"""Estimates and devices as text and as objects for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netdsl.diagnostics.render import printable
from netdsl.hardware.device import NUMBERS, Device
from netdsl.hardware.model import Estimate, Step
from netdsl.sheet import aligned

FLOOR = (
    "a floor, no forecast: every step runs at the peak rate or at full bandwidth, and reads its inputs and weights "
    "from memory",
    "launches and real kernels take more; what a cache holds, and Winograd's convolutions, may take less",
)
_HEADER = ("step", "op", "operations", "bytes", "ops/byte", "at least", "%", "bound by")
_LEFT = (0, 1, 7)
"""The columns that hold text."""


def quantity(value: float | None, unit: str) -> str:
    """Return a number of a unit as people say it: `1.58 Tops/s`, `192 GB/s`, `0.52 mJ`; `-` if it is not known."""
    if value is None:
        return "-"
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
    """Return a time with three digits: `12.3 us`, `1.05 ms`, `2.4 s`."""
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= scale:
            return f"{seconds / scale:.{_digits(seconds / scale)}f} {unit}"
    return f"{seconds / 1e-9:.{_digits(seconds / 1e-9)}f} ns"


def _digits(value: float) -> int:
    return 2 if value < 10 else 1 if value < 100 else 0


def render_text(estimate: Estimate) -> str:
    """Return a table of the steps and what they add up to, with no newline at the end."""
    net, whole = estimate.net, estimate.latency

    def line(step: Step) -> tuple[str, ...]:
        share = f"{100 * step.seconds / whole:.1f}" if whole else ""
        counts = (f"{step.operations:,}", f"{step.bytes:,}", f"{step.intensity:.1f}")
        return (printable(step.name), step.op, *counts, duration(step.seconds), share, step.bound)

    operations = sum(step.operations for step in estimate.steps)
    moved = sum(step.bytes for step in estimate.steps)
    intensity = f"{operations / moved:.1f}" if moved else ""
    total = ("total", "", f"{operations:,}", f"{moved:,}", intensity, duration(whole), "", "")
    inputs = ", ".join(map(str, net.inputs.values()))
    caption = f"{printable(net.name)} ({printable(net.spec)}), input {inputs}, on {printable(estimate.device.title)}"
    table = aligned([_HEADER, *map(line, estimate.steps), total], _LEFT, ruled=2)
    return "\n".join([caption, "", *table, "", *_footer(estimate)])


def _footer(estimate: Estimate) -> list[str]:
    device, steps = estimate.device, estimate.steps
    parts = [f"batch {estimate.batch}, {estimate.dtype}, evaluation"]
    parts.append("norms and activations fused" if estimate.fused else "nothing fused")
    lines = ["; ".join(parts)]
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
            else f"it is of batch 1, {fitted.dtype}, nothing fused"
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
        held = f"weights {quantity(estimate.weights, 'B')}, {quantity(estimate.sample, 'B')} a sample"
        memory = f"{quantity(device.memory, 'B')} of memory"
        if device.flash is not None:
            memory += f", {quantity(device.flash, 'B')} more for weights"
        lines.append(
            f"largest batch {largest:,} in {memory}: {held}" if largest else f"too large for {memory}: {held}"
        )
    if device.note:
        lines.append(printable(device.note))
    return [*lines, *FLOOR]


def render_json(estimate: Estimate) -> dict[str, Any]:
    """Return an estimate as an object for `json.dumps`."""
    return {
        "net": estimate.net.name,
        "spec": estimate.net.spec,
        "inputs": {name: list(shape) for name, shape in estimate.net.inputs.items()},
        "device": estimate.device.name,
        "batch": estimate.batch,
        "dtype": estimate.dtype,
        "fused": estimate.fused,
        "convention": "; ".join(FLOOR),
        "steps": [
            {
                "name": step.name,
                "op": step.op,
                "macs": step.macs,
                "ops": step.ops,
                "bytes": step.bytes,
                "intensity": step.intensity,
                "seconds": step.seconds,
                "bound": step.bound,
            }
            for step in estimate.steps
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


def render_devices(devices: Sequence[Device]) -> str:
    """Return a line a device."""
    header = ("device", *_RATES, "bandwidth", "memory", "power", "")
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
    return "\n".join(aligned([header, *rows], (0, len(header) - 1)))


def render_device(device: Device) -> str:
    """Return all that is known of one device, each number with its source."""
    lines = [f"{printable(device.name)}: {printable(device.title)}"]
    numbers = [(f"peak {dtype}", quantity(rate, "ops/s"), "peak") for dtype, rate in device.peak.items()]
    units = {"bandwidth": "B/s", "memory": "B", "flash": "B", "power": "W"}
    for key in NUMBERS:
        if getattr(device, key) is not None:
            numbers.append((key, quantity(getattr(device, key), units[key]), key))
    width = max(len(name) for name, _, _ in numbers)
    for name, value, key in numbers:
        said = printable(device.source.get(key, "no source given"))
        lines.append(f"  {name.ljust(width)}  {value:>12}  {said}")
    return "\n".join([*lines, *([printable(device.note)] if device.note else [])])


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
