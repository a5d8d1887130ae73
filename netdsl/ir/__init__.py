"""The graph of a net: its values, nodes and module tree, and what must hold of any."""
