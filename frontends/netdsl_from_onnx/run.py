"""A file's nodes, one after the other, as calls of torch's functions on a tape."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest
from math import prod
from typing import Any

import numpy
import onnx
import torch
import torch.nn.functional as F
from netdsl_from_torch.layout import Unknown
from netdsl_from_torch.tape import BATCH, Call, Enter, Frame, Leave, Tape
from onnx import helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from netdsl.against import flat
from netdsl_from_onnx.evaluate import with_shapes
from netdsl_from_onnx.file import Array, File, as_array, attributes, refuse
from netdsl_from_onnx.ops import OPERATORS, Parts
from netdsl_from_onnx.patterns import Patterns
from netdsl_from_onnx.scopes import SEQUENTIAL, Modules, Scopes, Stack, ordered, tidy
from netdsl_from_onnx.whole import Group, groups_of

LARGEST = 1 << 31
"""How many numbers a tensor may have."""
_FOLDED = frozenset(
    "Abs Add And Cast CastLike Ceil Concat ConstantOfShape Div Equal Exp Expand Flatten Floor Gather GatherND"
    " Greater GreaterOrEqual Identity Less LessOrEqual Max Min Mod Mul Neg Not Or Pow Range ReduceMax ReduceMin"
    " ReduceProd ReduceSum Reshape Round ScatterND Shape Sign Size Slice Split Sqrt Squeeze Sub Transpose Unsqueeze"
    " Where".split()
)
"""Operators that are computed where all that they read is known."""
_VIEWS = frozenset("Cast CastLike Flatten Identity Reshape Squeeze Transpose Unsqueeze".split())
"""Those that leave a tensor of the file what it is."""
_KEY = re.compile(r"[\w-]+(\.[\w-]+)*")
_MADE_UP = re.compile(r"val_\d+|\d+|[A-Za-z]+_\d+")
"""Names that exporters give to tensors that are none of the model's."""


class Constant:
    """Numbers that the file has, or that follow from it."""

    def __init__(self, array: Array, origin: str = "", source: str = "") -> None:
        """`origin` is its key in the model's state, if it has one; `source` the initializer that it is a view of."""
        self.array = array
        self.origin = origin
        self.source = source

    def ints(self) -> list[int]:
        """Return whole numbers; Unknown for others."""
        if self.array.dtype.kind not in "iub" or self.array.size > 4096:
            raise Unknown("it takes numbers that are not whole")
        return [int(one) for one in self.array.reshape(-1)]

    def number(self) -> float:
        """Return the only number, of float32 in as few digits as it needs; Unknown if there are others."""
        if self.array.size != 1 or self.array.dtype.kind not in "iuf":
            raise Unknown(f"it takes {self.array.size} numbers, not one")
        one = self.array.reshape(-1)[0]
        return float(str(one))

    @property
    def made_up(self) -> bool:
        """Whether an exporter made it, and no tensor of the model is it."""
        return not self.origin and (not self.source or bool(_MADE_UP.fullmatch(self.source)))

    def first(self) -> Constant:
        """Return the numbers of one sample, with its axis; Unknown where samples have others."""
        one = self.array[:1]
        if not (self.array == one).all():
            raise Unknown("it takes other numbers of the file for each sample")
        return Constant(one, self.origin, self.source)

    def cast(self, kind: numpy.dtype[Any]) -> Constant:
        """Return the same numbers of another type."""
        return Constant(self.array.astype(kind), self.origin, self.source)

    def turned(self) -> Constant:
        """Return the matrix with its axes swapped."""
        return Constant(self.array.T, self.origin, self.source)

    def shaped(self, sizes: Sequence[int]) -> Constant:
        """Return the same numbers in other sizes; Unknown where there are more or less."""
        if self.array.size != prod(sizes):
            raise Unknown(f"a tensor of the file has sizes {list(self.array.shape)}, not {list(sizes)}")
        return Constant(self.array.reshape(sizes), self.origin, self.source)

    def spread(self, size: int) -> Constant:
        """Return a vector of so many numbers, of which the file may have one for all."""
        if self.array.size == 1 < size:
            return Constant(numpy.full(size, self.array.reshape(-1)[0]))
        return self.shaped((size,))

    def is_all(self, number: float) -> bool:
        """Tell whether all numbers are this one."""
        return bool((self.array == number).all())


