"""Calibration: a small model of how long kernels take, fitted to this machine's times of nets as PyTorch runs them.

Among kernels of a kind (`Op.runs_as`) the time of a step is taken as a constant, plus so much for each operation and
each byte, none of them negative: least squares of relative errors, over layers timed alone and over whole nets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from time import perf_counter, thread_time
from typing import Any

from netdsl.backend import build
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.hardware.device import Calibration, Device
from netdsl.hardware.model import Step, estimate
from netdsl.net import Net
from netdsl.record import Record

DTYPE = "float32"
LEAST = 20e-6
"""Seconds below which an error counts as if it were one of these: a clock and a hook take some of them."""
NOTHING = 1e-15
"""Seconds of an operation or byte that are none, but what the search for the least squares has left."""
RUNS, SECONDS = 30, 0.5
"""A net runs so often, or for so long, but five times at least; the shortest time counts."""

Row = tuple[dict[tuple[str, int], float], float, float]
"""Features by kind and number, what they should add up to, and the weight."""


class Times(Record):
    """What was measured of a net, in seconds."""

    net: Net
    whole: float
    layers: Mapping[str, float]
    """Of the modules that are steps, by name."""


def prepare(threads: int | None) -> None:
    """Have PyTorch use so many threads, or as many as it likes; raise NetError if it is missing."""
    try:
        import torch
    except ModuleNotFoundError:
        help = 'pip install "netdsl[torch]"'
        raise NetError([Diagnostic("E509", "measuring needs torch", help=help)]) from None
    if threads is not None:
        torch.set_num_threads(threads)


def measure(net: Net) -> Times:
    """Return the shortest times of a net for one random sample, as PyTorch's eager mode runs it."""
    import torch

    model = build(net, "torch").eval()
    x = [torch.rand(1, *shape) for shape in net.inputs.values()]
    with torch.inference_mode():
        model(*x)
        whole = _shortest(lambda: model(*x))
        layers: dict[str, float] = {}
        again = {node.home for node in net.graph if node.module}
        for path, module in model.named_modules():
            if path in net.graph and path not in again and net.graph[path].op.computes:
                _time_calls(module, path, layers)
        _shortest(lambda: model(*x))
    return Times(net, whole, layers)


def _clock() -> Callable[[], float]:
    """Return the clock: of one thread its processor's, which stands still while others on the machine run."""
    import torch

    return thread_time if torch.get_num_threads() == 1 else perf_counter


def _time_calls(module: Any, path: str, layers: dict[str, float]) -> None:
    """Note the shortest time of a module's calls."""
    clock = _clock()
    begun = 0.0

    def before(*_: Any) -> None:
        nonlocal begun
        begun = clock()

    def after(*_: Any) -> None:
        layers[path] = min(layers.get(path, float("inf")), clock() - begun)

    module.register_forward_pre_hook(before)
    module.register_forward_hook(after)


def _shortest(run: Callable[[], object], runs: int = RUNS, seconds: float = SECONDS) -> float:
    best, spent, done, clock = float("inf"), 0.0, 0, _clock()
    while done < 5 or (done < runs and spent < seconds):
        begun = clock()
        run()
        took = clock() - begun
        best, spent, done = min(best, took), spent + took, done + 1
    return best


def peaks() -> tuple[float, float]:
    """Return the most operations a second of a matrix product here, and bytes a second of a copy, in float32."""
    import torch

    rates = []
    for side in (512, 1024, 2048):
        a = torch.rand(side, side)
        rates.append(2 * side**3 / _shortest(lambda a=a: a @ a))  # type: ignore[misc]
    source = torch.rand(2**26)
    target = torch.empty_like(source)
    copied = _shortest(lambda: target.copy_(source))
    return max(rates), 2 * source.numel() * source.element_size() / copied


