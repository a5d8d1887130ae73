"""Zero-cost proxies: numbers of an untrained net that may rank nets as training would.

They are to be held against params, which costs nothing either, and ranks as well as most of them (Abdelfattah et al.,
Zero-Cost Proxies for Lightweight NAS, 2021; White et al., How Powerful are Performance Predictors in NAS?, 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.network import Network

if TYPE_CHECKING:
    from torch import Tensor, nn

BATCH = 8


def find(names: Sequence[str]) -> dict[str, Callable[[Network], float]]:
    """Return the proxies of those names; raise NetError for one that there is not, or if torch is missing."""
    for name in names:
        if name not in PROXIES:
            help = did_you_mean(name, [*PROXIES]) or f"there are {', '.join(PROXIES)}"
            raise NetError([Diagnostic("E500", f"--proxy: there is no proxy `{name}`", help=help)])
    try:
        import torch  # noqa: F401
    except ImportError:
        help = 'pip install "netdsl[torch]"'
        raise NetError([Diagnostic("E509", "proxies need torch", help=help)]) from None
    return {name: PROXIES[name] for name in names}


def grad_norm(net: Network) -> float:
    """The norm of the gradient of a first loss: cross-entropy of random labels, channels being classes.

    Inputs are normal, batch 8, the modules in training; seeds are fixed.
    """
    import torch

    torch.manual_seed(0)
    model: nn.Module = net.build("torch").train()
    outputs = _outputs(model(*[torch.randn(BATCH, *shape) for shape in net.inputs.values()]))
    labels = torch.Generator().manual_seed(0)
    loss = torch.zeros(())
    for output in outputs:
        classes = (BATCH, *output.shape[2:])
        chosen = torch.randint(output.shape[1], classes, generator=labels)
        loss = loss + torch.nn.functional.cross_entropy(output, chosen)
    loss.backward()  # type: ignore[no-untyped-call]
    squares = [
        parameter.grad.square().sum() for parameter in model.parameters() if parameter.grad is not None
    ]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0


def synflow(net: Network) -> float:
    """The logarithm of the sum of |weight * gradient| of a net with the absolute values of its weights.

    The input is ones, the loss the sum of the outputs, in evaluation with fresh statistics and in float64 (Tanaka et
    al., Pruning Neural Networks without Any Data by Iteratively Conserving Synaptic Flow, 2020).
    """
    import math

    import torch

    torch.manual_seed(0)
    model: nn.Module = net.build("torch").double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    outputs = _outputs(model(*[torch.ones(1, *shape, dtype=torch.float64) for shape in net.inputs.values()]))
    total = torch.stack([output.sum() for output in outputs]).sum()
    total.backward()  # type: ignore[no-untyped-call]
    flows = [float((p * p.grad).abs().sum()) for p in model.parameters() if p.grad is not None]
    return math.log10(sum(flows)) if sum(flows) > 0 else 0.0


PROXIES: dict[str, Callable[[Network], float]] = {"grad_norm": grad_norm, "synflow": synflow}


def _outputs(made: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """Return what a module returns as a list."""
    import torch

    return [made] if torch.is_tensor(made) else [*made]


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Return Spearman's rank correlation, equal numbers having the mean of their ranks; 0 if all are."""
    x, y = _ranks(a), _ranks(b)
    middle = (len(a) - 1) / 2
    dot = sum([(i - middle) * (j - middle) for i, j in zip(x, y, strict=True)])
    size = sum([(i - middle) ** 2 for i in x]) * sum([(j - middle) ** 2 for j in y])
    return float(dot / size**0.5) if size else 0.0


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    begin = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or values[order[end]] != values[order[begin]]:
            for at in order[begin:end]:
                ranks[at] = (begin + end - 1) / 2
            begin = end
    return ranks
