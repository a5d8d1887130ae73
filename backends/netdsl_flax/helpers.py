"""What Flax has not, or has with other numbers than torch: for the top of a file that uses it."""

from __future__ import annotations

HELPERS = {
    "child_at": '''\
def child_at(module: Any, path: str) -> Any:
    """Return a child of children by its path."""
    for part in path.split("."):
        module = getattr(module, part)
    return module
''',
    "add_child": '''\
def add_child(module: Any, path: str, child: Any) -> None:
    """Add a child of children by its path, and what mappings on the way there are not yet."""
    *parts, last = path.split(".")
    for part in parts:
        if not hasattr(module, part):
            setattr(module, part, nnx.Dict())
        module = getattr(module, part)
        if type(module) is not nnx.Dict:
            raise ValueError(f"{part} of {path} is a module already")
    if hasattr(module, last):
        raise ValueError(f"two modules are called {path}")
    setattr(module, last, child)
''',
    "check_size": '''\
def check_size(size: int, takes: int, name: str, what: str) -> None:
    """Raise an error where a size does not fit."""
    if size != takes:
        raise ValueError(f"{name} takes {takes} {what}: resize the input")
''',
    "check_condition": '''\
def check_condition(holds: bool, takes: bool, what: str) -> None:
    """Raise an error where sizes would make another net."""
    if holds != takes:
        raise ValueError(f"{what} is {takes} here: resize the input")
''',
    "check_same_size": '''\
def check_same_size(maps: Sequence[Array]) -> None:
    """Raise an error where joined maps differ in size, but for 1x1."""
    for i, x in enumerate(maps):
        for y in maps[:i]:
            (h, w), (rows, columns) = y.shape[1:3], x.shape[1:3]
            if (h, w) != (rows, columns) and 1 not in (h * w, rows * columns):
                sizes = f"{h}x{w} and {rows}x{columns}"
                raise ValueError(f"maps of {sizes} cannot be joined: resize the input")
''',
    "of_same_size": '''\
def of_same_size(x: Array, like: Array) -> Array:
    """Return a map that is joined with another, whose size it must have."""
    check_same_size([like, x])
    return x
''',
    "LayerOptions": '''\
class LayerOptions(TypedDict, total=False):
    """What layers take: the dtypes to compute and to store in, the precision of products."""

    dtype: DTypeLike | None
    param_dtype: DTypeLike
    precision: PrecisionLike
''',
    "make_norm": '''\
def make_norm(
    make: Callable[..., Callable[[Array], Array]],
    *sizes: int,
    precision: PrecisionLike = None,
    **options: Any,
) -> Callable[[Array], Array]:
    """Return a norm: it has no products, and takes no precision."""
    return make(*sizes, **options)
''',
    "uniform_between": '''\
def uniform_between(low: float, high: float) -> nnx.Initializer:
    """Return an initializer that draws uniformly from low to high."""

    def init(key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, low, high)

    return init
''',
    "uniform_by_fan_in": '''\
def uniform_by_fan_in(fan_in: int) -> nnx.Initializer:
    """Return torch's initializer of a bias: uniform within 1 / sqrt(fan_in)."""
    return uniform_between(-(fan_in**-0.5), fan_in**-0.5)
''',
    "normal_around": '''\
def normal_around(mean: float, stddev: float) -> nnx.Initializer:
    """Return an initializer that draws from a normal distribution with that mean."""

    def init(key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
        return mean + stddev * jax.random.normal(key, shape, dtype)

    return init
''',
    "normal_cut_at_two": '''\
def normal_cut_at_two(stddev: float) -> nnx.Initializer:
    """Return torch's initializer of normal numbers from -2 to 2."""
    cut = min(2 / stddev, 6.0)  # in deviations, beyond six of which no float32 is drawn
    return nnx.initializers.truncated_normal(stddev, lower=-cut, upper=cut)
''',
    "learned": '''\
def learned(
    init: nnx.Initializer, *shape: int, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
) -> nnx.Param[Array]:
    """Return a learned tensor, which remembers the dtype to compute in."""
    value = init(rngs.params(), shape, options.get("param_dtype", jnp.float32))
    return nnx.Param(value, compute_dtype=options.get("dtype"))
''',
    "value_of": '''\
def value_of(tensor: nnx.Param[Array]) -> Array:
    """Return a learned tensor in the dtype to compute in."""
    dtype: DTypeLike | None = tensor.compute_dtype
    return tensor[...] if dtype is None else tensor[...].astype(dtype)
''',
    "kept_tensor": '''\
def kept_tensor(
    init: nnx.Initializer, *shape: int, rngs: nnx.Rngs, **options: Unpack[LayerOptions]
) -> nnx.BatchStat[Array]:
    """Return a tensor that is not learned, which remembers the dtype to compute in."""
    value = init(rngs.params(), shape, options.get("param_dtype", jnp.float32))
    return nnx.BatchStat(value, compute_dtype=options.get("dtype"))
''',
    "kept_value": '''\
def kept_value(tensor: nnx.BatchStat[Array]) -> Array:
    """Return a tensor that is not learned, in the dtype to compute in but for whole numbers."""
    dtype: DTypeLike | None = tensor.compute_dtype
    whole = jnp.issubdtype(tensor[...].dtype, jnp.integer)
    return tensor[...] if dtype is None or whole else tensor[...].astype(dtype)
''',
    "relative_positions": '''\
def relative_positions(rows: int, columns: int) -> nnx.Initializer:
    """Return an initializer for pairs of places: which row of a table is their step."""

    def init(key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
        i, j = jnp.arange(rows), jnp.arange(columns)
        down, across = i[:, None] - i + rows - 1, j[:, None] - j + columns - 1
        return (down[:, None, :, None] * (2 * columns - 1) + across[:, None, :]).reshape(shape)

    return init
''',
    "KeysWithoutBias": '''\
class KeysWithoutBias(nnx.Linear):
    """Queries, keys and values by one linear layer; the keys' bias counts as zero."""

    def __call__(self, inputs: Array, out_sharding: Any = None) -> Array:
        y: Array = super().__call__(inputs, out_sharding)
        assert self.bias is not None
        bias = self.bias[...].astype(y.dtype)
        keys = jnp.arange(self.out_features) // self.in_features == 1
        return y - jnp.where(keys, bias, 0)
''',
    "relative_coords": '''\
def relative_coords(key: Array, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
    """Return how far places lie from the middle, from -8 to 8 and on a log scale."""
    reach = [(size - 1) // 2 for size in shape[-3:-1]]
    axes = [jnp.arange(-n, n + 1) / max(n, 1) * 8 for n in reach]
    steps = jnp.stack(jnp.meshgrid(*axes, indexing="ij"), -1)
    return (jnp.sign(steps) * jnp.log2(jnp.abs(steps) + 1) / 3).reshape(shape).astype(dtype)
''',
    "LearnedRelu": '''\
class LearnedRelu(nnx.Module):
    """A relu that leaks by a learned slope, one for all channels or one for each."""

    def __init__(
        self,
        init: nnx.Initializer,
        number: int = 1,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.negative_slope = learned(init, number, rngs=rngs, **options)

    def __call__(self, x: Array) -> Array:
        return jnp.where(x > 0, x, value_of(self.negative_slope) * x)
''',
    "RandomLeakyRelu": '''\
class RandomLeakyRelu(nnx.Module):
    """A relu that leaks by a slope that each number draws in training; in evaluation by the mean slope."""

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, *, rngs: nnx.Rngs) -> None:
        self.lower, self.upper = lower, upper
        self.deterministic = False
        self.rngs = rngs.dropout.fork()

    def __call__(self, x: Array) -> Array:
        slope: float | Array = (self.lower + self.upper) / 2
        if not self.deterministic and self.lower < self.upper:
            slope = jax.random.uniform(self.rngs(), x.shape, x.dtype, self.lower, self.upper)
        return jnp.where(x > 0, x, slope * x)
''',
    "UnbiasedBatchNorm": '''\
class UnbiasedBatchNorm(nnx.BatchNorm):
    """Batch normalization that keeps the unbiased running variance, as torch does."""

    def __call__(self, x: Array, use_running_average: bool | None = None, **kwargs: Any) -> Array:
        if use_running_average is None:
            use_running_average = self.use_running_average
        kept = self.momentum * self.var[...]
        y: Array = super().__call__(x, use_running_average, **kwargs)
        if not use_running_average:
            n = x.size // x.shape[-1]
            if n == 1:
                raise ValueError("a batch norm in training needs more than one value a channel")
            self.var[...] = kept + (self.var[...] - kept) * (n / (n - 1))
        return y
''',
    "InstanceNormOfMaps": '''\
class InstanceNormOfMaps(nnx.InstanceNorm):
    """Instance normalization that refuses a map of one pixel, as torch does."""

    def __call__(self, x: Array, **kwargs: Any) -> Array:
        if x.shape[1] * x.shape[2] == 1:
            raise ValueError("an instance norm needs more than one value a channel")
        y: Array = super().__call__(x, **kwargs)
        return y
''',
    "standardized_conv": '''\
def standardized_conv(
    x: Array, kernel: Array, *args: Any, eps: float = 1e-6, **options: Any
) -> Array:
    """Convolve with a kernel that has mean 0 and variance 1 for each output channel."""
    if kernel.size == kernel.shape[-1]:
        raise ValueError("an output channel has one weight, which has no variance")
    deviation = jnp.sqrt(kernel.var((0, 1, 2)) + eps)
    kernel = (kernel - kernel.mean((0, 1, 2))) / deviation
    return lax.conv_general_dilated(x, kernel, *args, **options)
''',
    "ConvThatFits": '''\
class ConvThatFits(nnx.Conv):
    """A convolution that says so where its kernel is larger than the map."""

    def __call__(self, inputs: Array, out_sharding: Any = None) -> Array:
        y: Array = super().__call__(inputs, out_sharding)
        if 0 in y.shape[1:3]:
            raise ValueError(f"no {self.kernel_size} kernel fits into a map of {inputs.shape[1:3]}")
        return y
''',
    "MixingLinear": '''\
class MixingLinear(nnx.Linear):
    """A linear layer along the tokens, which makes others of them."""

    def __call__(self, inputs: Array, out_sharding: Any = None) -> Array:
        y: Array = super().__call__(inputs.swapaxes(1, 2), out_sharding)
        return y.swapaxes(1, 2)
''',
    "GroupedTranspose": '''\
class GroupedTranspose(nnx.ConvTranspose):
    """A transposed convolution in groups; the kernel is h x w x out / groups x in."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: tuple[int, int],
        groups: int,
        **options: Any,
    ) -> None:
        super().__init__(in_features, out_features // groups, kernel_size, **options)
        self.groups = groups
        if self.bias is not None:
            init = options.get("bias_init", nnx.initializers.zeros)
            dtype = options.get("param_dtype", jnp.float32)
            self.bias = nnx.Param(init(options["rngs"].params(), (out_features,), dtype))

    def __call__(self, x: Array) -> Array:
        bias = None if self.bias is None else self.bias[...]
        x, kernel, bias = self.promote_dtype((x, self.kernel[...], bias), dtype=self.dtype)
        h, w, out, c = kernel.shape
        kernel = kernel[::-1, ::-1].reshape(h, w, out, self.groups, c // self.groups)
        spread: dict[str, Any] = {
            "padding": self.padding,
            "lhs_dilation": self.strides,
            "rhs_dilation": self.kernel_dilation,
        }
        y = lax.conv_general_dilated(
            x,
            kernel.transpose(0, 1, 4, 3, 2).reshape(h, w, c // self.groups, -1),
            window_strides=(1, 1),
            **spread,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=self.groups,
            precision=self.precision,
        )
        return y if bias is None else y + bias
''',
    "attend": '''\
def attend(
    query: Array, key: Array, value: Array, precision: PrecisionLike = None, **kwargs: Any
) -> Array:
    """Attend in the dtype of the values, where nnx's own function goes through float32."""
    weights = dot_product_attention_weights(query, key, precision=precision, **kwargs)
    return jnp.einsum("...hqk,...khd->...qhd", weights, value, precision=precision)
''',
    "NamedSequential": '''\
class NamedSequential(nnx.Module):
    """Layers one after the other, each under its name."""

    def __init__(self, layers: Iterable[tuple[str, Callable[[Array], Array]]]) -> None:
        named = dict(layers)
        self._order = tuple(named)
        for name, layer in named.items():
            setattr(self, name, layer)

    def __call__(self, x: Array) -> Array:
        for name in self._order:
            x = getattr(self, name)(x)
        return x
''',
    "Stacked": '''\
class Stacked(nnx.Module):
    """Equal layers one after the other, their weights stacked: compiled once and run in a loop."""

    def __init__(
        self,
        count: int,
        make: Callable[..., nnx.Module],
        *,
        rngs: nnx.Rngs,
        **options: Unpack[LayerOptions],
    ) -> None:
        @nnx.split_rngs(splits=count)
        @nnx.vmap
        def create(rngs: nnx.Rngs) -> nnx.Module:
            return make(rngs=rngs, **options)

        self.layer = create(rngs)

    def __call__(self, x: Array) -> Array:
        @nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
        def run(layer: Callable[[Array], Array], x: Array) -> Array:
            return layer(x)

        y: Array = run(self.layer, x)
        return y
''',
    "max_pool2d": '''\
def max_pool2d(
    x: Array,
    window_shape: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: str | Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
) -> Array:
    """Return the largest value in every window of a map; there must be one."""
    pool: Callable[..., Array] = nnx.max_pool  # which has no types
    y = pool(x, window_shape, strides, padding)
    if 0 in y.shape[1:3]:
        raise ValueError(f"no window of {window_shape} fits into a map of {x.shape[1:3]}")
    return y
''',
    "avg_pool2d": '''\
def avg_pool2d(
    x: Array,
    window_shape: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: str | Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
    count_include_pad: bool = True,
) -> Array:
    """Return the mean of every window of a map; there must be one."""
    pool: Callable[..., Array] = nnx.avg_pool  # which has no types
    y = pool(x, window_shape, strides, padding, count_include_pad)
    if 0 in y.shape[1:3]:
        raise ValueError(f"no window of {window_shape} fits into a map of {x.shape[1:3]}")
    return y.astype(x.dtype)  # which division by counts loses
''',
    "ceil_padding": '''\
def ceil_padding(
    x: Array,
    window_shape: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
) -> list[tuple[int, int]]:
    """Return the padding with the last windows whole, which start before the padding there."""
    reaching = []
    for n, k, s, (lo, hi) in zip(x.shape[1:3], window_shape, strides, padding, strict=True):
        steps = min(-((n + lo + hi - k) // -s), (n + lo - 1) // s)
        reaching.append((lo, max(hi, steps * s + k - n - lo)))
    return reaching
''',
    "ceil_max_pool2d": '''\
def ceil_max_pool2d(
    x: Array,
    window_shape: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
) -> Array:
    """Return the largest value in every window of a map; the last may reach over the edge."""
    reaching = ceil_padding(x, window_shape, strides, padding)
    return max_pool2d(x, window_shape, strides, reaching)
''',
    "dilated_max_pool2d": '''\
def dilated_max_pool2d(
    x: Array,
    window_shape: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: str | Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
    dilation: tuple[int, int] = (1, 1),
    ceil_mode: bool = False,
) -> Array:
    """Return the largest value in every window of pixels apart; XLA's has no gradient."""
    covered = [d * (k - 1) + 1 for d, k in zip(dilation, window_shape, strict=True)]
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], covered, strides, padding)
    elif ceil_mode:
        padding = ceil_padding(x, covered, strides, padding)
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)), constant_values=-jnp.inf)
    h, w = x.shape[1] - covered[0] + 1, x.shape[2] - covered[1] + 1
    if min(h, w) < 1:
        raise ValueError(f"no window of {window_shape}, {dilation} apart, fits into a map")
    places = [
        x[:, i : i + h : strides[0], j : j + w : strides[1]]
        for i in range(0, covered[0], dilation[0])
        for j in range(0, covered[1], dilation[1])
    ]
    y = places[0]
    for place in places[1:]:
        y = jnp.maximum(y, place)
    return y
''',
    "ceil_avg_pool2d": '''\
def ceil_avg_pool2d(
    x: Array,
    window_shape: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
    count_include_pad: bool = True,
) -> Array:
    """Return the mean of every window of a map; what lies beyond its padding never counts."""
    reaching = ceil_padding(x, window_shape, strides, padding)
    if count_include_pad:
        x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
        reaching = [(0, hi - given) for (_, hi), (_, given) in zip(reaching, padding, strict=True)]
    return avg_pool2d(x, window_shape, strides, reaching, count_include_pad=False)
''',
    "max_pool2d_by_mode": '''\
def max_pool2d_by_mode(
    x: Array,
    window_shape: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
    ceil_mode: bool = False,
) -> Array:
    """Return the largest value in every window, in ceil mode of those over the edge too."""
    pool = ceil_max_pool2d if ceil_mode else max_pool2d
    return pool(x, window_shape, strides, padding)
''',
    "avg_pool2d_by_mode": '''\
def avg_pool2d_by_mode(
    x: Array,
    window_shape: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
    count_include_pad: bool = True,
    ceil_mode: bool = False,
) -> Array:
    """Return the mean of every window, in ceil mode of those over the edge too."""
    pool = ceil_avg_pool2d if ceil_mode else avg_pool2d
    return pool(x, window_shape, strides, padding, count_include_pad)
''',
    "max_along": '''\
def max_along(x: Array, axis: int | tuple[int, ...], keepdims: bool = False) -> Array:
    """Return the largest values of a map along axes; the gradient of `jnp.max` can be 0 / 0."""
    if 0 in x.shape[1:3]:
        raise ValueError("the input is too small: no pixel of it is left")
    axes = (axis,) if isinstance(axis, int) else axis
    pool: Callable[..., Array] = nnx.max_pool  # which has no types
    y = pool(x, tuple(x.shape[a] if a in axes else 1 for a in (1, 2)))
    return y if keepdims else y.squeeze(axes)
''',
    "mean_along": '''\
def mean_along(x: Array, axis: tuple[int, ...], keepdims: bool = False) -> Array:
    """Return the mean along axes, of which each must have a place."""
    if 0 in x.shape[1:]:
        raise ValueError("the input is too small: nothing of it is left")
    return x.mean(axis, keepdims=keepdims)
''',
    "amax_along": '''\
def amax_along(x: Array, axis: tuple[int, ...], keepdims: bool = False) -> Array:
    """Return the largest values along axes; the gradient of `jnp.max` can be 0 / 0."""
    for one in axis:
        x = jnp.take_along_axis(x, x.argmax(one, keepdims=True), one)
    return x if keepdims else x.squeeze(axis)
''',
    "adaptive_pool2d": '''\
def adaptive_pool2d(x: Array, size: tuple[int, int], reduce: Callable[..., Array]) -> Array:
    """Reduce a map to a size; window i of m covers floor(i n / m) to ceil((i + 1) n / m)."""
    for axis, m in zip((1, 2), size, strict=True):
        n = x.shape[axis]
        bounds = [(i * n // m, -((i + 1) * n // -m)) for i in range(m)]
        windows = [lax.slice_in_dim(x, start, stop, axis=axis) for start, stop in bounds]
        x = jnp.concatenate([reduce(y, axis=axis, keepdims=True) for y in windows], axis=axis)
    return x
''',
    "blur_pool2d": '''\
def blur_pool2d(x: Array, size: int = 3, stride: int = 2) -> Array:
    """Slide a binomial filter over a map that is reflected at its edges."""
    pad, channels = (stride + size) // 2 - 1, x.shape[-1]
    if min(x.shape[1:3]) <= pad or min(x.shape[1:3]) + 2 * pad < size:
        raise ValueError(f"no filter of {size}, moved by {stride}, fits a map of {x.shape[1:3]}")
    row = jnp.array([math.comb(size - 1, i) / 2 ** (size - 1) for i in range(size)], x.dtype)
    kernel = jnp.broadcast_to((row[:, None] * row)[:, :, None, None], (size, size, 1, channels))
    return lax.conv_general_dilated(
        jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), "reflect"),
        kernel,
        window_strides=(stride, stride),
        padding="VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=channels,
    )
''',
    "global_avg_pool2d": '''\
def global_avg_pool2d(x: Array, keepdims: bool = False) -> Array:
    """Return the mean of every channel of a map; it must have a pixel."""
    if 0 in x.shape[1:3]:
        raise ValueError("the input is too small: no pixel of it is left")
    return x.mean((1, 2), keepdims=keepdims)
''',
    "hard_tanh": '''\
def hard_tanh(x: Array, low: float = -1.0, high: float = 1.0) -> Array:
    """Return what lies between two numbers, where alone there is a slope."""
    return jnp.where(x <= low, low, jnp.where(x >= high, high, x))
''',
    "replace_below": '''\
def replace_below(x: Array, limit: float, value: float) -> Array:
    """Return another number for what is not above a limit."""
    return jnp.where(x <= limit, value, x)
''',
    "linear_softplus": '''\
def linear_softplus(x: Array, beta: float = 1.0, limit: float = 20.0) -> Array:
    """Return log(1 + exp(beta x)) / beta, and x itself where beta x is above a limit, as torch does."""
    return jnp.where(x * beta > limit, x, nnx.softplus(x * beta) / beta)
''',
    "tanh_shrink": '''\
def tanh_shrink(x: Array) -> Array:
    """Return what tanh takes away."""
    return x - jnp.tanh(x)
''',
    "hard_shrink": '''\
def hard_shrink(x: Array, limit: float = 0.5) -> Array:
    """Return 0 for what is no further from it than a limit."""
    return jnp.where(jnp.abs(x) <= limit, 0.0, x)
''',
    "soft_shrink": '''\
def soft_shrink(x: Array, limit: float = 0.5) -> Array:
    """Return what is further from 0 than a limit, nearer by it."""
    return jnp.where(jnp.abs(x) <= limit, 0.0, x - limit * jnp.sign(x))
''',
    "local_response_norm": '''\
def local_response_norm(
    x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """Divide every value by a power of the mean square of neighbouring channels."""
    squares: Array = lax.reduce_window(
        x * x,
        0.0,
        lax.add,
        window_dimensions=(1, 1, 1, size),
        window_strides=(1, 1, 1, 1),
        padding=((0, 0), (0, 0), (0, 0), (size // 2, (size - 1) // 2)),
    )
    return x / (k + alpha / size * squares) ** beta
''',
    "grouped_local_response_norm": '''\
def grouped_local_response_norm(
    x: Array, size: int, groups: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """Divide every value by a power of the mean square of neighbouring channels of its group."""
    parts = [local_response_norm(part, size, alpha, beta, k) for part in jnp.split(x, groups, -1)]
    return jnp.concatenate(parts, -1)
''',
    "channel_shuffle": '''\
def channel_shuffle(x: Array, groups: int) -> Array:
    """Interleave the channels of the groups, so that the next groups see all of them."""
    return x.reshape(*x.shape[:-1], groups, -1).swapaxes(-1, -2).reshape(x.shape)
''',
    "repeat_for_batch": '''\
def repeat_for_batch(x: Array, batch: Array) -> Array:
    """Return a learned tensor once for every sample of a batch."""
    return jnp.broadcast_to(x, (batch.shape[0], *x.shape[1 - batch.ndim :]))
''',
    "pad_to_multiple": '''\
def pad_to_multiple(x: Array, size: tuple[int, int]) -> Array:
    """Return a map with zeros below and at the right to whole multiples of a size."""
    return jnp.pad(x, ((0, 0), (0, -x.shape[1] % size[0]), (0, -x.shape[2] % size[1]), (0, 0)))
''',
    "shift_within": '''\
def shift_within(x: Array, size: tuple[int, int], shift: tuple[int, int]) -> tuple[int, int]:
    """Return how far whole windows are moved along each axis: not at all where one covers it."""
    return min(shift[0], x.shape[1] - size[0]), min(shift[1], x.shape[2] - size[1])
''',
    "to_windows": '''\
def to_windows(
    x: Array,
    size: tuple[int, int],
    shift: tuple[int, int] = (0, 0),
    spread: bool = False,
    apart: bool = False,
) -> Array:
    """Return a map in windows of its places, which may lie spread over the map, or so far apart."""
    x = pad_to_multiple(x, size)
    down, across = shift_within(x, size, shift)
    x = jnp.roll(x, (-down, -across), (1, 2))
    (rows, columns), (n, h, w, c) = size, x.shape
    if apart:
        rows, columns = h // rows, w // columns
    if spread or apart:
        x = x.reshape(n, rows, h // rows, columns, w // columns, c).transpose(0, 2, 4, 1, 3, 5)
    else:
        x = x.reshape(n, h // rows, rows, w // columns, columns, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h // rows * (w // columns), rows * columns, c)
''',
    "from_windows": '''\
def from_windows(
    x: Array,
    like: Array,
    size: tuple[int, int],
    shift: tuple[int, int] = (0, 0),
    spread: bool = False,
    apart: bool = False,
) -> Array:
    """Return windows as the map that they are of, which is as high and wide as another."""
    (rows, columns), (n, h, w, _), c = size, like.shape, x.shape[-1]
    down, across = -(-h // rows), -(-w // columns)
    if apart:
        rows, columns, down, across = down, across, rows, columns
    x = x.reshape(n, down, across, rows, columns, c)
    x = x.transpose((0, 3, 1, 4, 2, 5) if spread or apart else (0, 1, 3, 2, 4, 5))
    x = x.reshape(n, down * rows, across * columns, c)
    x = jnp.roll(x, shift_within(x, size, shift), (1, 2))
    return x[:, :h, :w]
''',
    "window_mask": '''\
def window_mask(x: Array, size: tuple[int, int], shift: tuple[int, int] = (0, 0)) -> Array:
    """Return what is added to two places' score: -100 where a shift brought them together."""
    n, x = x.shape[0], pad_to_multiple(x[:1, ..., :1], size)
    (_, h, w, _), (down, across) = x.shape, shift_within(x, size, shift)
    side = 2 * (jnp.arange(h) >= h - down)[:, None] + (jnp.arange(w) >= w - across)
    side = to_windows(side[None, ..., None], size)[..., 0]
    mask = jnp.where(side[..., None] == side[..., None, :], 0, -100).astype(x.dtype)
    return jnp.broadcast_to(mask, (n, *mask.shape[1:]))
''',
    "attend_by_heads": '''\
def attend_by_heads(
    q: Array,
    k: Array,
    v: Array,
    heads: int,
    scale: float | None = None,
    by: Array | None = None,
    bias: Array | None = None,
    mask: Array | None = None,
) -> Array:
    """Scaled dot-product attention by heads; of cosines, where they are multiplied `by` numbers."""
    q, k, v = (x.reshape(*x.shape[:-1], heads, -1).swapaxes(-2, -3) for x in (q, k, v))
    if by is None:
        q = q * (q.shape[-1] ** -0.5 if scale is None else scale)
    else:
        q, k = (x / jnp.sqrt(jnp.maximum((x * x).sum(-1, keepdims=True), 1e-24)) for x in (q, k))
        q = q * jnp.moveaxis(by, -1, -3)
    scores = q @ k.swapaxes(-2, -1)
    if bias is not None:
        scores = scores + jnp.moveaxis(bias, -1, -3)
    if mask is not None:
        scores = scores + mask[..., None, :, :]
    x = (nnx.softmax(scores) @ v).swapaxes(-2, -3)
    return x.reshape(*x.shape[:-2], -1)
''',
    "relative_bias": '''\
def relative_bias(table: Array, index: Array, places: int, mapped: bool = False) -> Array:
    """Return what each head adds to two places' score, by a table with a row for each step."""
    if mapped:
        table = table.reshape(*table.shape[:-3], -1, table.shape[-1])
    index = index.astype(int)
    if index.ndim == 1:
        rows = table[..., index, :]
    else:  # another of each sample
        table = table if table.ndim > 2 else table[None]
        rows = jnp.take_along_axis(table, index[..., None], -2)
    return rows.reshape(*rows.shape[:-2], places, places, -1)
''',
    "crop_like": '''\
def crop_like(x: Array, like: Array) -> Array:
    """Return the middle of a map, as high and wide as another."""
    h, w = like.shape[-3:-1]
    if x.shape[-3] < h or x.shape[-2] < w:
        raise ValueError(f"a map of {x.shape[-3]}x{x.shape[-2]} cannot be cropped to {h}x{w}")
    top, left = (x.shape[-3] - h) // 2, (x.shape[-2] - w) // 2
    return x[..., top : top + h, left : left + w, :]
''',
    "split_by_sizes": '''\
def split_by_sizes(x: Array, sizes: Sequence[int]) -> list[Array]:
    """Return the channels in parts of some sizes."""
    ends = [sum(sizes[:i]) for i in range(1, len(sizes))]
    return jnp.split(x, ends, axis=-1)
''',
    "slice_along": '''\
def slice_along(x: Array, axis: int, begin: int, end: int | None = None, step: int = 1) -> Array:
    """Return what lies from one place of an axis to another or the end, or every so many of it."""
    size = x.shape[axis]
    stop = size if end is None else end
    if not begin < stop <= size:
        raise ValueError(f"nothing lies from {begin} to {stop} where there are {size}")
    return lax.slice_in_dim(x, begin, stop, step, axis)
''',
    "slice2d": '''\
def slice2d(
    x: Array,
    begin: tuple[int, int],
    end: tuple[int, int] | None = None,
    stride: tuple[int, int] = (1, 1),
) -> Array:
    """Return the pixels of a map from one on, to another or the end, or every so many of them."""
    for axis in (0, 1):
        stop = None if end is None else end[axis]
        x = slice_along(x, axis - 3, begin[axis], stop, stride[axis])
    return x
''',
    "shift2d": '''\
def shift2d(x: Array, by: tuple[int, int]) -> Array:
    """Move a map up and to the left, zeros coming in below and at the right."""
    rows, columns = by
    return jnp.pad(x[:, rows:, columns:], ((0, 0), (0, rows), (0, columns), (0, 0)))
''',
    "pad2d": '''\
def pad2d(
    x: Array,
    rows: tuple[int, int],
    columns: tuple[int, int],
    channels: tuple[int, int] = (0, 0),
    mode: str = "constant",
) -> Array:
    """Put rows, columns and channels around a map, which must have as many for some modes."""
    spare = {"reflect": 1, "wrap": 0}.get(mode)
    if spare is not None and (max(rows) + spare > x.shape[1] or max(columns) + spare > x.shape[2]):
        raise ValueError(f"a map of {x.shape[1:3]} is too small to be padded so: {rows}, {columns}")
    return jnp.pad(x, ((0, 0), rows, columns, channels), mode=mode)
''',
    "pad_channels": '''\
def pad_channels(x: Array, channels: tuple[int, int]) -> Array:
    """Put channels of zeros before and after those of a value."""
    return jnp.pad(x, (*((0, 0),) * (x.ndim - 1), channels))
''',
    "depth_to_space": '''\
def depth_to_space(x: Array, factor: int) -> Array:
    """Draw the channels of every pixel as a square of pixels, in torch's order."""
    n, h, w, c = x.shape
    x = x.reshape(n, h, w, c // factor**2, factor, factor).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(n, h * factor, w * factor, c // factor**2)
''',
    "space_to_depth": '''\
def space_to_depth(x: Array, factor: int) -> Array:
    """Take every square of pixels as the channels of one, in torch's order."""
    n, h, w, c = x.shape
    x = x.reshape(n, h // factor, factor, w // factor, factor, c).transpose(0, 1, 3, 5, 2, 4)
    return x.reshape(n, h // factor, w // factor, c * factor**2)
''',
    "upsample2d": '''\
def upsample2d(x: Array, scale: int) -> Array:
    """Repeat every pixel of a map."""
    return x.repeat(scale, axis=1).repeat(scale, axis=2)
''',
    "resize2d": '''\
def resize2d(
    x: Array, size: tuple[int, int], mode: str = "nearest", align_corners: bool = False
) -> Array:
    """Draw a map at another size: nearest, bilinear or bicubic."""
    for axis, m in zip((1, 2), size, strict=True):
        n = x.shape[axis]
        if n == 0:
            raise ValueError("the input is too small: no pixel of it is left")
        if mode == "nearest":  # in single precision, as torch does
            places = jnp.floor(jnp.arange(m, dtype=jnp.float32) * jnp.float32(n / m)).astype(int)
            x = x.take(jnp.minimum(places, n - 1), axis)
            continue
        if align_corners:  # in whole numbers, which compilers do not round: of pixels so wide
            at, pixel = (n - 1) * jnp.arange(m), max(m - 1, 1)
        else:
            at, pixel = n * (2 * jnp.arange(m) + 1) - m, 2 * m
        if mode == "bilinear":
            at = jnp.clip(at, 0, pixel * (n - 1))
        before = at // pixel
        t = (at % pixel) / pixel
        if mode == "bilinear":
            taps = {0: 1 - t, 1: t}
        else:  # Keys 1981 with a = -3/4
            inner = {k: jnp.abs(t - k) for k in (0, 1)}
            outer = {k: jnp.abs(t - k) for k in (-1, 2)}
            taps = {k: (1.25 * d - 2.25) * d * d + 1 for k, d in inner.items()}
            taps |= {k: ((-0.75 * d + 3.75) * d - 6) * d + 3 for k, d in outer.items()}
        shape = (-1, *[1] * (3 - axis))
        parts = [
            x.take(jnp.clip(before + k, 0, n - 1), axis) * weight.reshape(shape).astype(x.dtype)
            for k, weight in sorted(taps.items())
        ]
        x = sum(parts[1:], parts[0])
    return x
''',
    "enlarge2d": '''\
def enlarge2d(x: Array, scale: int, mode: str = "nearest", align_corners: bool = False) -> Array:
    """Draw a map that many times as high and wide."""
    return resize2d(x, (x.shape[1] * scale, x.shape[2] * scale), mode, align_corners)
''',
    "resize_like": '''\
def resize_like(x: Array, like: Array, mode: str = "nearest", align_corners: bool = False) -> Array:
    """Draw a map as high and wide as another."""
    return resize2d(x, (like.shape[1], like.shape[2]), mode, align_corners)
''',
    "flatten_chw": '''\
def flatten_chw(x: Array) -> Array:
    """Return maps as vectors in torch's order: channels, rows, columns."""
    return x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)
''',
    "flatten_samples": '''\
def flatten_samples(x: Array) -> Array:
    """Return every sample as a vector."""
    return x.reshape(x.shape[0], -1)
''',
    "unflatten_samples": '''\
def unflatten_samples(x: Array, parts: int) -> Array:
    """Return the equal parts of every vector as a sequence."""
    return x.reshape(x.shape[0], parts, -1)
''',
    "tokens_of_map": '''\
def tokens_of_map(x: Array) -> Array:
    """Return the places of a map as a sequence, row by row; there must be one."""
    if 0 in x.shape[1:3]:
        raise ValueError("the input is too small: no pixel of it is left")
    return x.reshape(x.shape[0], -1, x.shape[-1])
''',
    "expand_channels": '''\
def expand_channels(x: Array, channels: int) -> Array:
    """Return one channel as many that are all the same."""
    return jnp.broadcast_to(x, (*x.shape[:-1], channels))
''',
    "map_of_tokens": '''\
def map_of_tokens(x: Array, size: tuple[int, int]) -> Array:
    """Return a sequence as the places of a map, row by row."""
    return x.reshape(x.shape[0], *size, x.shape[-1])
''',
    "map_like": '''\
def map_like(x: Array, like: Array) -> Array:
    """Return a sequence as the places of a map as high and wide as another."""
    return map_of_tokens(x, (like.shape[1], like.shape[2]))
''',
    "take_token": '''\
def take_token(x: Array, index: int) -> Array:
    """Return one token of a sequence."""
    return x[:, index]
''',
}
"""Source by name, in the order in which they stand in a file."""

FUNCTIONS = tuple(
    name
    for name, source in HELPERS.items()
    if name.islower() and (") -> Array:" in source or source.startswith(f"{name}: Callable[..., Array]"))
)
"""Those that return an array."""
