"""Tree to graph: declarations are read, a variant's body is walked, every layer becomes a node."""
