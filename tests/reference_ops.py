"""Every op in numpy, float64, written from its formula: plain loops, no torch, nothing of netdsl.

`reference(op, inputs, state)` takes arrays with a batch axis and the op's parameters and buffers by name.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
State = Mapping[str, Array]
Reference = Callable[[Any, list[Array], State], Array | list[Array]]

REFERENCES: dict[str, Reference] = {}


def reference(op: Any, inputs: list[Array], state: State) -> list[Array]:
    """Return the outputs of an op in evaluation."""
    out = REFERENCES[op.name](op, inputs, state)
    return out if isinstance(out, list) else [out]


def of(*names: str) -> Callable[[Reference], Reference]:
    """Register the reference of these ops."""

    def register(function: Reference) -> Reference:
        REFERENCES.update(dict.fromkeys(names, function))
        return function

    return register


def pair(size: Any) -> tuple[int, int]:
    """Return a size for both axes."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def edges(op: Any, n: int, k: int, s: int, d: int, axis: int) -> tuple[int, int]:
    """Return the padding before and after an axis of n elements."""
    if op.pad.mode == "explicit":
        return op.pad.size[axis], op.pad.size[axis]
    if op.pad.mode == "same":
        return d * (k - 1) // 2, d * (k - 1) // 2
    missing = max((math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n, 0)
    return missing // 2, missing - missing // 2


def channels_last(x: Array, run: Callable[[Array], Array], axis: int) -> Array:
    """Apply a function of the last axis along another."""
    return np.moveaxis(run(np.moveaxis(x, axis, -1)), -1, axis)


@of("conv", "dwconv")
def conv(op: Any, inputs: list[Array], state: State) -> Array:
    """Correlate each output channel's filter with its group of input channels."""
    x, weight = inputs[0], state["weight"]
    out, per_group, kh, kw = weight.shape
    groups = x.shape[1] // per_group
    (sh, sw), (dh, dw) = pair(op.stride), pair(op.dilation)
    top, bottom = edges(op, x.shape[2], kh, sh, dh, 0)
    left, right = edges(op, x.shape[3], kw, sw, dw, 1)
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    rows = (x.shape[2] - dh * (kh - 1) - 1) // sh + 1
    columns = (x.shape[3] - dw * (kw - 1) - 1) // sw + 1
    y = np.zeros((len(x), out, rows, columns))
    for o in range(out):
        start = o // (out // groups) * per_group
        for i in range(rows):
            for j in range(columns):
                window = x[:, start : start + per_group, i * sh :: dh, j * sw :: dw][:, :, :kh, :kw]
                y[:, o, i, j] = (window * weight[o]).sum(axis=(1, 2, 3))
    return y + state["bias"][:, None, None] if op.bias else y


@of("stdconv")
def stdconv(op: Any, inputs: list[Array], state: State) -> Array:
    """Correlate with filters of mean 0 and variance 1."""
    rows = state["weight"].reshape(len(state["weight"]), -1)
    rows = normalised(rows, (1,), op.eps)
    return np.asarray(conv(op, inputs, {**state, "weight": rows.reshape(state["weight"].shape)}))


@of("blurpool")
def blurpool(op: Any, inputs: list[Array], state: State) -> Array:
    """Weigh each window by binomial coefficients; the map goes on as if seen in a mirror on its edge pixels."""
    x, k, s = inputs[0], op.size, op.stride
    pad = (s - 1 + k - 1) // 2
    row = np.array([math.comb(k - 1, i) for i in range(k)]) / 2 ** (k - 1)
    places = [range(-pad, n + pad - k + 1, s) for n in x.shape[2:]]
    y = np.zeros((*x.shape[:2], len(places[0]), len(places[1])))
    for i, top in enumerate(places[0]):
        for j, left in enumerate(places[1]):
            for a in range(k):
                for b in range(k):
                    r, q = (
                        abs(at) if at < n else 2 * (n - 1) - at
                        for at, n in ((top + a, x.shape[2]), (left + b, x.shape[3]))
                    )
                    y[:, :, i, j] += row[a] * row[b] * x[:, :, r, q]
    return y


@of("upconv")
def upconv(op: Any, inputs: list[Array], state: State) -> Array:
    """Add every input element's filter, scaled, to the place that it covers; cut the padding off."""
    x, weight = inputs[0], state["weight"]
    c, per_group, kh, kw = weight.shape
    groups = op.channels // per_group
    (sh, sw), (dh, dw) = pair(op.stride), pair(op.dilation)
    (ph, _), (pw, _) = edges(op, 0, kh, sh, dh, 0), edges(op, 0, kw, sw, dw, 1)
    n, _, h, w = x.shape
    full = np.zeros((n, op.channels, (h - 1) * sh + dh * (kh - 1) + 1, (w - 1) * sw + dw * (kw - 1) + 1))
    for i in range(c):
        start = i // (c // groups) * per_group
        for r in range(h):
            for q in range(w):
                for a in range(kh):
                    for b in range(kw):
                        add = x[:, i, r, q, None] * weight[i, :, a, b]
                        full[:, start : start + per_group, r * sh + a * dh, q * sw + b * dw] += add
    rows, columns = pair(op.output_pad)
    full = np.pad(full, ((0, 0), (0, 0), (0, rows), (0, columns)))
    y = full[:, :, ph : full.shape[2] - ph, pw : full.shape[3] - pw]
    return y + state["bias"][:, None, None] if op.bias else y


@of("fc")
def fc(op: Any, inputs: list[Array], state: State) -> Array:
    """Multiply the last axis by a matrix."""
    y = inputs[0] @ state["weight"].T
    return y + state["bias"] if op.bias else y


def pool(op: Any, x: Array, summary: Callable[[Array, int], Array], dilation: Any = 1) -> Array:
    """Summarise the part of each window that is inside the map; it is told the size with the padding."""
    if op.to is not None:
        (rows, columns), (h, w) = pair(op.to), x.shape[2:]
        y = np.zeros((*x.shape[:2], rows, columns))
        for i in range(rows):
            for j in range(columns):
                top, bottom = i * h // rows, math.ceil((i + 1) * h / rows)
                left, right = j * w // columns, math.ceil((j + 1) * w / columns)
                part = x[:, :, top:bottom, left:right].reshape(*x.shape[:2], -1)
                y[:, :, i, j] = summary(part, part.shape[2])
        return y
    (kh, kw), (dh, dw) = op.kernel, pair(dilation)
    sh, sw = pair(op.kernel if op.stride is None else op.stride)
    places = []
    for axis, (k, s, d) in enumerate(((kh, sh, dh), (kw, sw, dw))):
        n = x.shape[axis + 2]
        lo, hi = edges(op, n, k, s, d, axis)
        starts = []
        for start in range(-lo, n + hi, s):
            fits = start + d * (k - 1) < n + hi
            partial = not starts or starts[-1] + d * (k - 1) < n + hi - 1
            if fits or (op.ceil and start < n and partial):
                starts.append(start)
        places.append([[p for p in range(b, b + d * k, d) if p < n + hi] for b in starts])
    y = np.zeros((*x.shape[:2], len(places[0]), len(places[1])))
    for i, window_rows in enumerate(places[0]):
        for j, window_columns in enumerate(places[1]):
            inside_rows = [r for r in window_rows if 0 <= r < x.shape[2]]
            inside_columns = [q for q in window_columns if 0 <= q < x.shape[3]]
            part = x[:, :, inside_rows][:, :, :, inside_columns].reshape(*x.shape[:2], -1)
            y[:, :, i, j] = summary(part, len(window_rows) * len(window_columns))
    return y


@of("maxpool")
def maxpool(op: Any, inputs: list[Array], state: State) -> Array:
    """Take the largest."""
    return pool(op, inputs[0], lambda part, size: part.max(axis=2), op.dilation)


@of("avgpool")
def avgpool(op: Any, inputs: list[Array], state: State) -> Array:
    """Take the mean, of the padding too if it counts."""
    if op.count_include_pad:
        return pool(op, inputs[0], lambda part, size: part.sum(axis=2) / size)
    return pool(op, inputs[0], lambda part, size: part.mean(axis=2))


@of("gap")
def gap(op: Any, inputs: list[Array], state: State) -> Array:
    """Take the mean of each channel."""
    return inputs[0].mean(axis=(2, 3))


def normalised(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    """Return x with mean 0 and variance 1 over the axes."""
    mean = x.mean(axis=axes, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=axes, keepdims=True)
    return np.asarray((x - mean) / np.sqrt(variance + eps))


@of("bn")
def bn(op: Any, inputs: list[Array], state: State) -> Array:
    """Normalise by the running statistics."""
    deviation = np.sqrt(state["running_var"] + op.eps)
    y = channels_last(inputs[0], lambda x: (x - state["running_mean"]) / deviation, 1)
    return scaled(y, state, 1)


def scaled(y: Array, state: State, axis: int) -> Array:
    """Multiply by the weight of each channel and add its bias, as far as there are any."""
    weight, bias = state.get("weight", np.ones(1)), state.get("bias", np.zeros(1))
    return channels_last(y, lambda y: y * weight + bias, axis)


def bn_training(op: Any, x: Array, state: State) -> tuple[Array, dict[str, Array]]:
    """Return the output in training, by the batch's statistics, and the buffers after it."""
    axes = (0, *range(2, x.ndim))
    count = x.size // x.shape[1]
    mean, unbiased = x.mean(axis=axes), x.var(axis=axes) * count / (count - 1)
    y = normalised(x, axes, op.eps)
    return scaled(y, state, 1), {
        "running_mean": (1 - op.momentum) * state["running_mean"] + op.momentum * mean,
        "running_var": (1 - op.momentum) * state["running_var"] + op.momentum * unbiased,
        "num_batches_tracked": state["num_batches_tracked"] + 1,
    }


def layer_norm(op: Any, x: Array, state: State, axis: int) -> Array:
    """Normalise along the channels, which are that axis of the batch."""
    return scaled(normalised(x, (axis,), op.eps), state, axis)


def rms_norm(op: Any, x: Array, state: State, axis: int) -> Array:
    """Divide by the root of the mean square along the channels, which are that axis of the batch."""
    return scaled(x / np.sqrt((x**2).mean(axis=axis, keepdims=True) + op.eps), state, axis)


@of("gn")
def gn(op: Any, inputs: list[Array], state: State) -> Array:
    """Normalise each group of channels of each sample."""
    x = inputs[0]
    groups = x.reshape(len(x), op.groups, -1)
    y = normalised(groups, (2,), op.eps).reshape(x.shape)
    return scaled(y, state, 1)


@of("instance_norm")
def instance_norm(op: Any, inputs: list[Array], state: State) -> Array:
    """Normalise each channel of each sample."""
    return scaled(normalised(inputs[0], (2, 3), op.eps), state, 1)


@of("lrn")
def lrn(op: Any, inputs: list[Array], state: State) -> Array:
    """Divide by a power of the squares nearby."""
    x = inputs[0]
    y = np.zeros_like(x)
    wide = x.shape[1] // op.groups
    for i in range(x.shape[1]):
        first = i // wide * wide
        near = x[:, max(i - op.size // 2, first) : min(i + (op.size - 1) // 2 + 1, first + wide)]
        y[:, i] = x[:, i] / (op.k + op.alpha / op.size * (near**2).sum(axis=1)) ** op.beta
    return y


def erf(x: Array) -> Array:
    """Return the error function."""
    return np.vectorize(math.erf)(x)


def sigmoid(x: Array) -> Array:
    """Return the logistic function."""
    return 1 / (1 + np.exp(-x))


@of("relu", "relu6", "leaky_relu", "rrelu", "hswish", "hsigmoid", "sigmoid", "silu", "gelu", "tanh")
@of("elu", "celu", "selu", "hardtanh", "threshold", "mish", "softplus", "softsign", "logsigmoid")
@of("tanhshrink", "hardshrink", "softshrink", "exp")
def activation(op: Any, inputs: list[Array], state: State) -> Array:
    """Apply a function of one number."""
    x = inputs[0]
    match op.name:
        case "relu":
            return np.where(x > 0, x, 0.0)
        case "relu6":
            return np.clip(x, 0, 6)
        case "leaky_relu":
            return np.where(x > 0, x, op.slope * x)
        case "rrelu":
            return np.where(x > 0, x, (op.lower + op.upper) / 2 * x)
        case "hswish":
            return x * np.clip(x + 3, 0, 6) / 6
        case "hsigmoid":
            return np.clip(x + 3, 0, 6) / 6
        case "sigmoid":
            return sigmoid(x)
        case "silu":
            return x * sigmoid(x)
        case "gelu" if op.approximate == "tanh":
            return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
        case "gelu":
            return x * (1 + erf(x / math.sqrt(2))) / 2
        case "elu" | "celu":
            below = np.exp(x / (op.alpha if op.name == "celu" else 1)) - 1
            return np.where(x > 0, x, op.alpha * below)
        case "selu":
            return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1))
        case "hardtanh":
            return np.minimum(np.maximum(x, op.min), op.max)
        case "threshold":
            return np.where(x > op.threshold, x, op.value)
        case "mish":
            return x * np.tanh(np.log(1 + np.exp(x)))
        case "softplus":
            return np.where(op.beta * x > op.threshold, x, np.log(1 + np.exp(op.beta * x)) / op.beta)
        case "softsign":
            return x / (1 + np.abs(x))
        case "logsigmoid":
            return -np.log(1 + np.exp(-x))
        case "exp":
            return np.exp(x)
        case "tanhshrink":
            return x - np.tanh(x)
        case "hardshrink":
            return np.where(np.abs(x) > op.threshold, x, 0.0)
        case "softshrink":
            return np.sign(x) * np.maximum(np.abs(x) - op.threshold, 0.0)
        case _:
            return (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))


@of("prelu")
def prelu(op: Any, inputs: list[Array], state: State) -> Array:
    """Multiply what is below 0 by one weight, or by that of its channel."""
    x, weight = inputs[0], state["weight"]
    slope = weight if len(weight) == 1 else weight.reshape(1, -1, *[1] * (x.ndim - 2))
    return np.where(x > 0, x, slope * x)


def glu(x: Array, axis: int) -> Array:
    """Multiply the first half along an axis by the sigmoid of the second."""
    first, second = np.split(x, 2, axis=axis)
    return first * sigmoid(second)


def softmax(x: Array, axis: int) -> Array:
    """Return exp(x) over its sum along an axis."""
    return np.asarray(np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True))


