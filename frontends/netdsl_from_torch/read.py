"""A model of torch's as a graph: made, run, translated."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from torch import Tensor, nn

from netdsl import against
from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.frontend import Check
from netdsl.ir.graph import Graph
from netdsl.network import Network
from netdsl_from_torch.common import label_of, net_name
from netdsl_from_torch.emitted import ARGUMENTS
from netdsl_from_torch.making import Given, made
from netdsl_from_torch.proof import prove
from netdsl_from_torch.tape import evaluated, first_that_runs, record
from netdsl_from_torch.translate import Cause, Translation
from netdsl_from_torch.tree import Tree
from netdsl_from_torch.whole import is_whole

Result = TypeVar("Result")
FORMS = "torchvision:NAME, timm:NAME, MODULE:FACTORY or FILE.py:FACTORY"
"""What names a model."""
SIDES = (224, 32, 28, 64, 96, 128, 256, 299, 331, 384, 512, 48, 16, 8)
"""How wide an image is taken to be, in the order of how often models are made for it."""


class Model:
    """A model that was read; see `netdsl.frontend.Read`."""

    def __init__(self, source: Any, inputs: Mapping[str, tuple[int, ...]], args: Mapping[str, Any]) -> None:
        """Make the model, if it is none yet, and read it."""
        self.source = (
            source if isinstance(source, str) else getattr(source, "__name__", type(source).__name__)
        )
        self.model, self.given = self._made(source, args)
        place, _, name = self.source.rpartition(":")
        self.name = net_name(name) or net_name(Path(place).stem) or "model"
        self.guessed = False
        """Whether nobody says what the input is."""
        self.inputs = self._inputs(inputs)
        self.macs: int | None = None
        """What torch counts of a sample in evaluation, where shapes tell it."""
        self.graph = self._graph()

    def prove(self, net: Network) -> tuple[Check, ...]:
        """Hold a net against the model."""
        sizes = "x".join(map(str, self.inputs["x"])) if self.guessed else ""
        taken = (Check("input", f"taken to be {sizes}, since none is given", True),) if sizes else ()
        return taken + prove(net, self.model, list(self.inputs.values()), self.macs)

    # ---------------------------------------------------------------- the model

    def _made(self, source: Any, args: Mapping[str, Any]) -> tuple[nn.Module, dict[str, Given]]:
        """Return the model, and what its modules were made with, which only a function can tell."""
        if isinstance(source, nn.Module):
            if args:
                _fail("E580", f"{self.source} is made already, and takes no {next(iter(args))}")
            return source, {}
        factory = _factory(source) if isinstance(source, str) else source
        known = inspect.signature(factory).parameters if not isinstance(source, str) else {}
        try:
            model, given = made(lambda: factory(**args))
        except NetError:
            raise
        except (Exception, SystemExit) as error:
            help = did_you_mean(next(iter(args)), list(known)) if args and known else ""
            _fail("E580", f"{self.source} makes no model: {against.said(error)}", help)
        if not isinstance(model, nn.Module):
            what = f"{self.source} makes a {type(model).__name__}, and no model"
            _fail("E580", what, "it has to return an nn.Module")
        return model, given

    def _inputs(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the inputs by the names that `forward` gives them, in its order."""
        parameters = inspect.signature(self.model.forward).parameters
        names = [
            name
            for name, one in parameters.items()
            if one.kind in (one.POSITIONAL_OR_KEYWORD, one.POSITIONAL_ONLY)
        ]
        first = names[0] if names else "x"
        if not shapes:
            shapes = {"": self._usual()}
        unknown = [name for name in shapes if name and name not in names]
        if unknown:
            what = f"{self.source} has no input `{unknown[0]}`"
            _fail("E505", what, did_you_mean(unknown[0], names) or f"it has {', '.join(names)}")
        given = {name or first: shape for name, shape in shapes.items()}
        ordered = {name: given[name] for name in names if name in given} or given
        if list(ordered) != names[: len(ordered)]:
            _fail("E505", f"{self.source} takes {', '.join(names)} in this order, and some are not given")
        for shape in ordered.values():
            if not 1 <= len(shape) <= 3 or min(shape) < 1:
                sizes = "x".join(map(str, shape))
                _fail("E505", f"an input has one to three sizes from 1, got {sizes}", "for example 3x224x224")
        if len(ordered) == 1:
            return {"x": next(iter(ordered.values()))}
        return {label_of(name): shape for name, shape in ordered.items()}

    def _usual(self) -> tuple[int, ...]:
        """Return the shape of an input that the model's library says, or what images have."""
        settings = getattr(self.model, "pretrained_cfg", None) or getattr(self.model, "default_cfg", None)
        if isinstance(settings, Mapping) and settings.get("input_size"):
            return tuple(settings["input_size"])
        library, _, name = self.source.partition(":")
        if library.partition(".")[0] == "torchvision":
            try:
                weights = import_module("torchvision.models").get_model_weights(name)
            except ValueError:  # a function that is not registered
                weights = ()
            if len(weights):  # some were trained at a size that only a model made for them takes
                crops = [
                    getattr(one.transforms(), "crop_size", SIDES)[0] for one in (weights.DEFAULT, *weights)
                ]
                shapes = [(3, crop, crop) for crop in dict.fromkeys(crops)]
                found = first_that_runs(self.model, shapes) if len(shapes) > 1 else None
                return shapes[0] if found is None else (*found,)
        return self._guessed()

    def _guessed(self) -> tuple[int, ...]:
        """Return the first shape on which the model runs: of images, or of features where it begins with `fc`."""
        self.guessed = True
        first = next((m for m in self.model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))), None)
        channels = getattr(first, "in_channels", 3)
        shapes: list[tuple[int, ...]] = [(channels, side, side) for side in SIDES]
        if isinstance(first, nn.Linear):
            shapes.insert(0, (first.in_features,))
        found = first_that_runs(self.model, shapes)
        if found is not None:
            return tuple(found)
        _fail("E505", f"{self.source} does not say what it takes", "for example --input 3x224x224")

    # ---------------------------------------------------------------- the graph

    def _graph(self) -> Graph:
        """Return the graph; NetError with every call that has no op."""
        shapes = list(self.inputs.values())
        tape = self._run(shapes, lambda: record(self.model, shapes, is_whole, ARGUMENTS))
        translation = Translation(tape, shapes, True)
        result, self.macs = self._run(shapes, lambda: evaluated(tape, self.model, shapes))
        outputs = _outputs(tape.result, result)
        causes = list(translation.causes)
        if not causes:
            tree = Tree(translation, list(self.model.state_dict()), outputs, list(self.inputs), self.given)
            causes = tree.causes
        if causes:
            raise NetError(_reported(self.source, causes))
        return tree.graph

    def _run(self, shapes: Sequence[Sequence[int]], run: Callable[[], Result]) -> Result:
        """Return what a run of the model makes."""
        try:
            return run()
        except Exception as error:  # a model raises what it likes
            sizes = ", ".join("x".join(map(str, shape)) for shape in shapes)
            what = f"{self.source} does not run on {sizes}: {against.said(error)}"
            _fail("E580", what, "give another size: --input 3x224x224")


