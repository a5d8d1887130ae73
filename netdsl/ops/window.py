"""What ops share that look at maps: what they ask of them, and windows that slide over them."""

from __future__ import annotations

from netdsl.ir.types import MAX_ELEMENTS, Dims, Pad, Shape
from netdsl.ops.base import Field, OpError, Reach
from netdsl.symbolic import SymBool, compare, select

SAME = Pad("same")
VALID = Pad("explicit")
MAX_WINDOW = 2**14
"""The most places of a kernel, stride, dilation or padding along an axis, and of other sizes that are arguments."""


def both(size: Dims | tuple[int, int] | int) -> tuple[int, int]:
    """Return a size for height and width."""
    if isinstance(size, int):
        return size, size
    return size[0], size[1]


def check_size(field: str, size: Dims | int, most: int = MAX_WINDOW) -> None:
    """Reject a size that is not one or two positive ints, up to `most`."""
    if not isinstance(size, int) and len(size) != 2:
        raise OpError(field, f"{field} needs two sizes, got {size}")
    if min(both(size)) < 1:
        raise OpError(field, f"{field} must be at least 1, got {size}")
    if max(both(size)) > most:
        raise OpError(field, f"{field} must be at most {most:,}, got {size}")


def need_map(op: str, x: Shape, instead: str = "") -> tuple[int, int, int]:
    """Return (c, h, w) of a map, or say that it is none, and what to write instead."""
    if x.axes != "chw":
        raise OpError("", f"{op} needs a map c x h x w, got {x.kind} {x}", instead)
    return x[0], x[1], x[2]


def size_of(op: str, to: Dims | int | None, *like: Shape) -> tuple[int, int]:
    """Return the height and width that an op is told, or those of another map; one of the two is given."""
    if (to is None) == (not like):
        what = "needs a size or like=" if to is None else "takes a size or like=, not both"
        raise OpError("to", f"{op} {what}", f"{op} 32x32, or {op} like=x")
    if to is None:
        return need_map(op, like[0])[1:]
    check_size("to", to, MAX_ELEMENTS)
    return both(to)


def groups_of(field: str, groups: int, c: int) -> int:
    """Return c / groups, or say that it is not whole."""
    if groups < 1:
        raise OpError(field, f"{field} must be at least 1, got {groups}")
    if c % groups:
        raise OpError(field, f"{c} channels cannot be divided into {groups} {field}")
    return c // groups


