"""What a forward pass costs in evaluation, in each form in which a net is shipped: one thread, one image.

Times are of the process, not of the clock; the forms of a net take turns of some 50 ms, and medians are shown, as
ratios to torchvision's own module: above 1 is faster. Memory is what a process of its own has resident at most while
it makes the form and runs it, beside what it had when its libraries were loaded.

    python benchmarks/inference.py [NET ...]             times
    python benchmarks/inference.py --memory [NET ...]    memory
    python benchmarks/inference.py --fit [NET ...]       what channels last save of nets, and so of kinds of layers,
                                                         which backends/netdsl_torch/channels_last.toml keeps

OpenVINO is measured where it is installed, and `torch.compile` where there is a C++ compiler.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import exp, log
from pathlib import Path
from shutil import which
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import netdsl_torch
import torch
from netdsl_torch.channels_last import kernel, saved
from reference import interleaved, torchvision_factory
from torch import Tensor, nn

import netdsl
from netdsl.backend import find
from netdsl.transforms.inference import deployed

NETS = (
    "alexnet",
    "vgg16",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "googlenet",
    "inception_v3",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "densenet121",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "mnasnet1_0",
    "regnet_y_400mf",
    "regnet_x_800mf",
    "convnext_tiny",
)
LARGER = {"inception_v3": (3, 299, 299)}
"""Inputs that are not 3x224x224."""
ROUNDS = 9
TURN = 0.05
"""Seconds in which a form runs again and again, as its weights would stay in a cache."""
FORMS = ("torchvision", "torch", "torch:deploy", "compiled", "ONNX Runtime", "OpenVINO")
"""`compiled` is torch:deploy under torch.compile with freezing, and with a wrapper in C++."""

ARGUMENTS = {name: {"init_weights": False} for name in ("googlenet", "inception_v3")}
"""What torchvision's functions are given."""
LAYOUTS = (torch.contiguous_format, torch.channels_last)
PRIOR = 0.02
"""How much a number of the rule that is kept weighs beside nets: this share of a net's time."""

Run = Callable[[], object]


def size(name: str) -> tuple[int, int, int]:
    """Return the shape of the image that a net is given."""
    return LARGER.get(name, (3, 224, 224))


def load(name: str) -> netdsl.Network:
    """Return a net at the size that is measured."""
    return netdsl.load(name, inputs={"": size(name)})


def torchvisions(name: str) -> nn.Module:
    """Return torchvision's model, with norms that keep what passes through near 1."""
    torch.manual_seed(0)
    model = torchvision_factory(name)(weights=None, **ARGUMENTS.get(name, {})).eval()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.train()
            layer.momentum = 1.0
    with torch.no_grad():
        model(torch.randn(2, *size(name)))
    return model.eval()


def made(name: str, form: str, theirs: nn.Module, x: Tensor) -> Run:
    """Return what runs a net in a form, with torchvision's weights; ImportError where it cannot."""
    if form == "torchvision":
        return lambda: theirs(x)
    net, state = load(name), theirs.state_dict()
    if form in ("ONNX Runtime", "OpenVINO"):
        file = net.onnx("torch:deploy", state)
        return (onnx_runtime if form == "ONNX Runtime" else openvino)(file, x)
    backend = "torch" if form == "torch" else "torch:deploy"
    model = net.build(backend, netdsl.convert_weights(net, state, "torch", backend)).eval()
    if form != "compiled":
        return lambda: model(x)
    if which("g++") is None:
        raise ImportError("there is no C++ compiler")
    import torch._inductor.config

    # as options of torch.compile they would come too late: weights are frozen while the module is traced
    torch._inductor.config.freezing = torch._inductor.config.cpp_wrapper = True
    torch._dynamo.reset()
    compiled = torch.compile(model)
    return lambda: compiled(x)


def onnx_runtime(file: bytes | str, x: Tensor) -> Run:
    """Return what runs a file in ONNX Runtime, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: x.numpy()}
    return lambda: session.run(None, inputs)


def openvino(file: bytes, x: Tensor) -> Run:
    """Return what runs a file in OpenVINO, on one thread and in float32."""
    import openvino

    core = openvino.Core()
    model = core.read_model(file)
    model.reshape([*x.shape])
    only = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", only).create_infer_request()
    inputs = {0: x.numpy()}
    return lambda: [*request.infer(inputs).values()]


def forms(name: str, x: Tensor) -> dict[str, Run]:
    """Return what runs a net, by form; each gives torchvision's output."""
    theirs = torchvisions(name)
    found = {}
    for form in FORMS:
        try:
            run = made(name, form, theirs, x)
        except ImportError as error:
            print(f"{form}: {error}", file=sys.stderr)
            continue
        output: Any = run()
        output = output[0] if isinstance(output, list) else output
        error = abs(torch.as_tensor(output) - theirs(x)).max() / abs(theirs(x)).max()
        if not error < 1e-3:
            raise SystemExit(f"{name}: {form} gives something else, by {error:.1e}")
        found[form] = run
    return found


def peak(name: str, form: str, file: str) -> int:
    """Return by how many bytes resident memory grows at most while a form is made and run in this process."""
    x = torch.zeros(1, *size(name))
    nn.Conv2d(3, 8, 3).eval()(x)  # what the libraries take for themselves
    if form == "torchvision":
        factory = torchvision_factory(name)
    elif form == "ONNX Runtime":
        import onnxruntime  # noqa: F401
    else:
        net, text = load(name), load(name).emit(form)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    with torch.inference_mode():
        if form == "torchvision":
            run: Run = partial(factory(weights=None, **ARGUMENTS.get(name, {})).eval(), x)
        elif form == "ONNX Runtime":
            run = onnx_runtime(file, x)
        else:
            run = partial(find(form).build(text, net).eval(), x)
        for _ in range(3):
            run()
    return resident("VmHWM") - before