class Step:
    """A node with what it reads."""

    def __init__(self, run: Run, index: int, further: Sequence[str]) -> None:
        """Read its attributes; `further` is what the layer reads that it is part of."""
        self.node = node = run.file.graph.node[index]
        self.op = node.op_type
        self.index = index
        self.attributes = attributes(node)
        self.stack = run.scopes.stacks[index]
        self.values = [run.values.get(name) if name else None for name in node.input]
        self.function, read = run.patterns.functions.get(index, ("", ""))
        """What it is the last node of."""
        if self.function:
            self.values = [run.values.get(read)]
        self.further = [run.values.get(name) for name in further]
        self.follows = any(
            value is None and name
            for value, name in zip(self.values, [read] if read else node.input, strict=True)
        )
        """Whether it reads what nothing here could make."""

    @property
    def inner(self) -> str:
        """The class of the innermost module."""
        return self.stack[-1][1] if self.stack else ""

    def tensor(self, index: int) -> Tensor:
        """Return an input that is computed; Unknown if there is none."""
        value = self.values[index] if index < len(self.values) else None
        if not isinstance(value, Tensor):
            raise Unknown("it takes numbers of the file where a layer's result belongs")
        return value

    def maybe(self, index: int) -> Constant | None:
        """Return an input that the file has, None where it is left out; Unknown if it is computed."""
        value = self.values[index] if index < len(self.values) else None
        if value is None or isinstance(value, Constant):
            return value
        raise Unknown(f"its input `{self.node.input[index]}` is computed, not of the file")

    def added(self) -> Constant:
        """Return the bias that is added to what the layer makes."""
        (bias,) = self.further
        if not isinstance(bias, Constant):
            raise Unknown("its bias is computed, not of the file")
        return bias

    def constant(self, index: int) -> Constant:
        """Return an input that the file has; Unknown if it is computed or missing."""
        found = self.maybe(index)
        if found is None:
            raise Unknown(f"it lacks input {index}")
        return found


