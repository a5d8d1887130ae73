"""What the options of emission need that torch has not, by name, for the top of a file that uses them."""

EXTRAS = {
    "note_map": '''\
def note_map(features: list[Tensor], x: Tensor) -> None:
    """Append a map, in the place of one of the same size."""
    if features and features[-1].shape[2:] == x.shape[2:]:
        features.pop()
    features.append(x)
''',
    "same_buffers": '''\
@contextmanager
def same_buffers(block: nn.Module) -> Iterator[None]:
    """Give a block's buffers back what they held: they have moved when it was computed first."""
    before = [buffer.clone() for buffer in block.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(block.buffers(), before, strict=True):
                buffer.copy_(value)
''',
    "recomputed": '''\
def recomputed(block: nn.Module, *inputs: Tensor | list[Tensor]) -> Any:  # noqa: ANN401
    """Apply a block; in training it keeps only its inputs, and is computed again for gradients."""
    if not block.training or not torch.is_grad_enabled():
        return block(*inputs)
    if torch.compiler.is_compiling():
        # Compilers move the buffers once, and take no contexts. Dynamo's backend "eager", which is
        # for finding faults, is none: it moves them twice, and draws other numbers for dropout.
        return checkpoint(block, *inputs, use_reentrant=False)

    def contexts() -> tuple[nullcontext[None], AbstractContextManager[None]]:
        return nullcontext(), same_buffers(block)

    return checkpoint(block, *inputs, use_reentrant=False, context_fn=contexts)
''',
    "Recomputed": '''\
class Recomputed(nn.Sequential):
    """A chain whose blocks keep only their inputs in training."""

    def forward(self, x: Tensor) -> Tensor:
        for layer in self:
            plain = type(layer).__module__.startswith("torch.")
            x = layer(x) if plain else recomputed(layer, x)
        return x
''',
    "FeatureMaps": '''\
class FeatureMaps(nn.Module):
    """A net that returns its maps too, for a net on top."""

    FEATURE_INPUTS: tuple[tuple[int, ...], ...]
    forward_features: Callable[..., list[Tensor]]
    __jit_unused_properties__ = ("FEATURE_CHANNELS", "FEATURE_STRIDES")

    @property
    def FEATURE_CHANNELS(self) -> list[int]:
        """The channels of each map."""
        return [y.shape[1] for y in self._maps()]

    @property
    def FEATURE_STRIDES(self) -> list[float]:
        """How many pixels further in the input each pixel of a map stands, along a side."""
        more, sizes = 40320, [y.shape[2] for y in self._maps()]  # which most strides divide
        try:
            wide = zip(self._maps(more), sizes, strict=True)
            grown = [y.shape[2] - size for y, size in wide]
        except (AssertionError, RuntimeError, ValueError):  # it has these maps at one size alone
            more, grown = self.FEATURE_INPUTS[0][1], sizes
        strides = [more / max(n, 1) for n in grown]
        return [round(stride) if stride >= 1 else stride for stride in strides]

    def _maps(self, more: int = 0) -> list[Tensor]:
        """Return maps without numbers, for inputs with so many more pixels along a side."""
        tensors = (*self.parameters(), *self.buffers())
        bare = {id(t): torch.empty_like(t, device="meta") for t in tensors}
        shapes = [(1, c, *(side + more for side in sides)) for c, *sides in self.FEATURE_INPUTS]
        dtype = next((t.dtype for t in tensors), None)
        inputs = [torch.empty(shape, dtype=dtype, device="meta") for shape in shapes]
        with torch.no_grad():
            return deepcopy(self, bare).eval().forward_features(*inputs)
''',
}
"""Classes and functions; each may use those above it."""
