"""Names that emitted code needs are refused in specs, and none of them is missing; nothing needs jax but building."""

from __future__ import annotations

import subprocess
import sys

import pytest
from flax import nnx
from flax_oracles import IMPORTS, execute
from netdsl_flax.helpers import HELPERS
from netdsl_torch.extras import EXTRAS
from netdsl_torch.lowering import HELPERS as TORCH_HELPERS
from torch import nn
from torch_oracles import ENVIRONMENT
from zoo import FILES

import netdsl
from netdsl import NetError
from netdsl.api import loads
from netdsl.elaborate.names import GLOBALS, reserved_attribute, reserved_name


def public(names: object) -> set[str]:
    """Return the names of an object that do not begin with an underscore."""
    return {name for name in dir(names) if not name.startswith("_")}


@pytest.mark.parametrize("cls", [nn.Module, nn.Sequential, nnx.Module, nnx.Sequential])
def test_attributes_of_every_module_are_reserved(cls: type) -> None:
    assert {name for name in public(cls) if not reserved_attribute(name)} == set()


def test_what_nnx_sets_in_training_is_reserved() -> None:
    """`train()` and `eval()` set it on whatever has it, and so would on a layer of that label."""
    layers = [nnx.Dropout(0.5, rngs=nnx.Rngs(0)), nnx.BatchNorm(3, rngs=nnx.Rngs(0))]
    found = set()
    for layer in layers:
        layer.train()
        before = dict(vars(layer))
        layer.eval()
        found |= {name for name, value in vars(layer).items() if before[name] is not value}
    assert found == {"deterministic", "use_running_average"}
    assert {name for name in found if not reserved_attribute(name)} == set()
    assert reserved_attribute("set_view"), "nnx.view calls it on whatever has it"
    assert "set_view" in public(nnx.Dropout)


def test_helpers_and_imports_are_reserved() -> None:
    """A file's own names: what it imports, and what it defines. (That it imports no other, test_emitted tells.)"""
    imported = set(execute(IMPORTS)) - {"__name__", "__builtins__"}
    options = set(execute("\n".join([IMPORTS, HELPERS["LayerOptions"]]))["LayerOptions"].__annotations__)
    assert imported | options | {*HELPERS, *TORCH_HELPERS, *EXTRAS, "options"} <= GLOBALS


@pytest.mark.parametrize("name", ["rngs", "options", "uniform_between", "Stacked", "math", "Array", "dtype"])
def test_reserved_names_are_refused(name: str) -> None:
    for text in (
        f"block {name}(c):\n    conv 3x3, c\n\nnet N:\n    input 3, 8x8\n    b: {name} 4\n",
        f"net N({name} = 4):\n    input 3, 8x8\n    conv 3x3, {name}\n",
        f"net N:\n    input 3, 8x8\n    {name}: conv 3x3, 4\n",
    ):
        with pytest.raises(NetError) as caught:
            loads(text, "n.net")
        (found,) = caught.value.diagnostics
        assert (found.code, found.message) == ("E219", f"`{name}` is a name that emitted code needs")


def test_layers_that_definitions_are_called_after_are_free() -> None:
    assert [
        name for name in ("Conv", "Linear", "BatchNorm", "Attention", "Dropout") if reserved_name(name)
    ] == []


def test_every_net_of_the_zoo_may_keep_its_names() -> None:
    for name, file in FILES.items():
        assert netdsl.load(f"{file}:{name}").name == name


# Without jax

BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

MISSING = sys.argv[1].split(",")
sys.meta_path.insert(0, Missing())
import netdsl
net = netdsl.load("lenet")
for form in ("flax", "flax:scan"):
    print(len(net.emit(form)) > 1000, end=" ")
    try:
        net.build(form)
    except netdsl.NetError as error:
        print(error.diagnostics[0].code, error.diagnostics[0].message, "|", error.diagnostics[0].help)
"""


@pytest.mark.parametrize(
    ("missing", "named"), [("jax,flax", "flax"), ("jax,jaxlib", "jax"), ("flax", "flax")]
)
def test_building_says_what_to_install(missing: str, named: str) -> None:
    """Emitting needs neither jax nor flax nor numpy."""
    command = [sys.executable, "-c", BLOCKED, missing]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    said = f'True E509 building a module needs {named} | pip install "netdsl[flax]"\n'
    assert (done.stdout, done.stderr) == (2 * said, "")


def test_emitting_imports_no_framework() -> None:
    code = "import sys, netdsl; netdsl.load('vit_b_16').emit('flax:scan'); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, check=True
    )
    assert not {name.partition(".")[0] for name in done.stdout.split()} & {
        "jax",
        "flax",
        "numpy",
        "torch",
        "netdsl_torch",
    }
