"""How many models of torchvision and timm become specs, proved to be them; what the others lack.

    python benchmarks/lift.py [--library torchvision|timm] [--first N] [--side 128]

Every model is made with random weights and lifted with its proof. torchvision's are all that classify images; timm's
are a sample of the names in modules of convolutional nets, drawn with the seed below.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests")]

from conftest import import_torchvision  # noqa: E402

from netdsl.diagnostics import NetError  # noqa: E402
from netdsl.frontend import lift  # noqa: E402

SEED, SAMPLE = 9, 150
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


def main() -> None:
    """Print a line for each model, and what is counted."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", choices=("torchvision", "timm"), default="torchvision")
    parser.add_argument("--first", type=int, default=10**6)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--side", type=int, default=0, help="of the inputs of models that take any")
    args = parser.parse_args()
    names = torchvision_names() if args.library == "torchvision" else timm_names()
    lifted = 0
    blocks: Counter[str] = Counter()
    names = names[args.skip : args.skip + args.first]
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
