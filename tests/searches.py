"""What the tests of `netdsl search` search, and how objectives write down the nets that they are given."""

SMALL = """\
net Small(width = choose(4, 8, 16)):
    input 1, 8x8
    require params <= 4K, macs <= 100K
    conv1: conv 3x3, width
    stage1:
        depth = choose(0, 1, 2)
        if depth > 0:
            depth * conv choose(3x3, 5x5), width, act=choose(relu, silu)
    gap
    fc: fc 10
"""
RECORD = """\
import os, signal, time

def record(net):
    with open(os.environ.get("LOG", "log"), "a") as stream:
        stream.write(" ".join(f"{d.name}={d.options[d.chosen]}" for d in net.decisions) + "\\n")
"""
"""The begin of a module of objectives: a line in the file LOG for each net, or in `log`."""
