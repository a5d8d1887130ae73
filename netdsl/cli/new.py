"""netdsl new: begin a spec."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from netdsl.cli.common import misuse

HELP = "write a small spec to begin with"
EXAMPLES = ("netdsl new my_net",)
TEMPLATE = """\
# What the net is for, and the paper or the thought behind it
# `netdsl explain conv` says what a word means, `netdsl explain` which there are.
default conv bias=false  # a norm follows each convolution, and takes the mean off again

block {block}(c):
    # two branches that are added: the convolutions, and what came in; labels are keys of the state_dict
    add:
        conv 3x3, c as conv1 -> bn as bn1 -> relu -> conv 3x3, c as conv2 -> bn as bn2
        identity
    relu

net {net}(width = 16, depth = 2, classes = 10):
    input 3, 32x32  # channels, height x width; the batch is not said
    require params <= 250K, macs <= 40M  # held by `netdsl check`

    stem: conv 3x3, width -> bn -> relu
    stage1: depth * {block} width
    down1: conv 3x3, 2*width, /2 -> bn -> relu  # half the height and width
    stage2: depth * {block} 2*width
    down2: conv 3x3, 4*width, /2 -> bn -> relu
    stage3: depth * {block} 4*width
    gap  # the mean over the map, so that images of other sizes fit, too
    head: fc classes
"""
"""Its columns are those of `netdsl fmt`."""


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    help = "of the net, such as my_net, for a file my_net.net here; or a path, nets/my_net.net"
    sub.add_argument("name", metavar="NAME", help=help)


def run(args: argparse.Namespace) -> int:
    """Write the file, unless there is one."""
    from netdsl import api, reading
    from netdsl.diagnostics import NetError

    file = Path(args.name if args.name.endswith(".net") else f"{args.name}.net")
    text = spec(file.stem)
    try:
        api.loads(text, str(file))
    except NetError as error:
        why = error.diagnostics[0].message
        help = "a name has letters, digits and _, such as my_net"
        misuse("E500", f"netdsl new: `{file.stem}` names no net: {why}", help)
    try:
        with file.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    except FileExistsError:
        misuse("E510", f"there is {file} already", "take another name")
    except (OSError, ValueError) as error:
        said = reading.reason(error) if isinstance(error, OSError) else "a path has no NUL character"
        misuse("E510", f"cannot write {file}: {said}")
    print(
        f"wrote {file}; next: netdsl check {file}, netdsl cost {file}, netdsl compile {file} -o {file.stem}.py"
    )
    return 0


def spec(name: str) -> str:
    """Return the text of a spec with a net of that name, which is declared as `MyNet` for my_net."""
    words = re.split("_+", name)
    net = "".join(word[:1].upper() + word[1:] for word in words)
    text = TEMPLATE.format(net=net, block="Residual" if net != "Residual" else "Unit")
    return text if name in (net, net.lower()) else f"{text}\nvariant {name} = {net}()\n"