def padding(
    size: tuple[int, int], kernel: Dims, stride: Dims | int, pad: Pad, dilation: Dims | int = 1
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return ((top, bottom), (left, right)). `same` rejects kernels that have no middle."""
    apart, strides = both(dilation), both(stride)
    result = []
    for axis in (0, 1):
        covered = apart[axis] * (kernel[axis] - 1) + 1
        if pad.mode == "explicit":
            lo = hi = pad.size[axis]
        elif pad.mode == "same":
            if covered % 2 == 0:
                raise OpError(
                    "kernel",
                    f"an even kernel {kernel} has no middle, so pad=same is not defined for it",
                    f"give the padding: pad={(covered - 1) // 2}",
                )
            lo = hi = covered // 2
        else:
            steps = -(-size[axis] // strides[axis])
            total = max((steps - 1) * strides[axis] + covered - size[axis], 0)
            lo, hi = total // 2, total - total // 2
        result.append((lo, hi))
    return result[0], result[1]


def varies(kernel: Dims, stride: Dims | int, pad: Pad, dilation: Dims | int = 1) -> bool:
    """Tell whether the padding follows from the map's size: TensorFlow's, where it is not always `same`."""
    covered = [d * (k - 1) + 1 for d, k in zip(both(dilation), kernel, strict=True)]
    steps = both(stride)
    return pad.mode == "tf" and any(
        n > 1 and (s > 1 or n % 2 == 0) for n, s in zip(covered, steps, strict=True)
    )


def constant_padding(kernel: Dims, pad: Pad, dilation: Dims | int = 1) -> Dims | tuple[int, int]:
    """Return the rows above and below, and the columns at both sides, where they do not follow from the size."""
    if pad.mode == "explicit":
        return pad.size
    rows, columns = ((d * (k - 1) + 1) // 2 for d, k in zip(both(dilation), kernel, strict=True))
    return rows, columns


def check_window(kernel: Dims, stride: Dims | int, pad: Pad, dilation: Dims | int = 1) -> None:
    """Reject sizes that are no sizes. Errors name the field."""
    for field, value in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
        check_size(field, value)
    if min(pad.size) < 0:
        raise OpError("pad", f"pad must not be negative, got {pad}")
    if max(pad.size) > MAX_WINDOW:
        raise OpError("pad", f"pad must be at most {MAX_WINDOW:,}, got {pad}")


def window_size(
    size: tuple[int, int],
    kernel: Dims,
    stride: Dims | int,
    pad: Pad,
    dilation: Dims | int = 1,
    ceil: bool | SymBool = False,
) -> tuple[int, int]:
    """Return (h', w'): floor((n + 2p - d(k-1) - 1)/s) + 1, or PyTorch's ceil mode. Errors name the field."""
    check_window(kernel, stride, pad, dilation)
    pads = padding(size, kernel, stride, pad, dilation)
    apart, strides = both(dilation), both(stride)
    result = []
    for axis in (0, 1):
        lo, hi = pads[axis]
        step, covered = strides[axis], apart[axis] * (kernel[axis] - 1) + 1
        if pad.mode == "tf":  # whatever the kernel
            result.append(-(-size[axis] // step))
            continue
        # of `same` the padding is what an odd window covers but for its middle
        span = size[axis] - 1 if pad.mode == "same" else size[axis] + lo + hi - covered
        down, up = span // step + 1, -(-span // step) + 1
        if (up if ceil else down) < 1:
            what = f" padded to {size[axis] + lo + hi}" if lo + hi else ""
            name = "height" if axis == 0 else "width"
            raise OpError("kernel", f"the kernel covers {covered}, more than the {name} {size[axis]}{what}")
        if ceil is not False:  # a window must start in the map, not in the right padding
            up = select(compare("<", covered, step + hi), (size[axis] + lo - 1) // step + 1, up)
        result.append(select(ceil, up, down))
    return result[0], result[1]


def window_steps(
    size: tuple[int, int],
    out: tuple[int, int],
    kernel: Dims,
    stride: Dims | int,
    pad: Pad,
    dilation: Dims | int = 1,
    ceil: bool = False,
) -> tuple[str, str]:
    """Return how `out` follows from `size`, as `window_size` says: a line for each axis."""
    steps = []
    for axis, name in enumerate("hw"):
        n, k, s, d = size[axis], kernel[axis], both(stride)[axis], both(dilation)[axis]
        if pad.mode == "tf":
            steps.append(f"{name}_out = ceil({name}_in / s) = ceil({n} / {s}) = {out[axis]}")
            continue
        lo, hi = padding(size, kernel, stride, pad, dilation)[axis]
        rounded, filled = "ceil" if ceil else "floor", f"({n} + {lo} + {hi} - {d} * ({k} - 1) - 1) / {s}"
        formula = f"{rounded}(({name}_in + p + p - d * (k{name} - 1) - 1) / s) + 1"
        less = ""
        if ceil and -(-(n + lo + hi - d * (k - 1) - 1) // s) + 1 > out[axis]:
            formula, less = f"{formula} - 1, as the last window would begin in the padding,", " - 1"
        steps.append(f"{name}_out = {formula} = {rounded}({filled}) + 1{less} = {out[axis]}")
    return steps[0], steps[1]


def sliding(
    kernel: Dims,
    stride: Dims | int,
    pads: tuple[tuple[int, int], tuple[int, int]],
    dilation: Dims | int = 1,
) -> Field:
    """Return what a window sees that slides over a map padded so."""
    (h, w), (rows, columns), (top, left) = both(kernel), both(stride), (pads[0][0], pads[1][0])
    apart = both(dilation)
    return Reach(h, rows, top, apart[0], 1), Reach(w, columns, left, apart[1], 1)
