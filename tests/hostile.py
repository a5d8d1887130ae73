"""Texts that once took minutes or gigabytes, too long to keep as files: each is made here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

HEAD = "net A:\n    input 3, 32x32\n"


def limited(command: Sequence[str], seconds: int, memory: int, shell: str = "{}") -> list[str]:
    """Return a command that gets so much of a processor's time and so many bytes, maybe within a shell's line.

    A shell sets the limits: a fork of the tests' process may have more memory already.
    """
    line = f"ulimit -t {seconds} -v {memory // 1024} && " + shell.format('"$@"')
    return ["bash", "-c", line, "bash", *command]


def lines(text: str, count: int) -> str:
    """Return a line as often, with its number in the place of `#`."""
    return "".join(text.replace("#", str(number)) + "\n" for number in range(count))


def doubling(first: str, later: str, count: int) -> str:
    """Return declarations each of which asks twice for the one before, `<`."""
    return first.replace("#", "0") + "".join(
        later.replace("#", str(n)).replace("<", str(n - 1)) for n in range(1, count)
    )


TEXTS: dict[str, Callable[[], str]] = {
    "misspelt ops": lambda: HEAD + lines("    a#: convv# 3x3, 8", 1000),
    "misspelt defaults of a file": lambda: lines("default convv# act=relu", 1000) + HEAD + "    gap\n",
    "misspelt arguments of a file": lambda: lines("default conv kernal#=3", 1000) + HEAD + "    gap\n",
    "misspelt nets": lambda: HEAD + "    gap\n" + lines("variant v# = Aa#()", 1000),
    "misspelt blocks among many": lambda: (
        lines("block B#(c):\n    conv c", 3000) + HEAD + lines("    a#: Bx# 3", 50)
    ),
    "many nets that are wrong": lambda: HEAD + "    gap\n" + lines("variant v# = A(3)", 3000),
    "names of 10,000 letters": lambda: HEAD + f"    {'a' * 10_000}: {'convv' * 2_000} 1x1\n",
    "dimensions of two megabytes": lambda: HEAD + f"    c: conv {'x'.join(['3'] * 1_000_000)}, 3\n",
    "many allowed values": lambda: (
        f"net A(k: int in [{', '.join(map(str, range(100_000)))}] = -5):\n    input 3, 8x8\n    gap\n"
    ),
    "many options": lambda: (
        f"net A(k = choose({', '.join(map(str, range(50_000)))})):\n    input 3, 8x8\n    gap\n"
    ),
    "empty lines": lambda: HEAD + "\n" * 5_000_000 + "    gap\n",
    "comments": lambda: HEAD + "# x\n" * 1_000_000 + "    gap\n",
    "an error behind empty lines": lambda: HEAD + "\n" * 5_000_000 + "    gapp\n",
    "blocks that double": lambda: (
        doubling("block B#():\n    relu\n", "block B#():\n    B<\n    B<\n", 40) + HEAD + "    B39\n"
    ),
    "labelled blocks that double": lambda: (
        doubling("block B#():\n    c: conv 1x1, 3\n", "block B#():\n    a: B<\n    b: B<\n", 40)
        + HEAD
        + "    g: B39\n"
    ),
    "empty blocks that double": lambda: (
        doubling("block B#():\n    identity\n", "block B#():\n    a: B<\n    b: B<\n", 40)
        + HEAD
        + "    g: B39\n"
    ),
    "functions that double": lambda: (
        doubling("def f#(x) = x\n", "def f#(x) = f<(x) + f<(x)\n", 60) + HEAD + "    c: conv 1x1, f59(1)\n"
    ),
    "functions that double lists": lambda: (
        doubling("def f#(x) = [x]\n", "def f#(x) = [f<(x), f<(x)]\n", 60)
        + HEAD
        + "    c: conv 1x1, len(f59(1))\n"
    ),
    "functions that double in a file": lambda: (
        doubling("def f#(x) = x\n", "def f#(x) = f<(x) + f<(x)\n", 60) + "a = f59(1)\n" + HEAD + "    gap\n"
    ),
    "schedules of a million": lambda: HEAD + "    1000000 * droppath ramp(0, 0.2)\n",
    "as many as may be": lambda: HEAD + "    50000 * droppath ramp(0, 0.2)\n    gap\n",
    "loops in loops": lambda: (
        HEAD + "    for i in range(1000000):\n        for j in range(1000000):\n            k = i\n"
    ),
    "one error in all turns": lambda: (
        HEAD + "    for i in range(1000):\n        for j in range(1000):\n            k = i + l\n"
    ),
    "one error in all branches": lambda: (
        HEAD + "    add:\n        for i in range(1000000):\n            conv 1x1, l as c{i}\n"
    ),
    "many outputs": lambda: HEAD + lines("    output o#: relu", 20_000),
    "many inputs": lambda: "net A:\n" + lines("    input i#: 3, 4x4", 5_000) + "    gap\n",
    "many labels": lambda: HEAD + lines("    a#: relu", 30_000),
    "one label often": lambda: HEAD + "    relu: relu\n" * 30_000,
    "one layer often": lambda: HEAD + "    a: conv 1x1, 3\n" + "    same a\n" * 20_000,
    "many lists": lambda: HEAD + lines("    c.#: relu", 20_000),
    "a long chain": lambda: HEAD + "    " + " -> ".join(["relu"] * 100_000) + "\n",
    "a wide fork": lambda: HEAD + f"    ({' | '.join(['relu'] * 9_000)}) -> concat\n",
    "a long sum": lambda: HEAD + f"    a = {'+'.join(['1'] * 100_000)}\n    gap\n",
    "a joint that doubles": lambda: HEAD + "    concat:\n        identity\n        identity\n" * 60,
}
"""By what they are."""


def corpus() -> Iterator[tuple[str, str]]:
    """Yield them with their names."""
    for name, make in TEXTS.items():
        yield name, make()