def _fail(code: str, message: str, help: str = "") -> NoReturn:
    raise NetError([Diagnostic(code, message, help=help)])


def _factory(reference: str) -> Any:
    """Return the function that a text names. What it is in is run, or imported, which runs it too."""
    if Path(reference.partition(":")[0]).suffix.lower() in (".pt", ".pth", ".pkl", ".bin"):
        what = f"{reference} would have to be unpickled, which runs what is in it"
        _fail("E580", what, f"name the function that makes the model: {FORMS}")
    library, colon, name = reference.rpartition(":")
    if not colon:
        _fail("E580", f"{reference} names no model", f"it is {FORMS}")
    if library in against.LIBRARIES or library.endswith(".py"):
        try:
            return against.factory(reference)
        except NetError as error:
            raise NetError(
                [d.replace(code="E580") if d.code == "E531" else d for d in error.diagnostics]
            ) from None
    if not all(part.isidentifier() for part in library.split(".")):
        _fail("E580", f"there is no module {library}", f"a model is {FORMS}")
    try:
        module = import_module(library)
    except (Exception, SystemExit) as error:
        _fail("E580", f"{library} cannot be imported: {against.said(error)}")
    found = getattr(module, name, None)
    if not callable(found):
        known = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
        _fail("E580", f"{library} has no function {name or 'without a name'}", did_you_mean(name, known))
    return found


def _outputs(trained: Any, evaluated: Any) -> list[tuple[str, bool]]:
    """Return what each output of a model is called, and whether it exists in training only."""
    names = _names(trained)
    kept = _names(evaluated)
    if len(kept) == 1 and kept == [""]:
        trained = [False, *[True] * (len(names) - 1)]
    elif {*kept} <= {*names} and "" not in kept:
        trained = [name not in kept for name in names]
    else:
        trained = [index >= len(kept) for index in range(len(names))]
    found: list[tuple[str, bool]] = []
    for index, (name, train) in enumerate(zip(names, trained, strict=True)):
        label = label_of(name) if name else "out"
        taken = [one for one, _ in found]
        found.append((label if label not in taken else f"{label}{index}", train))
    return found


def _names(result: Any) -> list[str]:
    """Return what the tensors of a result are called there, "" for those without a name."""
    if isinstance(result, Tensor):
        return [""]
    if isinstance(result, Mapping):
        return [str(key) for key, value in result.items() for _ in against.flat(value)]
    fields = getattr(result, "_fields", None)
    if fields is not None:
        return [name for name in fields for _ in against.flat(getattr(result, name))]
    return ["" for _ in against.flat(result)]


def _reported(source: str, causes: Sequence[Cause]) -> list[Diagnostic]:
    """Return an error for each line that calls what no op says, with how often that is, and where first."""
    found: dict[tuple[str, str, str], list[Cause]] = {}
    for cause in causes:
        found.setdefault((cause.what, cause.place or cause.why, cause.of), []).append(cause)
    diagnostics = []
    for (what, *_), each in found.items():
        first = each[0]
        where = f"in `{first.path}`" if first.path else "in the model itself"
        others = f" and {len(each) - 1} more" if len(each) > 1 else ""
        why = f": {first.why}" if first.why else ""
        at = f" ({first.place})" if first.place else ""
        diagnostics.append(Diagnostic("E581", f"no op says `{what}` {where}{others}{why}{at}"))
    return diagnostics
