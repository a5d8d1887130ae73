"""A backend from another distribution is found through its entry point: the one of backends/README.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from torch_oracles import ENVIRONMENT

PAGE = (Path(__file__).parents[1] / "backends" / "README.md").read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the distribution as an installer would leave it."""
    folder = tmp_path_factory.mktemp("site")
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.M | re.S)
    (toml,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, flags=re.M | re.S)
    (point,) = re.findall(r'^(\w+) = "(.*)"$', toml, flags=re.M)
    (folder / "netdsl_listing.py").write_text(code)
    info = folder / "netdsl_listing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: netdsl-listing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[netdsl.backends]\n{} = {}\n".format(*point))
    return folder


def python(site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run python where the distribution is installed."""
    paths = os.pathsep.join([str(site), ENVIRONMENT["PYTHONPATH"]])
    environment = {**ENVIRONMENT, "PYTHONPATH": paths}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment, cwd=site
    )


def test_the_command_takes_it(site: Path) -> None:
    done = python(site, "-m", "netdsl", "compile", "vgg16", "--backend", "listing")
    assert done.stderr == ""
    assert done.stdout.startswith("LAYERS = [('features.0', 'conv'), ('features.1', 'relu'), ")


def test_a_network_builds_with_it(site: Path) -> None:
    done = python(site, "-c", "import netdsl; print(netdsl.load('lenet').build('listing')[-1])")
    assert done.stdout == "('fc3', 'fc')\n"


def test_what_it_lacks_is_an_error_at_the_layer(site: Path) -> None:
    done = python(site, "-m", "netdsl", "compile", "vit_b_16", "--backend", "listing")
    assert done.returncode == 1
    assert "error[E507]: the listing backend has no `attention`" in done.stderr
    assert "--> vit.net:" in done.stderr


def test_an_unknown_backend_is_an_error_that_lists_it(site: Path) -> None:
    done = python(site, "-m", "netdsl", "compile", "lenet", "--backend", "listin")
    assert done.returncode == 2
    assert "did you mean `listing`" in done.stderr
