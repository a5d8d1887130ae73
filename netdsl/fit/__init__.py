"""Which value of a parameter meets a target, such as the width that a net has at 150M MACs.

Cost is a staircase: channels are whole, and often rounded to eights. So no formula is solved; nets are made and
counted, as few as bisection needs, and what is said is true of the net as it is built. Both steps beside a target are
given, with the values over which each extends.

Several parameters go together along a line: multiplied by one factor, or in equal ratios from one end of their ranges
to the other, which is the compound scaling of EfficientNet (1905.11946): width 1.1**phi, depth 1.2**phi.

target.py    what is asked for
vary.py      what is varied
line.py      the values that are tried
search.py    which of them meet the target
report.py    how it is shown
"""

from __future__ import annotations

from netdsl.fit.line import make_line
from netdsl.fit.search import Fit, Search
from netdsl.fit.target import read_target
from netdsl.fit.vary import N, read_vary

__all__ = ["Fit", "fit"]


def fit(net: N, vary: str, target: str) -> Fit[N]:
    """Return what a net's parameters have to be for a target.

    Args:
        net: The net; what is not varied stays as it is.
        vary: A parameter, `width`, with or without a range, `width=0.25..2` or `dim=64..1024/64` for every 64th;
            `unit.base` is an argument of a parameter that is an op, and `n.2` a number in a list. `input` is the
            height and width of the image, `input.h` and `input.c` are sizes of it, `input.left` is one of several.
            Several, `width,depth,input`, go together.
        target: A quantity of `require` and its number, `macs=4.1G`, to be met as closely as possible; or bounds,
            `memory(train, batch=128, optimizer=momentum)<=3GB, params<=5M`, within which the largest net is wanted.

    Raises:
        NetError: One of the two cannot be read (E560), nothing of that name can be varied (E561), or no value meets
            the target (E562).
    """
    targets = read_target(target)
    return Search(net, make_line(read_vary(net, vary)), targets).run()