class Run:
    """A file, run on tensors without numbers."""

    def __init__(self, file: File, shapes: Sequence[Sequence[int]], name: str) -> None:
        """Run it with inputs of these sizes, without their batch; `name` is for the model's class."""
        self.file = file
        self.batch = file.batch or BATCH
        self.scopes = Scopes(file.graph, name)
        self.patterns = Patterns(file.graph, self.scopes.stacks)
        self.modules = Modules(self.scopes.root, self.scopes.chains)
        self.tape = Tape(self.modules.root)
        self.values: dict[str, Tensor | Constant | Parts | None] = {}
        self.state: dict[str, Array] = {}
        self.buffers: set[str] = set()
        self.learned: dict[str, Tensor] = {}
        self.sources: dict[str, str] = {}
        """By key the initializer that it is."""
        self.nodes: dict[str, onnx.NodeProto] = {}
        """By what a cause says of its place."""
        self.renamed: list[str] = []
        self.readers: dict[str, set[str]] = {}
        """By initializer the modules that read it."""
        for node, stack in zip(file.graph.node, self.scopes.stacks, strict=True):
            for name_ in node.input:
                if name_ in file.stored:
                    self.readers.setdefault(name_, set()).add(stack[-1][0] if stack else "")
        self.outer = {path for stack in self.scopes.stacks for path, _ in stack[:-1]}
        self.kept: dict[str, tuple[Frame, set[str]]] = {}
        self.now = ""
        self.inferred: dict[str, tuple[int, ...]] | None = None
        root = Frame(self.modules.root, "", None, (), {})
        self.tape.root = root
        self.frames = [root]
        for name_, tensor in file.stored.items():
            self.values[name_] = Constant(as_array(tensor, file.path), _origin(name_), name_)
        for one, shape in zip(file.inputs, shapes, strict=True):
            self.values[one.name] = torch.zeros(self.batch, *shape, device="meta")
        root.args = tuple(self.values[one.name] for one in file.inputs)
        self.tape.events.append(Enter(root))
        with torch.no_grad():
            groups = {group.first: group for group in groups_of(self.scopes, self.patterns)}
            group = None
            for index, node in enumerate(file.graph.node):
                if index in groups:
                    group = groups[index]
                    self._enter(index, group.stack)
                    begun = self._mark()
                self._step(index, node)
                if group is not None and index == group.last:
                    self._as_one(group, begun)
                    group = None
        self._leave(1)
        self.tape.result = root.result = self._results()
        self.tape.events.append(Leave(root))

    @property
    def keys(self) -> list[str]:
        """The keys of the model's state, in the order of the file's tensors, or of their use."""
        ranks = {name: rank for rank, name in enumerate(self.file.stored)}
        homes: dict[str, float] = {}
        named = self.named
        for key in self.state:
            home = key.rpartition(".")[0]
            if key in named:
                rank = ranks.get(self.sources[key], len(ranks))
                homes[home] = min(homes.get(home, rank), rank)
        own = {key: key.rpartition(".")[0] for key in self.state}
        learned = {own[key] for key in self.state if isinstance(self.learned[key], nn.Parameter)}
        last = -1.0
        for home in dict.fromkeys(own.values()):  # buffers stand behind all parameters in a file
            if home in homes and home not in learned:
                homes[home] = last + 0.5
            last = homes.get(home, last)
        if any(home not in homes for home in own.values()):
            return ordered(list(self.state))
        return ordered(sorted(self.state, key=lambda key: homes[own[key]]))

    @property
    def named(self) -> set[str]:
        """The keys that the file has, too."""
        return {key for key, source in self.sources.items() if source == key}

    def _results(self) -> tuple[Tensor, ...]:
        results = []
        for output in self.file.graph.output:
            value = self.values.get(output.name)
            if isinstance(value, Constant | Parts):
                refuse(f"output `{output.name}` of {self.file.path} is no tensor that follows from an input")
            if value is not None:
                results.append(value)
        return tuple(results)

    # ---------------------------------------------------------------- nodes

    def _step(self, index: int, node: onnx.NodeProto) -> None:
        """Run a node, or note why it has no op."""
        if index in self.patterns.skipped:
            return
        main, further = self.patterns.layers.get(index, (index, ()))
        step = Step(self, main, further)
        self.now = label = f"{index}"
        self.nodes[label] = node
        names = list(node.output)
        begun = len(self.tape.events)
        try:
            found = self._known(step)
            if found is None:
                self._enter(step.index, step.stack)
                if step.follows and step.op in OPERATORS:
                    self.values.update(dict.fromkeys(names))
                    return
                found = self._computed(step)
        except Unknown as unknown:
            del self.tape.events[begun:]
            self._enter(step.index, step.stack)
            self._unknown(step, names, str(unknown))
            return
        except (
            RuntimeError,
            ValueError,
            IndexError,
            TypeError,
            KeyError,
            AttributeError,
            ArithmeticError,
        ) as error:
            del self.tape.events[begun:]  # its numbers do not fit
            self._enter(step.index, step.stack)
            self._unknown(step, names, str(error).strip("'").partition("\n")[0][:200])
            return
        results = list(found) if isinstance(found, tuple | list) else [found]
        for name, value in zip(names, results, strict=False):
            self.values[name] = value
            if isinstance(value, Tensor) and value.numel() > LARGEST:
                refuse(f"{self.file.path} makes a tensor of {list(value.shape)}", "give a smaller --input")
        if isinstance(results[0], Tensor):
            self.frames[-1].result = results[0]

    def _mark(self) -> tuple[int, tuple[dict[str, Any], ...], int]:
        """Return what there is now."""
        held = self.state, self.learned, self.sources
        return len(self.tape.events), tuple(dict(one) for one in held), len(self.renamed)

    def _as_one(self, group: Group, begun: tuple[int, tuple[dict[str, Any], ...], int]) -> None:
        """Write one call for those of a group of nodes, where it is one."""
        self._leave(len(group.stack) + 1)
        x, y = self.values.get(group.reads), self.values.get(group.makes)
        y = self._stand_in(group.makes) if y is None else y
        if not isinstance(x, Tensor) or not isinstance(y, Tensor):
            return
        at, held, renamed = begun
        now = self.state, self.learned, self.sources, self.renamed, self.tape.events
        self.state, self.learned, self.sources = held
        self.renamed, self.tape.events = self.renamed[:renamed], self.tape.events[:at]
        try:
            self.values[group.makes] = group.called(self, x, y, now[4][at:])
            self.frames[-1].result = self.values[group.makes]
        except Unknown:  # it stays what it was
            self.state, self.learned, self.sources, self.renamed, self.tape.events = now

    def _computed(self, step: Step) -> Any:
        if step.node.domain not in ("", "ai.onnx") or step.op not in OPERATORS:
            raise Unknown("")
        if step.function:
            return self.call(step.function, step.tensor(0))
        return OPERATORS[step.op](self, step)

    def _unknown(self, step: Step, names: Sequence[str], why: str) -> None:
        """Note a node without an op; go on behind it with what stands for its results."""
        results = []
        for name in names:
            self.values[name] = made = self._stand_in(name)
            results += [made] if made is not None else []
        reads = [value for value in step.values if isinstance(value, Tensor)]
        call = Missing(step.op, reads, {}, results, self.frames[-1])
        call.why, call.place = why, self.now
        self.tape.events.append(call)

    def _stand_in(self, name: str) -> Tensor | None:
        """Return a tensor of the sizes that a value is known to have, None if they are not."""
        sizes = self._inferred().get(name)
        return None if sizes is None else torch.empty(*sizes, device="meta")

    def _inferred(self) -> dict[str, tuple[int, ...]]:
        """Return the sizes that the operators' own rules give, for those that no function here knows."""
        if self.inferred is None:
            model = onnx.ModelProto()
            model.CopyFrom(self.file.model)
            del model.graph.value_info[:]
            for one in model.graph.input:
                value = self.values.get(one.name)
                if isinstance(value, Tensor):
                    shape = one.type.tensor_type.shape
                    for dim, size in zip(shape.dim, value.shape, strict=True):
                        dim.dim_value = size
            self.inferred = {}
            told = list(self.file.graph.value_info) if all(all(one.sizes) for one in self.file.inputs) else []
            model = with_shapes(model)
            for one in (*told, *model.graph.value_info):
                dims = one.type.tensor_type.shape.dim
                sizes = tuple(dim.dim_value for dim in dims)
                if sizes and min(sizes) > 0 and prod(sizes) <= LARGEST:
                    self.inferred[one.name] = sizes
        return self.inferred

    # ---------------------------------------------------------------- numbers

    def _known(self, step: Step) -> Any:
        """Return what a node makes of numbers that are known, None if it reads what is not."""
        node, values = step.node, step.values
        if step.op == "Constant":
            return self._constant(step)
        if step.op in ("Shape", "Size") and isinstance(values[0], Tensor):
            sizes = numpy.array(values[0].shape, "int64")
            if step.op == "Size":
                return Constant(sizes.prod())
            return Constant(sizes[step.attributes.get("start", 0) : step.attributes.get("end")])
        if step.function:
            return None
        given = [value for value, name in zip(values, node.input, strict=True) if name]
        if step.op == "CastLike" and isinstance(given[0], Constant):
            kind = given[1].array.dtype if isinstance(given[1], Constant) else numpy.dtype("float32")
            return given[0].cast(kind)
        if step.op == "Expand" and isinstance(given[0], Constant) and isinstance(given[1], Constant):
            own = given[0].array.shape
            shape = numpy.broadcast_shapes(own, tuple(given[1].ints()))
            if given[0].origin and own[:1] == (1,) and own[1:] == shape[1:]:
                return given[0]  # a parameter that all samples share, which is said where it is used
        if step.op not in _FOLDED or node.domain or not all(isinstance(one, Constant) for one in given):
            return None
        if not given:
            return None
        return self._folded(step, given)  # type: ignore[arg-type]

    def _constant(self, step: Step) -> Constant:
        for name, value in step.attributes.items():
            if name == "value":
                return Constant(as_array(value, self.file.path))
            if name in ("value_int", "value_ints"):
                return Constant(numpy.array(value, "int64"))
            if name in ("value_float", "value_floats"):
                return Constant(numpy.array(value, "float32"))
        raise Unknown("it has no numbers")

    def _folded(self, step: Step, given: Sequence[Constant]) -> Any:
        """Return what a node computes of numbers."""
        arrays = [one.array for one in given]
        if step.op == "Identity":
            (name,) = step.node.output
            return Constant(arrays[0], _origin(name), given[0].source)
        if _makes(step, arrays) > max(1 << 24, *(array.size for array in arrays)):
            raise Unknown("it makes too many numbers")
        graph = helper.make_graph(
            [step.node],
            "folded",
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                for name, array in {
                    n: a for n, a in zip(filter(None, step.node.input), arrays, strict=True)
                }.items()
            ],
            [helper.make_empty_tensor_value_info(name) for name in step.node.output],
        )
        model = helper.make_model(graph, opset_imports=list(self.file.model.opset_import))
        try:
            with numpy.errstate(all="ignore"):
                feeds = dict(zip(filter(None, step.node.input), arrays, strict=True))
                found = ReferenceEvaluator(model).run(None, feeds)
        except Exception as error:  # it raises what it likes
            raise Unknown(f"its numbers do not fit: {str(error).partition(chr(10))[0][:200]}") from None
        origin, source = (given[0].origin, given[0].source) if step.op in _VIEWS else ("", "")
        return [Constant(numpy.asarray(one), origin, source) for one in found]

    # ---------------------------------------------------------------- modules

    def _enter(self, index: int, stack: Stack) -> None:
        """Go into the modules that a node is in."""
        paths = [frame.path for frame in self.frames[1:]]
        same = 0
        while same < min(len(paths), len(stack)) and paths[same] == stack[same][0]:
            same += 1
        self._leave(same + 1)
        anew = False
        for path, name in stack[same:]:
            held, used = self.kept.get(path, (None, set()))
            reads = self._visit(index, path)
            if held is None or anew or used & reads:
                anew = anew or held is not None
                held = Frame(self.modules.get(path, name), path, self.frames[-1], (), {})
                self.tape.events.append(Enter(held))
                used = set()
            self.kept[path] = held, used | reads
            self.frames.append(held)

    def _visit(self, index: int, path: str) -> set[str]:
        """Return the tensors that are read until a node is in another module than that at a path."""
        found: set[str] = set()
        for at in range(index, len(self.scopes.stacks)):
            node = self.file.graph.node[at]
            if not any(path == one for one, _ in self.scopes.stacks[at]):
                if at in self.patterns.constant:
                    continue
                break
            found |= {name for name in node.input if self.file.stored.get(name) is not None}
        return found

    def _leave(self, depth: int) -> None:
        while len(self.frames) > depth:
            frame = self.frames.pop()
            self.tape.events.append(Leave(frame))
            self.frames[-1].result = frame.result

    # ---------------------------------------------------------------- what operators call

    def torch(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a function of torch by its name."""
        function = getattr(F, name, None) or getattr(torch, name, None) or getattr(Tensor, name)
        return function(*args, **kwargs)

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a function of torch, and write it on the tape."""
        return self.put(name, self.torch(name, *args, **kwargs), *args, **kwargs)

    def put(self, name: str, result: Any, *args: Any, **kwargs: Any) -> Any:
        """Write a call on the tape; return its result."""
        if any(result is one for one in args):  # each result is a tensor of its own
            result = result.view_as(result)
        for one in flat(result):
            if one.numel() > LARGEST:
                refuse(f"{self.file.path} makes a tensor of {list(one.shape)}", "give a smaller --input")
        call = Call(name, args, kwargs, result, self.frames[-1])
        call.place = self.now
        self.tape.events.append(call)
        return result

    def layer(self, stem: str, step: Step, **parts: Constant | None) -> list[Any]:
        """Return the tensors of a layer, in order; `stem` is what it is called where nothing has a name."""
        home = self._home(stem, step, parts)
        found: list[Any] = []
        for name, part in parts.items():
            found.append(
                None if part is None else self._register(f"{home}.{name}", part, name[:7] == "running")
            )
        if "running_var" in parts:
            count = Constant(numpy.array(0, "int64"))
            self._register(f"{home}.num_batches_tracked", count, True)
        return found

    def stored(self, key: str, buffer: bool) -> Tensor:
        """Return a tensor of the file whose name is its key."""
        constant = self.values[key]
        assert isinstance(constant, Constant)
        return self._register(key, constant, buffer)

    def made(self, array: Array, key: str) -> Constant:
        """Return numbers that the file left out, as what its model has under a key."""
        return Constant(array, key)

    def under(self, home: str, **parts: Constant) -> list[Tensor]:
        """Return tensors under their own names at a path, which no layer has."""
        for name, part in parts.items():
            if not self._fits(f"{home}.{name}", part):
                raise Unknown(f"the file has two tensors `{home}.{name}`")
        return [self._register(f"{home}.{name}", part, False) for name, part in parts.items()]

    def parameter(self, step: Step, constant: Constant) -> Tensor:
        """Return a tensor that no layer has, under its own key or one of the module that it is in."""
        key = constant.origin
        if step.stack and self.is_shared(constant):
            key = f"{step.stack[-1][0]}.{key.rpartition('.')[2]}" if key else ""
        if not key or not self._fits(key, constant):
            path = step.stack[-1][0] if step.stack else ""
            key = self._free(f"{path}.weight" if path else "weight", [constant])
            self.renamed.append(key)
        return self._register(key, constant, False)

    def _home(self, stem: str, step: Step, parts: dict[str, Constant | None]) -> str:
        """Return the path of a layer: that of its tensors' keys, or of its module."""
        given = {name: part for name, part in parts.items() if part is not None}
        path, name = step.stack[-1] if step.stack else ("", "")
        inner = path if path not in self.outer and name != SEQUENTIAL else ""
        keyed = {name: part for name, part in given.items() if part.origin}
        own = {name: part for name, part in keyed.items() if not self.is_shared(part)}

        def fits(home: str) -> bool:
            return all(self._fits(f"{home}.{name}", part) for name, part in given.items())

        if own or not inner:
            own = own or keyed
            homes = {part.origin.rpartition(".")[0] for part in own.values()}
            leaves = {name for name, part in own.items() if part.origin.rpartition(".")[2] == name}
            if len(homes) == 1 and leaves == {*own} and "" not in homes:
                (home,) = homes
                if fits(home):
                    return home
        if inner and fits(inner):
            return inner
        if not step.stack and step.node.name and not step.node.name.startswith("/"):
            stem = tidy(step.node.name).replace(".", "_").lower()
            stem = stem if stem[:1].isalpha() else f"n{stem}"
        elif given:
            self.renamed.append(path or stem)
        wanted, number = f"{path}.{stem}" if path else stem, 0
        home = wanted
        while not fits(home) or home in self.outer:
            number += 1
            home = f"{wanted}{number}"
        return home

    def is_number(self, part: Constant) -> bool:
        """Tell whether an operand is a number, and no parameter: that has an axis, and a name of a model's state."""
        if part.array.size != 1 or part.array.ndim == 0:
            return part.array.size == 1
        return not part.origin or not (self.scopes.told or "." in part.origin)

    def is_shared(self, part: Constant) -> bool:
        """Tell whether several modules read a tensor: exporters keep equal ones once, under the first one's key."""
        return len(self.readers.get(part.source, ())) > 1

    def _free(self, wanted: str, parts: Sequence[Constant]) -> str:
        key, number = wanted, 0
        while not all(self._fits(key, part) for part in parts):
            number += 1
            key = f"{wanted}{number}"
        return key

    def _fits(self, key: str, constant: Constant) -> bool:
        """Tell whether a key is free, or has these numbers already."""
        held = self.state.get(key)
        return held is None or (
            held.shape == constant.array.shape
            and (held is constant.array or bool(numpy.array_equal(held, constant.array)))
        )

    def _register(self, key: str, constant: Constant, buffer: bool) -> Tensor:
        """Return the tensor of a key."""
        if key not in self.learned:
            kind = torch.int64 if constant.array.dtype.kind in "iu" else torch.float32
            tensor = torch.empty(constant.array.shape, dtype=kind, device="meta")
            path, _, name = key.rpartition(".")
            module = self.modules.get(path)
            if buffer:
                module._buffers[name] = tensor
            else:
                tensor = module._parameters[name] = nn.Parameter(tensor)
            self.learned[key] = tensor
            self.state[key] = constant.array
            self.sources[key] = constant.source
            self.tape.keys[id(tensor)] = key
        return self.learned[key]

    def only_reshaped(self, step: Step) -> bool:
        """Tell whether all that reads a node's result is a flattening."""
        readers = self.patterns.readers.get(step.node.output[0], [])
        ops = {self.file.graph.node[index].op_type for index in readers}
        return bool(ops) and ops <= {"Reshape", "Flatten", "Squeeze"}


def _makes(step: Step, arrays: Sequence[Array]) -> float:
    """Return how many numbers an operator makes of these, as far as that may be more than they are."""
    if step.op == "Range":
        return abs(float((arrays[1] - arrays[0]) / arrays[2])) if arrays[2] else 0.0
    if step.op in ("ConstantOfShape", "Expand"):
        count = float(arrays[0].size) if step.op == "Expand" else 1.0
        return count * prod(map(float, arrays[-1].reshape(-1)[:64]))
    if step.op in ("Gather", "GatherND"):
        data = arrays[0]
        return float(arrays[1].size) * data.size / max(min(data.shape, default=1), 1)
    if step.op == "Concat":
        return float(sum(array.size for array in arrays))
    sizes = [array.shape for array in arrays]
    return float(prod(max(each) for each in zip_longest(*(shape[::-1] for shape in sizes), fillvalue=1)))


class Missing(Call):
    """A node that nothing here can say."""

    why = ""


def _origin(name: str) -> str:
    """Return the key of the model's state that a tensor's name is, "" where it is a name that was made up."""
    if name.endswith(".weight_bias"):  # what torch's optimiser calls the bias that a folded norm leaves
        name = f"{name.removesuffix('weight_bias')}bias"
    return name if len(name) <= 400 and _KEY.fullmatch(name) and not _MADE_UP.fullmatch(name) else ""


__all__ = ["Constant", "Missing", "Run", "Stack", "Step"]
