"""netdsl plot: what the parts of a net cost, as bars; its memory over time; the nets of a search space."""

from __future__ import annotations

import argparse

from netdsl.cli.common import misuse, network_or_space, positive, spec_arguments
from netdsl.cli.cost import DTYPES, GROUPINGS
from netdsl.cli.pictures import check_output, write_picture
from netdsl.cost.model import OPTIMIZERS

HELP = "draw activations, params and MACs as bars, or memory over time; of a search space its nets"
EXAMPLES = (
    "netdsl plot resnet50 -o resnet50.svg",
    "netdsl plot resnet50 --timeline --train -o memory.svg",
    "netdsl plot search -o nets.svg",
)


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub)
    sub.add_argument("-o", "--output", metavar="FILE", required=True, help="a name in .svg, or in .png")
    help = "what has a group of bars; the finest that is readable, if nothing is said"
    sub.add_argument("--by", choices=GROUPINGS, help=help)
    sub.add_argument("--timeline", action="store_true", help="draw the memory of inference, step by step")
    sub.add_argument("--train", action="store_true", help="with --timeline: of a step of training")
    sub.add_argument("--optimizer", choices=OPTIMIZERS, default="sgd", help="with --train: which (sgd)")
    sub.add_argument("--batch", type=positive, default=1, metavar="N", help="batch size (1)")
    sub.add_argument("--dtype", choices=DTYPES, default="float32", help="of activations (float32)")


def run(args: argparse.Namespace) -> int:
    """Write the picture."""
    from netdsl.network import Network
    from netdsl.picture import bars, timeline

    if args.timeline and args.by:
        misuse("E550", "--timeline has a step for each layer, and --by groups bars", "choose one of them")
    if (args.train and not args.timeline) or (args.optimizer != "sgd" and not args.train):
        misuse(
            "E550",
            "--train is of --timeline, and --optimizer of --train",
            "--timeline --train --optimizer adam",
        )
    suffix = check_output(args.output, (".svg", ".png"))
    net = network_or_space(args)
    if not isinstance(net, Network):
        if args.timeline or args.by or args.batch != 1 or args.dtype != "float32":
            what = f"{net.space.name} is a search space, and the picture of one has no such options"
            misuse("E550", what, f"decide it with --set, or netdsl plot {args.spec} -o {args.output}")
        from netdsl.picture import scatter

        write_picture(args.output, suffix, {".svg": lambda: str(scatter.draw(net))}, [net.space])
        return 0
    if args.timeline:
        picture = timeline.draw(net, args.batch, args.dtype, args.optimizer if args.train else "")
    else:
        picture = bars.draw(net, args.by or "", args.batch, args.dtype)
    write_picture(args.output, suffix, {".svg": lambda: str(picture)}, [net])
    return 0