@of("attention")
def attention(op: Any, inputs: list[Array], state: State) -> Array:
    """Attend head by head."""
    x = inputs[0]
    c = x.shape[2]
    q, k, v = np.split(x @ state["in_proj_weight"].T + state["in_proj_bias"], 3, axis=2)
    size = c // op.heads
    mixed = np.zeros_like(x)
    for head in range(op.heads):
        at = slice(head * size, (head + 1) * size)
        for sample in range(len(x)):
            scores = q[sample, :, at] @ k[sample, :, at].T / math.sqrt(size)
            mixed[sample, :, at] = softmax(scores, 1) @ v[sample, :, at]
    return mixed @ state["out_proj.weight"].T + state["out_proj.bias"]


@of("matmul")
def matmul(op: Any, inputs: list[Array], state: State) -> Array:
    """Multiply each row by each column."""
    a, b = inputs
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)


@of("qkv")
def qkv(op: Any, inputs: list[Array], state: State) -> Array:
    """Multiply the channels by a matrix; the keys, which are the second third, may have no bias."""
    y, c = inputs[0] @ state["weight"].T, inputs[0].shape[-1]
    if op.bias:
        bias = state["bias"].copy()
        bias[c : 2 * c] *= op.key_bias
        y = y + bias
    return y


@of("attend")
def attend(op: Any, inputs: list[Array], state: State) -> Array:
    """Attend sample by sample, window by window, head by head."""
    q, k, v, *rest = inputs
    if q.ndim == 3:  # tokens are one window
        q, k, v = (x[:, None] for x in (q, k, v))
    by = rest.pop(0) if op.cosine else None
    bias = next((x for x in rest if x.shape[1:2] == (op.heads,)), None)
    mask = next((x for x in rest if x is not bias), None)
    y = np.zeros((*q.shape[:3], v.shape[3]))
    wide, deep = q.shape[3] // op.heads, v.shape[3] // op.heads
    for n, b, head in itertools.product(*map(range, q.shape[:2]), range(op.heads)):
        mine, theirs = (x[n, b, :, head * wide : (head + 1) * wide] for x in (q, k))
        if by is None:
            scores = mine @ theirs.T * (wide**-0.5 if op.scale is None else op.scale)
        else:
            mine, theirs = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (mine, theirs))
            scores = mine @ theirs.T * by[n, head]
        scores = scores + (0 if bias is None else bias[n, head]) + (0 if mask is None else mask[n, b])
        at = slice(head * deep, (head + 1) * deep)
        y[n, b, :, at] = softmax(scores, 1) @ v[n, b, :, at]
    return y if inputs[0].ndim == 4 else y[:, 0]


