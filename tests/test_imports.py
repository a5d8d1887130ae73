"""The import rule: a module imports only what is left of it in LAYERS; frameworks only within functions."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import netdsl

PACKAGE = Path(netdsl.__file__).parent
BACKENDS = PACKAGE.parent / "backends"
FRONTENDS = PACKAGE.parent / "frontends"

LAYERS = (
    "record collector source reading diagnostics.model diagnostics.render diagnostics data sheet syntax "
    "ir.types ir.tape symbolic cost.model ops ir elaborate passes quantities cost lifting net transforms "
    "space fit lint alignment diff picture emission backend report hardware weights split export network "
    "verification against frontend codes revision api search testing ide lsp cli __main__ __init__"
).split()
"""Each module belongs to the longest of these names that its own begins with."""
ONLY = {
    "record": set(),
    "source": {"record"},
    "diagnostics.model": {"record", "source"},
    "diagnostics.render": {"source", "diagnostics.model"},
    "diagnostics": {"diagnostics.model", "diagnostics.render"},
    "data": {"record", "source", "diagnostics.model", "diagnostics"},
    "codes": {"record"},
}
"""Layers that may import less than all that is left of them."""
FRAMEWORKS = {
    "torch",
    "torchvision",
    "onnx_ir",
    "jax",
    "flax",
    "numpy",
    "ml_dtypes",
    "matplotlib",
    "rich",
    "optuna",
    "psycopg",
    "sklearn",
    "sqlalchemy",
}
LIBRARIES = {"lark", "networkx", "shtab"}
OF = {"lsp": {"lsprotocol", "pygls"}}
"""Libraries of an extra that a layer consists of; who imports it does so in a function."""


def modules(folder: Path) -> dict[str, Path]:
    """Return the modules below a folder by their dotted names in it."""
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts): path
        for path in sorted(folder.rglob("*.py"))
    }


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield every imported name in full, and whether it is imported inside a function, or for types only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions: list[ast.AST] = [
        n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    # what only a type checker imports is no import
    functions += [
        n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"
    ]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import"
            yield from ((f"{node.module}.{alias.name}", id(node) in inside) for alias in node.names)


def layer(name: str) -> str:
    """Return the layer of a module, or of a name in it."""
    return max((x for x in LAYERS if f"{name}.".startswith(f"{x}.")), key=len, default="")


NETDSL, OTHERS, READERS = modules(PACKAGE), modules(BACKENDS), modules(FRONTENDS)


@pytest.mark.parametrize("module", NETDSL)
def test_netdsl_imports_only_leftwards(module: str) -> None:
    here = layer(module)
    assert here, f"netdsl/{module} is in no layer"
    left = ONLY.get(here, set(LAYERS[: LAYERS.index(here)])) | {here}
    for name, in_function in imports(NETDSL[module]):
        root, _, rest = name.partition(".")
        if root == "netdsl":
            assert rest == "__version__" or layer(rest) in left, f"{module} imports {name}"
            assert layer(rest) not in OF or layer(rest) == here or in_function, f"{module} imports {name}"
        else:
            known = root in sys.stdlib_module_names or root in LIBRARIES or root in OF.get(here, ())
            assert known or (in_function and root in FRAMEWORKS), f"{module} imports {name}"


@pytest.mark.parametrize("module", OTHERS)
def test_backends_import_only_netdsl(module: str) -> None:
    package, _, rest = module.partition(".")
    for name, in_function in imports(OTHERS[module]):
        root = name.partition(".")[0]
        known = root in sys.stdlib_module_names or root in {"netdsl", package}
        assert known or (root in FRAMEWORKS and (in_function or rest == "run")), f"{module} imports {name}"


@pytest.mark.parametrize("module", READERS)
def test_front_ends_import_netdsl_and_their_framework(module: str) -> None:
    package, _, rest = module.partition(".")
    for name, in_function in imports(READERS[module]):
        root = name.partition(".")[0]
        known = root in sys.stdlib_module_names or root in {"netdsl", package}
        theirs = {"netdsl_from_onnx": {"torch", "onnx", "onnxruntime", "numpy", "netdsl_from_torch"}}
        framework = root in theirs.get(package, {"torch"}) and (in_function or rest != "__init__")
        assert known or framework, f"{module} imports {name}"


def test_start_up_loads_no_framework() -> None:
    code = "import sys, netdsl, netdsl.cli; netdsl.load, netdsl.Backend; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & FRAMEWORKS
    assert not [name for name in loaded if name.startswith("netdsl_")]


@pytest.mark.parametrize(
    "command",
    [
        "check resnet18",
        "cost resnet18",
        "compile resnet18",
        "lint vit_b_16",
        "fmt -",
        "fit lenet --vary classes --target params=1M",
    ],
)
def test_commands_import_no_networkx(command: str) -> None:
    # importing it takes longer than any of these commands
    code = f"import sys, netdsl.cli; netdsl.cli.main({command.split()}) and sys.exit(1); print(*sys.modules)"
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=True, input="net N:\n    input 3\n")
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "netdsl" in loaded
    assert not loaded & {"networkx", "lark", *FRAMEWORKS}


def test_public_names_exist() -> None:
    assert all(getattr(netdsl, name) for name in netdsl.__all__)
    assert set(netdsl.__all__) <= set(dir(netdsl))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = netdsl.nothing
