"""Lines of code of emitted modules and of torchvision's own source for the same nets.

A line counts if it holds a token that is no comment and no docstring. Counted is what the factory reaches, without
imports, weight enums and decorators, both sides after `ruff format --line-length 100`.
"""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from types import ModuleType

from reference import NETS, emit, torchvision_factory

OTHERS = (
    "googlenet",
    "inception_v3",
    *(f"densenet{depth}" for depth in (121, 161, 169, 201)),
    *("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"),
    *(f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")),
    *("squeezenet1_0", "squeezenet1_1"),
    *(f"efficientnet_b{size}" for size in range(8)),
    *(f"convnext_{size}" for size in ("tiny", "small", "base", "large")),
    *("vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32"),
)
"""The rest of what torchvision has too."""


def lines(source: str) -> int:
    """Return how many lines of a formatted source hold code."""
    command = ["ruff", "format", "--isolated", "--line-length", "100", "-"]
    done = subprocess.run(
        [sys.executable, "-m", *command], input=source, capture_output=True, text=True, check=True
    )
    tree = ast.parse(done.stdout)
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node, clean=False
        ):
            first = node.body[0]
            skipped.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            skipped.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(code_lines(done.stdout) - skipped)


def code_lines(source: str) -> set[int]:
    """Return the numbers of the lines with a token that is no comment."""
    import io
    import tokenize

    blank = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in blank:
            found.update(range(token.start[0], token.end[0] + 1))
    return found


def reached(module: ModuleType, factory: str) -> str:
    """Return the source of a factory and all that it uses of its module, without weight enums and decorators."""
    tree = ast.parse(inspect.getsource(module))
    known: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            known[node.name] = node
        elif isinstance(node, ast.Assign):
            known |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
    enums = {
        name for name, node in known.items() if isinstance(node, ast.ClassDef) and name.endswith("_Weights")
    }
    wanted: list[str] = []
    waiting = [factory]
    while waiting:
        name = waiting.pop()
        if name in wanted or name in enums or name not in known:
            continue
        wanted.append(name)
        node = known[name]
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            node.decorator_list = []
        waiting += [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
    kept = dict.fromkeys(known[name] for name in known if name in wanted)
    return "\n\n".join(ast.unparse(node) for node in kept)


def measure(name: str) -> tuple[int, int]:
    """Return the lines of the emitted module and of torchvision's source."""
    module = sys.modules[torchvision_factory(name).__module__]
    return lines(emit(name)), lines(reached(module, name))


def main() -> None:
    """Print a table."""
    print(f"{'net':18} {'emitted':>8} {'torchvision':>12}")
    total = [0, 0]
    for name in (*NETS, *OTHERS):
        ours, theirs = measure(name)
        total = [total[0] + ours, total[1] + theirs]
        print(f"{name:18} {ours:8} {theirs:12}")
    print(f"{'all':18} {total[0]:8} {total[1]:12}")


if __name__ == "__main__":
    main()