def calibrate(name: str, fitted: Sequence[Times], others: Sequence[Times]) -> Device:
    """Return this machine as a device: its peaks, a fit to some nets, and its errors on others.

    Raises:
        NetError: The fit can be tried on none of the others.
    """
    import torch

    peak, bandwidth = peaks()
    device = Device(
        name=name,
        title=f"this machine, {torch.get_num_threads()} threads, torch {torch.__version__}",
        peak={DTYPE: peak},
        bandwidth=bandwidth,
        source=dict.fromkeys(("peak", "bandwidth"), "measured: a matrix product, a copy"),
    )
    kernels = fit(fitted, device)
    untried = device.replace(calibration=Calibration(DTYPE, 0, 0.0, 0.0, 0.0, kernels))
    errors = [error for _, _, error in compared(others, untried)]
    if not errors:
        raise NetError([Diagnostic("E544", "no net is left to try the fit on")])
    within = [sum(error <= most for error in errors) / len(errors) for most in (0.1, 0.2)]
    found = Calibration(DTYPE, len(errors), median(errors), within[0], within[1], kernels)
    return device.replace(calibration=found)


def compared(times: Sequence[Times], device: Device) -> list[tuple[Times, float, float]]:
    """Return what a device's calibration predicts of nets, and the relative error.

    Nets with a kind of kernel that was not in the fit are left out.
    """
    found = []
    for time in times:
        predicted = estimate(time.net, device).forecast
        if predicted is not None:
            found.append((time, predicted, abs(predicted - time.whole) / time.whole))
    return found


def fit(times: Sequence[Times], device: Device) -> dict[str, tuple[float, float, float]]:
    """Return seconds of a step, an operation and a byte by kind of kernel."""
    rows: list[Row] = []
    for time in times:
        steps = estimate(time.net, device).steps
        for step in steps:
            if step.name in time.layers:
                rows.append(_row([step], time.layers[step.name], 1.0))
        rows.append(_row(steps, time.whole, float(len(steps))))
    solved = least_squares(rows)
    kinds = dict.fromkeys(kind for features, _, _ in rows for kind, _ in features)
    rounded = {name: float(f"{value:.4g}") if value > NOTHING else 0.0 for name, value in solved.items()}
    return {kind: (rounded[kind, 0], rounded[kind, 1], rounded[kind, 2]) for kind in kinds}


def _row(steps: Sequence[Step], seconds: float, weight: float) -> Row:
    features: dict[tuple[str, int], float] = {}
    for step in steps:
        for at, value in enumerate((1, step.operations, step.bytes)):
            features[step.kernel, at] = features.get((step.kernel, at), 0.0) + value
    return features, seconds, weight / max(seconds, LEAST) ** 2


def least_squares(rows: Sequence[Row], sweeps: int = 3000) -> dict[tuple[str, int], float]:
    """Return the numbers from 0 that make the weighted squares of the errors least, by coordinate descent."""
    products: dict[tuple[str, int], dict[tuple[str, int], float]] = {}
    target: dict[tuple[str, int], float] = {}
    for features, seconds, weight in rows:
        for name, value in features.items():
            target[name] = target.get(name, 0.0) + weight * value * seconds
            row = products.setdefault(name, {})
            for other, factor in features.items():
                row[other] = row.get(other, 0.0) + weight * value * factor
    solved = dict.fromkeys(products, 0.0)
    for _ in range(sweeps):
        moved = 0.0
        for name, row in products.items():
            if not row[name]:  # an op without operations
                continue
            slope = target[name] - sum(factor * solved[other] for other, factor in row.items())
            value = max(0.0, solved[name] + slope / row[name])
            moved = max(moved, abs(value - solved[name]) * row[name] ** 0.5)
            solved[name] = value
        if moved < 1e-9:
            break
    return solved


def written(device: Device) -> str:
    """Return a calibrated device as the TOML that `netdsl.hardware.find` reads."""
    found = device.calibration
    assert found is not None
    lines = [
        "# Written by `netdsl calibrate`. Units: operations a second, bytes a second; seconds.",
        f'title = "{device.title}"',
        f"bandwidth = {device.bandwidth!r}",
        "",
        "[peak]",
        *(f"{dtype} = {rate!r}" for dtype, rate in device.peak.items()),
        "",
        "[source]",
        *(f'{key} = "{said}"' for key, said in device.source.items()),
        "",
        "[calibration]",
        f'dtype = "{found.dtype}"',
        *(f"{key} = {getattr(found, key)!r}" for key in ("nets", "error", "within_10", "within_20")),
        "",
        "[calibration.kernels] # seconds of a step, an operation, a byte",
        *(f'"{kind}" = [{", ".join(map(repr, numbers))}]' for kind, numbers in found.kernels.items()),
    ]
    return "\n".join(lines) + "\n"
