"""specs/README.md: every net of the zoo, its costs, and what it is proved equal to. `make docs` writes it.

What is proved is said where the proofs read it: in references.py and papers.py.
"""

from __future__ import annotations

import re
import sys

from papers import ELSEWHERE, NETS, ROWS, key
from references import REFERENCES
from zoo import SPACES, net

from netdsl import Network, data
from netdsl.api import zoo_names
from netdsl.cost.table import human

HEAD = """\
# The zoo

These nets come with netdsl; `netdsl zoo` lists them. Each is said as its paper's table says it, in one file a paper.

```console
$ netdsl compile resnet50 --backend torch > resnet50.py   # a PyTorch module; --backend flax for Flax
$ netdsl cost resnet50 --by stage                         # params, MACs and memory
$ netdsl lint resnet50                                    # what could be cheaper or is a common mistake
```

A spec of your own takes blocks from here with `import Bottleneck from "resnet.net"`.

- **Params** and **MACs** are for one sample, as `netdsl cost` counts them; params include those that only training
  needs. **Memory** is weights + activations in float32, the activations being the outputs of all ops.
- **Top-1** is the published accuracy on ImageNet in percent: that of torchvision's first weights or, where it has
  none, the authors'.
- **Equal to** is what the tests prove a net equal to bit for bit: parameters and buffers in the same order, by the
  same keys unless other names are mentioned; outputs and gradients in training, outputs in evaluation.
- **Sizes as in** is who printed params or MACs that are, but for rounding, the net's.

`make docs` writes this page from the specs and from what the tests compare with.
"""

FORMS = {
    r"resnet\d+_v1": "torchvision's, its strides moved to the first convolutions",  # test_resnet_forms.py
    r"preact_resnet\d+": "timm's `resnetv2`, other names",  # test_resnet_forms.py
    r"shufflenet_v1_\w+": "the paper's, written by hand",  # test_shufflenet_v1.py
}
"""What nets are equal to in a test of their own, by a pattern of names."""

QUANTITIES = {
    "params": "params",
    "macs": "MACs",
    "ops(M)": "MACs of stages",
    "params(K=1024)": "params of stages",
}


def printed(name: str) -> str:
    """Return who printed sizes that are the net's, each with what it printed."""
    found: dict[str, dict[str, None]] = {}
    for row in ROWS:
        ours = NETS.get(key(row))
        held = ELSEWHERE.get(row["model"]) == name or (ours and ours.name == name and not ours.less)
        if held and row["suggested_rel_tol"] is not None:
            source = re.sub(r" \(.*?\)+", "", row["source"])
            found.setdefault(source, {})[QUANTITIES.get(row["quantity"], "shares of layers")] = None
    return "; ".join(f"{source} ({', '.join(quantities)})" for source, quantities in found.items())


def equal(name: str) -> str:
    """Return what a net is proved equal to."""
    if name not in REFERENCES:
        return next((what for pattern, what in FORMS.items() if re.fullmatch(pattern, name)), "")
    reference = REFERENCES[name]
    given = {k: v for k, v in reference.arguments.items() if v and k != "image_size"}  # that is the side's
    arguments = ", ".join(f"{k}={v!r}" for k, v in given.items())
    names = "" if reference.same_keys else ", other names"
    model = f"{reference.name}({arguments})" if arguments else reference.name
    return f"{reference.library} `{model}`{names}"


def paper(found: Network) -> str:
    """Return the year of a net's paper, with its address if it has one on arXiv."""
    year, arxiv = found.meta.get("year", ""), found.meta.get("arxiv")
    return f"[{year}](https://arxiv.org/abs/{arxiv})" if arxiv else str(year)


def row(name: str) -> str:
    """Return a net's row."""
    if name in SPACES:
        return f"| `{name}` | | a search space: nothing is known of it before it is decided | | | | | | |"
    found, cost = net(name), net(name).cost()
    shape = ", ".join(map(str, found.inputs.values()))
    memory = f"{human(4 * cost.params)}B + {human(cost.activations)}B"
    facts = paper(found), shape, human(cost.params), human(cost.macs), memory, str(found.meta.get("top1", ""))
    return " | ".join((f"| `{name}`", *facts, equal(name), printed(name))) + " |"


def title(file: str) -> str:
    """Return what a file's first line says."""
    return data.read("specs", file).partition("\n")[0].removeprefix("# ")


def year(names: list[str]) -> int:
    """Return the year of the earliest net; a file without any comes last."""
    return min((net(name).meta.get("year", 9999) for name in names if name not in SPACES), default=9999)


def render() -> str:
    """Return specs/README.md."""
    files: dict[str, list[str]] = {}
    for name, file in zoo_names().items():
        files.setdefault(file, []).append(name)
    parts = [HEAD]
    for file, names in sorted(files.items(), key=lambda item: (year(item[1]), item[0])):
        parts.append(f"\n## {title(file)}\n\n[{file}]({file})\n\n")
        parts.append("| Net | Paper | Input | Params | MACs | Memory | Top-1 | Equal to | Sizes as in |\n")
        parts.append("|---|---|---|--:|--:|--:|--:|---|---|\n")
        parts += [f"{row(name)}\n" for name in names]
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(render())
