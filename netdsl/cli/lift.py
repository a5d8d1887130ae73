"""netdsl lift: a model that exists as a spec."""

from __future__ import annotations

import argparse
import ast
from pathlib import Path
from typing import Any

from netdsl import reading
from netdsl.cli.common import inputs, misuse, note, put, replacing, write

HELP = "write the spec of a model that exists, and prove that it is the model"
EXAMPLES = (
    "netdsl lift torchvision:resnet50 -o resnet50.net",
    'netdsl lift my_models.py:Net --args "num_classes=10" --input 3x96x96',
)
FORMS = (
    "MODULE:FACTORY, FILE.py:FACTORY, torchvision:NAME or timm:NAME; the function is called and the model is run, "
    "which is code: name only what you trust; or FILE.onnx, which runs nothing"
)


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    sub.add_argument("model", metavar="MODEL", help=FORMS)
    help = "what the function is given, as Python writes it: num_classes=10, layers=[2, 2]; numbers, texts and lists"
    sub.add_argument("--args", default="", metavar="NAME=VALUE,...", help=help)
    help = "an input's shape, such as 3x96x96 (what the library says, or a usual one that runs); repeatable"
    sub.add_argument("--input", action="append", default=[], metavar="[NAME=]CxHxW", help=help)
    sub.add_argument("-o", "--output", metavar="FILE", help="write to FILE instead of standard output")
    help = "write the model's weights too, under the net's names"
    sub.add_argument("--weights", metavar="FILE.safetensors", help=help)


def run(args: argparse.Namespace) -> int:
    """Write the spec, and say what was proved."""
    from netdsl.frontend import lift

    given = keywords(args.args)
    file = weights_file(args.weights)
    lifted = lift(args.model, inputs(args), **given)
    for check in lifted.checks:
        note(str(check))
    try:
        if args.output in (None, "-"):
            put(lifted.text)
        else:
            write(Path(args.output), lifted.text)
        if file is not None:
            save(lifted, file)
    except OSError as error:
        misuse("E510", f"cannot write {error.filename or args.output}: {reading.reason(error)}")
    return 0


def keywords(text: str) -> dict[str, Any]:
    """Return what --args gives: values that Python writes as literals, and never code."""
    help = 'for example --args "num_classes=10"'
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or not isinstance(call.func, ast.Name):
            raise ValueError
        if any(one.arg is None for one in call.keywords):
            raise ValueError
        return {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        misuse("E504", f"--args takes NAME=VALUE with numbers, texts and lists, got {text}", help)


def weights_file(given: str | None) -> Path | None:
    """Return where weights go; NetError where that is no file of a form that runs nothing."""
    if given is None:
        return None
    file = Path(given)
    if file.suffix.lower() != ".safetensors":
        misuse("E517", f"{given} is no .safetensors file", "for example --weights model.safetensors")
    return file


def save(lifted: Any, file: Path) -> None:
    """Write the model's weights."""
    from netdsl.weights.convert import Held, Move
    from netdsl.weights.files import save as saved

    state = {key: Held(key, value) for key, value in lifted.weights.items()}
    move = Move(lifted.net, state, "torch", "torch", "the model")
    with replacing(file) as stream:
        saved(stream, ".safetensors", move, {})
