"""Rule rf_too_small."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from netdsl.lint.facts import Facts, averages
from netdsl.lint.rule import Hit, Rule, Threshold


class RfTooSmall(Rule):
    """An average over places that each see a part of the input only.

    ## What it does
    Compares the receptive field of what `gap`, or an average over the whole map, reads with the input. Below half of
    it there is a warning, below three quarters of more than 64 pixels a note. Inputs of up to 32 pixels and nets of
    less than 4 convolutions are left alone.

    ## Why is this bad
    The average adds up what each place says, whatever their order, so the net votes on patches: two parts of an
    object that are farther apart than the receptive field are never seen together. BagNets do so on purpose,
    and with 33 of 224 pixels are better than AlexNet, though not as good as the ResNet that they are made of.

    ## Bad
        net N:
            input 3, 128x128
            features:
                conv 7x7, 64, /4 -> relu
                5 * (conv 3x3, 64 -> relu)
            gap
            fc: fc 10

    ## Good
        net N:
            input 3, 128x128
            features:
                conv 7x7, 64, /4 -> relu
                2 * (conv 3x3, 64, /2 -> relu)
                4 * (conv 3x3, 64 -> relu)
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: more stride, more layers, larger kernels or dilation, in this order of cost.

    ## References
    Brendel and Bethge, Approximating CNNs with bag-of-local-features models, arXiv 1904.00760; Araujo et al., Distill
    2019, doi 10.23915/distill.00021
    """

    code: ClassVar[str] = "L502"
    thresholds: ClassVar = {
        "share": Threshold(0.5, "part of the input's side that a place should see at least"),
        "note": Threshold(0.75, "part of the input's side below which there is a note"),
        "layers": Threshold(4, "nets with fewer convolutions are left alone"),
        "side": Threshold(32, "inputs up to this many pixels are left alone"),
        "large": Threshold(64, "inputs up to this many pixels are worth no note"),
    }

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at what each average over a whole map reads."""
        if len(facts.convolutions) < self.limit("layers"):
            return
        for node in facts.where(averages):
            source, whole = facts.source(node), facts.output(node)
            if whole.elements > whole.c or facts.input(node).elements == whole.c:
                continue
            seen = facts.net.receptive.get(source.name)
            if facts.reader(source) is not node or seen is None:
                continue
            for extent, what in ((seen.rows, "rows"), (seen.columns, "columns")):
                share = float(extent.largest / extent.size)
                least = self.limit("note" if extent.size > self.limit("large") else "share")
                if share >= least or extent.size <= self.limit("side"):
                    continue
                yield self.hit(
                    node,
                    f"{facts.called(node)} averages {facts.input(node)}, of which each place sees "
                    f"{float(extent.largest):g} of {extent.size} {what} of the input",
                    help="stride earlier, or more layers before the average",
                    severity="warning" if share < self.limit("share") else "info",
                )
                break
