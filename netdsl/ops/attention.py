"""Attention, and what it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from netdsl.cost.model import Term
from netdsl.ir.types import Dims, Shape
from netdsl.ops.base import EVERYWHERE, HERE, Elsewhere, Example, Field, Need, Op, OpError, sizes
from netdsl.ops.window import both, check_size

if TYPE_CHECKING:
    from netdsl.ir.tape import Tape, Tensor


class Attention(Op):
    """Multi-head self-attention: concat over heads of softmax(q k^T / sqrt(c/heads)) v, then a projection.

    Tokens n x c to tokens n x c. MACs: 4 n c^2 (q, k, v and the output) + 2 n^2 c (scores and their sum);
    ops: heads n^2 (softmax) + 4 n c (biases). Weights as nn.MultiheadAttention's: q, k, v in one matrix.
    `dropout` is of the attention weights, in training. Vaswani et al., arXiv 1706.03762.
    """

    name: ClassVar[str] = "attention"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.MultiheadAttention",
        keras="layers.MultiHeadAttention",
        jax="nnx.MultiHeadAttention",
        calls={"MultiheadAttention": "_, heads, dropout"},
    )
    sequential: ClassVar[bool] = False  # torch's takes queries, keys and values
    positional: ClassVar[tuple[str, ...]] = ("heads",)
    counted: ClassVar[str] = "MultiheadAttention"
    weight_axes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "in_proj_weight": ("3c", "c"),
        "in_proj_bias": ("3c",),
        "out_proj.weight": ("c", "c"),
        "out_proj.bias": ("c",),
    }

    heads: int
    dropout: float = 0.0

    @property
    def draws(self) -> bool:
        """Whether scores are dropped."""
        return self.dropout > 0

    def infer(self, *x: Shape) -> Shape:
        """Check heads and dropout; return the input's shape."""
        if x[0].axes != "nc":
            help = "say tokens first" if x[0].axes == "chw" else ""
            raise OpError("", f"attention needs tokens n x c, got {x[0].kind} {x[0]}", help)
        if self.heads < 1:
            raise OpError("heads", f"heads must be at least 1, got {self.heads}")
        if x[0].c % self.heads:
            raise OpError("heads", f"{x[0].c} channels cannot be divided into {self.heads} heads")
        if not 0 <= self.dropout <= 1:
            raise OpError("dropout", f"a probability is from 0 to 1, got {self.dropout}")
        return x[0]

    def weights(self, *x: Shape) -> Mapping[str, tuple[int, ...]]:
        """Return q, k, v in one [3c, c], their bias, and the output's [c, c] and bias."""
        c = x[0].c
        return {
            "in_proj_weight": (3 * c, c),
            "in_proj_bias": (3 * c,),
            "out_proj.weight": (c, c),
            "out_proj.bias": (c,),
        }

    def mac_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return 4 n c^2 + 2 n^2 c."""
        (n, c), h = x[0], self.heads
        scores = ("heads", h), ("n", n), ("n", n), ("c/heads", c // h)
        return (
            Term((("n", n), ("c", c), ("3c", 3 * c)), "q, k and v"),
            Term(scores, "q k^T"),
            Term(scores, "softmax v"),
            Term((("n", n), ("c", c), ("c", c)), "projection"),
        )

    def backward_macs(self, wanted: Sequence[bool], *x: Shape) -> int:
        """Return twice the forward pass, less 3 n c^2 if only the weights' gradients are needed.

        Scores are kept: kernels that compute them once more, as flash attention does, take another n^2 c.
        """
        n, c = x[0]
        return 2 * self.macs(*x) - (0 if wanted[0] else 3 * n * c * c)

    def op_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return heads n^2 for softmax and 4 n c for the biases."""
        n, c = x[0]
        return (
            Term((("heads", self.heads), ("n", n), ("n", n)), "softmax"),
            Term((("n", n), ("3c + c", 4 * c)), "biases"),
        )

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return all tokens."""
        return (EVERYWHERE,)

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the input and what attention makes of it: fused, or by its steps where scores are dropped."""
        n, length, c = x[0].sizes
        head = c // self.heads
        qkv = tape.reshaped(
            tape.linear(tape.transposed(x[0], 0, 1), 3 * c, tape.parameters[:2]),
            length,
            n,
            3,
            self.heads,
            head,
        )
        qkv = tape.in_order(tape.permuted(qkv, 2, 0, 1, 3, 4))
        q, k, v = (
            tape.permuted(tape.reshaped(tape.narrowed(qkv, 0, 1), *qkv.sizes[1:]), 1, 2, 0, 3)
            for _ in range(3)
        )
        if self.dropout == 0:
            sums = tape.new((n, self.heads, length), itemsize=tape.statistics)
            out = tape.pointwise(q, k, v, keep=(q, k, v, sums))
            tape.keep(out)
        else:
            with tape.holding(qkv):
                out = self.by_steps(tape, q, k, v)
        with tape.holding(qkv):
            rows = tape.in_order(tape.permuted(out, 2, 0, 1, 3))
            y = tape.linear(tape.reshaped(rows, -1, c), c, tape.parameters[2:])
        return tape.transposed(tape.reshaped(y, length, n, c), 0, 1)

    def by_steps(self, tape: Tape, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return the sums of v, weighted by the softmax of the products of q and k, of which some are dropped.

        In half precision the steps are in float32, and the weights are returned beside the sums, which nobody wants.
        """
        own = tape.itemsize
        with tape.sized_as(max(own, 4)):
            if own < 4:
                q, k, v = (tape.cast(value) for value in (q, k, v))
            with tape.holding(q, k, v):
                scores = tape.product(tape.pointwise(q), tape.pointwise(tape.transposed(k, -2, -1)))
                shares = tape.keep(tape.made(scores.sizes, scores))
                dropped = tape.multiplied(shares, tape.new(() if self.dropout == 1 else shares.sizes))
                if own >= 4:
                    return tape.product(dropped, v)
                with tape.holding(tape.new(shares.sizes, itemsize=own)):
                    out = tape.product(dropped, v)
                    with tape.sized_as(own):
                        return tape.cast(out)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield one head, several, dropout."""
        yield Example(cls(heads=1), (Shape(5, 6),))
        yield Example(cls(heads=3, dropout=0.1), (Shape(5, 6),))


class Qkv(Op):
    """Queries, keys and values by one fully connected layer: c to 3 c channels, `qkv -> split 3`.

    Weight [3c, c], bias [3c]; of what `fc` may be applied to but tokens that are mixed. With `key_bias=false` the
    keys' part of the bias is kept and counts as zero. MACs: 3 c^2 for each place. Liu et al., arXiv 2111.09883.
    """

    name: ClassVar[str] = "qkv"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="nn.Linear of 3 c", keras="layers.Dense of 3 c", jax="nnx.Linear of 3 c"
    )
    inherits: ClassVar[str] = "fc"
    tokenwise: ClassVar[bool] = True
    linear: ClassVar[bool] = True
    settled: ClassVar[tuple[str, ...]] = ("key_bias",)
    counted: ClassVar[str] = "Linear"
    weight_axes: ClassVar[Mapping[str, tuple[str, ...]]] = {"weight": ("3c", "c"), "bias": ("3c",)}

    bias: bool = True
    key_bias: bool = True

    def counted_as(self, *x: Shape) -> str:
        """Return the layer; without the keys' bias it is a class of its own, which calls the function."""
        return self.counted if self.key_bias or not self.bias else f"F.{self.counted}"

    def infer(self, *x: Shape) -> Shape:
        """Return the input's shape with three times the channels."""
        if x[0].axes[-1] != "c":
            raise OpError(
                "", f"qkv works on the last axis, which must be the channels, got {x[0].kind} {x[0]}"
            )
        return x[0].with_size("c", 3 * x[0].c)

    def weights(self, *x: Shape) -> Mapping[str, tuple[int, ...]]:
        """Return weight [3c, c], bias [3c]."""
        weight = {"weight": (3 * x[0].c, x[0].c)}
        return {**weight, "bias": (3 * x[0].c,)} if self.bias else weight

    def mac_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return 3 c^2, times the other axes."""
        return (Term((*sizes(x[0]), ("3c", 3 * x[0].c))),)

    def op_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return one addition per output element if there is a bias."""
        return (Term((*sizes(x[0])[:-1], ("3c", 3 * x[0].c)), "bias"),) if self.bias else ()

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the input, as rows."""
        c = x[0].sample.c
        learns = list(tape.parameters)
        if self.bias and not self.key_bias:  # zeros in the place of that of keys
            q, _, v = tape.split(learns[1], 0, [c] * 3)
            learns[1] = tape.made((3 * c,), q, tape.new((c,)), v, back=tape.looked_at)
        return tape.linear(x[0], 3 * c, learns)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield tokens, windows, a map with its channels last, without the bias or that of keys."""
        yield Example(cls(), (Shape(3, 4),))
        yield Example(cls(bias=False), (Shape(2, 3, 4, axes="bnc"),))
        yield Example(cls(key_bias=False), (Shape(3, 4),))
        yield Example(cls(key_bias=False), (Shape(2, 3, 4, axes="hwc"),))


