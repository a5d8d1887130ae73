"""What users hold: a net, with what is done with it as methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from netdsl.elaborate.build import Recipe
from netdsl.net import Net

if TYPE_CHECKING:
    from netdsl.fit import Fit
    from netdsl.lint import Finding
    from netdsl.split import Split
    from netdsl.transforms.towers import Towers

__all__ = ["Network", "Recipe"]


class Network(Net):
    """A net with its facts, and what is done with it. Each method is a function elsewhere, imported when called."""

    def __repr__(self) -> str:
        """Return five lines: what it is, its shapes, weights, work and memory, and what is known about it."""
        from netdsl.picture import summary

        return "\n".join(summary.lines(self))

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the lines, the costs by block, and the graph with its blocks folded."""
        from netdsl.picture import summary

        return summary.html(self)

    def lint(
        self,
        select: str | Iterable[str] = (),
        ignore: str | Iterable[str] = (),
        batch: int | None = None,
        micro_batches: int = 1,
    ) -> list[Finding]:
        """Return what the rules of `netdsl lint` find in this net; `print(finding)` shows one as the command does.

        Args:
            select: Codes, beginnings of codes, or names of rules, `audit` or `ALL`; nothing is all but audit's.
            ignore: The same, of those that are left out.
            batch: The number of samples of a step of training, for rules that are about one.
            micro_batches: Into how many it is divided.

        Raises:
            NetError: There is no rule of such a name, or the batch is no int, or not so many micro-batches.
        """
        from netdsl.lint import lint

        return lint(self, select, ignore, batch, micro_batches)

    def fit(self, vary: str, target: str) -> Fit[Self]:
        """Return what a parameter has to be for a target: `net.fit("unit.base", "macs=4.1G").net`; see `netdsl.fit`.

        Raises:
            NetError: One of the two means nothing, or no value meets the target.
        """
        from netdsl.fit import fit

        return fit(self, vary, target)

    def split(
        self,
        parts: int,
        *,
        batch: int = 1,
        micro_batches: int | None = None,
        schedule: str = "1f1b",
        dtype: str = "float32",
        train: bool = False,
        optimizer: str = "sgd",
        memory: int | None = None,
        device: str = "",
    ) -> Split:
        """Return the net in parts for a pipeline, of which the slowest is as fast as can be; see `netdsl.split`.

        Args:
            parts: How many.
            batch: The number of samples of a step.
            micro_batches: Into how many it is divided; the most up to four times the parts, if nothing is said.
            schedule: How they go through, 1f1b or gpipe.
            dtype: That of all tensors.
            train: Whether it is trained: then a part does the MACs of both directions.
            optimizer: sgd, momentum, adam or adamw, for training.
            memory: The most bytes that a part may hold.
            device: A device, by name or file, whose times are balanced instead of MACs.

        Raises:
            NetError: An option has no meaning, the net has fewer places, or no plan fits.
        """
        from netdsl import hardware
        from netdsl.split import Options, micro_batches_of, split

        number = micro_batches_of(batch, parts) if micro_batches is None else micro_batches
        options = Options(batch, number, schedule, dtype, train, optimizer, memory, device)
        return split(self, parts, options, hardware.find(device) if device else None)

    def emit(self, backend: str = "torch") -> str:
        """Return the source of a module for a backend; raise NetError if there is none of that name.

        Neither the backend's framework nor anything else than netdsl is needed for it.
        """
        from netdsl.backend import emit

        return emit(self, backend)

    def towers(self, devices: int = 2) -> Towers:
        """Return the net on some devices, each of which makes its share of the channels of every layer.

        That is how AlexNet was trained; see `netdsl.transforms.towers`. A layer that cannot be divided every device
        has whole.

        Raises:
            NetError: There are no such devices, or nothing can be shared, or not so.
        """
        from netdsl.transforms.towers import towers

        return towers(self, devices)

    def build(self, backend: str = "torch", weights: Mapping[str, Any] | None = None) -> Any:
        """Return the module itself, with initial weights or with those given.

        Args:
            backend: For which framework.
            weights: Arrays in that backend's own names, flat; they are copied, and take the module's dtypes.

        Raises:
            NetError: The framework is missing, or the weights do not fit.
        """
        from netdsl.backend import build
        from netdsl.weights.convert import build_with

        return build(self, backend) if weights is None else build_with(self, backend, weights)

    def onnx(self, backend: str = "torch", weights: Mapping[str, Any] | None = None) -> bytes:
        """Return the net as a file of ONNX: what its module does in evaluation, for any batch.

        Args:
            backend: Whose module it is: "torch", or "torch:deploy", the form for inference.
            weights: Arrays in that backend's own names, flat, or in those of "torch"; None: random ones.

        Raises:
            NetError: The framework or its exporter is missing, or refuses the module; or the weights do not fit, or
                are more than a file of ONNX holds.
        """
        from netdsl.export import export
        from netdsl.weights.convert import Held

        held = None if weights is None else {key: Held(key, value) for key, value in weights.items()}
        return export(self, backend, held).file
