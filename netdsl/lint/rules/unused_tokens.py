"""Rule unused_tokens."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from netdsl.cost.table import human
from netdsl.diagnostics import Severity
from netdsl.ir.graph import Node, Value
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule
from netdsl.ops.part import Token
from netdsl.transforms.rewrite import Rewrite


class UnusedTokens(Rule):
    """Layers that work on tokens of which only one is read.

    ## What it does
    Finds the layers with weights before `token i` that nothing but it depends on, and that work on each token by
    itself: the MLP of a vision transformer's last block. The saving is what it is to take the token before them.

    ## Why is this bad
    The tokens mix in attention only. Behind the last one, all but the token that is read are computed and dropped:
    196 of 197 through the last MLP of ViT-B/16, 5% of its MACs. The result is the same, bit for bit but for dropout.

    ## Bad
        net N:
            input 3, 32x32
            weight cls [1, 64], batch=true, init=normal(0, 0.02)
            weight pos [65, 64], init=normal(0, 0.02)
            patches: conv 4x4, 64, /4, pad=0 -> tokens
            (from cls | identity) -> concat axis="n"
            (from pos | identity) -> add
            mix: attention 4
            mlp: fc 256 -> relu -> fc 64
            norm: ln
            token 0
            head: fc 10

    ## Good
        net N:
            input 3, 32x32
            weight cls [1, 64], batch=true, init=normal(0, 0.02)
            weight pos [65, 64], init=normal(0, 0.02)
            patches: conv 4x4, 64, /4, pad=0 -> tokens
            (from cls | identity) -> concat axis="n"
            (from pos | identity) -> add
            mix: attention 4
            token 0
            mlp: fc 256 -> relu -> fc 64
            norm: ln
            head: fc 10

    ## Fix safety
    There is no automatic fix: the token must be taken on each branch of the last block, and a block is written once.

    ## References
    Touvron et al., Going deeper with image transformers, arXiv 2103.17239, section 3: in the last layers of CaiT only
    the class token is worked on
    """

    code: ClassVar[str] = "L221"
    severity: ClassVar[Severity] = "info"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Go back from each token that is taken, as far as nothing else needs the others."""
        for token in facts.of(Token):
            region = _region(token, facts)
            work = [node for node in region if facts.cost(node).macs]
            coming = _coming(region, facts)
            if work and not facts.results.intersection(coming):
                macs = sum(facts.cost(node).macs for node in work)
                n = facts.input(token).n
                yield self.hit(
                    token,
                    f"{facts.called(token)} reads 1 of {n} tokens, and from {facts.called(work[0])} on "
                    f"nothing mixes them: {n - 1} of {n} parts of {human(macs)} MACs are for nothing",
                    help="take the token before them, on each branch",
                    change=partial(_take_earlier, token=token, coming=coming, region=region, facts=facts),
                )


def _region(token: Node, facts: Facts) -> list[Node]:
    """Return the layers that work token by token and on which nothing but that token depends, in order."""
    names = {token.name}
    found: list[Node] = []
    for node in reversed(facts.nodes):
        if not node.op.tokenwise or Value(node.name) in facts.results:
            continue
        readers = facts.readers(node)
        if readers and all(reader.name in names for reader in readers) and facts.output(node).axes == "nc":
            names.add(node.name)
            found.append(node)
    return found[::-1]


def _coming(region: list[Node], facts: Facts) -> tuple[Value, ...]:
    """Return the tokens that the region reads from outside."""
    inside = {node.name for node in region}
    coming = [
        value
        for node in region
        for value, shape in zip(node.inputs, facts.inputs(node), strict=True)
        if value.node not in inside and shape.axes == "nc"
    ]
    return tuple(dict.fromkeys(coming))


def _take_earlier(
    net: Rewrite, token: Node, coming: tuple[Value, ...], region: list[Node], facts: Facts
) -> None:
    """Take the token from every value that comes into the region, instead of from what leaves it."""
    inside = {node.name for node in region}
    for number, value in enumerate(coming):
        name = f"{token.name}~{number}"
        net.insert(value, token.op, name)
        for reader in facts.readers(facts.node(value.node), value.port):
            if reader.name not in inside:
                for position, one in enumerate(reader.inputs):
                    if one == value:
                        net.read(reader.name, position, value)
    net.remove(token.name)
