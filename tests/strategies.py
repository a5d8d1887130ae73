"""Random nets: texts of specs that are right by construction, with the shapes that they have.

A body is written line by line, and what flows after each line is known: in a net as numbers; in a block, whose
caller decides sizes and channels, as the text of its parameter. Nothing of netdsl is used, so that the shapes are a
second opinion. Simple things come first wherever something is chosen, since hypothesis shrinks towards them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[Any]], Any]

ACTIVATIONS = (
    *("relu", "tanh", "sigmoid", "gelu", "silu", "hswish", "hsigmoid", "relu6", "softmax"),
    *("leaky_relu 0.2", 'gelu approximate="tanh"', "elu 0.5", "celu", "selu", "mish", "softplus", "softsign"),
    *("logsigmoid", "tanhshrink", "hardshrink 0.2", "softshrink 0.1", "hardtanh", "threshold 0.1, 0.05"),
    *("log_softmax", 'softmax axis="c"'),
)
ACTIVATION_VALUES = ("relu", "hswish", "tanh", "leaky_relu(0.2)", "silu", "sigmoid", "elu(0.5)", "mish")
LABELS = (
    *(
        "a",
        "b",
        "d",
        "e",
        "conv",
        "main",
        "left",
        "proj",
        "y",
        "z",
        "body",
        "name",
        "i",
        "bn",
        "relu",
        "layers",
    ),
    *("shortcut", "value", "channels", "in_channels", "stride", "norm", "module", "block", "stage", "output"),
    *("x1", "w", "out", "drop", "self_attention", "kernel_size", "m", "key", "path", "inputs", "items"),
    *('"add"', '"first"'),
)
DECLARATIONS = ("block", "stage", "output", '"add"', '"first"')
"""Labels that cannot be taken with `=` or `from`."""
OPS = ("bn", "conv", "relu")
"""Labels that are ops too: in an argument they would be taken for the op."""
INITS = ("zeros", "ones", "normal(0, 0.02)", "trunc_normal(0.02)", "constant(0.1)", "uniform(0.0, 0.5)")
MATRIX_INITS = (
    "kaiming_normal(fan_out)",
    "kaiming_uniform",
    "xavier_normal",
    "normal(0, 0.1)",
    "trunc_normal(0.1)",
)
MOST_CHANNELS = 24
LARGEST = 26
"""The longest side of a map."""
SMALLEST_NORMED = 3
"""The shortest side of a map for bn: with fewer places its variances are of very few numbers."""


class Flow(NamedTuple):
    """What flows: a map, tokens or a vector."""

    kind: str
    c: int | str
    """Channels. A text is what a block calls them: an even number, unless it is `x.c` or `c // 2`."""
    size: tuple[int, ...] | str
    """(h, w) of a map, (n,) of tokens. A text stands for a size that the block's caller decides."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample, which must be known."""
        assert isinstance(self.c, int)
        assert not isinstance(self.size, str)
        return (*self.size, self.c) if self.kind == "tokens" else (self.c, *self.size)

    @property
    def normed(self) -> bool:
        """Whether bn may stand here."""
        return self.kind == "map" and (isinstance(self.size, str) or min(self.size) >= SMALLEST_NORMED)

    @property
    def even(self) -> bool:
        """Whether the channels are known to be even."""
        return self.c % 2 == 0 if isinstance(self.c, int) else not self.c.endswith((".c", "// 2"))

    def divisors(self) -> list[int | str]:
        """Return numbers that divide the channels."""
        if isinstance(self.c, str):
            return [1, 2] if self.even else [1]
        return [n for n in (1, 2, 3, 4, 5) if self.c % n == 0]


class Window(NamedTuple):
    """A kernel that slides: how it is written, what it makes of a size."""

    kernel: str
    options: list[str]
    size: tuple[int, ...] | str
    even: bool
    """Whether both sides are padded alike."""


class Block(NamedTuple):
    """A block that was declared."""

    name: str
    kinds: dict[str, str]
    """What each parameter is for, by its name; the channels come first."""
    inputs: int
    outputs: int
    kind: str
    inline: bool


class Spec(NamedTuple):
    """A spec of one net called `trial`, and what is known about it."""

    text: str
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]

    def __repr__(self) -> str:
        return f"\n{self.text}# outputs: {self.outputs}\n"


def indented(lines: Sequence[str]) -> list[str]:
    """Return lines one level deeper."""
    return [f"    {line}" for line in lines]


def dims(size: tuple[int, int]) -> str:
    """Return a size as the language writes it."""
    return f"{size[0]}x{size[1]}"


def both(size: tuple[int, int], draw: Draw) -> str:
    """Return a size for both axes, shorter where they are equal."""
    return str(size[0]) if size[0] == size[1] and not draw(st.booleans()) else dims(size)