class MatMul(Op):
    """The product of two matrices, `from a, b -> matmul`: n x k by k x m to n x m, of each window if there are any.

    Rows are tokens and columns channels, whatever they were: `permute 1, 0` of tokens is their transpose.
    MACs: n k m.
    """

    name: ClassVar[str] = "matmul"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(torch="torch.matmul", keras="ops.matmul", jax="jnp.matmul")
    product: ClassVar[bool] = True
    keeps_zero: ClassVar[bool] = True
    batchless: ClassVar[bool] = True
    wiring: ClassVar[bool] = True
    arity: ClassVar[tuple[int, int | None]] = (2, 2)
    counted: ClassVar[str] = "@"

    def infer(self, *x: Shape) -> Shape:
        """Return the rows of the first by the columns of the second."""
        a, b = x
        for shape in x:
            if shape.axes not in ("nc", "cn", "bnc"):
                raise OpError("", f"matmul needs tokens n x c, got {shape.kind} {shape}")
        if len(a) != len(b) or a[:-2] != b[:-2] or a[-1] != b[-2]:
            raise OpError("", f"matmul: {a} by {b} do not fit", "permute 1, 0 gives the transpose")
        return Shape(*a[:-1], b[-1], axes="nc" if len(a) == 2 else "bnc")

    def mac_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return n k m, times the windows."""
        names = ("windows", "n", "k", "m")[-1 - len(x[0]) :]
        return (Term(tuple(zip(names, (*x[0], x[1][-1]), strict=True))),)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return all tokens; the window of a place is what `windows` says that it sees."""
        own = EVERYWHERE if x[0].axes == "cn" else HERE
        return own, HERE if x[0].axes == "bnc" else EVERYWHERE

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep both, for the gradient of the other."""
        return tape.product(x[0], x[1])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield tokens, transposes, windows."""
        yield Example(cls(), (Shape(3, 4), Shape(4, 5)))
        yield Example(cls(), (Shape(3, 4), Shape(4, 6, axes="cn")))
        yield Example(cls(), (Shape(5, 4, axes="cn"), Shape(4, 2)))
        yield Example(cls(), (Shape(2, 3, 4, axes="bnc"), Shape(2, 4, 5, axes="bnc")))


