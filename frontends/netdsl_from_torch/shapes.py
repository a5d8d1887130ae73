"""What functions make of tensors without numbers: shapes, and the MACs of that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_ATEN = torch.ops.aten
_ACTIVATIONS = "celu clamp elu gelu hardsigmoid hardswish hardtanh leaky_relu mish relu silu".split()
KEEPING = frozenset([getattr(_ATEN, name).default for name in (*_ACTIVATIONS, "softplus")])
"""What makes a tensor like its first."""
WRITING = frozenset([getattr(_ATEN, f"{name}_").default for name in _ACTIVATIONS])
"""What writes into its first."""


class Shapes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """What is common of tensors without numbers, whose shapes torch works out in Python.

    That takes up to a millisecond each, and is most of a run. What is not plain here is left to torch.
    """

    def __init__(self) -> None:
        """Begin."""
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return self.result(function, args, kwargs or {})

    def result(self, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Return what a function makes."""
        x = args[0] if args else None
        if isinstance(x, Tensor) and x.is_meta and x.is_floating_point():
            if function in KEEPING:
                return torch.empty_like(x)
            if function in WRITING:
                return x
            if function is _ATEN.native_batch_norm.default:
                dtype = torch.promote_types(x.dtype, torch.float32)
                mean, deviation = x.new_empty(2, x.shape[1], dtype=dtype)
                return torch.empty_like(x), mean, deviation
            plain = None if kwargs else PLAIN.get(function)
            made = plain(*args) if plain is not None and _even(args, x.dtype, plain is not _linear) else None
            if made is not None:
                return made
        return function(*args, **kwargs)


class Macs(Shapes):  # type: ignore[no-untyped-call]
    """Counts, too, what functions compute of such tensors, by torch's own formulas.

    Those are what torch's counter applies; it looks at each module's call besides, which takes longer than the run.
    """

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        from torch.utils.flop_counter import flop_registry

        self.flops = 0
        self._formulas: Mapping[Any, Any] = flop_registry

    def result(self, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Count a function."""
        y = super().result(function, args, kwargs)
        formula = self._formulas.get(getattr(function, "_overloadpacket", None))
        if formula is not None:
            self.flops += formula(*args, **kwargs, out_val=y)
        return y


def _even(args: Iterable[Any], dtype: torch.dtype, contiguous: bool) -> bool:
    """Tell whether all tensors of some arguments are without numbers, of one type, and, if asked, contiguous."""
    return all(
        one.is_meta and one.dtype == dtype and (not contiguous or one.is_contiguous())
        for one in args
        if isinstance(one, Tensor)
    )


def _like(x: Tensor, *args: Any) -> Tensor | None:
    return None if any(isinstance(one, torch.dtype) for one in args) else torch.empty_like(x)


def _joined(x: Tensor, y: Any) -> Tensor | None:
    """Return what joins two tensors place by place, of which one may be spread over the other."""
    if not isinstance(y, Tensor):
        return None
    larger, smaller = (x, y) if (x.dim(), x.numel()) >= (y.dim(), y.numel()) else (y, x)
    sizes = larger.shape[larger.dim() - smaller.dim() :]
    spreads = all(a in (1, b) for a, b in zip(smaller.shape, sizes, strict=True))
    return torch.empty_like(larger) if spreads else None


def _averaged(x: Tensor, axes: Sequence[int] | None = None, keep: bool = False) -> Tensor:
    """Return what leaves axes out, or has one place of them."""
    gone = {axis % x.dim() for axis in axes or range(x.dim())}
    return x.new_empty(
        [1 if axis in gone else size for axis, size in enumerate(x.shape) if keep or axis not in gone]
    )


def _normal(x: Tensor, order: float = 2, axes: Sequence[int] | None = None, keep: bool = False) -> Tensor:
    return _averaged(x, axes, keep)


def _layer_norm(x: Tensor, shape: Sequence[int], *_: Any) -> tuple[Tensor, Tensor, Tensor] | None:
    if x.dtype != torch.float32:
        return None
    mean, deviation = x.new_empty((2, *x.shape[: x.dim() - len(shape)], *(1 for _ in shape)))
    return torch.empty_like(x), mean, deviation


def _linear(bias: Tensor, x: Tensor, weight: Tensor) -> Tensor | None:
    if bias.dim() != 1 or x.shape[1] != weight.shape[0] or len(bias) != weight.shape[1]:
        return None
    return x.new_empty((x.shape[0], weight.shape[1]))


def _convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    _: Sequence[int],
    groups: int,
) -> Tensor | None:
    channels, inner, *kernel = weight.shape
    if transposed or not x.dim() == weight.dim() == len(stride) + 2 or x.shape[1] != inner * groups:
        return None
    grid = zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)
    sizes = [(size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in grid]
    fits = min(sizes) > 0 and channels % groups == 0 and (bias is None or bias.shape == (channels,))
    return x.new_empty((x.shape[0], channels, *sizes)) if fits else None


_SAME = "clamp_min exp roll sigmoid tanh _softmax _safe_softmax".split()
PLAIN: Mapping[Any, Callable[..., Any]] = {
    **{getattr(_ATEN, name).default: _like for name in _SAME},
    **{getattr(_ATEN, name).Scalar: _like for name in ("add", "mul")},
    **{getattr(_ATEN, name).Tensor: _joined for name in ("add", "div", "mul", "sub")},
    _ATEN.mean.dim: _averaged,
    _ATEN.linalg_vector_norm.default: _normal,
    _ATEN.native_layer_norm.default: _layer_norm,
    _ATEN.addmm.default: _linear,
    _ATEN.convolution.default: _convolved,
}
"""What makes a contiguous tensor of those of its type, contiguous but for `addmm`; None leaves it to torch."""
