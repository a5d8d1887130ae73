"""A run of a model as a list of what happened: modules that were called, and functions of tensors within them."""

from __future__ import annotations

import copy
import inspect
import os
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import netdsl
from netdsl.against import flat
from netdsl_from_torch.shapes import Macs, Shapes

BATCH = 2
"""How many samples a model runs with."""
_INNER = tuple(os.path.dirname(file) + os.sep for file in (torch.__file__, netdsl.__file__, __file__))


class Frame:
    """One call of a module."""

    def __init__(self, module: nn.Module, path: str, outer: Frame | None, args: Any, kwargs: Any) -> None:
        """`path` is that of the module in the model, "" of the model itself and of what is not in it."""
        self.module = module
        self.path = path
        self.outer = outer
        self.args = _held(args)
        self.kwargs = _held(kwargs)
        self.result: Any = None
        self.place = _place()

    def stack(self) -> list[Frame]:
        """Return the calls that this one is in, and this one, the model's first."""
        found: list[Frame] = []
        frame: Frame | None = self
        while frame is not None:
            found.append(frame)
            frame = frame.outer
        return found[::-1]


class Call:
    """One call of a function of tensors; or of a module that is taken as a whole, whose name is its class."""

    def __init__(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any, frame: Frame
    ) -> None:
        """`frame` is the module's call within which it was."""
        self.name = name
        self.args = _held(args)
        self.kwargs = _held(kwargs)
        self.result = _held(result)
        self.frame = frame
        self.place = _place()

    module: nn.Module | None = None
    """The module, if it is one."""
    plain = False
    """Whether it is a plain function of the model's file."""


class Enter:
    """A module's call begins."""

    def __init__(self, frame: Frame) -> None:
        """`frame` is the call."""
        self.frame = frame


class Leave(Enter):
    """It ends."""


Event = Call | Enter


class Tape:
    """What happened in a run, in order."""

    def __init__(self, model: nn.Module) -> None:
        """Begin with nothing; `model` is the copy that runs."""
        self.model = model
        self.events: list[Event] = []
        self.paths = {id(module): path for path, module in reversed([*model.named_modules()])}
        self.keys: dict[int, str] = {}
        """By tensor of the model the key of its state, or the name of what is held beside it."""
        for path, module in model.named_modules():
            for name, tensor in (*module._parameters.items(), *module._buffers.items()):
                if tensor is not None:
                    self.keys.setdefault(id(tensor), f"{path}.{name}" if path else name)
        self.root: Frame
        self.result: Any = None

    def frames(self) -> Iterator[Frame]:
        """Yield the calls of modules, in order."""
        for event in self.events:
            if type(event) is Enter:
                yield event.frame


def _held(value: Any) -> Any:
    """Return a value as it is now: lists and mappings may get more later."""
    if type(value) is list:
        return [_held(one) for one in value]
    if type(value) is tuple:
        return tuple(map(_held, value))
    return dict(value) if type(value) is dict else value


def abstract(model: nn.Module) -> nn.Module:
    """Return a copy of a model whose tensors have shapes and no numbers."""
    return copied(model, _empty)


