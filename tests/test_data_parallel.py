"""The examples of data parallel training, on two processes or devices: what they say is exchanged, equal, held."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import processes
import pytest
from torch_oracles import ENVIRONMENT

import netdsl
from netdsl import NetError

EXAMPLES = Path(__file__).parents[1] / "examples"
SECONDS = 480
"""How long an example may take on cores that others use; one that hangs takes longer."""
ALONE = re.compile(r"gradients are (\d\.\de-\d\d) from those of one (?:process|device)")


def run(script: str, *arguments: str) -> str:
    """Run an example as its users do, and return what it prints."""
    command = [sys.executable, str(EXAMPLES / script), *arguments]
    environment = ENVIRONMENT | {"OMP_NUM_THREADS": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_vgg16_sends_its_gradients_and_they_are_those_of_one_process() -> None:
    printed = run("data_parallel.py")
    computed, measured = re.findall(r"computed ([\d,]+) bytes, measured ([\d,]+)", printed)[0]
    assert computed == measured == f"{4 * 138_357_544:,}"  # torchvision's parameters, in float32
    (apart,) = ALONE.findall(printed)
    assert float(apart) < 1e-5


def test_blocks_are_gathered_one_by_one_and_gradients_are_those_of_one_process() -> None:
    printed = run("fully_sharded.py")
    assert "resnet18: 8 blocks; a process holds 5,844,756 of 11,689,512 parameters" in printed
    (apart,) = ALONE.findall(printed)
    assert float(apart) < 1e-5


def test_two_devices_of_jax_share_the_batch_or_the_channels() -> None:
    printed = run("sharded_jax.py")
    whole, half = "61,706", "30,853"
    assert f"2 parts of the batch, 1 of the channels: a device holds {whole} of {whole}" in printed
    assert f"1 parts of the batch, 2 of the channels: a device holds {half} of {whole}" in printed
    assert [float(apart) < 1e-5 for apart in ALONE.findall(printed)] == [True, True]


def test_a_killed_process_ends_the_job() -> None:
    command = [sys.executable, str(EXAMPLES / "data_parallel.py")]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ENVIRONMENT,
        start_new_session=True,
    ) as job:
        try:
            assert job.stdout is not None
            said = next(line for line in job.stdout if line.startswith("process "))
            os.kill(int(said.split()[1]), signal.SIGKILL)
            out, _ = job.communicate(timeout=120)
        finally:
            if job.poll() is None:
                os.killpg(job.pid, signal.SIGKILL)
    assert job.returncode != 0
    assert "Signal 9 (SIGKILL) received" in out


WAITS = """
import os, sys, time
import torch
import torch.distributed as dist
sys.path.insert(0, sys.argv[1])
from lenet_towers import LeNetTowers

dist.init_process_group("gloo")
model = LeNetTowers()
print("ready", flush=True)
if dist.get_rank() == 1:
    time.sleep(600)
model(torch.zeros(1, *map(int, sys.argv[2].split("x"))))
"""


def test_a_killed_tower_ends_the_other(tmp_path: Path) -> None:
    from test_towers import write

    net = netdsl.load("lenet")
    write(net.towers(2), tmp_path)
    (tmp_path / "waits.py").write_text(WAITS)
    running = processes.start(2, tmp_path / "waits.py", str(tmp_path), str(net.inputs["x"]))
    try:
        assert running[1].stdout is not None
        assert running[1].stdout.readline() == "ready\n"
        running[1].kill()
    finally:
        (status, _, errors), _ = processes.finish(running, 120)
    assert status == 1
    assert "Connection closed by peer" in errors or "Connection reset by peer" in errors


def sharded(name: str, form: str = "flax:sharding") -> tuple[Any, dict[str, Any]]:
    """Return a net's module without numbers, and the names of its file."""
    from flax import nnx

    text = netdsl.load(name).emit(form)
    names: dict[str, Any] = {}
    exec(compile(text, name, "exec"), names)
    return nnx.eval_shape(lambda: names[name](rngs=nnx.Rngs(0))), names


