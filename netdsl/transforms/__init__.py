"""Graphs made of graphs.

rewrite.py     a net under change: edits of its nodes, and what they save
tree.py        the module tree of a graph whose nodes are others
change.py      a rewrite that also says what becomes of the weights
towers.py      a net on several devices, each with its share of the channels, in stages between exchanges
shares.py      what a device does at a layer with its share of the channels
inference.py   the net that is shipped: what a trained one does in evaluation, in fewer ops

The rest are the single steps of that, a module each.
"""