def copied(model: nn.Module, tensor_of: Callable[[Tensor], Tensor]) -> nn.Module:
    """Return a copy of a model with other tensors."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        for value in module.__dict__.values():  # most of a copy are tables of hooks that nobody registered
            if not value and type(value) in (dict, set, OrderedDict):
                memo[id(value)] = type(value)()
        for table in _tables(module):
            for tensor in table.values():
                if isinstance(tensor, Tensor) and id(tensor) not in memo:
                    memo[id(tensor)] = tensor_of(tensor)
    return copy.deepcopy(model, memo)


def emptied(model: nn.Module) -> nn.Module:
    """Return a model whose tensors have lost their numbers."""
    memo: dict[int, Tensor] = {}
    for module in model.modules():
        for table in _tables(module):
            for name, tensor in table.items():
                if isinstance(tensor, Tensor):
                    table[name] = memo.setdefault(id(tensor), _empty(tensor))
    return model


def _tables(module: nn.Module) -> tuple[dict[str, Any], ...]:
    """Return what of a module may hold tensors, by name."""
    return module._parameters, module._buffers, module.__dict__


def _empty(tensor: Tensor) -> Tensor:
    """Return a tensor with a shape and no numbers."""
    made: Tensor = torch.empty_like(tensor, device="meta", requires_grad=False)
    return (
        nn.Parameter(made, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else made
    )


def record(
    model: nn.Module,
    shapes: Sequence[Sequence[int]],
    whole: Callable[[nn.Module], bool],
    plain: Mapping[str, tuple[str, ...]] = {},
) -> Tape:
    """Run a copy of a model in training and return what happened.

    Args:
        model: Is left as it is.
        shapes: Of the inputs of a sample.
        whole: Tells whether a module is taken as one, without what happens in it.
        plain: And functions of its file that are, by name, with the arguments that they have to take.

    Raises:
        Exception: Whatever the model raises.
    """
    try:
        return _recorded(abstract(model), shapes, whole, plain, "meta")
    except (NotImplementedError, RuntimeError):  # it looks at numbers, which these tensors have not
        return _recorded(copy.deepcopy(model).cpu(), shapes, whole, plain, "cpu")


def evaluated(tape: Tape, model: nn.Module, shapes: Sequence[Sequence[int]]) -> tuple[Any, int | None]:
    """Return what the copy of a model that a tape is of makes of a sample in evaluation, and its MACs where known.

    The copy is in evaluation from now on.

    Raises:
        Exception: Whatever the model raises.
    """
    device = next(flat(tape.root.args)).device.type
    try:
        return (
            counted(tape.model, shapes)
            if device == "meta"
            else (_run(tape.model.eval(), shapes, device), None)
        )
    except (NotImplementedError, RuntimeError):  # it looks at numbers then
        return _run(copy.deepcopy(model).cpu().eval(), shapes, "cpu"), None


def counted(model: nn.Module, shapes: Sequence[Sequence[int]]) -> tuple[Any, int]:
    """Return what a model without numbers makes of a sample in evaluation, and the MACs of that."""
    counter = Macs()
    return _run(model.eval(), shapes, "meta", 1, counter), counter.flops // 2


def first_that_runs(model: nn.Module, shapes: Iterable[Sequence[int]]) -> Sequence[int] | None:
    """Return the first of some shapes of its only input on which a copy of a model runs, as far as shapes tell."""
    one = abstract(model).eval()
    for shape in shapes:
        with torch.no_grad(), warnings.catch_warnings(), Shapes(), suppress(Exception):
            warnings.simplefilter("ignore")
            one(torch.zeros(BATCH, *shape, device="meta"))
            return shape
    return None


def _recorded(
    model: nn.Module,
    shapes: Sequence[Sequence[int]],
    whole: Callable[[nn.Module], bool],
    plain: Mapping[str, tuple[str, ...]],
    device: str,
) -> Tape:
    tape = Tape(model.train())
    with _recording(tape, whole, plain):
        tape.result = _run(model, shapes, device)
    return tape


def _run(
    model: nn.Module,
    shapes: Sequence[Sequence[int]],
    device: str,
    samples: int = BATCH,
    mode: Shapes | None = None,
) -> Any:
    inputs = [torch.zeros(samples, *shape, device=device) for shape in shapes]
    shapes_only = mode or (Shapes() if device == "meta" else nullcontext())
    with torch.no_grad(), warnings.catch_warnings(), shapes_only:
        warnings.simplefilter("ignore")
        return model(*inputs)


@contextmanager
def _recording(
    tape: Tape, whole: Callable[[nn.Module], bool], plain: Mapping[str, tuple[str, ...]]
) -> Iterator[None]:
    """Write down what happens within."""
    call: Any = nn.Module.__call__
    inner: list[Frame] = []
    muted = [0]

    class Mode(TorchFunctionMode):
        def __torch_function__(
            self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
        ) -> Any:
            kwargs = kwargs or {}
            result = function(*args, **kwargs)
            if not muted[0] and inner and next(flat(result), None) is not None:
                tape.events.append(Call(_name(function), args, kwargs, result, inner[-1]))
            return result

    def called(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if muted[0]:
            return call(module, *args, **kwargs)
        outer = inner[-1] if inner else None
        frame = Frame(module, tape.paths.get(id(module), ""), outer, args, kwargs)
        if outer is None:
            tape.root = frame
        inner.append(frame)
        tape.events.append(Enter(frame))
        one = outer is not None and whole(module)
        muted[0] += one
        try:
            result = call(module, *args, **kwargs)
            frame.result = _held(result)
        finally:
            muted[0] -= one
            if one:
                event = Call(type(module).__name__, args, kwargs, frame.result, frame)
                event.module = module
                tape.events.append(event)
            inner.pop()
        tape.events.append(Leave(frame))
        return result

    def noted(function: FunctionType) -> Callable[..., Any]:
        def one(*args: Any, **kwargs: Any) -> Any:
            if muted[0] or not inner:
                return function(*args, **kwargs)
            muted[0] += 1
            try:
                result = function(*args, **kwargs)
            finally:
                muted[0] -= 1
            event = Call(function.__name__, args, kwargs, result, inner[-1])
            event.plain = True
            tape.events.append(event)
            return result

        return one

    found = [*_functions(tape.model, plain)]
    nn.Module.__call__ = called  # type: ignore[method-assign]
    for table, function in found:
        table[function.__name__] = noted(function)
    try:
        with Mode():
            yield
    finally:
        nn.Module.__call__ = call  # type: ignore[method-assign]
        for table, function in found:
            table[function.__name__] = function


def _functions(
    model: nn.Module, plain: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[dict[str, Any], FunctionType]]:
    """Yield what files of a model's classes define that is called, and takes, what `plain` says; with their names."""
    tables = {id(table): table for of in map(type, model.modules()) if (table := _globals(of)) is not None}
    for table in tables.values():
        for name, arguments in plain.items():
            function = table.get(name)
            if not isinstance(function, FunctionType) or function.__globals__ is not table:
                continue
            if tuple(inspect.signature(function).parameters) == arguments:
                yield table, function


def _globals(of: type[nn.Module]) -> dict[str, Any] | None:
    """Return the names of the file of a class, None where that is not written in Python."""
    return getattr(of.forward, "__globals__", None)


def _name(function: Any) -> str:
    """Return what a function is called: `add` of `torch.Tensor.__add__`, `relu_`, `T` of an attribute."""
    name: str = getattr(function, "__name__", type(function).__name__)
    if name == "__get__":
        return str(getattr(getattr(function, "__self__", None), "__name__", name))
    return name


def defined(model: nn.Module, path: str) -> tuple[str, str]:
    """Return a module, or the innermost around it whose class is not torch's, and where that is: `file.py:12`."""
    while True:
        of = type(model.get_submodule(path))
        try:
            place = f"{inspect.getfile(of)}:{inspect.getsourcelines(of)[1]}"
        except (OSError, TypeError):  # it has no file
            place = ""
        if place and not place.startswith(_INNER):
            return path, place
        if not path:
            return "", ""
        path = path.rpartition(".")[0]


def _place() -> str:
    """Return where the code is that is neither torch's nor ours: `file.py:12`."""
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_INNER) and not file.startswith("<"):
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""
