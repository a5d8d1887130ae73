"""How many models of torchvision and timm become specs, proved to be them; what the others lack.

    python benchmarks/lift.py [--library torchvision|timm] [--first N] [--side 128] [--names]

Every model is made with random weights and lifted with its proof. torchvision's are all that classify images; timm's
are a sample of the names in modules of convolutional nets, drawn with the seed below. `--names` proves nothing: it
counts the parameters of blocks that have the name of an argument of their class, or of a field of its config; `act`
and `pad` are the language's own words, and are one where the class is given an activation, or a padding.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests")]

from conftest import import_torchvision  # noqa: E402

from netdsl.diagnostics import NetError  # noqa: E402
from netdsl.frontend import find, lift  # noqa: E402
from netdsl.lifting.classes import class_names  # noqa: E402
from netdsl.network import Network  # noqa: E402

SEED, SAMPLE = 9, 150
WORDS = ("act", "pad")
CONVOLUTIONAL = (
    "byobnet convmixer convnext cspnet densenet dla dpn efficientnet fasternet ghostnet hardcorenas hgnet hrnet "
    "inception_next inception_resnet_v2 inception_v3 inception_v4 mobilenetv3 nasnet nfnet pnasnet regnet repghost "
    "repvit res2net resnest resnet resnetv2 rexnet selecsls senet sknet starnet tresnet vgg vovnet xception "
    "xception_aligned"
).split()
"""timm's modules of nets without attention between places."""


def torchvision_names() -> list[str]:
    """Return the names of the models that classify images."""
    models = import_torchvision().models
    return sorted(models.list_models(module=models))


def timm_names() -> list[str]:
    """Return the sample."""
    import_torchvision()
    import timm

    known = set(timm.list_modules())
    names = sorted({name for one in CONVOLUTIONAL if one in known for name in timm.list_models(module=one)})
    return sorted(random.Random(SEED).sample(names, SAMPLE))


def is_fixed(library: str, name: str) -> bool:
    """Tell whether a model takes inputs of one size, as far as its library says."""
    if library == "torchvision":
        return name.startswith(("inception", "maxvit", "swin", "vit"))
    import timm

    settings = timm.get_pretrained_cfg(name)
    return settings is not None and bool(settings.fixed_input_size)


def named(source: str, inputs: tuple[int, ...] | None) -> tuple[list[str], list[str]]:
    """Return the parameters of the blocks of a model that have names of its own, and those that do not."""
    read = find(source).read(source, {} if inputs is None else {"": inputs}, {})
    text = Network.from_graph(read.graph, read.name, labels=False).recipe.net.file.source.text
    given: dict[str, set[str]] = {}
    names = class_names(read.graph.tree)
    for scope in read.graph.tree.scopes():
        given.setdefault(names[scope.path].removeprefix("_"), set()).update(scope.args)
    found: tuple[list[str], list[str]] = [], []
    for block, params in re.findall(r"^block (\w+)\((.*?)\)(?: from .*)?:$", text, re.MULTILINE | re.DOTALL):
        block = block.removeprefix("Block_")
        known = block  # and a number, if it is one of several blocks of a class
        while known not in given and known[-1:].isdigit():
            known = known[:-1]
        own = given.get(known, set())
        for param in re.findall(r"(?:^|,)\s*(\w+)", re.sub(r"\([^)]*\)", "", params)):
            plain = param in own or (param in WORDS and any(param in name for name in own))
            found[not plain].append(f"{block}.{param}")
    return found


def count_names(source: str, side: int, counted: Counter[bool]) -> None:
    """Print what part of a model's parameters has names of its own, and add to what is counted."""
    library, _, name = source.partition(":")
    inputs = (3, side, side) if side and not is_fixed(library, name) else None
    try:
        own, others = named(source, inputs)
    except NetError as error:
        print(f"{name:36} {error.diagnostics[0].message[:60]}", flush=True)
        return
    counted.update({True: len(own), False: len(others)})
    print(f"{name:36} {len(own):5} of {len(own) + len(others):3}  {', '.join(others)}", flush=True)


def main() -> None:
    """Print a line for each model, and what is counted."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", choices=("torchvision", "timm"), default="torchvision")
    parser.add_argument("--first", type=int, default=10**6)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--side", type=int, default=0, help="of the inputs of models that take any")
    parser.add_argument(
        "--names", action="store_true", help="only count parameters with names of the model's own"
    )
    args = parser.parse_args()
    names = torchvision_names() if args.library == "torchvision" else timm_names()
    lifted = 0
    blocks: Counter[str] = Counter()
    names = names[args.skip : args.skip + args.first]
    if args.names:
        counted: Counter[bool] = Counter()
        for name in names:
            count_names(f"{args.library}:{name}", args.side, counted)
        print(
            f"\n{counted[True]} of {counted.total()} parameters, {counted[True] / max(1, counted.total()):.1%}"
        )
        return
    print(f"{'model':36} {'s':>5} {'lines':>5}  proof")
    for name in names:
        start = time.perf_counter()
        lines, said = 0, ""
        try:
            inputs = None
            if args.side and not is_fixed(args.library, name):
                inputs = (3, args.side, args.side)
            try:
                made = lift(f"{args.library}:{name}", inputs)
            except NetError as error:
                if inputs is None or "does not run on" not in str(error):
                    raise
                made = lift(f"{args.library}:{name}")
            lifted += 1
            lines = sum(bool(line.strip()) for line in made.text.splitlines())
            bits = all("bit for bit" in check.said for check in made.checks if "outputs" in check.what)
            said = "equal bit for bit" if bits else "equal in float64"
        except NetError as error:
            causes = [diagnostic.message for diagnostic in error.diagnostics]
            said = "; ".join(causes)
            blocks.update({cause.partition(" in `")[0].partition(" in the")[0] for cause in causes})
        except Exception as error:
            said = f"FAULT {type(error).__name__}: {error}"
            blocks[said[:60]] += 1
        print(f"{name:36} {time.perf_counter() - start:5.1f} {lines:5}  {said}", flush=True)
    print(f"\n{lifted} of {len(names)} lift")
    for cause, count in blocks.most_common(40):
        print(f"{count:5} {cause}")


if __name__ == "__main__":
    main()