def resident(which: str) -> int:
    """Return a number of bytes that the system tells of this process."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{which}:"))


def times(runs: Mapping[str, Run]) -> dict[str, float]:
    """Return the median seconds of each of some runs, which take turns."""
    (longest,) = interleaved([lambda: [run() for run in runs.values()]], 2, process_time)
    calls = max(1, round(TURN * len(runs) / longest))

    def turn(run: Run) -> None:
        for _ in range(calls):
            run()

    taken = interleaved([partial(turn, run) for run in runs.values()], ROUNDS, process_time)
    return {form: seconds / calls for form, seconds in zip(runs, taken, strict=True)}


def table(names: Sequence[str]) -> None:
    """Print times by net and form, and their geometric means."""
    ratios: dict[str, list[float]] = defaultdict(list)
    print(f"{'net':20} {'torchvision':>12} " + " ".join(f"{form:>13}" for form in FORMS[1:]), flush=True)
    for name in names:
        with torch.inference_mode():
            taken = times(forms(name, torch.randn(1, *size(name))))
        for form, seconds in taken.items():
            ratios[form].append(taken["torchvision"] / seconds)
        shown = [f"{ratios[form][-1]:13.2f}" if form in taken else f"{'-':>13}" for form in FORMS[1:]]
        print(f"{name:20} {1000 * taken['torchvision']:9.1f} ms " + " ".join(shown), flush=True)
    means = {form: exp(sum(map(log, each)) / len(each)) for form, each in ratios.items()}
    shown = [f"{means[form]:13.2f}" if form in means else f"{'-':>13}" for form in FORMS[1:]]
    print(f"{'geometric mean':33} " + " ".join(shown), flush=True)
    print(f"slowest of torch:deploy: {min(ratios['torch:deploy']):.2f}")


def memory(names: Sequence[str]) -> None:
    """Print peaks of resident memory by net and form, in MiB: medians, as what an allocator keeps differs by run."""
    shown = ("torchvision", "torch", "torch:deploy", "ONNX Runtime")
    print(f"{'net':20} " + " ".join(f"{form:>13}" for form in shown), flush=True)
    for name in names:
        with TemporaryDirectory() as folder:
            file = Path(folder) / "net.onnx"
            file.write_bytes(load(name).onnx("torch:deploy"))
            peaks = []
            for form in shown:
                command = [sys.executable, __file__, "--peak", name, form, str(file)]
                runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(3)]
                peaks.append(median(int(run.stdout) for run in runs))
        print(f"{name:20} " + " ".join(f"{one / 2**20:13.1f}" for one in peaks), flush=True)


def fit(names: Sequence[str]) -> None:
    """Print what channels last save of nets, as measured and as the rule has it, and the rule that fits best.

    It is that of least squares in units of a net's time, drawn to the rule that is kept where nets do not tell.
    """
    import numpy as np

    rules = tomllib.loads((Path(netdsl_torch.__file__).parent / "channels_last.toml").read_text())
    kept = np.array([rule["saves"] for rule in rules.values()])
    works, times_saved, firsts = [], [], []
    print(f"{'net':20} {'first':>10} {'last':>10} {'saved':>10} {'expected':>10}")
    for name in names:
        net = deployed(load(name)).net
        work = dict.fromkeys(rules, 0)
        for node in net.graph:
            if net.inputs_of(node.name) and (kind := kernel(node, net)) in rules:
                work[kind] += getattr(net.layer_costs[node.name], rules[kind]["of"])
        works.append([*work.values()])
        with torch.inference_mode():
            x = torch.randn(1, *size(name))
            runs = [net.build("torch").eval().to(memory_format=form) for form in LAYOUTS]
            first, last = times({str(at): partial(run, x) for at, run in enumerate(runs)}).values()
        firsts.append(first)
        times_saved.append(first - last)
        shown = (first, last, first - last, saved(net) / 1e9)
        print(f"{name:20} " + " ".join(f"{1000 * one:7.2f} ms" for one in shown), flush=True)
    units, measured = (
        np.array(works) / 1e9 / np.array(firsts)[:, None],
        np.array(times_saved) / np.array(firsts),
    )
    drawn = PRIOR / np.maximum(abs(kept), 0.1)
    found, *_ = np.linalg.lstsq(
        np.vstack([units, np.diag(drawn)]), np.concatenate([measured, drawn * kept]), rcond=None
    )
    for what, rule in (("kept", kept), ("fitted", found)):
        right = (units @ rule > 0) == (measured > 0)
        print(f"{what:8} the faster one of {sum(right)} of {len(names)}: ", end="")
        print(", ".join(f"{kind} {one:.2f}" for kind, one in zip(rules, rule, strict=True)))


def main() -> None:
    """Print what is asked for."""
    asked = sys.argv[1:]
    if asked[:1] == ["--peak"]:
        print(peak(*asked[1:]))
    elif asked[:1] == ["--fit"]:
        fit(asked[1:] or NETS)
    elif asked[:1] == ["--memory"]:
        memory(asked[1:] or NETS)
    else:
        table(asked or NETS)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
