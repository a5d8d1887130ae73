"""Running emitted source. torch is imported here, and only here."""

from __future__ import annotations

import linecache
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import TYPE_CHECKING, Any

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.network import Network

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from netdsl.backend import Array


def build(text: str, net: Network) -> nn.Module:
    """Return the module that the source's factory makes. Tracebacks show the emitted lines."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        help = 'pip install "netdsl[torch]"'
        raise NetError([Diagnostic("E509", "building a module needs torch", help=help)]) from None
    name = f"<netdsl {net.name}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    module = ModuleType(net.name)
    exec(compile(text, name, "exec", dont_inherit=True), module.__dict__)
    factory: Any = module.__dict__[net.name]
    built: nn.Module = factory()
    return built


class Runner:
    """A built module under measurement, on the processor. See netdsl.backend.Runner."""

    def __init__(self, text: str, net: Network, dtype: str) -> None:
        """Build it in a dtype; dropout does nothing, and everything else is as it was emitted."""
        module = build(text, net)
        import torch  # `build` has said so if it is missing

        self.text = text
        self.net = net
        self.dtype: torch.dtype = getattr(torch, dtype)
        self.module = without_dropout(module.to(self.dtype))

    def state(self) -> Mapping[str, tuple[tuple[int, ...], str]]:
        """Return shape and dtype by key."""
        state = self.module.state_dict()
        return {key: (tuple(t.shape), str(t.dtype).removeprefix("torch.")) for key, t in state.items()}

    def load(self, state: Mapping[str, Array]) -> None:
        """Replace all weights and buffers."""
        import torch

        self.module.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})

    def evaluate(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return the outputs by name."""
        import torch

        with torch.no_grad():
            return arrays(by_name(self.module.eval()(*self._tensors(inputs)), next(iter(self.net.outputs))))

    def train(
        self, inputs: Mapping[str, Array], weights: Mapping[str, Array]
    ) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        """Return the outputs of a step of training, and the gradients of sum(weights * outputs)."""
        import torch

        leaves = [x.requires_grad_() for x in self._tensors(inputs)]
        with exact(self.dtype):
            outputs = by_name(self.module.train()(*leaves), next(iter(self.net.outputs)))
        terms = [(torch.from_numpy(weights[name]) * output).sum() for name, output in outputs.items()]
        learned: dict[str, Tensor] = dict(self.module.named_parameters())
        learned |= {f"input {name}": leaf for name, leaf in zip(self.net.inputs, leaves, strict=True)}
        found = torch.autograd.grad(terms, list(learned.values()), materialize_grads=True, allow_unused=True)
        return arrays(outputs), arrays(dict(zip(learned, found, strict=True)))

    def read(self) -> Mapping[str, Array]:
        """Return all weights and buffers by key."""
        return {key: tensor.numpy(force=True).copy() for key, tensor in self.module.state_dict().items()}

    def shapes(self, inputs: Mapping[str, Array]) -> Mapping[str, tuple[tuple[int, ...], ...]]:
        """Return what every module returned in training, by path, without the batch; nothing is computed.

        A module that is called again is `path_1`, and so on, as the net's own names are.
        """
        module, x = self._abstract(inputs)
        shapes: dict[str, tuple[tuple[int, ...], ...]] = {}
        calls: Counter[str] = Counter()

        def note(path: str) -> Callable[[nn.Module, Any, Any], None]:
            def hook(module: nn.Module, args: Any, output: Any) -> None:
                step = f"{path}_{calls[path]}" if calls[path] else path
                calls[path] += 1
                shapes[step] = tuple(tuple(t.shape[1:]) for t in returned(output))

            return hook

        for path, inner in module.named_modules():
            if path:
                inner.register_forward_hook(note(path))
        module.train()(*x)
        return shapes

    def macs(self, inputs: Mapping[str, Array]) -> int:
        """Return half of what FlopCounterMode counts for one evaluation; nothing is computed."""
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        module, x = self._abstract(inputs)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module.eval()(*x)
        flops: int = counter.get_total_flops()
        return flops // 2

    def _tensors(self, inputs: Mapping[str, Array]) -> list[Tensor]:
        """Return the inputs as torch's, in the net's order."""
        import torch

        return [torch.from_numpy(inputs[name]).to(self.dtype) for name in self.net.inputs]

    def _abstract(self, inputs: Mapping[str, Array]) -> tuple[nn.Module, list[Tensor]]:
        """Return module and inputs as shapes without numbers."""
        import torch

        with torch.device("meta"):
            module = build(self.text, self.net).to(self.dtype)
            x = [torch.empty(inputs[name].shape, dtype=self.dtype) for name in self.net.inputs]
        return module, x


def arrays(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    """Return tensors as numpy's."""
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def exact(dtype: torch.dtype) -> AbstractContextManager[object]:
    """Return a context in which float64 gradients are that: torch's of hardsigmoid has a sixth in float32.

    Its own of celu has 1 / alpha so.
    """
    import torch
    from torch.nn import functional as F
    from torch.overrides import TorchFunctionMode

    class Exact(TorchFunctionMode):
        def __torch_function__(
            self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
        ) -> Any:
            if function is F.hardsigmoid:
                return F.relu6(args[0] + 3) / 6
            if function is F.celu:
                x, alpha = args[0], kwargs["alpha"]  # which torch hands on by its name
                return x.clamp(min=0) + alpha * torch.expm1(x.clamp(max=0) / alpha)
            return function(*args, **(kwargs or {}))

    return Exact() if dtype == torch.float64 else nullcontext()


def without_dropout(module: nn.Module) -> nn.Module:
    """Return the module with dropout that does nothing in training, and nothing else that is drawn."""
    from torch import nn

    layers: Any = module.modules()
    for layer in layers:
        if isinstance(layer, nn.MultiheadAttention):
            layer.dropout = 0.0
        elif type(layer).__name__ in ("Dropout", "DropPath"):  # DropPath is the emitted module's own
            layer.p = 0.0
        elif isinstance(layer, nn.RReLU):
            layer.lower = layer.upper = (layer.lower + layer.upper) / 2
    return module


def returned(output: Any) -> tuple[Tensor, ...]:
    """Return what a module returned, one or several."""
    from torch import Tensor

    return (output,) if isinstance(output, Tensor) else tuple(t for t in output if t is not None)


def by_name(output: Any, result: str = "out") -> dict[str, Tensor]:
    """Return a net's outputs by name, the `result` alone or a NamedTuple, whose None are there in training only."""
    from torch import Tensor

    if isinstance(output, Tensor):
        return {result: output}
    return {name: tensor for name, tensor in output._asdict().items() if tensor is not None}
