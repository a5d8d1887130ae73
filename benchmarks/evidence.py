"""What rules of `netdsl lint` say that they have measured, measured: one line a number, in PyTorch on the CPU."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SAMPLES = 200_000


def deviation_after_dropout() -> float:
    """Return the deviation of what a batch norm makes in evaluation, with dropout of 0.5 before it in training.

    The numbers are of a relu of normal ones; the running statistics are those of training.
    """
    torch.manual_seed(0)
    x = torch.relu(torch.randn(SAMPLES, 1, dtype=torch.float64))
    norm = nn.BatchNorm1d(1, momentum=1.0, affine=False).double()
    norm(F.dropout(x, 0.5))
    return float(norm.eval()(x).std())


def kept(run: Callable[[Tensor], Tensor], x: Tensor) -> int:
    """Return the bytes that autograd keeps for the backward pass of a function, each storage once."""
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = run(x.requires_grad_())
    y.sum().backward()
    return sum(storages.values())


def lrn_maps() -> float:
    """Return how many times its map a local response normalisation keeps."""
    x = torch.randn(1, 64, 32, 32)
    return kept(lambda x: F.local_response_norm(x, 5), x) / x.untyped_storage().nbytes()


def pooled_first(first: bool) -> int:
    """Return the bytes that a relu and a max pool keep, behind a map that nobody else keeps."""
    x = torch.randn(1, 64, 28, 28)
    if first:
        return kept(lambda x: torch.relu(F.max_pool2d(x * 1.0, 2)), x)
    return kept(lambda x: F.max_pool2d(torch.relu(x * 1.0), 2), x)


def bias_gradient() -> float:
    """Return the largest gradient of a bias before a batch norm, in float64, and a loss of about 1."""
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(8, 8, 3).double(), nn.BatchNorm2d(8).double()
    x = torch.randn(8, 8, 16, 16, dtype=torch.float64)
    y = norm(conv(x))
    (torch.tanh(y) * torch.randn_like(y)).sum().backward()
    assert conv.bias is not None
    assert conv.bias.grad is not None
    return float(conv.bias.grad.abs().max())


def losses_of_probabilities(classes: int = 1000) -> list[float]:
    """Return the least and the largest cross-entropy that probabilities can have, taken as logits."""
    sure = F.one_hot(torch.arange(2), classes).double()
    losses: list[float] = F.cross_entropy(sure, torch.tensor([0, 0]), reduction="none").tolist()
    return losses


def maps_kept(name: str) -> float:
    """Return how many maps a chain conv, bn, activation, conv keeps beside its input and weights."""
    x = torch.randn(4, 16, 64, 64)
    act = {"relu": nn.ReLU(True), "relu6": nn.ReLU6(True)}[name]
    chain = nn.Sequential(
        nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), act, nn.Conv2d(16, 16, 3, padding=1)
    )
    weights = sum(p.untyped_storage().nbytes() for p in chain.parameters())
    return round((kept(chain, x) - weights) / x.untyped_storage().nbytes()) - 1


def main() -> None:
    """Print the numbers."""
    least, most = losses_of_probabilities()
    rows = [
        ("dropout_before_bn", "deviation in evaluation, dropout 0.5", f"{deviation_after_dropout():.2f}"),
        ("lrn_used", "maps kept", f"{lrn_maps():.2f}"),
        ("relu_before_maxpool", "bytes kept, relu first", f"{pooled_first(False):,}"),
        ("relu_before_maxpool", "bytes kept, pool first", f"{pooled_first(True):,}"),
        ("bias_before_norm", "largest gradient of the bias", f"{bias_gradient():.0e}"),
        ("softmax_at_output", "cross-entropy of probabilities, 1000 classes", f"{least:.2f} to {most:.2f}"),
        ("activation_keeps_input", "maps kept with relu", f"{maps_kept('relu'):g}"),
        ("activation_keeps_input", "maps kept with relu6", f"{maps_kept('relu6'):g}"),
    ]
    for rule, what, number in rows:
        print(f"{rule:24} {what:46} {number}")


if __name__ == "__main__":
    main()