@of("relative_bias")
def relative_bias(op: Any, inputs: list[Array], state: State) -> Array:
    """Look up the row of each pair; a negative one counts from the last."""
    tables, n = inputs[0].reshape(len(inputs[0]), -1, inputs[0].shape[-1]), math.prod(pair(op.size))
    y = np.zeros((len(tables), tables.shape[2], n, n))
    for sample, (table, index) in enumerate(zip(tables, inputs[1].reshape(-1, n, n), strict=True)):
        for i, j in itertools.product(range(n), range(n)):
            y[sample, :, i, j] = table[int(index[i, j])]
    return y


def places(op: Any, h: int, w: int) -> list[list[tuple[int, int]]]:
    """Return by window the places of the padded map that it holds, before anything moved."""
    (rows, columns), shift, spread = pair(op.size), pair(op.shift), getattr(op, "spread", False)
    down, across = -(-h // rows), -(-w // columns)
    shift = shift[0] if down > 1 else 0, shift[1] if across > 1 else 0
    if getattr(op, "apart", False):
        rows, columns, down, across, spread = down, across, rows, columns, True
    found = []
    for i, j in itertools.product(range(down), range(across)):
        window = []
        for a, b in itertools.product(range(rows), range(columns)):
            y, x = (a * down + i, b * across + j) if spread else (i * rows + a, j * columns + b)
            window.append(((y + shift[0]) % (down * rows), (x + shift[1]) % (across * columns)))
        found.append(window)
    return found


@of("windows")
def windows(op: Any, inputs: list[Array], state: State) -> Array:
    """Put down place by place, zeros for those beside the map."""
    x = inputs[0]
    h, w = x.shape[2:]
    held = places(op, h, w)
    y = np.zeros((len(x), len(held), len(held[0]), x.shape[1]))
    for (b, window), (n, _) in itertools.product(enumerate(held), enumerate(held[0])):
        i, j = window[n]
        if i < h and j < w:
            y[:, b, n] = x[:, :, i, j]
    return y


@of("unwindows")
def unwindows(op: Any, inputs: list[Array], state: State) -> Array:
    """Put back place by place what is within the map."""
    x, like = inputs
    h, w = like.shape[2:]
    y = np.full((len(x), x.shape[3], h, w), np.nan)
    for b, window in enumerate(places(op, h, w)):
        for n, (i, j) in enumerate(window):
            if i < h and j < w:
                y[:, :, i, j] = x[:, b, n]
    return y


@of("window_mask")
def window_mask(op: Any, inputs: list[Array], state: State) -> Array:
    """Find the places that a shift sent round: those that lie before the first of their window."""
    h, w = inputs[0].shape[2:]
    held = places(op, h, w)
    y = np.zeros((len(inputs[0]), len(held), len(held[0]), len(held[0])))
    for b, window in enumerate(held):
        sides = [(i < window[0][0], j < window[0][1]) for i, j in window]
        for (m, one), (n, two) in itertools.product(enumerate(sides), enumerate(sides)):
            y[:, b, m, n] = -100 if one != two else 0
    return y


@of("pad_to")
def pad_to(op: Any, inputs: list[Array], state: State) -> Array:
    """Add what is missing to whole multiples."""
    (rows, columns), (h, w) = pair(op.size), inputs[0].shape[2:]
    more = math.ceil(h / rows) * rows - h, math.ceil(w / columns) * columns - w
    return np.pad(inputs[0], ((0, 0), (0, 0), (0, more[0]), (0, more[1])))


@of("identity", "dropout", "droppath")
def identity(op: Any, inputs: list[Array], state: State) -> Array:
    """Return the input."""
    return inputs[0]


@of("scale")
def scale(op: Any, inputs: list[Array], state: State) -> Array:
    """Multiply by a number."""
    return inputs[0] * op.factor


@of("offset")
def offset(op: Any, inputs: list[Array], state: State) -> Array:
    """Add the number."""
    return inputs[0] + op.term


@of("shuffle")
def shuffle(op: Any, inputs: list[Array], state: State) -> Array:
    """Send channel i c/g + j to j g + i."""
    x = inputs[0]
    y = np.zeros_like(x)
    each = x.shape[1] // op.groups
    for i in range(op.groups):
        for j in range(each):
            y[:, j * op.groups + i] = x[:, i * each + j]
    return y


@of("shift")
def shift(op: Any, inputs: list[Array], state: State) -> Array:
    """Move the map up and to the left."""
    x, (dy, dx) = inputs[0], op.by
    y = np.zeros_like(x)
    y[:, :, : x.shape[2] - dy, : x.shape[3] - dx] = x[:, :, dy:, dx:]
    return y


@of("roll")
def roll(op: Any, inputs: list[Array], state: State) -> Array:
    """Send each pixel to its place, counted round."""
    x, (dy, dx) = inputs[0], op.by
    y, (h, w), sign = np.zeros_like(x), x.shape[2:], 1 if op.back else -1
    for i in range(h):
        for j in range(w):
            y[:, :, (i + sign * dy) % h, (j + sign * dx) % w] = x[:, :, i, j]
    return y


def padded(op: Any, x: Array, axes: str) -> Array:
    """Take each place of each axis from where it comes, or nothing."""
    rows, columns = pair(op.by)
    sides = {
        "c": (op.before, op.after),
        "h": (rows if op.top is None else op.top, rows if op.bottom is None else op.bottom),
        "w": (columns if op.left is None else op.left, columns if op.right is None else op.right),
        "n": (0, 0),
    }
    for place, axis in enumerate(axes, 1):
        (lo, hi), n = sides[axis], x.shape[place]
        parts = []
        for i in range(-lo, n + hi):
            inside = {
                "zeros": i,
                "reflect": -i if i < 0 else 2 * (n - 1) - i if i >= n else i,
                "replicate": min(max(i, 0), n - 1),
                "circular": i % n,
            }[op.mode]
            here = 0 <= inside < n
            parts.append(x.take(inside, place) if here else 0 * x.take(0, place))
        x = np.stack(parts, axis=place)
    return x


@of("crop")
def crop(op: Any, inputs: list[Array], state: State) -> Array:
    """Cut the middle out."""
    x, (h, w) = inputs[0], inputs[1].shape[2:]
    top, left = (x.shape[2] - h) // 2, (x.shape[3] - w) // 2
    return x[:, :, top : top + h, left : left + w]


def keys(distance: float) -> float:
    """Return the weight of a pixel at a distance: Keys' cubic for a = -3/4."""
    a, d = -0.75, abs(distance)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0


def interpolation(n: int, m: int, mode: str, corners: bool) -> Array:
    """Return the matrix from n pixels to m, by weights between pixel centres; outside is the pixel at the edge."""
    matrix = np.zeros((m, n))
    for i in range(m):
        if mode == "nearest":
            matrix[i, i * n // m] = 1
            continue
        at = i * (n - 1) / max(m - 1, 1) if corners else (i + 0.5) * n / m - 0.5
        for pixel in range(-2, n + 3):
            weight = max(1 - abs(at - pixel), 0) if mode == "bilinear" else keys(at - pixel)
            matrix[i, min(max(pixel, 0), n - 1)] += weight
    return matrix


@of("upsample", "resize")
def resized(op: Any, inputs: list[Array], state: State) -> Array:
    """Interpolate each axis."""
    x = inputs[0]
    h, w = x.shape[2:]
    if op.name == "upsample":
        size = h * op.scale, w * op.scale
    else:
        size = pair(op.to) if op.to is not None else inputs[1].shape[2:]
    rows, columns = (
        interpolation(n, m, op.mode, op.align_corners) for n, m in zip((h, w), size, strict=True)
    )
    return np.asarray(rows @ x @ columns.T)


@of("permute")
def permute(op: Any, inputs: list[Array], state: State) -> Array:
    """Reorder the axes of the sample."""
    return inputs[0].transpose(0, *(axis + 1 for axis in op.axes))


@of("flatten")
def flatten(op: Any, inputs: list[Array], state: State) -> Array:
    """Put the rows one after the other."""
    return inputs[0].reshape(len(inputs[0]), -1)


@of("unflatten")
def unflatten(op: Any, inputs: list[Array], state: State) -> Array:
    """Take part by part."""
    size = inputs[0].shape[1] // op.parts
    return np.stack([inputs[0][:, size * at : size * (at + 1)] for at in range(op.parts)], axis=1)


@of("pixel_shuffle")
def pixel_shuffle(op: Any, inputs: list[Array], state: State) -> Array:
    """Send channel by channel."""
    x, r = inputs[0], op.factor
    n, c, h, w = x.shape
    y = np.zeros((n, c // r**2, h * r, w * r))
    for channel in range(c):
        i, j = channel // r % r, channel % r
        y[:, channel // r**2, i::r, j::r] = x[:, channel]
    return y


@of("pixel_unshuffle")
def pixel_unshuffle(op: Any, inputs: list[Array], state: State) -> Array:
    """Take channel by channel."""
    x, r = inputs[0], op.factor
    parts = [x[:, c, i::r, j::r] for c in range(x.shape[1]) for i in range(r) for j in range(r)]
    return np.stack(parts, axis=1)


@of("tokens")
def tokens(op: Any, inputs: list[Array], state: State) -> Array:
    """List the places row by row."""
    x = inputs[0]
    return np.stack([x[:, :, i, j] for i in range(x.shape[2]) for j in range(x.shape[3])], axis=1)


@of("map")
def map_(op: Any, inputs: list[Array], state: State) -> Array:
    """Put the tokens down row by row."""
    x = inputs[0]
    h, w = inputs[1].shape[2:] if op.to is None else pair(op.to)
    y = np.zeros((len(x), x.shape[2], h, w))
    for i in range(h):
        for j in range(w):
            y[:, :, i, j] = x[:, i * w + j]
    return y


@of("token")
def token(op: Any, inputs: list[Array], state: State) -> Array:
    """Take one."""
    return inputs[0][:, op.index]


def sliced(op: Any, x: Array, axes: str) -> Array:
    """Take the places one by one, of a sample with these axes."""
    for at, axis in enumerate("hw" if isinstance(op.begin, tuple) else op.axis):
        begin, end, step = (n[at] if isinstance(n, tuple) else n for n in (op.begin, op.end, op.stride))
        place = axes.index(axis) + 1
        stop = x.shape[place] if end is None else end
        x = np.stack([x.take(i, place) for i in range(begin, stop, step)], axis=place)
    return x


def reduced(op: Any, x: Array, axes: str) -> Array:
    """Take axis by axis what place after place gives."""
    for axis in sorted(op.axes, key=axes.index, reverse=True):
        place = axes.index(axis) + 1
        parts = [x.take([i], place) for i in range(x.shape[place])]
        total = parts[0]
        for part in parts[1:]:
            total = total + part if op.name == "mean" else np.maximum(total, part)
        x = total / len(parts) if op.name == "mean" else total
        x = x if op.keep else x.squeeze(place)
    return x


def along_channels(op: Any, inputs: list[Array], state: State, axis: int) -> list[Array]:
    """Return the outputs of the ops that need to know where the channels or their own axis are, of the batch."""
    match op.name:
        case "ln":
            return [layer_norm(op, inputs[0], state, axis)]
        case "rms_norm":
            return [rms_norm(op, inputs[0], state, axis)]
        case "softmax" | "log_softmax":
            made = softmax(inputs[0], axis)
            return [made if op.name == "softmax" else np.log(made)]
        case "glu":
            return [glu(inputs[0], axis)]
        case "split":
            ends = op.parts if isinstance(op.parts, int) else list(itertools.accumulate(op.parts))[:-1]
            return list(np.split(inputs[0], ends, axis=axis))
        case _:
            return [np.concatenate(inputs, axis=axis)]


def elementwise(op: Any, inputs: list[Array], axis: int) -> Array:
    """Add, subtract or multiply; a vector meets the channels, an axis of the largest input's batch."""
    rank = max(x.ndim for x in inputs)
    total: Array | None = None
    for x in inputs:
        if x.ndim < rank:
            sizes = [1] * rank
            sizes[0], sizes[axis] = x.shape
            x = x.reshape(sizes)
        if total is None:
            total = x
        else:
            total = {"add": total + x, "sub": total - x, "mul": total * x}[op.name]
    assert total is not None
    return total