class Attend(Op):
    """Scaled dot-product attention of three values, by heads: concat of softmax(q k^T scale + bias + mask) v.

    q, of n x c, looks at k, m x c, and gets n x d of v, m x d: `from q, k, v -> attend 8`. Or all of each window, in
    windows x n x c. `scale` is (c/heads)^-0.5 unless given. `bias=`, heads x n x m, is added to the scores of every
    sample and window, `mask=`, windows x n x m, to those of every head. With `cosine=true` q and k have length 1,
    and their products are multiplied with `by=`, heads x 1 x 1, in place of the scale. MACs: n m (c + d);
    ops: heads n m (softmax), n c (scale), and one per score for each of bias and mask.
    Vaswani et al., arXiv 1706.03762; Liu et al., arXiv 2103.14030 (bias, mask) and 2111.09883 (cosine).
    """

    name: ClassVar[str] = "attend"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="F.scaled_dot_product_attention",
        keras="ops.dot_product_attention",
        jax="jax.nn.dot_product_attention",
    )
    positional: ClassVar[tuple[str, ...]] = ("heads",)
    arity: ClassVar[tuple[int, int | None]] = (3, 6)
    references: ClassVar[tuple[str, ...]] = ("by", "bias", "mask")
    settled: ClassVar[tuple[str, ...]] = ("cosine",)
    wiring: ClassVar[bool] = True
    counted: ClassVar[str] = "@"

    heads: int
    scale: float | None = None
    cosine: bool = False

    def further(self, *x: Shape) -> dict[str, int]:
        """Return at which input `by`, `bias` and `mask` are, those that are given."""
        found = {}
        for at, shape in enumerate(x[3:], 3):
            name = "mask" if shape.axes == "bnc" else "by" if self.cosine and at == 3 else "bias"
            if name in found or shape.axes not in ("chw", "bnc"):
                raise OpError("", f"attend cannot add {shape.kind} {shape} to its scores")
            found[name] = at
        return found

    def infer(self, *x: Shape) -> Shape:
        """Return q's shape with v's channels."""
        q, k, v = x[:3]
        for name, shape in zip("qkv", (q, k, v), strict=True):
            if shape.axes not in ("nc", "bnc") or shape.axes != q.axes:
                help = "say tokens or windows first" if "h" in shape.axes else ""
                raise OpError("", f"attend needs tokens n x c as {name}, got {shape.kind} {shape}", help)
        self.check_needs(*x)
        if q.c % self.heads or v.c % self.heads:
            raise OpError("heads", f"{q.c} and {v.c} channels cannot be divided into {self.heads} heads")
        if k[:-1] != v[:-1] or q[:-2] != k[:-2]:
            raise OpError("", f"attend: q, k and v do not fit: {q}, {k} and {v}")
        further = self.further(*x)
        wanted = {
            "by": (self.heads, 1, 1),
            "bias": (self.heads, q.n, k.n),
            "mask": (q[0], q.n, k.n),
        }
        for name, at in further.items():
            if tuple(x[at]) != wanted[name] or (name == "mask" and q.axes != "bnc"):
                sizes = "x".join(map(str, wanted[name]))
                raise OpError("", f"attend needs {name}= of {sizes} for {q} and {k}, got {x[at]}")
        if self.cosine and ("by" not in further or self.scale is not None):
            raise OpError("cosine", "attend of cosines needs by=, and takes no scale")
        return q.with_size("c", v.c)

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield that there is a head, q and k are of one space, and scores are a number."""
        yield Need("heads", "heads", self.heads, ">=", 1)
        yield Need("", "the channels of k", x[1].c, "==", x[0].c)

    def mac_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return n m (c + d), of every window."""
        pairs = self.pairs(*x)
        return Term((*pairs, ("c", x[0].c)), "q k^T"), Term((*pairs, ("d", x[2].c)), "softmax v")

    def backward_macs(self, wanted: Sequence[bool], *x: Shape) -> int:
        """Return n m c for each of q and k, n m d for v, and n m d for the scores if anything in them is needed.

        Scores are kept: kernels that compute them once more take another n m c.
        """
        q, k, v = x[:3]
        of_q, of_k, of_v, *further = wanted
        scores, sums = q.elements * k.n, q.elements // q.c * k.n * v.c
        return scores * (of_q + of_k) + sums * (of_v + any([of_q, of_k, *further]))

    @staticmethod
    def pairs(*x: Shape) -> tuple[tuple[str, int], ...]:
        """Return the windows, if there are any, and the places of q and of k in one, as factors."""
        q, k = x[:2]
        windows = (("windows", q[0]),) if q.axes == "bnc" else ()
        return *windows, ("n", q.n), ("m", k.n)

    def op_terms(self, *x: Shape) -> tuple[Term, ...]:
        """Return the softmax, the scale, and what is added to the scores."""
        scores = ("heads", self.heads), *self.pairs(*x)
        joined = [Term(scores, name) for name in self.further(*x)]
        lengths = [Term(sizes(k), f"lengths of {name}") for name, k in zip("qk", x[:2], strict=True)]
        return Term(scores, "softmax"), *joined, *(lengths if self.cosine else [Term(sizes(x[0]), "scale")])

    def scratch(self, itemsize: int, *x: Shape) -> int:
        """Return the scores, once more as what is added to them makes new ones, and the scaled q."""
        q, k = x[:2]
        return itemsize * (2 * self.heads * (q.elements // q.c) * k.n + q.elements)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return all tokens; the window of a place is what `windows` says that it sees."""
        whole = HERE if x[0].axes == "bnc" else EVERYWHERE
        return (HERE, whole, whole, *[HERE if at.axes == "bnc" else EVERYWHERE for at in x[3:]])

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep q, k and v by heads, their lengths if they are compared by angle, and the softmax."""
        further = self.further(*[value.sample for value in x])
        q, k, v = (
            tape.transposed(
                tape.reshaped(value, *value.sizes[:-1], self.heads, value.sizes[-1] // self.heads), -3, -2
            )
            for value in x[:3]
        )
        if self.cosine:
            q = self.normalized(tape, q)
            with tape.holding(q):
                k = self.normalized(tape, k)
            return self.summed(tape, tape.multiplied(self.scores(tape, q, k), x[further["by"]]), v, *x)
        q = tape.pointwise(q)
        with tape.holding(q):
            return self.summed(tape, self.scores(tape, q, k), v, *x)

    @staticmethod
    def scores(tape: Tape, q: Tensor, k: Tensor) -> Tensor:
        """Return the products of all q with all k."""
        return tape.product(q, tape.transposed(k, -2, -1))

    def summed(self, tape: Tape, scores: Tensor, v: Tensor, *x: Tensor) -> Tensor:
        """Return the sums of v, weighted by the softmax of the scores and what is added to these."""
        further = self.further(*[value.sample for value in x])
        if "bias" in further:
            bias = x[further["bias"]]
            windows = x[0].sample.axes == "bnc" and len(bias.sizes) == 4
            scores = tape.summed(
                scores, tape.reshaped(bias, bias.sizes[0], 1, *bias.sizes[1:]) if windows else bias
            )
        if "mask" in further:
            mask = x[further["mask"]]
            scores = tape.summed(scores, tape.reshaped(mask, *mask.sizes[:-2], 1, *mask.sizes[-2:]))
        with tape.holding(scores):
            shares = tape.keep(tape.made(scores.sizes, scores))
            return tape.flattened(tape.transposed(tape.product(shares, v), -3, -2), -2)

    def normalized(self, tape: Tape, x: Tensor) -> Tensor:
        """Return what has length 1 along its last axis, as `F.normalize` does it."""
        length = tape.keep(tape.made((*x.sizes[:-1], 1), x, keep=(x,)))
        least = tape.pointwise(length, keep=(length,))
        return tape.divided(x, tape.expanded(least, x.sizes))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield one head, several, other places, other channels, biases and masks, windows, cosines."""
        q, k, wide = Shape(5, 6), Shape(4, 6), Shape(4, 9)
        yield Example(cls(heads=1), (q, q, q))
        yield Example(cls(heads=3), (q, k, wide))
        yield Example(cls(heads=2, scale=0.3), (q, k, k))
        yield Example(cls(heads=2), (q, k, k, Shape(2, 5, 4)))
        yield Example(cls(heads=2, cosine=True), (q, k, k, Shape(2, 1, 1)))
        yield Example(cls(heads=2, cosine=True), (q, k, k, Shape(2, 1, 1), Shape(2, 5, 4)))
        b = Shape(2, 4, 6, axes="bnc")
        yield Example(cls(heads=2), (b, b, b))
        yield Example(cls(heads=3), (b, b, b, Shape(3, 4, 4), Shape(2, 4, 4, axes="bnc")))


class RelativeBias(Op):
    """What each head adds to the score of two places of a window, by how far they lie apart.

    `from table, index -> relative_bias 7x7`: a table rows x heads, or a map of rows, and for each pair of the n
    places of a window the row to read, n^2 numbers or n x n, to heads x n x n. `init=relative_positions(7, 7)` is
    such an index, of a table with (2 x 7 - 1)^2 rows. ops: 0. Liu et al., arXiv 2103.14030.
    """

    name: ClassVar[str] = "relative_bias"
    elsewhere: ClassVar[Elsewhere] = Elsewhere(
        torch="torchvision.models.swin_transformer.ShiftedWindowAttention, of it"
    )
    keeps_zero: ClassVar[bool] = True
    selects: ClassVar[bool] = True
    batchless: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("size",)
    arity: ClassVar[tuple[int, int | None]] = (2, 2)
    wiring: ClassVar[bool] = True

    size: Dims | int

    @property
    def places(self) -> int:
        """How many places a window has."""
        rows, columns = both(self.size)
        return rows * columns

    def infer(self, *x: Shape) -> Shape:
        """Return heads x n x n."""
        table, index = x
        check_size("size", self.size)
        if table.axes not in ("nc", "hwc"):
            raise OpError("", f"relative_bias needs a table, rows x heads, got {table.kind} {table}")
        if index.axes not in ("nc", "c"):
            raise OpError(
                "", f"relative_bias needs a number for each pair of places, got {index.kind} {index}"
            )
        self.check_needs(*x)
        return Shape(table.c, self.places, self.places)

    def needs(self, *x: Shape) -> Iterator[Need]:
        """Yield that the index is of all pairs, and there is a row for each step."""
        for size in both(self.size):
            yield Need("size", "size", size, ">=", 1)
        (rows, columns), table = both(self.size), x[0]
        steps = (2 * rows - 1) * (2 * columns - 1)
        yield Need("size", "the rows of a table", table.elements // table.c, ">=", steps)
        yield Need("size", "the numbers of an index", x[1].elements, "==", self.places * self.places)

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return all of the table, and of the index."""
        return EVERYWHERE, EVERYWHERE

    def saved(self, tape: Tape, *x: Tensor) -> Tensor:
        """Keep the index, where the table is another for each sample, and the table."""
        table, index = x
        heads = table.sample.c
        sizes = (heads, self.places, self.places)
        if len(index.sizes) == 1 or (len(index.sizes) == 2 and len(index.sample) == 2):
            return tape.made(sizes, table)
        pairs = self.places * self.places
        every = (tape.batch, pairs, heads, 8)  # the index once for each head, in int64
        with tape.holding(tape.new((tape.batch, pairs), itemsize=8)):
            rows = tape.made((tape.batch, pairs, heads), table, keep=(table,), extra=every)
        if rows.maker is not None:  # going back, what is added to
            rows.maker.scratch = tape.itemsize * table.elements
        pairwise = tape.reshaped(rows, tape.batch, self.places, self.places, heads)
        return tape.in_order(tape.permuted(pairwise, 0, 3, 1, 2))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield both forms of the table, and of the index."""
        yield Example(cls(size=2), (Shape(25, 3), Shape(16)))
        yield Example(cls(size=Dims((2, 3))), (Shape(25, 2), Shape(6, 6)))
        yield Example(cls(size=Dims((2, 3))), (Shape(5, 5, 2, axes="hwc"), Shape(36)))
