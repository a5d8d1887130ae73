"""netdsl diff: what changed from one net to another."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from netdsl.cli.common import files, inputs, look, made, misuse, print_json, settings, spec_arguments

if TYPE_CHECKING:
    from netdsl.diff import Difference, Differences
    from netdsl.elaborate.values import FileScope

HELP = "say what changed from one net to another, in structure, shapes and costs"
EXAMPLES = (
    "netdsl diff resnet18 resnet50",
    "netdsl diff HEAD:my_net.net my_net.net --exit-code",
    "netdsl diff old/my_net.net my_net.net --format markdown",
)


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub, many=True, revisions=True)
    sub.add_argument("--full", action="store_true", help="every layer, and all digits")
    sub.add_argument(
        "--exit-code", action="store_true", help="exit with 1 if anything differs, as git diff does"
    )
    sub.add_argument("--format", choices=("text", "json", "markdown"), default="text")


def run(args: argparse.Namespace) -> int:
    """Print the difference; nets that differ are no error, unless `--exit-code` says so."""
    from netdsl import diff

    if len(args.spec) != 2:
        help = "the net before, and the net after: netdsl diff old/a.net a.net"
        misuse("E530", f"diff takes two specs, got {len(args.spec)}", help)
    if args.full and args.format != "text":
        misuse("E530", f"--format {args.format} has every layer, so it takes no --full")
    found = _compared(args)
    if args.format == "json":
        print_json(diff.render_json(found))
    elif args.format == "markdown":
        print(diff.render_markdown(found))
    else:
        print(diff.render_text(found, look(), args.full))
    return 1 if args.exit_code and not found.same else 0


def _compared(args: argparse.Namespace) -> Difference | Differences:
    """Return what differs between two nets, or between the nets of two files of which one has several."""
    from netdsl import api, diff
    from netdsl.network import Network

    (before, old), (after, new) = (_file(spec, args) for spec in args.spec)
    given = settings(args), inputs(args), args.max_nodes
    if not old and not new and max(len(api.distinct(before)), len(api.distinct(after))) > 1:
        nets = [{net.name: net for net in made(api.recipes(file, "", *given))} for file in (before, after)]
        if nets[0].keys().isdisjoint(nets[1]):
            examples = (
                f"{file.source.name}:{next(iter(nets_of))}"
                for file, nets_of in zip((before, after), nets, strict=True)
            )
            misuse(
                "E502",
                "no net of the two files has the same name",
                f"choose two: netdsl diff {' '.join(examples)}",
            )
        return diff.compare_all(*nets)
    if old and not new:
        new = api.called(after, old)
    elif new and not old:
        old = api.called(before, new)
    one, other = (Network(api.recipe(file, name, *given)) for file, name in ((before, old), (after, new)))
    return diff.compare(one, other)


def _file(spec: str, args: argparse.Namespace) -> tuple[FileScope, str]:
    """Return the file of a SPEC, which may be that of a revision, and the net that it names."""
    from netdsl import revision

    return revision.locate(spec, args.path) or files(spec, args)