@pytest.mark.parametrize("name", ["vit_b_16", "unet", "resnet18", "mobilenet_v2", "alexnet_2012"])
def test_weights_are_cut_along_output_channels(name: str) -> None:
    from flax import nnx

    model, names = sharded(name)
    seen = 0
    for path, layer in nnx.iter_modules(model):
        features = getattr(layer, "out_features", None)
        for what in ("kernel", "bias") if features is not None else ():
            array = getattr(layer, what, None)
            if array is None:
                continue
            key = ".".join(map(str, (*path, what)))
            spec = next(spec for pattern, spec in names["SHARDING"] if re.fullmatch(pattern, key))
            (axis,) = (at for at, over in enumerate(spec) if over == "model")
            assert array.shape[axis] == (features[0] if isinstance(features, tuple) else features), key
            seen += 1
    assert seen > 10


def test_equal_layers_that_are_stacked_are_cut_one_axis_further() -> None:
    plain, stacked = (
        dict(sharded("resnet18", form)[1]["SHARDING"]) for form in ("flax:sharding", "flax:sharding,scan")
    )
    layer = r"layer1\.layers\.1\.layer\.conv1\.kernel"
    assert tuple(stacked[layer]) == (None, *plain[r"(.*\.)?kernel"])


def test_a_table_is_of_one_net() -> None:
    from netdsl.backend import emit_family

    with pytest.raises(NetError, match="flax:sharding writes one net a file"):
        emit_family(netdsl.load_family("alexnet.net"), "flax:sharding")


PAIR = """
block Body(c):
    stem: conv 3x3, c, /2, act=relu
    norm: gn 2

net Pair:
    input left: 3, 65x49
    input right: 3, 33x33
    a = from left -> Body 8 as body -> resize 17x17
    from right -> same body
    train output aux: conv 1x1, 4 as aux_head
    from flow, a -> mul
    head: conv 1x1, 3
    output rest: gap
"""


@pytest.mark.parametrize("script", ["data_parallel.py", "fully_sharded.py", "sharded_jax.py"])
def test_nets_of_several_inputs_and_outputs_train_so(script: str, tmp_path: Path) -> None:
    spec = tmp_path / "pair.net"
    spec.write_text(PAIR)
    found = ALONE.findall(run(script, str(spec)))
    assert found
    assert all(0 < float(apart) < 1e-5 for apart in found)


GROUPED = """
net Grouped:
    input 4, 9x9
    conv1: conv 3x3, 8, act=relu
    add:
        dense: conv 3x3, 8, groups=2, act=relu
        small: conv 1x1, 8, groups=4
    wide: dwconv 3x3, multiplier=2
    own: dwconv 3x3
    gap
    fc: fc 6
"""
MESHES = """
import os, sys
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4 --xla_cpu_multi_thread_eigen=false"
import jax, numpy as np, netdsl
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

net, names = netdsl.loads(sys.stdin.read()), {}
exec(compile(net.emit("flax:sharding"), "grouped", "exec"), names)
images = np.random.default_rng(0).standard_normal((4, 9, 9, 4), np.float32)

def made():
    return names["grouped"](rngs=nnx.Rngs(0))

@nnx.jit
def both(model, images):
    return nnx.value_and_grad(lambda model: (model(images) ** 2).mean())(model)

loss, right = both(made(), images)
for sizes in ((4, 1), (1, 2), (1, 4), (2, 2)):
    mesh = jax.make_mesh(sizes, ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    model = made()
    names["shard"](model, mesh)
    found = both(model, jax.device_put(images, NamedSharding(mesh, PartitionSpec("data"))))
    np.testing.assert_allclose(found[0], loss, rtol=1e-5)
    for a, b in zip(jax.tree.leaves(found[1]), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-5 * float(abs(b).max()))
print("equal")
"""


def test_convolutions_in_groups_keep_their_numbers_on_every_mesh() -> None:
    command = [sys.executable, "-c", MESHES]
    done = subprocess.run(
        command, input=GROUPED, capture_output=True, text=True, env=ENVIRONMENT, timeout=SECONDS
    )
    assert done.stdout == "equal\n", done.stderr


def test_transposed_convolutions_in_groups_are_refused_at_their_line() -> None:
    spec = "net N:\n    input 4, 8x8\n    up: upconv 2x2, 4, /2, groups=2\n"
    with pytest.raises(NetError, match="no upconv in groups") as caught:
        netdsl.loads(spec).emit("flax:sharding")
    assert caught.value.diagnostics[0].span is not None
