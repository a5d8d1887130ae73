"""What training on several devices takes by a model: nothing here is measured, two cores show none of it.

A step of each device is the roofline model's (`netdsl.hardware`), a floor. Gradients go around a ring (Baidu 2017;
Patarasuk and Yuan 2009): each of N devices sends 2 (N - 1) / N of their bytes over its link. Either that begins when
the step back has ended, or it runs beside it and only what is longer counts. Of the time that N devices would take
without any exchange, the share is how near N times as many samples a second come. Latencies, and what networks
share, are left out.
"""

from __future__ import annotations

from netdsl import hardware, load
from netdsl.cost.table import human
from netdsl.hardware.model import BACKWARD, estimate
from netdsl.sheet import Sheet

BATCH, DEVICE, DTYPE = 32, "a100", "float32"
"""Samples of a device, which stay as they are when there are more devices."""
NETS = ("alexnet", "vgg16", "resnet50", "mobilenet_v2", "vit_b_16")
COUNTS = (2, 8, 64)
LINKS = {"10 Gbit/s": 1.25e9, "100 Gbit/s": 12.5e9, "NVLink 3": 300e9}
"""Bytes a second that a device sends: two networks, and what an A100 has in each direction (NVIDIA's data sheet)."""
GPU, BUS = "gtx580", 8e9
"""AlexNet's GPU, and the bytes a second of its PCI Express 2.0 with 16 lanes."""


def ring(bytes_: float, devices: int, link: float) -> float:
    """Return the seconds of an all-reduce."""
    return 2 * (devices - 1) / devices * bytes_ / link


def data_parallel() -> Sheet:
    """Return for each net and link which share of N devices' speed is left."""
    device, rows = hardware.find(DEVICE), []
    for name in NETS:
        net = load(name)
        found = estimate(net, device, BATCH, DTYPE, True, True, "momentum")
        step = found.latency
        back = sum(one.seconds for one in found.steps if one.phase == BACKWARD)
        gradients = 4 * net.cost().params
        for link, rate in LINKS.items():
            cells = []
            for devices in COUNTS:
                sent = ring(gradients, devices, rate)
                apart, beside = step + sent, step + max(0.0, sent - back)
                cells.append(f"{step / apart:.0%} to {step / beside:.0%}")
            rows.append((name, f"{human(gradients)}B", f"{1000 * step:.1f}", link, *cells))
    return Sheet(
        ("net", "gradients", "step, ms", "link", *(f"{devices} devices" for devices in COUNTS)),
        rows,
        left=(0, 3),
        caption=f"Data parallel on {DEVICE}, {BATCH} samples of {DTYPE} a device: share of N times one's speed "
        "(a model)",
    )


def towers() -> Sheet:
    """Return what AlexNet's two GPUs save by their towers, against data parallel."""
    net, device, rows = load("alexnet_2012"), hardware.find(GPU), []
    plan = net.towers(2)
    for batch in (32, 128):
        whole = estimate(net, device, batch, DTYPE, True, True, "momentum").latency
        half = sum(
            estimate(stage, device, batch, DTYPE, True, True, "momentum").latency for stage in plan.nets
        )
        each = estimate(net, device, batch // 2, DTYPE, True, True, "momentum").latency
        sent = plan.exchanged(batch)
        gradients = 4 * net.cost().params
        rows += [
            (f"{batch}", "one device", f"{1000 * whole:.1f}", "-", f"{1000 * whole:.1f}"),
            (
                "",
                "two towers",
                f"{1000 * half:.1f}",
                f"{human(sent)}B",
                f"{1000 * (half + sent / BUS):.1f}",
            ),
            (
                "",
                "data parallel",
                f"{1000 * each:.1f}",
                f"{human(gradients)}B",
                f"{1000 * (each + ring(gradients, 2, BUS)):.1f}",
            ),
        ]
    return Sheet(
        ("batch", "form", "step, ms", "sent", "with it, ms"),
        rows,
        left=(1,),
        caption=f"alexnet_2012 on two {GPU}, 8 GB/s between them (a model)",
    )


def main() -> None:
    """Print both tables."""
    print(data_parallel().markdown())
    print()
    print(towers().markdown())


if __name__ == "__main__":
    main()
