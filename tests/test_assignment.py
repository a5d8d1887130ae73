"""What the check of emitted text finds: reads of local names that some path has not bound."""

from __future__ import annotations

import pytest
from assignment import unassigned

CASES = {
    "one side": ("if x:\n        y = 1\n    return y", ["f:4: y"]),
    "both sides": ("if x:\n        y = 1\n    else:\n        y = 2\n    return y", []),
    "a side that returns": ("if x:\n        y = 1\n    else:\n        return x\n    return y", []),
    "a loop that may not run": ("for y in x:\n        z = y\n    return z, y", ["f:4: z", "f:4: y"]),
    "a loop": ("z = x\n    for y in x:\n        z = z + y\n    return z", []),
    "a loop that is left": (
        "while True:\n        if x:\n            y = 1\n            break\n    return y",
        ["f:6: y"],
    ),
    "a declaration": ("y: int\n    return y", ["f:3: y"]),
    "a sum in place": ("if x:\n        y = 1\n    y += 1", ["f:4: y"]),
    "a comprehension": ("return [y for y in x], [lambda z: z for z in x]", []),
    "a name that was dropped": ("y = 1\n    del y\n    return y", ["f:4: y"]),
    "several at once": ("if x:\n        a, (b, c) = x\n    return b", ["f:4: b"]),
    "a name of the module": ("return g(x)", []),
}


@pytest.mark.parametrize("why", CASES)
def test_says_what_may_not_be_bound(why: str) -> None:
    body, expected = CASES[why]
    assert unassigned(f"def f(x):\n    {body}\n") == expected