class Body:
    """The body of a net, block or container that is being written."""

    def __init__(
        self, draw: Draw, blocks: list[Block], flow: Flow, kinds: dict[str, str], numbers: dict[str, int]
    ) -> None:
        """`kinds` are the parameters that can be seen, `numbers` those among the names that are known ints."""
        self.draw = draw
        self.blocks = blocks
        self.flow = flow
        self.kinds = kinds
        self.numbers = numbers
        self.labels: set[str] = set()
        self.values: dict[str, Flow] = {}
        self.lines: list[str] = []
        self.depth = 0
        self.default_kernel = ""
        self.default_norm = False
        self.outputs: dict[str, Flow] | None = None
        """The net's outputs, in its own body."""

    def child(self, flow: Flow) -> Body:
        """Return the body of a container in this one."""
        inner = Body(self.draw, self.blocks, flow, self.kinds, self.numbers)
        inner.values = dict(self.values)
        inner.depth = self.depth + 1
        inner.default_kernel, inner.default_norm = self.default_kernel, self.default_norm
        return inner

    # ---------------------------------------------------------------- choices

    def pick(self, options: Sequence[T]) -> T:
        """Choose one, the first being the simplest."""
        chosen: T = self.draw(st.sampled_from(options)) if len(options) > 1 else options[0]
        return chosen

    def maybe(self, one_in: int = 2) -> bool:
        """Choose, `one_in` being how rare it is."""
        return bool(self.draw(st.integers(0, one_in - 1)) == one_in - 1)

    def name(self, value: bool = False) -> str:
        """Return a label that is new in this scope, or a name for a value, which no declaration begins with."""
        taken = {*self.labels, *self.kinds, *self.numbers, *(DECLARATIONS if value else ())}
        free = [label for label in LABELS if label not in taken]
        label = self.pick(free) if free else f"part{len(self.labels)}"
        self.labels.add(label)
        self.values.pop(label, None)
        return label

    def number(self, value: int | str) -> str:
        """Return a text for a number: itself, a name, a product."""
        if isinstance(value, str):
            return value
        texts = [str(value), *(name for name, known in self.numbers.items() if known == value)]
        texts += [f"{value // 2}*2" for _ in "x" if value % 2 == 0] + [f"{value + 1} - 1"]
        return self.pick(texts)

    def parameter(self, kind: str) -> list[str]:
        """Return the parameters of a kind."""
        return [name for name, one in self.kinds.items() if one == kind]

    def condition(self) -> str:
        """Return a condition whose value does not matter."""
        options = [*self.parameter("flag"), *(f"not {name}" for name in self.parameter("flag"))]
        options += [f"{name} > 0" for name in self.parameter("p")]
        options += [f"{name} != 1" for name in self.parameter("s")]
        options += [f"{name} > 1" for name in self.parameter("n")]
        options += [f"{name} > 4" for name in (*self.parameter("c"), *self.numbers)]
        options += ["x.c != c and x.h > 2"] if self.flow.size == "out" else []
        return self.pick([*options, "true", "1 > 2", "true and not false"])

    def channels(self, flow: Flow, keep: bool = False) -> int | str:
        """Choose channels for what comes next."""
        if isinstance(flow.c, str):
            return self.pick(["c", "2*c"] if not keep else ["c"])
        return int(self.draw(st.integers(2, 10)))

    # ---------------------------------------------------------------- steps of a chain

    def chain(
        self, flow: Flow, labelled: bool, keep: bool = False, most: int = 3, least: int = 1
    ) -> tuple[list[str], Flow]:
        """Return steps, and what flows after them. `keep`: the size stays; the kind stays in any case."""
        steps: list[str] = []
        while len(steps) < most and (len(steps) < least or self.maybe()):
            text, flow = self.step(flow, labelled, keep)
            steps.append(text)
        return steps, flow

    def step(self, flow: Flow, labelled: bool, keep: bool) -> tuple[str, Flow]:
        """Return one step. `labelled`: what has weights gets a label; otherwise it must be a module."""
        if self.maybe(6):
            return self.optional(flow, labelled)
        if not labelled and self.maybe(6):
            inner, after = self.chain(flow, False, keep)
            return f"({' -> '.join(self.solid(inner))})", after
        if not labelled and self.maybe(6):
            return self.repetition(flow, keep)
        steps = {"map": self.map_step, "tokens": self.token_step, "vector": self.vector_step}
        return steps[flow.kind](flow, labelled, keep)

    def solid(self, steps: list[str]) -> list[str]:
        """Return steps of which one is there in any case.

        Emitters take a container of empty containers for one that only training has.
        """
        return [*steps, self.activation()] if all(step.startswith(("[", "(")) for step in steps) else steps

    def optional(self, flow: Flow, labelled: bool) -> tuple[str, Flow]:
        """Return steps that leave the shape as it is, under a condition."""
        steps = [self.same(flow, labelled)]
        if self.maybe():
            steps.append(self.activation())
        return f"[{' -> '.join(steps)} when {self.condition()}]", flow

    def repetition(self, flow: Flow, keep: bool) -> tuple[str, Flow]:
        """Return a repeated step, in a Sequential."""
        counts = ["2", "3", *self.parameter("n")]
        if flow.kind == "map" and isinstance(flow.size, tuple) and not keep and self.maybe():
            window = self.window(flow, keep=False, stride=2)
            again = tuple(out_size(n, 3, 1, 1, (1, 1)) for n in window.size if isinstance(n, int))
            if window.kernel == "3x3" and window.size == tuple(-(-n // 2) for n in flow.size) == again:
                c = self.channels(flow)
                return f"2 * conv 3x3, {c}, /2 first{self.norm_off(window.size)}", Flow("map", c, window.size)
        step = self.same(flow, False)
        if self.maybe():
            step = f"({step} -> {self.activation()})"
        return f"{self.pick(counts)} * {step}", flow

    def same(self, flow: Flow, labelled: bool) -> str:
        """Return a step that leaves the shape as it is."""
        weighted = "fc" if flow.kind != "map" else "conv"
        kinds = ["act", "dropout", weighted, "ln" if flow.kind != "map" else "bn"]
        kind = self.pick(kinds)
        if kind == "conv":
            return self.labelled(f"conv {self.pick(ODD)}, {flow.c}{self.norm_off(flow.size)}", labelled)
        if kind == "fc":
            return self.labelled(f"fc {flow.c}", labelled)
        if kind == "ln" or (kind == "bn" and flow.normed):
            return self.labelled(kind, labelled)
        return self.dropout() if kind == "dropout" else self.activation()

    def activation(self) -> str:
        """Return an activation, perhaps one that the block is given."""
        return self.pick([*ACTIVATIONS[:3], *self.parameter("act"), *ACTIVATIONS[3:]])

    def dropout(self) -> str:
        """Return dropout or droppath."""
        return (
            f"{self.pick(['dropout', 'droppath'])} {self.pick(['0.2', *self.parameter('p'), '0.5', '0.0'])}"
        )

    def labelled(self, layer: str, labelled: bool) -> str:
        """Return a layer with a label, where it needs one."""
        return f"{layer} as {self.name()}" if labelled else layer

    def norm_off(self, size: tuple[int, ...] | str) -> str:
        """Return what keeps a default bn from a map that is too small for it."""
        small = isinstance(size, tuple) and min(size) < SMALLEST_NORMED
        return ", norm=none" if self.default_norm and small else ""

    def map_step(self, flow: Flow, labelled: bool, keep: bool) -> tuple[str, Flow]:
        """Return a step for a map."""
        kinds = ["act", "conv", "dwconv", "maxpool", "avgpool", "dropout", "ln", "gn", "lrn"]
        kinds += ["bn"] if flow.normed else []
        keep = keep or isinstance(flow.size, str)
        kinds += ["upconv", "upsample", "to"] if not keep else ["upsample"]
        kinds += ["taller"] if labelled and not keep and max(map(int, flow.size)) <= LARGEST // 2 else []
        if labelled:
            kinds += ["identity", "shuffle", "permute", "fork", "shift"]
            kinds += ["group", *(["like"] if self.smaller(flow) and not keep else [])]
        kind = self.pick(kinds)
        if kind in ("conv", "dwconv", "upconv"):
            return self.convolution(kind, flow, labelled, keep)
        if kind in ("maxpool", "avgpool"):
            return self.pool(kind, flow, labelled, keep)
        if kind in ("bn", "ln", "gn"):
            return self.labelled(self.norm(kind, flow), labelled), flow
        if kind == "lrn":
            return self.pick(["lrn", "lrn 3", "lrn 4, alpha=0.5, beta=0.5, k=2"]), flow
        if kind == "dropout":
            return self.dropout(), flow
        if kind == "permute":
            return self.permuted(flow), flow
        if kind == "fork":
            return self.inline_fork(flow, keep)
        if kind == "group":
            label = self.name()
            inner, after = self.chain(flow, False, keep)
            return f"({' -> '.join(self.solid(inner))}) as {label}", after
        if kind == "taller":
            axis, size = self.pick(
                [("h", (2 * flow.size[0], flow.size[1])), ("w", (flow.size[0], 2 * flow.size[1]))]
            )
            return f'({self.activation()} | identity) -> concat axis="{axis}"', flow._replace(size=size)
        if kind == "to":
            size = self.draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
            return f"{self.pick(['avgpool', 'maxpool'])} to={dims(size)}", flow._replace(size=size)
        if kind == "like":
            name = self.pick(self.smaller(flow))
            return f"crop like={name}", flow._replace(size=self.values[name].size)
        if kind in ("upsample", "shift", "shuffle", "identity"):
            return self.moved(kind, flow, keep)
        return self.activation(), flow

    def moved(self, kind: str, flow: Flow, keep: bool) -> tuple[str, Flow]:
        """Return a step that only moves numbers about."""
        if kind == "upsample":
            scale = self.pick([1, 2]) if not keep and max(map(int, flow.size)) <= LARGEST // 2 else 1
            size = flow.size if isinstance(flow.size, str) else tuple(scale * n for n in flow.size)
            return f"upsample {scale}{self.pick(['', ', mode=' + quoted('bilinear')])}", flow._replace(
                size=size
            )
        if kind == "shift":
            most = (1, 1) if isinstance(flow.size, str) else (flow.size[0] - 1, flow.size[1] - 1)
            return f"shift {self.pick([0, min(1, most[0])])}x{self.pick([0, min(2, most[1])])}", flow
        return ("identity" if kind == "identity" else f"shuffle {self.pick(flow.divisors())}"), flow

    def smaller(self, flow: Flow) -> list[str]:
        """Return the values that a map can be cropped to."""
        return [
            name
            for name, value in self.values.items()
            if value.kind == "map"
            and name not in OPS
            and isinstance(value.size, tuple)
            and isinstance(flow.size, tuple)
            and all(a <= b for a, b in zip(value.size, flow.size, strict=True))
        ]

    def norm(self, kind: str, flow: Flow) -> str:
        """Return a norm for what flows."""
        if kind == "gn":
            return f"gn {self.pick([*flow.divisors(), flow.c])}{self.pick(['', ', eps=0.001'])}"
        return kind + self.pick(["", " eps=0.001", *([" momentum=0.3"] if kind == "bn" else [])])

    def permuted(self, flow: Flow) -> str:
        """Return work on a map with its axes in another order, and back."""
        if self.maybe(4):
            return f"permute 0, 2, 1 -> {self.activation()} -> permute 0, 2, 1"
        inner = [
            self.pick([self.activation(), self.labelled("ln", True), self.labelled(f"fc {flow.c}", True)])
        ]
        inner += [self.activation()] if self.maybe() else []
        return " -> ".join(["permute 1, 2, 0", *inner, "permute 2, 0, 1"])

    def window(self, flow: Flow, keep: bool, stride: int = 0) -> Window:
        """Choose a kernel that slides over a map."""
        if isinstance(flow.size, str):
            kernel = self.pick(["3x3", *self.parameter("k"), "1x1", "5x5", "1x3"])
            options = [", dilation=2"] if self.maybe(5) else []
            return Window(kernel, options, flow.size, True)
        size = self.draw(st.sampled_from(KERNELS if not keep else ODD_SIZES))
        steps = (1, 1) if keep else self.pick([(1, 1), (2, 2), (1, 2), (3, 3), size])
        steps = (stride, stride) if stride else steps
        spread = self.pick([(1, 1), (1, 1), (2, 2), (1, 2)])
        covered = tuple(d * (k - 1) + 1 for d, k in zip(spread, size, strict=True))
        fitting = ["tf"] + ["same"] * all(n % 2 for n in covered)
        fitting = fitting[::-1]
        explicit = (self.draw(st.integers(0, covered[0] // 2)), self.draw(st.integers(0, covered[1] // 2)))
        fitting += [] if keep else [both(explicit, self.draw), "0"]
        pad = self.pick(fitting)
        pads = [
            padding(pad, n, k, s, axis)
            for axis, (n, k, s) in enumerate(zip(flow.size, covered, steps, strict=True))
        ]
        out = tuple(
            out_size(n, k, s, 0, p) for n, k, s, p in zip(flow.size, covered, steps, pads, strict=True)
        )
        if min(out) < 1:
            return Window("1x1", [], flow.size, True)
        options = [f", pad={pad}"] if pad != "same" or self.maybe(4) else []
        options += [f", {self.pick(['/', 'stride='])}{both(steps, self.draw)}"] if steps != (1, 1) else []
        options += [f", dilation={both(spread, self.draw)}"] if spread != (1, 1) else []
        return Window(dims(size), options, out, all(lo == hi for lo, hi in pads))

    def convolution(
        self, op: str, flow: Flow, labelled: bool, keep: bool, c: int | str | None = None
    ) -> tuple[str, Flow]:
        """Return a convolution."""
        if op == "upconv":
            return self.upconv(flow, labelled)
        window = self.window(flow, keep)
        if not labelled and not window.even:
            window = Window("1x1", [], flow.size, True)
        options, args = list(window.options), [window.kernel]
        if window.kernel == self.default_kernel and op == "conv" and self.maybe():
            args = []
        if op == "conv":
            c = self.channels(flow, keep) if c is None else c
            args.append(self.number(c))
            shared = [n for n in flow.divisors() if n in Flow("map", c, ()).divisors()]
            shared += [name for name in self.parameter("g") if 2 in shared]
            options += [f", groups={self.pick(shared)}"] if self.maybe(3) else []
        else:
            times = self.pick([1, 1, 2]) if isinstance(flow.c, int) and flow.c <= 6 else 1
            options += [f", multiplier={times}"] if times > 1 else []
            c = flow.c if isinstance(flow.c, str) else times * flow.c
        after = Flow("map", c, window.size)
        options += self.extras(after)
        return self.labelled(f"{op} {', '.join(args)}{''.join(options)}", labelled), after

    def extras(self, after: Flow) -> list[str]:
        """Return bias, norm, act, init of a layer."""
        options = [", bias=false"] if self.maybe(4) else []
        norms = ["ln", *(["bn"] if after.normed else []), f"gn({self.pick([*after.divisors(), 1])})"]
        norms += [name for name in self.parameter("norm") if after.normed and 2 in after.divisors()]
        if self.maybe(4):
            options.append(f", norm={self.pick(norms)}")
        else:
            options.append(self.norm_off(after.size))
        options += (
            [f", act={self.pick([*self.parameter('act'), *ACTIVATION_VALUES])}"] if self.maybe(4) else []
        )
        options += [f", init={self.pick(MATRIX_INITS)}"] if self.maybe(8) else []
        return options

    def upconv(self, flow: Flow, labelled: bool) -> tuple[str, Flow]:
        """Return a transposed convolution."""
        assert not isinstance(flow.size, str)
        kernel = self.pick([(2, 2), (3, 3), (1, 2), (4, 3)])
        step, spread = self.pick([(2, 2), (1, 1), (1, 2)]), self.pick([(1, 1), (1, 1), (2, 1)])
        covered = [d * (k - 1) + 1 for d, k in zip(spread, kernel, strict=True)]
        pad = (self.draw(st.integers(0, covered[0] // 2)), self.draw(st.integers(0, covered[1] // 2)))
        size = tuple(
            (n - 1) * s - 2 * p + k for n, s, p, k in zip(flow.size, step, pad, covered, strict=True)
        )
        if min(size) < 1 or max(size) > LARGEST:
            kernel = step = spread = (1, 1)
            pad, size = (0, 0), flow.size
        c = self.channels(flow)
        groups = self.pick([n for n in flow.divisors() if n in Flow("map", c, ()).divisors()])
        options = [f", /{both(step, self.draw)}"] if step != (1, 1) else []
        options += [f", pad={both(pad, self.draw)}"] if pad != (0, 0) else []
        options += [f", dilation={both(spread, self.draw)}"] if spread != (1, 1) else []
        options += [f", groups={groups}"] if groups != 1 else []
        after = Flow("map", c, size)
        options += [", bias=false"] if self.maybe(4) else []
        options += [f", norm={self.pick(['ln', *(['bn'] if after.normed else [])])}"] if self.maybe(4) else []
        return self.labelled(f"upconv {dims(kernel)}, {self.number(c)}{''.join(options)}", labelled), after

    def pool(self, op: str, flow: Flow, labelled: bool, keep: bool) -> tuple[str, Flow]:
        """Return a pool."""
        counted = self.pick(["", ", count_include_pad=false"]) if op == "avgpool" else ""
        if isinstance(flow.size, str):
            return f"{op} {self.pick(['3x3', '1x1', '5x5'])}, /1, pad=same{counted}", flow
        size = self.draw(st.sampled_from(KERNELS if not keep else ODD_SIZES))
        steps = (1, 1) if keep else self.pick([(2, 2), size, (1, 1), (1, 2), (3, 3)])
        spread = self.pick([(1, 1), (1, 1), (2, 1)]) if op == "maxpool" else (1, 1)
        covered = tuple(d * (k - 1) + 1 for d, k in zip(spread, size, strict=True))
        pad = self.pick(pads_of_a_pool(size, covered, keep))
        ceil = not keep and self.maybe(3)
        pads = [
            padding(pad, n, k, s, i)
            for i, (n, k, s) in enumerate(zip(flow.size, covered, steps, strict=True))
        ]
        out = tuple(
            out_size(n, k, s, int(ceil), p)
            for n, k, s, p in zip(flow.size, covered, steps, pads, strict=True)
        )
        half = all(lo <= k // 2 for (lo, _), k in zip(pads, size, strict=True))
        if min(out) < 1 or not half or (not labelled and any(lo != hi for lo, hi in pads)):
            return f"{op} 1x1{counted}", flow
        options = [f", {self.pick(['/', 'stride='])}{both(steps, self.draw)}"] if steps != size else []
        options += [f", pad={pad}"] if pad != "0" else []
        options += [", ceil=true"] if ceil else []
        options += [f", dilation={both(spread, self.draw)}"] if spread != (1, 1) else []
        return f"{op} {dims(size)}{''.join(options)}{counted}", flow._replace(size=out)

    def token_step(self, flow: Flow, labelled: bool, keep: bool) -> tuple[str, Flow]:
        """Return a step for tokens."""
        kind = self.pick(
            ["act", "fc", "ln", "dropout", *(["attention", "identity", "turn"] if labelled else [])]
        )
        if kind == "fc":
            c = self.channels(flow, keep)
            act = f", act={self.pick(ACTIVATION_VALUES)}" if self.maybe(3) else ""
            norm = ", norm=ln" if self.maybe(4) else ""
            return self.labelled(f"fc {self.number(c)}{norm}{act}", labelled), flow._replace(c=c)
        if kind == "ln":
            return self.labelled(self.norm("ln", flow), labelled), flow
        if kind == "attention":
            heads = self.pick([1, *flow.divisors()])
            drop = self.pick(["", ", dropout=0.1", *(f", dropout={name}" for name in self.parameter("p"))])
            return f"attention {heads}{drop} as {self.name()}", flow
        if kind == "turn":
            return f"permute 1, 0 -> {self.activation()} -> permute 1, 0", flow
        if kind == "identity":
            return "identity", flow
        return (self.dropout() if kind == "dropout" else self.activation()), flow

    def vector_step(self, flow: Flow, labelled: bool, keep: bool) -> tuple[str, Flow]:
        """Return a step for a vector."""
        kind = self.pick(["act", "fc", "dropout", "ln", "gn", *(["identity", "flatten"] if labelled else [])])
        if kind == "fc":
            c = self.channels(flow, keep)
            bias = ", bias=false" if self.maybe(4) else ""
            act = f", act={self.pick(ACTIVATION_VALUES)}" if self.maybe(3) else ""
            init = f", init={self.pick(MATRIX_INITS)}" if self.maybe(6) else ""
            return self.labelled(f"fc {self.number(c)}{bias}{act}{init}", labelled), flow._replace(c=c)
        if kind in ("ln", "gn"):
            return self.labelled(self.norm(kind, flow), labelled), flow
        if kind in ("identity", "flatten"):
            return kind, flow
        return (self.dropout() if kind == "dropout" else self.activation()), flow

    def closing(self, flow: Flow, want: Flow, labelled: bool) -> list[str]:
        """Return the step that gives what flows the channels that are wanted, if it has not."""
        if flow == want:
            return []
        assert (flow.kind, flow.size) == (want.kind, want.size)
        if flow.kind == "map":
            return [self.labelled(f"conv 1x1, {self.number(want.c)}{self.norm_off(want.size)}", labelled)]
        return [self.labelled(f"fc {self.number(want.c)}", labelled)]

    # ---------------------------------------------------------------- branches and joints

    def inline_fork(self, flow: Flow, keep: bool) -> tuple[str, Flow]:
        """Return `(a | b) -> joint`."""
        joint = self.pick(["add", "mul", "concat"])
        branches, total = [], []
        for _ in range(self.pick([2, 2, 3])):
            name = f"{self.name()}: " if self.maybe(3) else ""
            steps, after = self.chain(flow, not name, keep=True, most=2)
            if joint != "concat":
                steps += self.closing(after, flow, not name)
                after = flow
            source = (
                f"from {self.pick(['flow', *self.equal(flow)])} -> " if self.maybe(4) and not name else ""
            )
            source = "" if "flow" in source else source
            branches.append(f"{name}{source}{' -> '.join(steps)}{self.when(flow == after, source)}")
            total.append(after.c)
        group = f"({' | '.join(branches)})"
        if joint != "concat":
            return f"{group} -> {joint}", flow
        after = flow._replace(c=added(total))
        if after.c in ("", 0):
            return self.activation(), flow
        return f"{group} -> concat{self.closing_text(after, flow)}", flow

    def closing_text(self, flow: Flow, want: Flow) -> str:
        """Return the closing step with its arrow."""
        return "".join(f" -> {step}" for step in self.closing(flow, want, True))

    def equal(self, flow: Flow) -> list[str]:
        """Return the values of the same shape."""
        return [name for name, value in self.values.items() if value == flow]

    def when(self, same: bool, source: str = "") -> str:
        """Return a condition behind a line that may be left out, since it changes no shape; none with a `from`."""
        condition = f" when {self.condition()}" if same and self.maybe(5) else ""
        return "" if source else condition

    def branch(self, flow: Flow, want: Flow, optional: bool = True) -> list[str]:
        """Return the lines of a branch that makes what is wanted of what flows; `optional`: or of none."""
        kinds = [
            "chain",
            "named",
            *(["identity"] if flow == want else []),
            *(["value"] if self.equal(want) else []),
        ]
        kinds += ["block"] if self.callable(want) and flow.kind == want.kind else []
        if self.depth < 2:
            kinds += ["joint", "container", *(["if"] if flow == want and optional else [])]
        kind = self.pick(kinds)
        source = f"from {self.pick(self.equal(flow))} -> " if self.equal(flow) and self.maybe(3) else ""
        if kind == "identity":
            return ["identity"]
        if kind == "value":
            return [f"from {self.pick(self.equal(want))}"]
        if kind == "if":
            return self.conditional_branch(want)
        if kind == "named":
            steps, after = self.chain(flow, False, keep=True)
            steps += self.closing(after, want, False)
            return [f"{self.name()}: {source}{' -> '.join(steps)}{self.when(flow == want, source)}"]
        if kind == "block":
            block = self.pick(self.callable(want))
            return [f"{source}{block.name} {self.arguments(block, want.c)} as {self.name()}"]
        if kind == "joint":
            return self.deeper(lambda: self.joint(flow, want))
        if kind == "container":
            return self.container(flow, want)
        steps, after = self.chain(flow, True, keep=True)
        return [f"{source}{' -> '.join([*steps, *self.closing(after, want, True)])}"]

    def conditional_branch(self, want: Flow) -> list[str]:
        """Return `if`, a branch, and perhaps another one under `else`."""
        lines = [f"if {self.condition()}:", *indented(self.deeper(lambda: self.branch(want, want)))]
        return lines + (
            ["else:", *indented(self.deeper(lambda: self.branch(want, want)))] if self.maybe(3) else []
        )

    def deeper(self, write: Callable[[], list[str]]) -> list[str]:
        """Write one level deeper in the same scope; what is named there may be missing afterwards."""
        self.depth += 1
        known = dict(self.values)
        lines = write()
        self.values = {name: flow for name, flow in known.items() if name in self.values}
        self.depth -= 1
        return lines

    def joint(self, flow: Flow, want: Flow) -> list[str]:
        """Return `add:` or `mul:` and their branches."""
        branches = [
            self.branch(flow, want, optional=False),
            *(self.branch(flow, want) for _ in range(self.pick([1, 1, 2]))),
        ]
        if want.kind == "map" and self.maybe(4):
            branches.append(self.gate(want))
        label = f"{self.name()}: " if self.maybe(5) else ""
        return [f"{label}{self.pick(['add', 'mul'])}:", *indented([line for b in branches for line in b])]

    def gate(self, want: Flow) -> list[str]:
        """Return a branch with one number a channel."""
        if self.maybe():
            return [f"gap -> fc {self.number(want.c)} as {self.name()} -> sigmoid"]
        off = ", norm=none" if self.default_norm else ""
        squeeze = f"avgpool to=1x1 -> conv 1x1, 4{off} as {self.name()} -> relu"
        return [f"{squeeze} -> conv 1x1, {self.number(want.c)}{off} as {self.name()} -> {self.activation()}"]

    def container(self, flow: Flow, want: Flow | None = None) -> list[str]:
        """Return a label and what stands in its container, which ends with what is wanted, or with any map."""
        label, inner = self.name(), self.child(flow)
        inlined = [b for b in self.blocks if b.inline and self.fits(b, flow)]
        if inlined and want is None and self.maybe(3):
            block = self.pick(inlined)
            c = self.pick([2, 4, 6]) if isinstance(flow.c, int) else self.channels(flow, keep=True)
            self.flow = flow._replace(c=c)
            return [f"{label}:", *indented([f"{block.name} {self.arguments(block, c)}", inner.activation()])]
        if self.maybe(3):
            steps, after = inner.chain(flow, False, keep=want is not None, most=5, least=2)
            steps += inner.closing(after, want, False) if want is not None else []
            lines = inner.broken_up(steps)
        else:
            for _ in range(self.pick([1, 2, 3])):
                inner.statement(keep=want is not None)
            inner.lines += (
                [" -> ".join(inner.closing(inner.flow, want, True))] if want not in (None, inner.flow) else []
            )
            lines, after = inner.lines, inner.flow
        if want is None:
            self.flow = after
        return [f"{label}:", *indented(lines)]

    def broken_up(self, steps: list[str]) -> list[str]:
        """Return the lines of a chain without labels, some of them in a stage."""
        lines: list[str] = []
        for number, step in enumerate(steps):
            if lines and self.maybe():
                lines[-1] += f" -> {step}"
            elif self.maybe(4):
                lines.append(f"stage {number + 1}: {step}")
            else:
                lines.append(step)
        return lines

    # ---------------------------------------------------------------- statements

    def statement(self, keep: bool = False) -> None:
        """Write a line, or several that belong together. `keep`: the size stays."""
        keep = keep or isinstance(self.flow.size, str)
        kinds: list[Callable[[bool], None]] = [self.line, self.named, self.bound, self.stage]
        if self.depth < 2:
            kinds += [self.sum, self.concatenation, self.fork, self.parts, self.choice, self.loop]
            kinds += [self.nested, self.scale, self.exchange]
            kinds += [self.unit] if self.callable(self.flow) else []
            kinds += [self.cell] if any(b.inputs == 2 for b in self.blocks) and self.roomy(self.flow) else []
            kinds += [self.down_and_up] if self.flow.kind == "map" and not keep else []
        if self.outputs is not None:
            kinds += [self.output]
        self.pick(kinds)(keep)

    def line(self, keep: bool) -> None:
        """Write a chain."""
        steps, after = self.chain(self.flow, True, keep)
        self.lines.append(" -> ".join(steps) + self.when(after == self.flow and len(steps) == 1))
        self.flow = after

    def named(self, keep: bool) -> None:
        """Write a chain with a label: a layer if it is one, else a Sequential."""
        label = self.name()
        steps, after = self.chain(self.flow, False, keep)
        source = (
            f"from {self.pick(self.equal(self.flow))} -> " if self.equal(self.flow) and self.maybe(4) else ""
        )
        condition = self.when(after == self.flow, source)
        self.lines.append(f"{label}: {source}{' -> '.join(steps)}{condition}")
        self.flow = after
        if not condition:
            self.remember(label, after)

    def remember(self, label: str, flow: Flow) -> None:
        """Note what a label names, unless it is one that `from` cannot take."""
        if label not in DECLARATIONS:
            self.values[label] = flow

    def bound(self, keep: bool) -> None:
        """Keep a value for later."""
        if self.maybe(3) and self.depth < 2:
            lines = self.deeper(lambda: self.joint(self.flow, self.flow))
            if not lines[0].endswith((" add:", " mul:")):
                name, value = self.name(value=True), self.flow
                lines[0] = f"{name} = {lines[0]}"
            else:
                self.lines += lines
                return
            self.lines += lines
        else:
            steps, value = self.chain(self.flow, True, keep, most=2, least=0)
            name = self.name(value=True)
            self.lines.append(f"{name} = {' -> '.join(['from flow', *steps])}")
        self.values[name] = value

    def stage(self, keep: bool) -> None:
        """Write a stage."""
        steps, after = self.chain(self.flow, True, keep)
        name = self.pick(["1", "2", "body"])
        if self.maybe():
            self.lines += [f"stage {name}:", *indented(steps)]
        else:
            self.lines.append(f"stage {name}: {' -> '.join(steps)}")
        self.flow = after

    def sum(self, keep: bool) -> None:
        """Write a sum or a product."""
        want = self.flow if self.maybe() else self.flow._replace(c=self.channels(self.flow, keep=True))
        self.lines += self.joint(self.flow, want)
        self.flow = want

    def concatenation(self, keep: bool) -> None:
        """Write a concatenation of channels."""
        flow, lines = self.flow, ["concat:"]
        total: list[int | str] = []
        for _ in range(self.pick([2, 2, 3])):
            want = flow._replace(c=self.channels(flow, keep=True))
            lines += indented(self.deeper(lambda want=want: self.branch(flow, want, optional=False)))  # type: ignore[misc]
            total.append(want.c)
        self.lines += lines
        after = flow._replace(c=added(total))
        if not isinstance(after.c, int) or after.c > MOST_CHANNELS:
            want = flow._replace(c=self.channels(flow, keep=True))
            self.lines.append(" -> ".join(self.closing(after, want, True)))
            after = want
        self.flow = after

    def fork(self, keep: bool) -> None:
        """Write a fork, and take or join what it makes."""
        flow = self.flow
        branches = [
            self.deeper(lambda: self.branch(flow, flow, optional=False)) for _ in range(self.pick([2, 2, 3]))
        ]
        self.lines += ["fork:", *indented([line for b in branches for line in b])]
        last = len(branches) - 1
        ends = ["add", "mul", "from flow[0]", f"from flow[{last}]", f"from flow[{last}], flow[0] -> add"]
        ends += ["from flow[1], flow -> add"]
        self.lines.append(self.pick(ends))

    def parts(self, keep: bool) -> None:
        """Split the channels, and put them together in another order."""
        flow = self.flow
        count = self.pick([n for n in flow.divisors() if n != 1] or [1])
        if count == 1 or not isinstance(count, int):
            return self.line(keep)
        names = [self.name(value=True) for _ in range(count)]
        self.lines.append(f"{', '.join(names)} = from flow -> split {count}")
        part = flow._replace(c=flow.c // count if isinstance(flow.c, int) else f"{flow.c} // 2")
        order = self.draw(st.permutations(names))
        if self.maybe():
            self.lines.append("concat:")
            for name in order:
                steps, after = self.chain(part, True, keep=True, most=2, least=0)
                steps += self.closing(after, part, True)
                self.lines.append("    " + " -> ".join([f"from {name}", *steps]))
        else:
            self.lines.append(f"from {', '.join(order)} -> concat")
        if flow.kind == "map" and self.maybe():
            self.lines.append(f"shuffle {count}")
        if isinstance(part.c, int):
            self.values.update(dict.fromkeys(names, part))
        return None

    def choice(self, keep: bool) -> None:
        """Write `if` with `elif` and `else`, none of which changes a shape."""
        flow = self.flow
        for number, word in enumerate(
            ["if", *(["elif"] if self.maybe(3) else []), *(["else"] if self.maybe() else [])]
        ):
            head = "else:" if word == "else" else f"{word} {self.condition()}:"
            steps, after = self.chain(flow, True, keep=True, most=2)
            lines = [" -> ".join([*steps, *self.closing(after, flow, True)])]
            if number == 0 and self.maybe():
                lines.append(self.activation())
            self.lines += [head, *indented(lines)]

    def loop(self, keep: bool) -> None:
        """Write a loop with names that count."""
        label = self.name(value=True)
        counter = "j"
        if self.flow.kind != "map":
            self.lines += [
                f"for {counter} in range(2):",
                f"    {label}{{{counter}}}: fc {self.flow.c} -> relu",
            ]
            return None
        off = self.norm_off(self.flow.size)
        form = self.pick(["range", "list", "ramp", *(["block"] if self.callable(self.flow) else [])])
        c: int | str = self.flow.c
        if form == "list" and isinstance(c, int) and self.depth == 0 and self.maybe():
            if "row0" in self.labels:
                return self.line(keep)
            self.labels |= {"row0", "row1"}
            self.lines += [
                "for j, row in enumerate(rows):",
                "    row{j}: conv row.k, wide(row.c), act=row.act" + off,
            ]
            self.flow = self.flow._replace(c=6)
            return None
        if form == "list" and isinstance(c, int):
            counts = [int(self.draw(st.integers(2, 10))) for _ in range(2)]
            head = f"for {counter}, width in enumerate({counts}, 1):"
            self.lines += [head, f"    {label}{{{counter}}}: conv {self.pick(ODD)}, width{off}"]
            self.flow = self.flow._replace(c=counts[-1])
            return None
        layer = f"conv {self.pick(ODD)}, {c}{off}"
        if form == "block":
            block = self.pick(self.callable(self.flow))
            layer = f"{block.name} {self.arguments(block, c)}"
        if form == "ramp":
            layer += " -> droppath ramp(0, 0.2)"
        self.lines += [
            f"for {counter} in range({self.pick([2, 1, 3])}):",
            f"    {label}{{{counter}+1}}: {layer}",
        ]
        return None

    def exchange(self, keep: bool) -> None:
        """Let two values change places, in turns, under a condition or at once, and go on with one or both."""
        flow = self.flow
        first, second, third = (self.name(value=True) for _ in range(3))
        self.lines += [
            f"{first} = from {self.pick(['flow', *self.equal(flow)])}",
            f"{second} = from {self.pick([first, 'flow'])} -> {self.pick(['tanh', 'sigmoid'])}",
        ]
        turns = [f"{third} = from {first}", f"{first} = from {second}", f"{second} = from {third}"]
        if self.maybe():
            turns[int(self.draw(st.integers(0, 2)))] += f" -> {self.activation()}"
        head = self.pick([f"if {self.condition()}:", f"for j in range({self.pick([1, 0, 2, 3])}):", ""])
        self.lines += [head, *(f"    {line}" for line in turns)] if head else turns
        self.values |= dict.fromkeys((first, second), flow)
        self.lines.append(
            self.pick([f"from {first}", f"from {second}, flow -> mul", f"from {first}, {second} -> add"])
        )

    def nested(self, keep: bool) -> None:
        """Write a container."""
        want = self.flow if keep else None
        lines = self.container(self.flow, want)
        self.lines += lines
        self.remember(lines[0].removesuffix(":"), self.flow)

    def scale(self, keep: bool) -> None:
        """Write a learned tensor, and use it at every place or as a whole."""
        flow, name = self.flow, self.name(value=True)
        shapes = [f"[{flow.c}, 1, 1]" if flow.kind == "map" else f"[{flow.c}]"]
        if flow.kind == "tokens" and isinstance(flow.size, tuple):
            shapes = [f"[{flow.size[0]}, {flow.c}]", *shapes]
        batch = self.pick(["", ", batch=true"])
        self.lines += [
            f"weight {name} {self.pick(shapes)}, init={self.pick(INITS)}{batch}",
            *self.pick(
                [["mul:", "    identity", f"    from {name}"], ["add:", f"    from {name}", "    identity"]]
            ),
        ]

    def down_and_up(self, keep: bool) -> None:
        """Write a small U: down, up again, and the two maps side by side."""
        flow = self.flow
        if isinstance(flow.size, str) or min(flow.size) < 4 or not isinstance(flow.c, int):
            return self.line(keep)
        skip, low, up = (self.name(value=True) for _ in range(3))
        if up in OPS:
            return self.line(keep)
        c = self.channels(flow)
        size = tuple(n // 2 * 2 for n in flow.size)
        self.lines += [
            f"{skip}: conv 3x3, {flow.c}",
            f"{low}: maxpool 2x2 -> conv 3x3, {c}{self.norm_off(tuple(n // 2 for n in size))}",
            f"{up}: upconv 2x2, {c}, /2",
            f"from {skip} -> crop like={up}",
            f"from flow, {up} -> concat -> conv 1x1, {c} as {self.name()}",
        ]
        self.flow = Flow("map", c, size)
        self.values |= {skip: flow, up: self.flow}
        return None

    def output(self, keep: bool) -> None:
        """Write a side branch to a named output."""
        assert self.outputs is not None
        label = self.name(value=True)
        if label in ("out", *self.outputs):
            return
        train = self.maybe(3)
        steps, after = self.chain(self.flow, False, keep=False)
        if after.kind == "map" and self.maybe():
            steps += ["gap", *([f"fc {self.number(3)}"] if self.maybe() else [])]
            after = Flow("vector", 3 if steps[-1] != "gap" else after.c, ())
        source = (
            f"from {self.pick(self.equal(self.flow))} -> " if self.equal(self.flow) and self.maybe(4) else ""
        )
        if self.maybe(4) and not train:
            name = self.pick(["flow", *self.values])
            steps, source, after = [], f"from {name}", self.values.get(name, self.flow)
        self.lines.append(f"{'train ' * train}output {label}: {source}{' -> '.join(steps)}")
        self.outputs[label] = after

    # ---------------------------------------------------------------- calls of blocks

    def roomy(self, flow: Flow) -> bool:
        """Tell whether a map is large enough for a block with bn in it."""
        return flow.normed

    def fits(self, block: Block, flow: Flow) -> bool:
        """Tell whether a block takes what flows."""
        return block.kind == flow.kind and (flow.kind != "map" or self.roomy(flow))

    def callable(self, flow: Flow) -> list[Block]:
        """Return the blocks of one input that can be called with the channels of what flows."""
        return [b for b in self.blocks if flow.even and b.inputs == 1 and not b.inline and self.fits(b, flow)]

    def arguments(self, block: Block, c: int | str, stride: int = 1) -> str:
        """Return arguments for a block."""
        args = []
        for name, kind in block.kinds.items():
            own = self.parameter(kind)
            if kind == "c":
                args.append(self.number(c) if self.maybe() else f"{name}={self.number(c)}")
            elif kind == "s" and stride != 1:
                args.append(f"/{stride}" if name == "stride" else f"{name}={stride}")
            elif kind == "u" and self.maybe():
                args.append(f"{name}={self.pick(self.given_ops(block))}")
            elif kind not in ("s", "u") and self.maybe():
                args.append(f"{name}={self.pick([*own, *ARGUMENTS[kind]])}")
        positional = [a for a in args if "=" not in a]
        return ", ".join(positional + [a for a in args if "=" in a])

    def given_ops(self, taker: Block) -> list[str]:
        """Return blocks as values, some with an argument that they are given already; none that holds the taker."""
        found = []
        for block in plain(self.blocks[: self.blocks.index(taker)], taker.kind):
            given = [
                f"{name}={ARGUMENTS[kind][1]}"
                for name, kind in block.kinds.items()
                if kind in ("k", "flag", "p")
            ]
            found += [block.name, *(f"{block.name}({one})" for one in given)]
        return found

    def unit(self, keep: bool) -> None:
        """Call a block of one input."""
        block = self.pick(self.callable(self.flow))
        c = self.pick([self.flow.c, self.flow.c if isinstance(self.flow.c, str) else self.pick([2, 4, 6, 8])])
        size, stride = self.flow.size, 1
        strided = [name for name, kind in block.kinds.items() if kind == "s"]
        if (
            strided
            and isinstance(size, tuple)
            and not keep
            and min(size) > 2 * SMALLEST_NORMED
            and self.maybe()
        ):
            stride, size = 2, tuple(-(-n // 2) for n in size)
        args = self.arguments(block, c, stride)
        after = self.flow._replace(c=c, size=size)
        label = self.name()
        if stride == 1 and self.maybe(3):
            self.lines.append(f"{label}: {self.pick(['2', '3', *self.numbers_to(3)])} * {block.name} {args}")
        elif stride == 2 and strided == ["stride"] and self.maybe():
            self.lines.append(
                f"{label}: 2 * {block.name} {args} first"
                if args.endswith("/2")
                else f"{label}: {block.name} {args}"
            )
        elif self.maybe(3):
            self.lines.append(f"{block.name} {args} as {label} -> {self.activation()}")
        else:
            condition = self.when(after == self.flow)
            self.lines.append(f"{label}: {block.name} {args}{condition}")
            if not condition:
                self.remember(label, after)
        self.flow = after

    def numbers_to(self, most: int) -> list[str]:
        """Return the names of small numbers."""
        return [name for name, value in self.numbers.items() if value <= most]

    def cell(self, keep: bool) -> None:
        """Call a block of two inputs."""
        block = self.pick([b for b in self.blocks if b.inputs == 2])
        others = [
            name
            for name, value in self.values.items()
            if value.kind == "map" and value.size == self.flow.size
        ]
        sources = self.pick([["flow", "flow"], *([self.pick(others), "flow"] for _ in others[:1])])
        c = self.channels(self.flow, keep=True)
        c = c if isinstance(c, str) else self.pick([2, 4, 6])
        label = self.name()
        self.lines.append(f"from {', '.join(sources)} -> {block.name} {self.arguments(block, c)} as {label}")
        self.flow = self.flow._replace(c=c)
        if block.outputs == 2:
            self.lines.append(self.pick(["add", "mul", "from flow[1], flow[0] -> add", "from flow[1]"]))
        else:
            self.remember(label, self.flow)


TABLE = [
    *("table rows(k, c, act):", "    3x3, 2, relu", "    1x1, 3, none", ""),
    *("def wide(c) = make_divisible(2 * c, 2)", ""),
]
ODD = ("3x3", "1x1", "1x3", "5x5", "3x1")
ODD_SIZES = ((3, 3), (1, 1), (1, 3), (5, 5), (3, 1))
KERNELS = (*ODD_SIZES, (2, 2), (4, 4), (2, 3), (1, 2), (7, 1))
ARGUMENTS = {
    "k": ("3x3", "1x1", "5x5", "1x3"),
    "flag": ("true", "false"),
    "p": ("0.0", "0.1", "0.5"),
    "act": ("relu", "tanh", "hswish", "leaky_relu(0.2)"),
    "norm": ("bn", "ln", "gn(2)", "none"),
    "n": ("1", "2", "3"),
    "g": ("1", "2"),
    "s": ("1",),
}
NAMES = {
    "k": ("k", "kernel", "kernel_size"),
    "flag": ("flag", "deep", "shortcut", "value"),
    "p": ("p", "drop", "m"),
    "act": ("act", "activation"),
    "norm": ("norm", "n0"),
    "n": ("n", "depth", "layers"),
    "g": ("g", "groups"),
    "s": ("stride", "s"),
}
DEFAULTS = {
    "k": ": dims = 3x3",
    "flag": " = false",
    "p": " = 0.0",
    "act": ": op = relu",
    "norm": ": op = bn",
    "n": " = 2",
    "g": " = 1",
    "s": " = 1",
}


def quoted(text: str) -> str:
    """Return a string of the language."""
    return f'"{text}"'


def added(channels: Sequence[int | str]) -> int | str:
    """Return the channels of a concatenation."""
    if all(isinstance(c, int) for c in channels):
        return sum(map(int, channels))
    return " + ".join(map(str, channels))


def padding(pad: str, size: int, covered: int, stride: int, axis: int) -> tuple[int, int]:
    """Return the padding at the two ends of an axis."""
    if pad == "same":
        return covered // 2, covered // 2
    if pad == "tf":
        total = max((-(-size // stride) - 1) * stride + covered - size, 0)
        return total // 2, total - total // 2
    sizes = pad.split("x")
    return int(sizes[axis % len(sizes)]), int(sizes[axis % len(sizes)])


def out_size(size: int, covered: int, stride: int, ceil: int, pads: tuple[int, int]) -> int:
    """Return how often a window fits; 0 if it does not."""
    room = size + sum(pads) - covered
    if room < 0:
        return 0
    count = -(-room // stride) + 1 if ceil else room // stride + 1
    return count - 1 if ceil and (count - 1) * stride >= size + pads[0] else count


def pads_of_a_pool(size: tuple[int, int], covered: tuple[int, ...], keep: bool) -> list[str]:
    """Return paddings that a pool may have."""
    if keep:
        return (["same"] if all(n % 2 for n in covered) else []) + ["tf"]
    half = dims((size[0] // 2, size[1] // 2))
    return ["0", *(["same"] if all(n % 2 for n in covered) else []), "tf", half]


def plain(blocks: list[Block], kind: str) -> list[Block]:
    """Return the blocks that can stand for an op of such values: one input, and no name but a declared one."""
    return [b for b in blocks if b.kind == kind and b.inputs == 1 and not b.inline and b.name[0].isupper()]


# -------------------------------------------------------------------- blocks


def declare(draw: Draw, blocks: list[Block], name: str, default_norm: bool) -> list[str]:
    """Write a block; return its lines, and add it to those that can be called."""
    form = draw(st.sampled_from(["unit", "flat", "cell", "inline", "encoder"]))
    pick = Body(draw, [], Flow("map", 2, (4, 4)), {}, {}).pick
    wanted = ["k", "flag", "p", "act", "norm", "n", "g"] + (["s"] if form in ("unit", "flat") else [])
    chosen = [kind for kind in wanted if draw(st.integers(0, 2)) == 2]
    kinds = {"c": "c", **{pick(NAMES[kind]): kind for kind in chosen}}
    signature = ", ".join("c" if kind == "c" else f"{name}{DEFAULTS[kind]}" for name, kind in kinds.items())
    kind = "tokens" if form == "encoder" else "map"
    known = [b for b in blocks if b.kind == kind]
    if plain(known, kind) and draw(st.booleans()):
        signature += f", unit: op = {plain(known, kind)[0].name}"
        kinds["unit"] = "u"
        known.append(Block("unit", {"c": "c"}, 1, 1, kind, False))
    body = Body(draw, known, Flow(kind, "x.c", "in"), kinds, {})
    body.default_norm = default_norm
    outputs = 1
    if draw(st.integers(0, 5)) == 5:
        line = pick(
            ["default conv 3x3, bias=false", "default conv 3x3, norm=bn, act=relu", "default bn eps=0.001"]
        )
        body.lines.append(line)
        body.default_norm |= "norm=bn" in line
        body.default_kernel = "3x3" if "3x3" in line else ""
    {"unit": unit, "flat": flat, "cell": cell, "inline": unit, "encoder": encoder}[form](body)
    if form == "cell" and draw(st.booleans()):
        twins = [name for name, value in body.values.items() if value == body.flow]
        if twins:
            body.lines.append(f"return {', '.join(pick([['flow', twins[-1]], [twins[-1], 'flow']]))}")
            outputs = 2
    inputs = " from prev, cur" if form == "cell" else ""
    inline = form == "inline"
    blocks.append(Block(name, kinds, 1 + bool(inputs), outputs, kind, inline))
    return [f"{'inline ' * inline}block {name}({signature}){inputs}:", *indented(body.lines)]


def unit(body: Body) -> None:
    """Write a block with a shortcut, or one that begins with a convolution."""
    stride = "".join(f", /{name}" for name in body.parameter("s"))
    kernel = body.pick([*body.parameter("k"), "3x3", "1x1"])
    changes = " or ".join(["x.c != c", *(f"{name} != 1" for name in body.parameter("s"))])
    after = Flow("map", "c", "out" if stride else "in")
    if body.maybe():
        body.lines += [body.activation()] if body.maybe(3) else []
        steps, _ = body.chain(after, True, keep=True, least=0)
        steps += body.closing(_, after, True)
        main = " -> ".join([f"conv {kernel}, c{stride} as {body.name()}", *steps])
        body.lines += ["add:", f"    {main}", f"    {body.name()}: conv 1x1, c{stride} -> bn when {changes}"]
    elif body.maybe():
        tf = body.pick(["", ", pad=tf"])
        body.lines.append(
            f"{body.name()}: conv {kernel}, c{stride}{tf}"
            if tf
            else f"{body.name()}: conv {kernel}, c{stride} -> bn"
        )
    else:
        body.lines.append(f"{body.name()}: conv 1x1, c{stride} when {changes}")
    body.flow = after
    for _ in range(body.pick([0, 1, 2, 3])):
        body.statement(keep=True)
    end(body, after)


def flat(body: Body) -> None:
    """Write a block that is a Sequential."""
    stride = "".join(f", /{name}" for name in body.parameter("s"))
    kernel = body.pick([*body.parameter("k"), "3x3", "1x1"])
    before = [body.activation()] if body.maybe(4) else []
    after = Flow("map", "c", "out" if stride else "in")
    steps, last = body.chain(after, False, keep=True, most=4, least=0)
    body.lines += body.broken_up(
        [*before, f"conv {kernel}, c{stride}", *steps, *body.closing(last, after, False)]
    )


def cell(body: Body) -> None:
    """Write a block of two inputs."""
    want = Flow("map", "c", "in")
    first, second = body.pick([("prev", "cur"), ("cur", "prev")])
    label = body.name(value=True)
    body.lines.append(f"{label}: from {first} -> {body.pick(['', 'relu -> '])}conv {body.pick(ODD)}, c")
    body.values[label] = want
    body.lines.append(f"from {second} -> conv 1x1, c as {body.name()}{body.pick(['', ' -> relu'])}")
    body.flow = want
    for _ in range(body.pick([1, 0, 2, 3])):
        body.statement(keep=True)
    if body.maybe():
        body.lines += ["add:", "    identity", f"    from {label}"]
    end(body, want)


def encoder(body: Body) -> None:
    """Write a block for tokens."""
    want = Flow("tokens", "c", "in")
    body.lines.append(f"fc c as {body.name()}")
    body.flow = want
    if body.maybe():
        norm, attention = body.name(), body.name()
        body.lines += [
            "add:",
            "    identity",
            f"    ln as {norm} -> attention 2 as {attention} -> dropout 0.1",
        ]
    for _ in range(body.pick([0, 1, 2])):
        body.statement(keep=True)
    end(body, want)


def end(body: Body, want: Flow) -> None:
    """End a body with what is wanted."""
    if body.flow != want:
        body.lines.append(" -> ".join(body.closing(body.flow, want, True)))
        body.flow = want


# -------------------------------------------------------------------- nets


@st.composite
def specs(draw: Draw) -> Spec:
    """Draw a spec of one net."""
    pick = Body(draw, [], Flow("map", 2, (4, 4)), {}, {}).pick
    blocks: list[Block] = []
    lines: list[str] = []
    default_norm = False
    if draw(st.integers(0, 5)) == 5:
        lines.append(
            pick(["default conv bias=false", "default bn eps=0.001", "default conv norm=bn, act=relu"])
        )
        default_norm = "norm=bn" in lines[0]
    for name in ("Unit", "Cell", "Mix")[: draw(st.integers(0, 3))]:
        lines += [*declare(draw, blocks, name, default_norm), ""]
    numbers, kinds, signature, given = parameters(draw)
    body = Body(draw, blocks, Flow("map", 2, (4, 4)), kinds, numbers)
    body.default_norm = default_norm
    inputs = begin(body)
    if draw(st.integers(0, 4)) == 4:
        body.lines.append(
            pick(["init conv weight=kaiming_normal(fan_out), bias=zeros", "init fc weight=normal(0, 0.1)"])
        )
    if draw(st.integers(0, 4)) == 4:
        body.lines.append(
            pick(["meta year=2015", "require params <= 5G, macs < 5T", "default conv 3x3, act=relu"])
        )
        body.default_kernel = "3x3" if "3x3" in body.lines[-1] else ""
    if len(inputs) == 1 and draw(st.integers(0, 5)) == 5:
        sequential(body)
    else:
        body.outputs = {}
        for _ in range(draw(st.integers(1, 5))):
            body.statement()
        head(body)
    outputs = {"out": body.flow.shape, **{k: v.shape for k, v in (body.outputs or {}).items()}}
    arguments = f"({signature})" if signature else pick(["", "()"])
    if "for j, row in enumerate(rows):" in body.lines:
        lines += TABLE
    lines += [f"net {'Trial' if not given else 'Base'}{arguments}:", *indented(body.lines)]
    if given:
        lines += ["", f"variant trial = Base({given})"]
    return Spec("\n".join(lines) + "\n", inputs, outputs)


def parameters(draw: Draw) -> tuple[dict[str, int], dict[str, str], str, str]:
    """Return a net's known numbers, the kinds of its other parameters, its signature, a variant's arguments."""
    numbers: dict[str, int] = {}
    kinds: dict[str, str] = {}
    signature, given = [], []
    for name, kind in (("width", "int"), ("depth", "int"), ("flag", "flag"), ("p", "p"), ("act", "act")):
        if draw(st.integers(0, 3)) < 3:
            continue
        varied = draw(st.integers(0, 2)) == 2
        if kind == "int":
            numbers[name] = draw(st.integers(2, 10)) if name == "width" else draw(st.integers(1, 3))
            signature.append(f"{name} = {numbers[name] + varied}")
            given += [f"{name}={numbers[name]}"] if varied else []
            continue
        kinds[name] = kind
        default = {"flag": "flag = true", "p": "p = 0.25", "act": "act: op = relu"}[name]
        signature.append(default)
        given += [{"flag": "flag=false", "p": "p=0.5", "act": "act=tanh"}[name]] if varied else []
    return numbers, kinds, ", ".join(signature), ", ".join(given)


def begin(body: Body) -> dict[str, tuple[int, ...]]:
    """Write the inputs; return their shapes."""
    draw, pick = body.draw, body.pick
    form = pick(["one", "one", "one", "named", "two", "tokens", "vector"])
    c = draw(st.integers(2, 10))
    size = (draw(st.integers(4, 24)), draw(st.integers(4, 24)))
    flow = Flow("map", c, size)
    if form == "tokens":
        flow = Flow("tokens", c, (size[0],))
    if form == "vector":
        flow = Flow("vector", c, ())
    sizes = {"map": f"{c}, {dims(size)}", "tokens": f"{size[0]}, {c}", "vector": f"{c}"}[flow.kind]
    body.flow = flow
    if form == "two":
        joint = pick(["concat", "add", "from rgb", "mul"])
        body.lines += [f"input rgb: {sizes}", f"input depth_map: {sizes}", joint]
        body.labels |= {"rgb", "depth_map"}
        body.values |= {"rgb": flow, "depth_map": flow}
        body.flow = flow._replace(c=2 * c) if joint == "concat" else flow
        return {"rgb": flow.shape, "depth_map": flow.shape}
    name = "image" if form == "named" else "x"
    body.lines.append(f"input {'image: ' if form == 'named' else ''}{sizes}")
    body.labels.add(name)
    body.values[name] = flow
    return {name: flow.shape}


def sequential(body: Body) -> None:
    """Write a net that is one chain without labels."""
    steps, body.flow = body.chain(body.flow, False, most=5)
    if body.flow.kind == "map" and body.maybe():
        steps += [body.pick(["gap", "flatten"])]
        c = body.flow.c if steps[-1] == "gap" else len_of(body.flow)
        rest, body.flow = body.chain(Flow("vector", c, ()), False)
        steps += rest
    body.lines += body.broken_up(steps)


def len_of(flow: Flow) -> int:
    """Return how many numbers flow."""
    total = 1
    for n in flow.shape:
        total *= n
    return total


def head(body: Body) -> None:
    """Write what comes behind the maps, if anything."""
    kind = body.flow.kind
    ends = {
        "map": ["none", "gap", "flatten", "tokens"],
        "tokens": ["none", "token", "flatten"],
        "vector": ["none"],
    }
    end = body.pick(ends[kind])
    if end == "none":
        return
    body.values = {}
    if end == "tokens":
        tokens(body)
        end = body.pick(["none", "token", "flatten"])
    if end == "none":
        return
    c = len_of(body.flow) if end == "flatten" else body.flow.c
    if end == "token":
        size = body.flow.size
        assert isinstance(size, tuple)
        end = f"token {body.pick([0, size[0] - 1])}"
    body.lines.append(end)
    body.flow = Flow("vector", c, ())
    for _ in range(body.pick([1, 0, 2])):
        body.statement()


def tokens(body: Body) -> None:
    """Write a map's places as tokens, perhaps with one more of them, and work on them."""
    flow = body.flow
    assert isinstance(flow.size, tuple)
    body.flow = Flow("tokens", flow.c, (flow.size[0] * flow.size[1],))
    if body.maybe():
        name, places = body.name(value=True), body.name(value=True)
        batch = body.pick([", batch=true", ""])
        body.lines += [
            f"weight {name} [1, {flow.c}], init={body.pick(INITS)}{batch}",
            f"{places} = from flow -> tokens",
            f'from {name}, {places} -> concat axis="n"',
        ]
        body.flow = body.flow._replace(size=(flow.size[0] * flow.size[1] + 1,))
    else:
        body.lines.append("tokens")
    for _ in range(body.pick([1, 0, 2])):
        body.statement()
